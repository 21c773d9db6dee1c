//! A hypervisor of one's own: a root, certificates as Nitro has them, and documents that they sign, whole or with anything
//! wrong with them.

#![allow(clippy::unwrap_used, missing_docs, reason = "for tests alone")]

use aws_lc_rs::cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey};
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use claviger_types::Timestamp;
use minicbor::Encoder;
use minicbor::data::Tag;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384};
use time::{Duration, OffsetDateTime};

/// `{1: -35}`.
pub const ES384_HEADER: &[u8] = &[0xa1, 0x01, 0x38, 0x22];

type Issuer = CertifiedIssuer<'static, KeyPair>;

/// Who signs documents.
pub struct Hypervisor {
    root: Issuer,
    zone: Issuer,
    leaf: Vec<u8>,
    leaf_key: KeyPair,
}

/// The fields of a document, each encoded.
pub type Fields = Vec<(&'static str, Vec<u8>)>;

impl Hypervisor {
    /// One whose leaf is good for three hours round `at`.
    pub fn new(at: Timestamp) -> Self {
        Self::with_leaf_valid(at, Duration::minutes(90))
    }

    /// One whose leaf is good for so long on either side of `at`; if it is negative, was good until so long before.
    pub fn with_leaf_valid(at: Timestamp, around: Duration) -> Self {
        let at = OffsetDateTime::from_unix_timestamp(i64::try_from(at.as_millis() / 1000).unwrap()).unwrap();
        let root = CertifiedIssuer::self_signed(authority("aws.nitro-enclaves", at), p384()).unwrap();
        let zone = CertifiedIssuer::signed_by(authority("zone.aws.nitro-enclaves", at), p384(), &root).unwrap();
        let leaf_key = p384();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "i-0123456789abcdef0-enc0123456789abcdef");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.is_ca = IsCa::ExplicitNoCa;
        (params.not_before, params.not_after) =
            if around.is_positive() { (at - around, at + around) } else { (at + around * 2, at + around) };
        let leaf = params.signed_by(&leaf_key, &zone).unwrap().der().to_vec();
        Self { root, zone, leaf, leaf_key }
    }

    /// Certificates that have the root's name and were issued under it, by none but themselves. One of them has issued the leaf from now on.
    pub fn mislead(&mut self, at: Timestamp, certificates: usize) -> Vec<Vec<u8>> {
        let at = OffsetDateTime::from_unix_timestamp(i64::try_from(at.as_millis() / 1000).unwrap()).unwrap();
        let rings: Vec<_> =
            (0..certificates).map(|_| CertifiedIssuer::self_signed(authority("aws.nitro-enclaves", at), p384()).unwrap()).collect();
        let mut params = CertificateParams::default();
        (params.not_before, params.not_after) = (at - Duration::hours(1), at + Duration::hours(1));
        self.leaf = params.signed_by(&self.leaf_key, &rings[0]).unwrap().der().to_vec();
        rings.iter().map(|ring| ring.der().to_vec()).collect()
    }

    pub fn root_pem(&self) -> String {
        self.root.pem()
    }

    /// A document made at this time, with registers and for this key.
    pub fn fields(&self, made: Timestamp, registers: &[(u8, &[u8])], public_key: &[u8]) -> Fields {
        vec![
            ("module_id", cbor(|out| out.str("i-0123456789abcdef0-enc0123456789abcdef").map(drop).unwrap())),
            ("digest", cbor(|out| out.str("SHA384").map(drop).unwrap())),
            ("timestamp", cbor(|out| out.u64(made.as_millis()).map(drop).unwrap())),
            ("pcrs", self::registers(registers)),
            ("certificate", bytes(&self.leaf)),
            ("cabundle", cabundle(&[self.root.der(), self.zone.der()])),
            ("public_key", bytes(public_key)),
            ("user_data", cbor(|out| out.null().map(drop).unwrap())),
            ("nonce", bytes(b"nonce")),
        ]
    }

    /// Signs what `fields` say.
    pub fn document(&self, fields: &Fields) -> Vec<u8> {
        self.sign(&payload(fields))
    }

    /// Signs any payload.
    pub fn sign(&self, payload: &[u8]) -> Vec<u8> {
        cose_sign1(false, ES384_HEADER, payload, &self.signature(ES384_HEADER, payload))
    }

    /// The signature of a payload under any header.
    pub fn signature(&self, protected: &[u8], payload: &[u8]) -> Vec<u8> {
        let signed = cbor(|out| {
            out.array(4).unwrap().str("Signature1").unwrap().bytes(protected).unwrap().bytes(&[]).unwrap().bytes(payload).unwrap();
        });
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &self.leaf_key.serialize_der()).unwrap();
        key.sign(&SystemRandom::new(), &signed).unwrap().as_ref().to_vec()
    }
}

