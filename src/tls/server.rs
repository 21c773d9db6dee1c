//! The server side of TLS: which certificate a listener presents, and whom it admits.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use claviger_types::{Identity, TrustDomain};
use rustls::ServerConfig;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls_pki_types::CertificateDer;

use crate::TlsError;
use crate::files::{IdentityFiles, read_anchors};
use crate::identity::{Certificate, IdentityError, certificate_identity, kind};
use crate::provider::{ALPN_H2, ALPN_HTTP1, VERSIONS, provider};
use crate::verify::ClientVerifier;

/// The kind of a listener, which decides whom it admits (DESIGN.md section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Principals, carriers and operators; never nodes.
    Api,
    /// Nodes and nobody else.
    Peer,
}

impl Admission {
    /// The listener's name in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Peer => "peer",
        }
    }

    /// Passes an identity through if this kind of listener admits it.
    ///
    /// # Errors
    /// [`IdentityError::NotAdmitted`].
    pub fn admit(self, identity: Identity) -> Result<Identity, IdentityError> {
        match (self, &identity) {
            (Self::Api, Identity::Principal(_) | Identity::Carrier { .. } | Identity::Operator { .. })
            | (Self::Peer, Identity::Node { .. }) => Ok(identity),
            (Self::Api, Identity::Node { .. }) | (Self::Peer, _) => Err(IdentityError::NotAdmitted { found: kind(&identity) }),
        }
    }
}

/// The TLS side of one listener. New connections take the configuration that is current when they arrive.
pub struct ServerTls {
    config: ArcSwap<ServerConfig>,
    domain: TrustDomain,
    admission: Admission,
}

impl ServerTls {
    /// Loads a listener's own certificate and the CA of its clients. A client certificate is always required.
    ///
    /// # Errors
    /// When a file is missing, unreadable, not PEM or unusable, or the key is exposed or another certificate's.
    pub fn load(identity: &IdentityFiles, client_ca: &Path, domain: &TrustDomain, admission: Admission) -> Result<Self, TlsError> {
        let own = identity.load()?;
        if admission == Admission::Peer {
            let no_identity = |source| TlsError::NoIdentity { path: identity.certificate.clone(), source };
            certificate_identity(&own.leaf, domain).and_then(|found| admission.admit(found)).map_err(no_identity)?;
        }
        let anchors = read_anchors(client_ca)?;
        let chain = WebPkiClientVerifier::builder_with_provider(anchors, provider()).build().map_err(|_| TlsError::NotPem {
            what: "CA certificate",
            path: client_ca.to_owned(),
            expected: "at least one CA certificate",
        })?;
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(TlsError::Config)?
            .with_client_cert_verifier(Arc::new(ClientVerifier { chain, domain: domain.clone(), admission }))
            .with_cert_resolver(own.resolver);
        config.alpn_protocols = vec![ALPN_H2.to_vec(), ALPN_HTTP1.to_vec()];
        // A resumed session would skip the verifier: no tickets, no store, no early data.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self { config: ArcSwap::from_pointee(config), domain: domain.clone(), admission })
    }

    /// The configuration for a connection that starts now.
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.load_full()
    }

    /// The kind of the listener.
    pub const fn admission(&self) -> Admission {
        self.admission
    }

    /// Who a verified client is. The verifier has admitted it already; asking again keeps this true by itself.
    pub(crate) fn identify(&self, chain: Option<&[CertificateDer<'_>]>) -> Result<(Identity, Certificate), IdentityError> {
        let leaf = chain.and_then(<[_]>::first).ok_or(IdentityError::NoUri)?;
        let identity = self.admission.admit(certificate_identity(leaf, &self.domain)?)?;
        Ok((identity, Certificate::of(leaf)?))
    }
}
