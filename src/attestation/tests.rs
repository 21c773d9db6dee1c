//! Documents that are in order, and documents with one thing wrong each; envelopes, opened by OpenSSL.

use std::process::Command;
use std::time::Duration;

use claviger_attestation_testing::{
    ES384_HEADER, Fields, Hypervisor, RecipientPrivateKey, bytes, cabundle, cbor, cose_sign1, payload, registers,
};
use claviger_types::Timestamp;
use proptest::prelude::*;

use crate::der::{INTEGER, NULL, OBJECT_IDENTIFIER, SEQUENCE, element};
use crate::error::Flaw;
use crate::{Attestation, AttestationError, TrustRoots, TrustRootsError};

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A hypervisor, its roots, and the fields of a document that is in order.
struct Case {
    hypervisor: Hypervisor,
    roots: TrustRoots,
    fields: Fields,
    key: RecipientPrivateKey,
}

impl Case {
    fn new() -> Self {
        Self::of(Hypervisor::new(NOW))
    }

    fn of(hypervisor: Hypervisor) -> Self {
        let roots = TrustRoots::from_pem(hypervisor.root_pem().as_bytes()).unwrap();
        let key = RecipientPrivateKey::generate();
        let fields = hypervisor.fields(NOW, &[(0, &[0xab; 48]), (4, &[0x04; 32]), (31, &[0x31; 64])], &key.public_der());
        Self { hypervisor, roots, fields, key }
    }

    fn document(&self) -> Vec<u8> {
        self.hypervisor.document(&self.fields)
    }

    fn field(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.fields.iter_mut().find(|(field, _)| *field == name).unwrap().1
    }

    fn refusal(&self, document: &[u8]) -> AttestationError {
        self.refusal_at(document, NOW)
    }

    fn refusal_at(&self, document: &[u8], now: Timestamp) -> AttestationError {
        match self.roots.verify(document, now) {
            Ok(_) => panic!("a document that must be refused is believed"),
            Err(error) => error,
        }
    }

    /// With this recipient.
    fn with_key(mut self, public_key: &[u8]) -> Result<Attestation, AttestationError> {
        *self.field("public_key") = bytes(public_key);
        self.roots.verify(&self.document(), NOW)
    }

    /// With this in place of a field's value.
    fn with(mut self, name: &str, value: Vec<u8>) -> AttestationError {
        *self.field(name) = value;
        self.refusal(&self.document())
    }
}

/// A public key with a modulus of so many bits, which is nobody's.
fn rsa_of(bits: usize) -> Vec<u8> {
    let mut modulus = vec![0xff; bits.div_ceil(8)];
    modulus[0] >>= (8 - bits % 8) % 8;
    modulus.splice(0..0, (modulus[0] >= 0x80).then_some(0));
    let numbers = element(SEQUENCE, &[&element(INTEGER, &[&modulus]), &element(INTEGER, &[&[1, 0, 1]])]);
    let rsa_encryption = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
    let algorithm = element(SEQUENCE, &[&element(OBJECT_IDENTIFIER, &[&rsa_encryption]), &element(NULL, &[])]);
    element(SEQUENCE, &[&algorithm, &element(3, &[&[0], &numbers])])
}

fn field(field: &'static str, flaw: Flaw) -> AttestationError {
    AttestationError::Field { field, flaw }
}

fn cose(part: &'static str, flaw: Flaw) -> AttestationError {
    AttestationError::Cose { part, flaw }
}

fn text(text: &str) -> Vec<u8> {
    cbor(|out| {
        out.str(text).unwrap();
    })
}

fn number(number: u64) -> Vec<u8> {
    cbor(|out| {
        out.u64(number).unwrap();
    })
}

