//! One CA: made once, loaded for every certificate it signs.

use std::path::{Path, PathBuf};

use claviger_types::TrustDomain;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber};
use x509_parser::extensions::ParsedExtension;
use x509_parser::pem::Pem;

use super::store::{self, Access};
use super::{Changes, Validity};
use crate::PkiError;

/// File names of a CA.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) certificate: &'static str,
    pub(super) key: &'static str,
    pub(super) crl: &'static str,
    title: &'static str,
}

/// Signs api servers, principals and operators.
pub(super) const API_CA: Name = Name { certificate: "api-ca.pem", key: "api-ca.key", crl: "api-crl.pem", title: "api CA" };
/// Signs nodes.
pub(super) const PEER_CA: Name = Name { certificate: "peer-ca.pem", key: "peer-ca.key", crl: "peer-crl.pem", title: "peer CA" };

/// A CA that can sign.
pub(super) struct Authority {
    pub(super) issuer: Issuer<'static, KeyPair>,
    /// Its certificate, PEM.
    pub(super) pem: String,
    /// Its subject in DER: the issuer field of what it signed.
    pub(super) subject: Vec<u8>,
    /// Its subject key identifier: the authority key identifier of what it signed.
    pub(super) key_id: Vec<u8>,
}

impl Authority {
    /// Makes a CA, or completes one whose key was written and whose certificate was not.
    pub(super) fn create(dir: &Path, name: Name, domain: &TrustDomain, validity: Validity, changes: &mut Changes) -> Result<(), PkiError> {
        let (certificate, key) = (dir.join(name.certificate), dir.join(name.key));
        if store::read(&certificate)?.is_some() {
            Self::load(dir, name)?;
            changes.note(key, false);
            changes.note(certificate, false);
            return Ok(());
        }
        let (pair, created) = store::read_or_create_key(&key)?;
        changes.note(key, created);
        let mut params = CertificateParams::default();
        // The serial in the name keeps two CAs of one deployment's life apart where only names are compared.
        let serial = random_serial()?;
        params.distinguished_name = subject(domain, &format!("Claviger {} {}", name.title, &hex::encode(&serial)[..8]));
        params.serial_number = Some(SerialNumber::from(serial));
        (params.not_before, params.not_after) = (validity.not_before, validity.not_after);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let pem = params.self_signed(&pair).map_err(PkiError::Issue)?.pem();
        let created = store::create(&certificate, pem.as_bytes(), Access::Everybody)?;
        changes.note(certificate, created);
        Ok(())
    }

    /// Loads a CA with its key.
    pub(super) fn load(dir: &Path, name: Name) -> Result<Self, PkiError> {
        let (certificate, key_path) = (dir.join(name.certificate), dir.join(name.key));
        let missing = |missing| PkiError::NotInitialised { dir: dir.to_owned(), missing };
        let pem = store::read(&certificate)?.ok_or_else(|| missing(name.certificate))?.to_string();
        let key = store::read_key(&key_path)?.ok_or_else(|| missing(name.key))?;
        let parsed = parse_pem(&pem, &certificate)?;
        let x509 = parsed.parse_x509().map_err(|_| unusable(&certificate))?;
        if x509.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err(PkiError::Different { path: key_path, difference: "it does not belong to the CA certificate beside it" });
        }
        let subject = x509.subject().as_raw().to_vec();
        let key_id = x509.iter_extensions().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
            _ => None,
        });
        let key_id = key_id.ok_or_else(|| unusable(&certificate))?;
        let issuer = Issuer::from_ca_cert_pem(&pem, key).map_err(|_| unusable(&certificate))?;
        Ok(Self { issuer, pem, subject, key_id })
    }
}

/// The one subject form of this PKI: the trust domain as organisation, and a name for people.
pub(super) fn subject(domain: &TrustDomain, name: &str) -> DistinguishedName {
    // X.520 bounds both to 64 characters, and strict verifiers hold on to that.
    let short = |text: &str| text.chars().take(64).collect::<String>();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::OrganizationName, short(domain.as_str()));
    subject.push(DnType::CommonName, short(name));
    subject
}

/// 16 random bytes, positive as a DER integer: revocation lists name certificates by it.
pub(super) fn random_serial() -> Result<Vec<u8>, PkiError> {
    let mut serial = vec![0; 16];
    aws_lc_rs::rand::fill(&mut serial).map_err(|_| PkiError::Random)?;
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(serial)
}

/// The first PEM block of a certificate file.
pub(super) fn parse_pem(pem: &str, path: &Path) -> Result<Pem, PkiError> {
    Pem::iter_from_buffer(pem.as_bytes()).next().and_then(Result::ok).ok_or_else(|| unusable(path))
}

pub(super) fn unusable(path: &Path) -> PkiError {
    PkiError::Unusable { path: PathBuf::from(path), what: "certificate" }
}
