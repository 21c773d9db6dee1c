//! Certificate revocation lists: read from PEM or DER, held against the CAs that signed them, and the set of certificates
//! that all lists in force revoke.
//!
//! A list must be complete for its CA: deltas, indirect lists and lists of a part of the CA's certificates are refused, since
//! a list takes the place of the one before. A list that has expired goes on revoking: nothing is honoured again because a
//! CA was late. Whether a list is newer than another is the state machine's to say.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use claviger_types::Timestamp;
use claviger_types::limits::CRL_BYTES_MAX;
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use x509_parser::asn1_rs::Any;
use x509_parser::num_bigint::BigUint;
use x509_parser::oid_registry::{OID_X509_EXT_ISSUER_DISTRIBUTION_POINT, Oid};
use x509_parser::prelude::{CertificateRevocationList, FromDer, X509Certificate, X509Extension};

use crate::error::CrlError;
use crate::provider::provider;

/// A revocation list, parsed. That somebody parsed it does not mean that its CA signed it: see [`crate::ServerTls::signer_of`].
#[derive(Clone, PartialEq, Eq)]
pub struct Crl {
    der: Vec<u8>,
    issuer: Vec<u8>,
    issuer_text: String,
    number: [u8; 20],
    this_update: Timestamp,
    next_update: Timestamp,
    serials: HashSet<Serial>,
}

/// SHA-256 over a CA's subject and public key, both DER: names a CA beyond its subject, which two could share.
pub type CaId = [u8; 32];

/// A certificate's serial number, big-endian, without leading zeros.
type Serial = Box<[u8]>;

/// The tag with which every list in DER begins.
const SEQUENCE: u8 = 0x30;

fn serial(raw: &[u8]) -> Serial {
    raw.iter().copied().skip_while(|byte| *byte == 0).collect()
}

impl Crl {
    /// Reads a list in PEM or DER.
    ///
    /// # Errors
    /// When it is neither, is too large, lacks its number or next update, or does not speak for all of its CA's certificates.
    pub fn parse(bytes: &[u8]) -> Result<Self, CrlError> {
        // PEM begins with text.
        let der = match bytes.first() {
            Some(&SEQUENCE) => bytes.to_vec(),
            _ => CertificateRevocationListDer::from_pem_slice(bytes).map_err(|_| CrlError::Malformed)?.to_vec(),
        };
        // The reader below takes other tags for it too; what is read here is read again from its DER, where it is stored.
        if der.first() != Some(&SEQUENCE) {
            return Err(CrlError::Malformed);
        }
        if der.len() > CRL_BYTES_MAX {
            return Err(CrlError::TooLarge);
        }
        let Ok(([], list)) = CertificateRevocationList::from_der(&der) else { return Err(CrlError::Malformed) };
        let number = list.crl_number().ok_or(CrlError::Missing("CRL number"))?.to_bytes_be();
        let padding = 20_usize.checked_sub(number.len()).ok_or(CrlError::Malformed)?;
        let mut padded = [0; 20];
        padded[padding..].copy_from_slice(&number);
        refuse_partial(list.extensions())?;
        let mut serials = HashSet::new();
        for entry in list.iter_revoked_certificates() {
            refuse_partial(entry.extensions())?;
            serials.insert(serial(entry.raw_serial()));
        }
        Ok(Self {
            issuer: list.issuer().as_raw().to_vec(),
            issuer_text: list.issuer().to_string(),
            number: padded,
            this_update: timestamp(list.last_update().timestamp()),
            next_update: timestamp(list.next_update().ok_or(CrlError::Missing("next update"))?.timestamp()),
            serials,
            der,
        })
    }

    /// The list, DER.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The issuer's name, for people.
    pub fn issuer(&self) -> &str {
        &self.issuer_text
    }

    /// The CRL number, big-endian: greater in every later list of the same CA.
    pub const fn number(&self) -> [u8; 20] {
        self.number
    }

    /// The CRL number in decimal, as tools show it.
    pub fn number_text(&self) -> String {
        BigUint::from_bytes_be(&self.number).to_string()
    }

    /// When it was made.
    pub const fn this_update(&self) -> Timestamp {
        self.this_update
    }

    /// When the next one is due.
    pub const fn next_update(&self) -> Timestamp {
        self.next_update
    }

    /// How many certificates it revokes.
    pub fn revoked(&self) -> usize {
        self.serials.len()
    }