#[test]
fn a_document_in_order_says_what_conditions_ask() {
    let case = Case::new();
    let tagged = {
        let payload = payload(&case.fields);
        cose_sign1(true, ES384_HEADER, &payload, &case.hypervisor.signature(ES384_HEADER, &payload))
    };
    for document in [case.document(), tagged] {
        let attestation = case.roots.verify(&document, NOW).unwrap();
        assert_eq!(attestation.module_id(), "i-0123456789abcdef0-enc0123456789abcdef");
        let value = |name: &str| attestation.condition_value(name);
        for name in ["ImageSha384", "imagesha384", "PCR0", "pcr0"] {
            assert_eq!(value(name), Some("ab".repeat(48)), "{name}");
        }
        assert_eq!((value("PCR4"), value("PCR31")), (Some("04".repeat(32)), Some("31".repeat(64))));
        for name in ["PCR1", "PCR32", "PCR00", "PCR+0", "PCR", "PCR256", "NitroTPMPCR0", "NitroTPMPCR4", "ImageSha", "", "é"] {
            assert_eq!(value(name), None, "{name}");
        }
    }
}

#[test]
fn a_nitrotpm_has_registers_of_its_own_name() {
    let mut case = Case::new();
    let place = case.fields.iter().position(|(name, _)| *name == "pcrs").unwrap();
    case.fields[place] = ("nitrotpm_pcrs", registers(&[(0, &[1; 48]), (7, &[7; 48])]));
    let attestation = case.roots.verify(&case.document(), NOW).unwrap();
    let value = |name: &str| attestation.condition_value(name);
    assert_eq!((value("NitroTPMPCR7"), value("nitrotpmpcr0")), (Some("07".repeat(48)), Some("01".repeat(48))));
    assert_eq!((value("PCR7"), value("PCR0"), value("ImageSha384")), (None, None, None));
}

#[test]
fn the_signature_is_the_leafs_over_this_payload() {
    let case = Case::new();
    let sound = payload(&case.fields);
    let signature = case.hypervisor.signature(ES384_HEADER, &sound);
    let document = |payload: &[u8], signature: &[u8]| cose_sign1(false, ES384_HEADER, payload, signature);
    let mut changed = signature.clone();
    changed[95] ^= 1;
    assert_eq!(case.refusal(&document(&sound, &changed)), AttestationError::Signature);
    assert_eq!(case.refusal(&document(&sound, &[0; 96])), AttestationError::Signature);
    let mut fields = case.fields.clone();
    fields.iter_mut().find(|(name, _)| *name == "nonce").unwrap().1 = bytes(b"other");
    assert_eq!(case.refusal(&document(&payload(&fields), &signature)), AttestationError::Signature);
    // Another hypervisor's signature under this one's certificates.
    assert_eq!(case.refusal(&Hypervisor::new(NOW).document(&case.fields)), AttestationError::Signature);
    for length in [0, 48, 95, 97, 104] {
        assert_eq!(case.refusal(&document(&sound, &vec![1; length])), cose("signature", Flaw::Length));
    }
}

#[test]
fn only_es384_counts() {
    let case = Case::new();
    let sound = payload(&case.fields);
    let headers: [&[u8]; 8] = [
        &[0xa1, 0x01, 0x26],                         // ES256
        &[0xa1, 0x01, 0x38, 0x23],                   // ES512
        &[0xa1, 0x04, 0x38, 0x22],                   // another label
        &[0xa2, 0x01, 0x38, 0x22, 0x04, 0x00],       // more than the algorithm
        &[0xa2, 0x01, 0x38, 0x22, 0x01, 0x38, 0x22], // twice
        &[0xa1, 0x01, 0x38, 0x22, 0x00],             // something behind it
        &[0xa0],                                     // none
        &[],
    ];
    for header in headers {
        let document = cose_sign1(false, header, &sound, &case.hypervisor.signature(header, &sound));
        assert_eq!(case.refusal(&document), AttestationError::Algorithm, "{header:x?}");
    }
}