/// Whom an answer is for: an RSA key of 2048 bits.
pub struct RecipientPrivateKey(PrivateDecryptingKey);

impl RecipientPrivateKey {
    pub fn generate() -> Self {
        Self(PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap())
    }

    /// SubjectPublicKeyInfo.
    pub fn public_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }

    /// PKCS#8.
    pub fn private_der(&self) -> Vec<u8> {
        let der: Pkcs8V1Der<'_> = self.0.as_der().unwrap();
        der.as_ref().to_vec()
    }

    /// What is in an envelope.
    pub fn open(&self, envelope: &[u8]) -> Vec<u8> {
        let enveloped = nth(nth(nth(envelope, 0), 1), 0);
        let recipient = nth(nth(enveloped, 1), 0);
        let (encrypted_key, content) = (nth(recipient, 3), nth(enveloped, 2));
        let iv: [u8; 16] = nth(nth(content, 1), 1).try_into().unwrap();
        let rsa = OaepPrivateDecryptingKey::new(self.0.clone()).unwrap();
        let mut key = [0; 256];
        let key = rsa.decrypt(&OAEP_SHA256_MGF1SHA256, encrypted_key, &mut key, None).unwrap();
        let aes = PaddedBlockDecryptingKey::cbc_pkcs7(UnboundCipherKey::new(&AES_256, key).unwrap()).unwrap();
        aes.decrypt(&mut nth(content, 2).to_vec(), DecryptionContext::Iv128(FixedLength::from(iv))).unwrap().to_vec()
    }
}

/// The contents of the element that has `n` before it.
fn nth(mut elements: &[u8], n: usize) -> &[u8] {
    for _ in 0..n {
        elements = element(elements).1;
    }
    element(elements).0
}

/// The contents of the first element, and what follows it.
fn element(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes[1] {
        length @ 0..0x80 => bytes[2..].split_at(usize::from(length)),
        form => {
            let digits = usize::from(form & 0x7f);
            let length = bytes[2..2 + digits].iter().fold(0, |length, &digit| length << 8 | usize::from(digit));
            bytes[2 + digits..].split_at(length)
        }
    }
}

pub fn cose_sign1(is_tagged: bool, protected: &[u8], payload: &[u8], signature: &[u8]) -> Vec<u8> {
    cbor(|out| {
        if is_tagged {
            out.tag(Tag::new(18)).unwrap();
        }
        out.array(4).unwrap().bytes(protected).unwrap().map(0).unwrap().bytes(payload).unwrap().bytes(signature).unwrap();
    })
}

pub fn payload(fields: &Fields) -> Vec<u8> {
    let mut payload = cbor(|out| {
        out.map(fields.len() as u64).unwrap();
    });
    for (name, value) in fields {
        payload.extend(cbor(|out| {
            out.str(name).unwrap();
        }));
        payload.extend(value);
    }
    payload
}

pub fn registers(registers: &[(u8, &[u8])]) -> Vec<u8> {
    cbor(|out| {
        out.map(registers.len() as u64).unwrap();
        for (index, content) in registers {
            out.u8(*index).unwrap().bytes(content).unwrap();
        }
    })
}

pub fn cabundle(certificates: &[&[u8]]) -> Vec<u8> {
    cbor(|out| {
        out.array(certificates.len() as u64).unwrap();
        for certificate in certificates {
            out.bytes(certificate).unwrap();
        }
    })
}

pub fn bytes(bytes: &[u8]) -> Vec<u8> {
    cbor(|out| {
        out.bytes(bytes).unwrap();
    })
}

pub fn cbor(write: impl FnOnce(&mut Encoder<Vec<u8>>)) -> Vec<u8> {
    let mut out = Encoder::new(Vec::new());
    write(&mut out);
    out.into_writer()
}

fn authority(name: &str, at: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.distinguished_name.push(DnType::OrganizationName, "Amazon");
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    (params.not_before, params.not_after) = (at - Duration::days(365), at + Duration::days(365));
    params
}

fn p384() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap()
}
