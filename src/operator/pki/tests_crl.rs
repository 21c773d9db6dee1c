//! Revocation lists: what is on them, that a region takes each after the one before, and that nothing comes off.

use std::collections::BTreeSet;
use std::fs;

use claviger_tls::{Admission, Crl, IdentityFiles, ServerTls};
use x509_parser::extensions::ParsedExtension;

use super::tests::{Fixture, domain, with_certificate};
use super::*;

const DAYS: u32 = 7;

fn client(fixture: &Fixture, name: &str) -> PathBuf {
    let out = fixture.out(name);
    issue_client(&fixture.pki(), &out, &format!("111122223333/user/{name}"), Validity::days(1)).unwrap();
    out.with_extension("pem")
}

fn put(fixture: &Fixture, certificate: &Path) -> Result<WrittenCrl, PkiError> {
    revoke(&fixture.pki(), &Revoke::Certificate(certificate.to_owned()), Reason::default(), DAYS)
}

fn list(fixture: &Fixture, name: &str) -> Crl {
    Crl::parse(&fs::read(fixture.pki().join(name)).unwrap()).unwrap()
}

fn serial(certificate: &Path) -> String {
    with_certificate(certificate, |certificate| hex::encode(certificate.raw_serial()))
}

/// The serial numbers on a list and the codes of their reasons.
fn entries(fixture: &Fixture, name: &str) -> BTreeSet<(String, Option<u8>)> {
    use x509_parser::prelude::{CertificateRevocationList, FromDer};
    let crl = list(fixture, name);
    let (_, parsed) = CertificateRevocationList::from_der(crl.der()).unwrap();
    let entries = parsed.iter_revoked_certificates();
    entries.map(|entry| (hex::encode(entry.raw_serial()), entry.reason_code().map(|(_, code)| code.0))).collect()
}

#[test]
fn certificates_have_unique_serial_numbers_and_name_their_issuers_key() {
    let fixture = Fixture::new();
    let mut serials = BTreeSet::new();
    for name in ["a", "b", "c"] {
        let certificate = client(&fixture, name);
        assert!(serials.insert(serial(&certificate)));
        let key_id = |path: &Path, of_issuer: bool| {
            with_certificate(path, |certificate| {
                certificate.iter_extensions().find_map(|extension| match extension.parsed_extension() {
                    ParsedExtension::AuthorityKeyIdentifier(id) if of_issuer => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
                    ParsedExtension::SubjectKeyIdentifier(id) if !of_issuer => Some(id.0.to_vec()),
                    _ => None,
                })
            })
        };
        assert_eq!(key_id(&certificate, true).unwrap(), key_id(&fixture.pki().join("api-ca.pem"), false).unwrap());
    }
}

#[test]
fn a_certificate_is_put_on_its_own_cas_list_once() {
    let fixture = Fixture::new();
    fixture.node(1, &["localhost"]).unwrap();
    let (alice, peer) = (client(&fixture, "alice"), fixture.out("node").join("peer.pem"));

    let first = put(&fixture, &alice).unwrap();
    assert_eq!((first.number.as_str(), first.revoked, first.changed), ("1", 1, true));
    assert_eq!((first.path.clone(), first.serial.clone().unwrap()), (fixture.pki().join("api-crl.pem"), serial(&alice)));
    assert!(first.to_string().contains("claviger crl publish"));
    let before = fs::read(&first.path).unwrap();
    let again = put(&fixture, &alice).unwrap();
    assert_eq!(again, WrittenCrl { changed: false, ..first });
    assert!(again.to_string().contains("Nothing was changed"));
    assert_eq!(fs::read(&again.path).unwrap(), before);

    assert_eq!(put(&fixture, &peer).unwrap().path, fixture.pki().join("peer-crl.pem"));
    // Both listeners of a node take the lists of their CAs.
    let node = fixture.out("node");
    for (own, ca, crl, admission) in
        [("api", "api-ca.pem", "api-crl.pem", Admission::Api), ("peer", "peer-ca.pem", "peer-crl.pem", Admission::Peer)]
    {
        let files = IdentityFiles::new(node.join(format!("{own}.pem")), node.join(format!("{own}.key")));
        let tls = ServerTls::load(&files, &node.join(ca), &domain(), admission).unwrap();
        tls.signer_of(&list(&fixture, crl)).unwrap();
    }
}