#[test]
fn the_structure_is_cose_sign1_and_nothing_more() {
    let case = Case::new();
    let document = case.document();
    let of = |write: &dyn Fn(&mut minicbor::Encoder<Vec<u8>>)| cbor(|out| write(out));
    assert_eq!(case.refusal(&[&[0xd1][..], &document].concat()), cose("tag", Flaw::Value));
    assert_eq!(case.refusal(&[&[0xd2, 0xd2][..], &document].concat()), cose("array", Flaw::Type));
    assert_eq!(case.refusal(&[&document[..], &[0]].concat()), cose("signature", Flaw::Trailing));
    let longer = of(&|out| {
        out.array(5).unwrap().bytes(ES384_HEADER).unwrap().map(0).unwrap();
    });
    assert_eq!(case.refusal(&longer), cose("array", Flaw::Length));
    let unprotected = of(&|out| {
        out.array(4).unwrap().bytes(ES384_HEADER).unwrap().map(1).unwrap().u8(1).unwrap().i8(-35).unwrap();
    });
    assert_eq!(case.refusal(&unprotected), cose("unprotected header", Flaw::Length));
    assert_eq!(case.refusal(&[]), cose("array", Flaw::Type));
    assert_eq!(case.refusal(b"x"), cose("array", Flaw::Type));
    // Of any length before it is looked at.
    assert_eq!(case.refusal(&vec![0; 262_145]), AttestationError::TooLong(262_145));
    assert_eq!(case.refusal(&vec![0x9f; 262_144]), cose("array", Flaw::Length));
    assert_eq!(case.refusal(&vec![0x81; 262_144]), cose("array", Flaw::Length));
}

#[test]
fn a_document_that_is_cut_off_anywhere_is_refused() {
    let case = Case::new();
    let document = case.document();
    for length in 0..document.len() {
        case.refusal(&document[..length]);
    }
    let sound = payload(&case.fields);
    for length in 0..sound.len() {
        case.refusal(&case.hypervisor.sign(&sound[..length]));
    }
    assert_eq!(case.refusal(&case.hypervisor.sign(&[&sound[..], &[0]].concat())), field("payload", Flaw::Trailing));
}

#[test]
fn every_field_is_there_once_and_no_other() {
    let names = ["module_id", "digest", "timestamp", "pcrs", "certificate", "cabundle"];
    for name in names {
        let mut case = Case::new();
        case.fields.retain(|(field, _)| *field != name);
        assert_eq!(case.refusal(&case.document()), field(name, Flaw::Missing));
    }
    for name in names.into_iter().chain(["public_key", "user_data", "nonce"]) {
        let mut case = Case::new();
        let twice = case.fields.iter().find(|(field, _)| *field == name).unwrap().clone();
        case.fields.push(twice);
        assert_eq!(case.refusal(&case.document()), field(name, Flaw::Twice));
        let of_another_type = cbor(|out| out.bool(true).map(drop).unwrap());
        assert_eq!(Case::new().with(name, of_another_type), field(name, Flaw::Type));
    }
    let mut case = Case::new();
    case.fields.push(("kind", text("enclave")));
    assert_eq!(case.refusal(&case.document()), field("payload", Flaw::Value));
    // What nests is refused where it begins.
    let mut case = Case::new();
    case.fields.push(("kind", vec![0x81; 200_000]));
    assert_eq!(case.refusal(&case.document()), field("payload", Flaw::Value));
    let case = Case::new();
    assert_eq!(case.refusal(&case.hypervisor.sign(&[0xbf, 0xff])), field("pcrs", Flaw::Missing));
    assert_eq!(case.refusal(&case.hypervisor.sign(&[0x9f, 0xff])), field("payload", Flaw::Type));
    // A map that claims more than there is.
    assert_eq!(case.refusal(&case.hypervisor.sign(&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])), field("payload", Flaw::Type));
}

