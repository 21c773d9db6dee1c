//! The server side of TLS: which certificate a listener presents, whom it admits, and how both change while it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use claviger_types::{Identity, TrustDomain};
use rustls::ServerConfig;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls_pki_types::{CertificateDer, UnixTime};

use crate::crl::{CaId, Crl, RevokedCertificates};
use crate::files::{IdentityFiles, read_anchors};
use crate::identity::{Certificate, IdentityError, certificate_identity, kind};
use crate::live::{Chain, LiveConnection, LiveConnections};
use crate::provider::{ALPN_H2, ALPN_HTTP1, VERSIONS, provider};
use crate::reload::{Reloadable, Stamps};
use crate::verify::ClientVerifier;
use crate::{CrlError, TlsError};

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
    current: ArcSwap<Loaded>,
    own: IdentityFiles,
    client_ca: PathBuf,
    domain: TrustDomain,
    admission: Admission,
    live: Arc<LiveConnections>,
}

/// What the files held when they were read last. A whole new one takes its place: were the session storage of an old
/// configuration kept, its sessions would resume past the verifier.
pub(crate) struct Loaded {
    pub(crate) config: Arc<ServerConfig>,
    verifier: Arc<ClientVerifier>,
    anchors: Vec<CertificateDer<'static>>,
    own: Certificate,
    from: Stamps,
}

impl ServerTls {
    /// Loads a listener's own certificate and the CA of its clients. A client certificate is always required.
    ///
    /// # Errors
    /// When a file is missing, unreadable, not PEM or unusable, or the key is exposed or another certificate's.
    pub fn load(identity: &IdentityFiles, client_ca: &Path, domain: &TrustDomain, admission: Admission) -> Result<Self, TlsError> {
        let live = LiveConnections::new(admission.name());
        let loaded = Loaded::read(identity, client_ca, domain, admission, &live)?;
        Ok(Self {
            current: ArcSwap::from_pointee(loaded),
            own: identity.clone(),
            client_ca: client_ca.to_owned(),
            domain: domain.clone(),
            admission,
            live,
        })
    }

    /// The kind of the listener.
    pub const fn admission(&self) -> Admission {
        self.admission
    }

    /// Honours these certificates no longer, on new connections and on live ones: when this returns, every connection of
    /// theirs is marked and about to be closed.
    pub fn revoke(&self, revoked: &Arc<RevokedCertificates>) {
        self.live.revoke(revoked);
    }

    /// Which of the CAs that this listener trusts signed a list.
    ///
    /// # Errors
    /// When none of them did, or the CA may not, or rustls could not use the list.
    pub fn signer_of(&self, crl: &Crl) -> Result<CaId, CrlError> {
        crl.signer(&self.current.load().anchors)
    }

    /// What a connection that arrives now is to be served with.
    pub(crate) fn current(&self) -> Arc<Loaded> {
        self.current.load_full()
    }

    /// Who a client is whose handshake was made with `by`. Its chain was verified then; it is verified again if that is no
    /// longer what this listener goes by, and entered among those that a later change ends.
    pub(crate) fn admit(&self, by: &Arc<Loaded>, chain: Option<&Chain>) -> Result<(Identity, Certificate, LiveConnection), NotAdmitted> {
        let chain = chain.unwrap_or_default();
        let leaf = chain.first().ok_or(IdentityError::NoUri)?;
        let live = self.live.enter(chain)?;
        let current = self.current.load();
        if !Arc::ptr_eq(by, &current) {
            current.verify(chain)?;
        }
        // The verifier has admitted it already; asking again keeps this true by itself.
        let identity = self.admission.admit(certificate_identity(leaf, &self.domain)?)?;
        Ok((identity, Certificate::of(leaf)?, live))
    }
}

/// Why a connection is not served although its handshake succeeded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotAdmitted {
    #[error("certificate: {0}")]
    Identity(#[from] IdentityError),
    #[error("certificate: {0}")]
    Certificate(#[from] rustls::Error),
}

impl Reloadable for ServerTls {
    fn name(&self) -> &'static str {
        self.admission.name()
    }

    fn loaded_from(&self) -> Stamps {
        self.current.load().from.clone()
    }

    fn reload(&self) -> Result<(), TlsError> {
        let loaded = Arc::new(Loaded::read(&self.own, &self.client_ca, &self.domain, self.admission, &self.live)?);
        let before = self.current.swap(Arc::clone(&loaded));
        if before.anchors != loaded.anchors {
            self.live.verify_again(|chain| loaded.verify(chain).is_ok());
        }
        Ok(())
    }

    fn certificate(&self) -> Certificate {
        self.current.load().own
    }
}

impl Loaded {
    fn read(
        identity: &IdentityFiles,
        client_ca: &Path,
        domain: &TrustDomain,
        admission: Admission,
        live: &Arc<LiveConnections>,
    ) -> Result<Self, TlsError> {
        let from = Stamps::of([&*identity.certificate, &*identity.key, client_ca]);
        let own = identity.load()?;
        let no_identity = |source| TlsError::NoIdentity { path: identity.certificate.clone(), source };
        if admission == Admission::Peer {
            certificate_identity(&own.leaf, domain).and_then(|found| admission.admit(found)).map_err(no_identity)?;
        }
        let certificate = Certificate::of(&own.leaf).map_err(no_identity)?;
        let anchors = read_anchors(client_ca)?;
        let chain = WebPkiClientVerifier::builder_with_provider(anchors.roots, provider()).build().map_err(|_| TlsError::NotPem {
            what: "CA certificate",
            path: client_ca.to_owned(),
            expected: "at least one CA certificate",
        })?;
        let verifier = Arc::new(ClientVerifier { chain, domain: domain.clone(), admission, live: Arc::clone(live) });
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(TlsError::Config)?
            .with_client_cert_verifier(Arc::clone(&verifier) as Arc<_>)
            .with_cert_resolver(own.resolver);
        config.alpn_protocols = vec![ALPN_H2.to_vec(), ALPN_HTTP1.to_vec()];
        // A resumed session would skip the verifier: no tickets, no store, no early data.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self { config: Arc::new(config), verifier, anchors: anchors.certificates, own: certificate, from })
    }

    fn verify(&self, chain: &Chain) -> Result<(), rustls::Error> {
        let (leaf, intermediates) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
        self.verifier.verify_client_cert(leaf, intermediates, UnixTime::now()).map(drop)
    }
}
