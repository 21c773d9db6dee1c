//! The two certificate verifiers: of clients on a listener, and of nodes by the peer client.
//!
//! Both verify the chain with webpki first, then look whether it is revoked, and at the identity only then. Refusals are
//! errors of the handshake, so that the other side gets a TLS alert. Nothing here reads a request.
//!
//! Revocation is not left to webpki: live connections are judged by the same set (`live`), and the two must never differ.

use std::sync::Arc;

use claviger_types::{Identity, TrustDomain};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use crate::authority::Authorities;
use crate::binding::ClientCa;
use crate::identity::{IdentityError, certificate_identity, kind};
use crate::live::LiveConnections;
use crate::provider::provider;
use crate::server::Admission;

/// Verifies a client's chain, that it is not revoked, that its identity is one that the listener admits, then that the CA
/// which vouches for it may say so.
#[derive(Debug)]
pub(crate) struct ClientVerifier {
    pub(crate) authorities: Authorities,
    pub(crate) domain: TrustDomain,
    pub(crate) admission: Admission,
    pub(crate) live: Arc<LiveConnections>,
    algorithms: WebPkiSupportedAlgorithms,
}

/// Why a client is not admitted whose certificate was looked at.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAdmitted {
    #[error("certificate: {0}")]
    Identity(#[from] IdentityError),
    #[error("certificate: {0}")]
    Certificate(#[from] rustls::Error),
}

impl From<NotAdmitted> for rustls::Error {
    fn from(reason: NotAdmitted) -> Self {
        match reason {
            NotAdmitted::Identity(reason) => refused(reason),
            NotAdmitted::Certificate(error) => error,
        }
    }
}

impl ClientVerifier {
    pub(crate) fn new(authorities: Authorities, domain: TrustDomain, admission: Admission, live: Arc<LiveConnections>) -> Self {
        Self { authorities, domain, admission, live, algorithms: provider().signature_verification_algorithms }
    }

    /// Who a client with this chain is.
    pub(crate) fn judge(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Identity, NotAdmitted> {
        let ClientCa { file, binding } = &self.authorities.of(end_entity, intermediates, now)?.ca;
        self.live.check([end_entity].into_iter().chain(intermediates))?;
        let identity = self.admission.admit(binding.identity(end_entity, &self.domain)?)?;
        if !binding.may_say(&identity) {
            return Err(IdentityError::NotBound { found: identity.to_spiffe(&self.domain), ca: file.clone() }.into());
        }
        Ok(identity)
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.authorities.hints()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.judge(end_entity, intermediates, now)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Verifies that a server is a node: chain by the peer CA, then its SPIFFE id. Host names are not looked at: addresses of
/// nodes change, and a name would prove less than the id does.
#[derive(Debug)]
pub(crate) struct NodeVerifier {
    pub(crate) anchors: Arc<RootCertStore>,
    pub(crate) algorithms: WebPkiSupportedAlgorithms,
    pub(crate) domain: TrustDomain,
    pub(crate) live: Arc<LiveConnections>,
}

impl NodeVerifier {
    pub(crate) fn new(anchors: Arc<RootCertStore>, domain: TrustDomain, live: Arc<LiveConnections>) -> Self {
        Self { anchors, algorithms: provider().signature_verification_algorithms, domain, live }
    }
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.anchors, intermediates, now, self.algorithms.all)?;
        self.live.check([end_entity].into_iter().chain(intermediates))?;
        match certificate_identity(end_entity, &self.domain).map_err(refused)? {
            Identity::Node { .. } => Ok(ServerCertVerified::assertion()),
            other => Err(refused(IdentityError::NotAdmitted { found: kind(&other) })),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// The reason goes to this side's log; the other side gets the alert `certificate_unknown` and no detail.
fn refused(reason: IdentityError) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(reason))))
}