#[test]
fn fields_have_the_values_and_lengths_that_they_may_have() {
    let refused = |name: &'static str, value: Vec<u8>, flaw| assert_eq!(Case::new().with(name, value), field(name, flaw));
    refused("module_id", text(""), Flaw::Length);
    refused("module_id", text(&"m".repeat(257)), Flaw::Length);
    refused("digest", text("SHA256"), Flaw::Value);
    refused("timestamp", number(0), Flaw::Value);
    refused("certificate", bytes(&[]), Flaw::Length);
    refused("certificate", bytes(&[0; 1025]), Flaw::Length);
    refused("cabundle", cabundle(&[]), Flaw::Length);
    refused("cabundle", cabundle(&[&[1][..]; 9]), Flaw::Length);
    refused("cabundle", cabundle(&[&[0; 1025]]), Flaw::Length);
    refused("cabundle", vec![0x9f, 0xff], Flaw::Length);
    refused("public_key", bytes(&[]), Flaw::Length);
    refused("public_key", bytes(&[0; 1025]), Flaw::Length);
    refused("user_data", bytes(&[0; 1025]), Flaw::Length);
    refused("nonce", bytes(&[0; 1025]), Flaw::Length);
    refused("pcrs", registers(&[]), Flaw::Length);
    refused("pcrs", registers(&[(32, &[0; 48])]), Flaw::Value);
    refused("pcrs", registers(&[(0, &[0; 47])]), Flaw::Length);
    refused("pcrs", registers(&[(0, &[0; 48]), (1, &[1; 48]), (0, &[0; 48])]), Flaw::Twice);
    let many: Vec<_> = (0..33).map(|index| (index, &[0; 48][..])).collect();
    refused("pcrs", registers(&many), Flaw::Value);
    refused("pcrs", vec![0xbf, 0xff], Flaw::Length);
    refused("pcrs", vec![0xbb, 0, 0, 0, 1, 0, 0, 0, 0], Flaw::Type);
    refused("pcrs", without_length(0xbf, &registers(&many)[2..]), Flaw::Value);
    refused("pcrs", without_length(0xbf, &registers(&[(0, &[0; 48]), (0, &[0; 48])])[1..]), Flaw::Twice);
    refused("cabundle", without_length(0x9f, &cabundle(&[&[1][..]; 9])[1..]), Flaw::Length);
    refused("cabundle", vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Flaw::Type);
}

/// A map or an array that says its end instead of its length.
fn without_length(head: u8, items: &[u8]) -> Vec<u8> {
    [&[head][..], items, &[0xff]].concat()
}

/// As today's hypervisors write them.
#[test]
fn a_document_may_say_its_end_instead_of_its_length() {
    let mut case = Case::new();
    let (pcrs, certificates) = (case.field("pcrs").clone(), case.field("cabundle").clone());
    *case.field("pcrs") = without_length(0xbf, &pcrs[1..]);
    *case.field("cabundle") = without_length(0x9f, &certificates[1..]);
    let whole = without_length(0xbf, &payload(&case.fields)[1..]);
    let attestation = case.roots.verify(&case.hypervisor.sign(&whole), NOW).unwrap();
    assert_eq!(attestation.condition_value("PCR4"), Some("04".repeat(32)));
    for length in 0..whole.len() {
        case.refusal(&case.hypervisor.sign(&whole[..length]));
    }
    assert_eq!(case.refusal(&case.hypervisor.sign(&[&whole[..], &[0xff]].concat())), field("payload", Flaw::Trailing));
    assert_eq!(case.refusal(&case.hypervisor.sign(&without_length(0xbf, &[0x61]))), field("payload", Flaw::Type));
}

#[test]
fn a_document_is_good_for_five_minutes() {
    let (case, millis) = (Case::new(), Duration::from_millis);
    let document = case.document();
    let before = |duration: Duration| Timestamp::from_millis(NOW.as_millis() - u64::try_from(duration.as_millis()).unwrap());
    for good in [NOW, NOW.plus(millis(300_000)), before(millis(5_000))] {
        assert!(case.roots.verify(&document, good).is_ok());
    }
    assert_eq!(case.refusal_at(&document, NOW.plus(millis(300_001))), AttestationError::TooOld { age_millis: 300_001 });
    assert_eq!(case.refusal_at(&document, before(millis(5_001))), AttestationError::FromTheFuture { ahead_millis: 5_001 });
    let mut case = Case::new();
    *case.field("timestamp") = number(u64::MAX);
    assert!(matches!(case.refusal(&case.document()), AttestationError::FromTheFuture { .. }));
}