    /// Which of these CAs signed it, held to what rustls asks of a list as well.
    pub(crate) fn signer<'a>(&self, anchors: impl IntoIterator<Item = &'a CertificateDer<'static>>) -> Result<CaId, CrlError> {
        let signed = Signed::of(&self.der).ok_or(CrlError::Malformed)?;
        for anchor in anchors {
            let Ok((_, ca)) = X509Certificate::from_der(anchor) else { continue };
            if ca.subject().as_raw() != self.issuer || !signed.verifies_with(ca.public_key().raw) {
                continue;
            }
            if ca.key_usage().ok().flatten().is_some_and(|usage| !usage.value.crl_sign()) {
                return Err(CrlError::MayNotSign);
            }
            self.check_by_rustls(anchor)?;
            let id = [ca.subject().as_raw(), ca.public_key().raw].concat();
            return Ok(*crate::Fingerprint::of(&id).as_bytes());
        }
        Err(CrlError::UnknownSigner(self.issuer_text.clone()))
    }

    /// A second reader, stricter than the first: nothing that either does not understand is enforced by halves.
    fn check_by_rustls(&self, anchor: &CertificateDer<'static>) -> Result<(), CrlError> {
        let mut roots = RootCertStore::empty();
        roots.add(anchor.clone()).map_err(|_| CrlError::UnknownSigner(self.issuer_text.clone()))?;
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        builder.with_crls([CertificateRevocationListDer::from(self.der.clone())]).build().map_err(CrlError::Refused)?;
        Ok(())
    }
}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a revocation list of {} certificates by {}", self.serials.len(), self.issuer_text)
    }
}

/// What makes a list, or an entry of it, speak of something else than its CA's certificates is marked critical; a scope is
/// refused whatever its mark.
fn refuse_partial(extensions: &[X509Extension<'_>]) -> Result<(), CrlError> {
    let scope: &Oid<'_> = &OID_X509_EXT_ISSUER_DISTRIBUTION_POINT;
    match extensions.iter().find(|extension| extension.critical || extension.oid == *scope) {
        Some(extension) => Err(CrlError::Partial(extension.oid.to_id_string())),
        None => Ok(()),
    }
}

/// A moment before 1970 is taken for 1970.
fn timestamp(seconds: i64) -> Timestamp {
    Timestamp::from_millis(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000))
}

/// The three parts of a signed list (RFC 5280 section 5.1).
struct Signed<'a> {
    message: &'a [u8],
    /// The contents of the AlgorithmIdentifier.
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    fn of(der: &'a [u8]) -> Option<Self> {
        let (_, whole) = Any::from_der(der).ok()?;
        let (rest, _) = Any::from_der(whole.data).ok()?;
        let message = &whole.data[..whole.data.len() - rest.len()];
        let (rest, algorithm) = Any::from_der(rest).ok()?;
        let (_, signature) = Any::from_der(rest).ok()?;
        // The first byte of a BIT STRING counts its unused bits.
        let signature = signature.data.strip_prefix(&[0])?;
        Some(Self { message, algorithm: algorithm.data, signature })
    }

    /// By one of the algorithms that certificates may be signed with.
    fn verifies_with(&self, public_key_info: &[u8]) -> bool {
        let parts = || {
            let (_, info) = Any::from_der(public_key_info).ok()?;
            let (rest, algorithm) = Any::from_der(info.data).ok()?;
            let (_, key) = Any::from_der(rest).ok()?;
            Some((algorithm.data, key.data.strip_prefix(&[0])?))
        };
        let Some((key_algorithm, key)) = parts() else { return false };
        provider().signature_verification_algorithms.all.iter().any(|by| {
            by.signature_alg_id().as_ref() == self.algorithm
                && by.public_key_alg_id().as_ref() == key_algorithm
                && by.verify_signature(key, self.message, self.signature).is_ok()
        })
    }
}

/// Issuer and serial number: what names one certificate for ever (RFC 5280 section 4.1.2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateName {
    issuer: Box<[u8]>,
    serial: Serial,
}

impl CertificateName {
    /// Of a certificate in DER; none of what does not parse.
    pub(crate) fn of(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        Some(Self { issuer: certificate.issuer().as_raw().into(), serial: serial(certificate.raw_serial()) })
    }
}

/// Every certificate that is revoked by a list in force. A CA without a list revokes nothing.
#[derive(Clone, Debug, Default)]
pub struct RevokedCertificates(HashMap<Box<[u8]>, HashSet<Serial>>);

impl RevokedCertificates {
    /// What these lists revoke together.
    pub fn of(crls: &[Crl]) -> Self {
        let mut by_issuer: HashMap<Box<[u8]>, HashSet<Serial>> = HashMap::new();
        for crl in crls {
            by_issuer.entry(crl.issuer.as_slice().into()).or_default().extend(crl.serials.iter().cloned());
        }
        Self(by_issuer)
    }

    pub(crate) fn contains(&self, name: &CertificateName) -> bool {
        self.0.get(&name.issuer).is_some_and(|serials| serials.contains(&name.serial))
    }
}