#[test]
fn every_list_has_all_of_the_one_before_and_a_greater_number() {
    let fixture = Fixture::new();
    let (alice, bob) = (client(&fixture, "alice"), client(&fixture, "bob"));
    let reason = |text: &str| text.parse::<Reason>().unwrap();
    revoke(&fixture.pki(), &Revoke::Certificate(alice.clone()), reason("key-compromise"), DAYS).unwrap();
    let spaced = serial(&bob).to_uppercase().as_bytes().chunks(2).map(|byte| String::from_utf8_lossy(byte)).collect::<Vec<_>>().join(":");
    let second = revoke(&fixture.pki(), &Revoke::Serial(Ca::Api, spaced), reason("unspecified"), DAYS).unwrap();
    assert_eq!((second.number.as_str(), second.revoked), ("2", 2));
    let both = BTreeSet::from([(serial(&alice), Some(1)), (serial(&bob), None)]);
    assert_eq!(entries(&fixture, "api-crl.pem"), both);

    let held = list(&fixture, "api-crl.pem");
    let renewed = renew_crls(&fixture.pki(), 300).unwrap();
    assert_eq!(renewed.iter().map(|list| (list.number.as_str(), list.revoked)).collect::<Vec<_>>(), [("3", 2), ("1", 0)]);
    assert_eq!(entries(&fixture, "api-crl.pem"), both);
    let now = list(&fixture, "api-crl.pem");
    assert!(now.number() > held.number() && now.this_update() >= held.this_update() && now.next_update() > held.next_update());
    for _ in 0..260 {
        renew_crls(&fixture.pki(), DAYS).unwrap();
    }
    assert_eq!(&list(&fixture, "api-crl.pem").number()[17..], [0, 1, 7], "263");
}

#[test]
fn nobodys_revocation_is_lost_when_several_revoke_at_once() {
    let fixture = Fixture::new();
    let certificates: Vec<_> = (0..8).map(|number| client(&fixture, &format!("user{number}"))).collect();
    std::thread::scope(|scope| {
        for certificate in &certificates {
            scope.spawn(|| put(&fixture, certificate).unwrap());
        }
    });
    let all: BTreeSet<_> = certificates.iter().map(|certificate| (serial(certificate), None)).collect();
    assert_eq!(entries(&fixture, "api-crl.pem"), all);
    assert_eq!(list(&fixture, "api-crl.pem").number_text(), "8");
}

#[test]
fn what_is_not_ours_or_not_whole_is_refused_and_nothing_is_overwritten() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    let invalid = |outcome: Result<WrittenCrl, PkiError>| matches!(outcome, Err(PkiError::Invalid(_)));
    assert!(invalid(put(&fixture, &client(&other, "alice"))));
    assert!(invalid(put(&fixture, &fixture.pki().join("api-ca.pem"))), "a CA is not on its own list");
    assert!(invalid(put(&fixture, &fixture.out("nowhere.pem"))));
    for bad in ["", "0", "0x12", "xyz", &"12".repeat(21)] {
        assert!(invalid(revoke(&fixture.pki(), &Revoke::Serial(Ca::Api, bad.to_owned()), Reason::default(), DAYS)), "{bad}");
    }
    assert!("because".parse::<Reason>().is_err() && "certificate-hold".parse::<Reason>().is_err() && "root".parse::<Ca>().is_err());

    let alice = client(&fixture, "alice");
    let path = fixture.pki().join("api-crl.pem");
    renew_crls(&other.pki(), DAYS).unwrap();
    fs::copy(other.pki().join("api-crl.pem"), &path).unwrap();
    assert!(matches!(put(&fixture, &alice), Err(PkiError::Different { .. })));
    fs::write(&path, "-----BEGIN X509 CRL-----\nMAA=\n-----END X509 CRL-----\n").unwrap();
    let damaged = fs::read(&path).unwrap();
    assert!(matches!(put(&fixture, &alice), Err(PkiError::Unusable { .. })));
    assert!(matches!(renew_crls(&fixture.pki(), DAYS), Err(PkiError::Unusable { .. })));
    assert_eq!(fs::read(&path).unwrap(), damaged);
}