#[test]
fn certificates_lead_to_a_root_that_is_trusted_and_are_good_at_this_time() {
    let case = Case::new();
    let strangers = TrustRoots::from_pem(Hypervisor::new(NOW).root_pem().as_bytes()).unwrap();
    let refusal = |roots: &TrustRoots, document: &[u8]| match roots.verify(document, NOW) {
        Err(AttestationError::Chain(error)) => error,
        other => panic!("{:?}", other.err()),
    };
    // Of the same name, with another key.
    assert_eq!(refusal(&strangers, &case.document()), webpki::Error::InvalidSignatureForPublicKey);
    // A second root beside it does.
    let both = [Hypervisor::new(NOW).root_pem(), case.hypervisor.root_pem()].concat();
    assert!(TrustRoots::from_pem(both.as_bytes()).unwrap().verify(&case.document(), NOW).is_ok());

    let expired = Case::of(Hypervisor::with_leaf_valid(NOW, time::Duration::minutes(-1)));
    assert!(matches!(refusal(&expired.roots, &expired.document()), webpki::Error::CertExpired { .. }));
    let to_come = Case::of(Hypervisor::with_leaf_valid(NOW.plus(Duration::from_secs(7200)), time::Duration::minutes(1)));
    assert!(matches!(refusal(&to_come.roots, &to_come.document()), webpki::Error::CertNotValidYet { .. }));
    assert!(to_come.refusal(&to_come.document()).to_string().contains("is not good yet"));
    let mut without_zone = Case::new();
    let root = rustls_pki_types::pem::PemObject::from_pem_slice(without_zone.hypervisor.root_pem().as_bytes());
    let root: rustls_pki_types::CertificateDer<'_> = root.unwrap();
    *without_zone.field("cabundle") = cabundle(&[&root]);
    assert_eq!(refusal(&without_zone.roots, &without_zone.document()), webpki::Error::UnknownIssuer);
    // A CA does not sign documents.
    let mut by_root = Case::new();
    *by_root.field("certificate") = bytes(&root);
    assert_eq!(refusal(&by_root.roots, &by_root.document()), webpki::Error::CaUsedAsEndEntity);
    let mut junk = Case::new();
    *junk.field("certificate") = bytes(b"junk");
    refusal(&junk.roots, &junk.document());
}

/// Certificates that all could have issued each other: the search for a root among them ends soon.
#[test]
fn a_bundle_made_to_mislead_ends_at_a_limit() {
    let mut hypervisor = Hypervisor::new(NOW);
    let bundle = hypervisor.mislead(NOW, 8);
    let mut case = Case::of(hypervisor);
    *case.field("cabundle") = cabundle(&bundle.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let document = case.document();
    assert_eq!(case.refusal(&document), AttestationError::Chain(webpki::Error::MaximumSignatureChecksExceeded));
}

#[test]
fn the_recipient_has_an_rsa_key_of_a_good_size() {
    let mut none = Case::new();
    *none.field("public_key") = cbor(|out| out.null().map(drop).unwrap());
    assert_eq!(none.refusal(&none.document()), AttestationError::NoPublicKey);
    none.fields.retain(|(name, _)| *name != "public_key");
    assert_eq!(none.refusal(&none.document()), AttestationError::NoPublicKey);

    let rsa = RecipientPrivateKey::generate().public_der();
    let elliptic = rcgen::KeyPair::generate().unwrap();
    let trailing = [&rsa[..], &[0]].concat();
    let elliptic = rcgen::PublicKeyData::subject_public_key_info(&elliptic);
    for bad in [&elliptic[..], &trailing, &rsa[1..], b"key", &rsa_of(1024), &rsa_of(2047), &rsa_of(4097), &rsa_of(6144)] {
        assert_eq!(Case::new().with("public_key", bytes(bad)), AttestationError::PublicKey);
    }
    assert!(Case::new().with_key(&rsa_of(2048)).is_ok() && Case::new().with_key(&rsa_of(4096)).is_ok());
}

#[test]
fn roots_are_certificates_in_pem() {
    let refusal = |pem: &str| TrustRoots::from_pem(pem.as_bytes()).unwrap_err();
    assert!(matches!(refusal(""), TrustRootsError::Empty));
    assert!(matches!(refusal("no pem"), TrustRootsError::Empty));
    assert!(matches!(refusal("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"), TrustRootsError::Pem));
    let junk = Hypervisor::new(NOW).root_pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(matches!(refusal(&junk), TrustRootsError::Certificate { position: 2, .. }));
}

/// The recipient's side, by an implementation that shares nothing with this one.
#[test]
fn openssl_opens_an_envelope_with_the_recipients_key() {
    let case = Case::new();
    let attestation = case.roots.verify(&case.document(), NOW).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("key.der"), case.key.private_der()).unwrap();
    std::fs::write(path("other.der"), RecipientPrivateKey::generate().private_der()).unwrap();
    let open = |key: &str| {
        let key = path(key);
        let arguments = ["cms", "-decrypt", "-inform", "DER", "-in", &path("envelope.der"), "-inkey", &key, "-keyform", "DER"];
        Command::new("openssl").args(arguments).output().expect("openssl is needed for this test")
    };
    for plaintext in [vec![], vec![1], vec![16; 16], vec![32; 32], vec![0x5a; 1024], (0..=255).cycle().take(6144).collect()] {
        let envelope = attestation.envelop(&plaintext).unwrap();
        assert_ne!(envelope, attestation.envelop(&plaintext).unwrap(), "an envelope's key is fresh");
        std::fs::write(path("envelope.der"), &envelope).unwrap();
        let opened = open("key.der");
        assert!(opened.status.success(), "{}", String::from_utf8_lossy(&opened.stderr));
        assert_eq!(opened.stdout, plaintext);
        assert_eq!(case.key.open(&envelope), plaintext);
    }
    let other = open("other.der");
    assert!(!other.status.success() || other.stdout != (0..=255).cycle().take(6144).collect::<Vec<u8>>());
}

