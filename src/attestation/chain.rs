//! Which roots are trusted, and whether a certificate leads to one of them.
//!
//! A root is trusted because an operator has named it: its own dates are not looked at (RFC 5280, section 6.2). Those of all other
//! certificates are. Nitro's certificates name nobody, so no name is compared, and say nothing of an extended usage.

use std::time::Duration;

use claviger_types::Timestamp;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SignatureVerificationAlgorithm, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, aws_lc_rs};

use crate::{AttestationError, TrustRootsError};

/// What Nitro's certificates are signed with.
const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[aws_lc_rs::ECDSA_P384_SHA384];

/// The roots to which the certificates of documents must lead.
#[derive(Clone, Debug)]
pub struct TrustRoots {
    anchors: Vec<TrustAnchor<'static>>,
}

impl TrustRoots {
    /// Reads the certificates of a PEM file.
    ///
    /// # Errors
    /// When it is not PEM, there is none in it, or one of them is no certificate.
    pub fn from_pem(pem: &[u8]) -> Result<Self, TrustRootsError> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| TrustRootsError::Pem)?;
        if certificates.is_empty() {
            return Err(TrustRootsError::Empty);
        }
        let anchor = |(index, certificate): (usize, &CertificateDer<'_>)| {
            let anchor = webpki::anchor_from_trusted_cert(certificate);
            let anchor = anchor.map_err(|source| TrustRootsError::Certificate { position: index + 1, source })?;
            Ok(anchor.to_owned())
        };
        Ok(Self { anchors: certificates.iter().enumerate().map(anchor).collect::<Result<_, TrustRootsError>>()? })
    }

    /// The public key of a certificate that leads to one of the roots by way of `bundle`, at this time.
    pub(crate) fn public_key(
        &self,
        certificate: &[u8],
        bundle: &[&[u8]],
        now: Timestamp,
    ) -> Result<SubjectPublicKeyInfoDer<'static>, AttestationError> {
        let certificate = CertificateDer::from(certificate);
        let bundle: Vec<_> = bundle.iter().map(|der| CertificateDer::from(*der)).collect();
        let leaf = EndEntityCert::try_from(&certificate).map_err(AttestationError::Chain)?;
        let time = UnixTime::since_unix_epoch(Duration::from_millis(now.as_millis()));
        let path = leaf.verify_for_usage(ALGORITHMS, &self.anchors, &bundle, time, AnyPurpose, None, None);
        path.map_err(AttestationError::Chain)?;
        Ok(leaf.subject_public_key_info().into_owned())
    }
}

/// Whatever a certificate says of its purpose, if it can be read.
struct AnyPurpose;

impl ExtendedKeyUsageValidator for AnyPurpose {
    fn validate(&self, mut purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        purposes.try_for_each(|purpose| purpose.map(drop))
    }
}