/// As AWS's SDK for enclaves reads it: version 2, the recipient by a key identifier, these algorithms.
#[test]
fn an_envelope_has_the_form_of_aws() {
    let case = Case::new();
    let attestation = case.roots.verify(&case.document(), NOW).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let envelope = dir.path().join("envelope.der");
    std::fs::write(&envelope, attestation.envelop(b"plaintext").unwrap()).unwrap();
    let arguments = ["cms", "-cmsout", "-print", "-inform", "DER", "-in", envelope.to_str().unwrap()];
    let printed = Command::new("openssl").args(arguments).output().expect("openssl is needed for this test");
    let printed = String::from_utf8(printed.stdout).unwrap();
    let form = [
        "contentType: pkcs7-envelopedData (1.2.840.113549.1.7.3)",
        "version: 2",
        "d.ktri:",
        "version: 2",
        "d.subjectKeyIdentifier:",
        "algorithm: rsaesOaep (1.2.840.113549.1.1.7)",
        ":sha256",
        ":mgf1",
        ":sha256",
        "algorithm: aes-256-cbc (2.16.840.1.101.3.4.1.42)",
    ];
    let mut rest = &printed[..];
    for line in form {
        let at = rest.find(line).unwrap_or_else(|| panic!("{line} is missing or not in its place in {printed}"));
        rest = &rest[at + line.len()..];
    }
}

#[test]
fn nothing_that_is_sent_makes_it_panic() {
    let roots = TrustRoots::from_pem(Hypervisor::new(NOW).root_pem().as_bytes()).unwrap();
    proptest!(|(bytes in prop::collection::vec(any::<u8>(), 0..512))| {
        prop_assert!(roots.verify(&bytes, NOW).is_err());
        let wrapped = cose_sign1(false, ES384_HEADER, &bytes, &[0; 96]);
        prop_assert!(roots.verify(&wrapped, NOW).is_err());
    });
}

/// All of a document is signed or fixed by the format.
#[test]
fn no_byte_can_be_changed() {
    let case = Case::new();
    let document = case.document();
    for place in (0..16).chain((16..document.len()).step_by(7)) {
        let mut changed = document.clone();
        changed[place] ^= 1 << (place % 8);
        case.refusal(&changed);
    }
}
