//! The server side of TLS: which certificate a listener presents, whom it admits, and how both change while it runs.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use claviger_types::{Identity, TrustDomain};
use parking_lot::Mutex;
use rustls::ServerConfig;
use rustls::server::NoServerSessionStorage;
use rustls_pki_types::UnixTime;

use crate::authority::Authorities;
use crate::binding::{Binding, ClientCa};
use crate::crl::{CaId, Crl, RevokedCertificates};
use crate::files::IdentityFiles;
use crate::identity::{Certificate, IdentityError, certificate_identity, kind};
use crate::live::{Chain, LiveConnection, LiveConnections};
use crate::provider::{ALPN_H2, ALPN_HTTP1, VERSIONS, provider};
use crate::reload::{Reloadable, Stamps};
use crate::verify::{ClientVerifier, NotAdmitted};
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
    /// Locked while files are read, so that of two changes the later one stays.
    client_cas: Mutex<Vec<ClientCa>>,
    domain: TrustDomain,
    admission: Admission,
    live: Arc<LiveConnections>,
}

/// What the files held when they were read last. A whole new one takes its place: were the session storage of an old
/// configuration kept, its sessions would resume past the verifier.
pub(crate) struct Loaded {
    pub(crate) config: Arc<ServerConfig>,
    verifier: Arc<ClientVerifier>,
    own: Certificate,
    from: Stamps,
}

impl ServerTls {
    /// Loads a listener's own certificate and the CA of its clients, which may say of whom it wants that this is who it is. A
    /// client certificate is always required.
    ///
    /// # Errors
    /// When a file is missing, unreadable, not PEM or unusable, or the key is exposed or another certificate's.
    pub fn load(identity: &IdentityFiles, client_ca: &Path, domain: &TrustDomain, admission: Admission) -> Result<Self, TlsError> {
        let client_ca = ClientCa { file: client_ca.to_owned(), binding: Binding::everything() };
        Self::load_bound(identity, vec![client_ca], domain, admission)
    }

    /// Loads an api listener, whose clients' CAs are bound to what they may say.
    ///
    /// # Errors
    /// As [`ServerTls::load`]; and when two CAs share a key or a name.
    pub fn api(identity: &IdentityFiles, client_cas: Vec<ClientCa>, domain: &TrustDomain) -> Result<Self, TlsError> {
        Self::load_bound(identity, client_cas, domain, Admission::Api)
    }

    fn load_bound(
        identity: &IdentityFiles,
        client_cas: Vec<ClientCa>,
        domain: &TrustDomain,
        admission: Admission,
    ) -> Result<Self, TlsError> {
        let live = LiveConnections::new(admission.name());
        let loaded = Loaded::read(identity, &client_cas, domain, admission, &live)?;
        Ok(Self {
            current: ArcSwap::from_pointee(loaded),
            own: identity.clone(),
            client_cas: Mutex::new(client_cas),
            domain: domain.clone(),
            admission,
            live,
        })
    }

    /// The kind of the listener.
    pub const fn admission(&self) -> Admission {
        self.admission
    }

    /// Takes other client CAs, or the same with other bindings, and reads all files again: as [`Reloadable::reload`].
    ///
    /// # Errors
    /// When a file cannot be used, or two CAs share a key or a name: then nothing has changed.
    pub fn rebind(&self, client_cas: Vec<ClientCa>) -> Result<(), TlsError> {
        let mut held = self.client_cas.lock();
        self.load_from(&client_cas)?;
        *held = client_cas;
        Ok(())
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
        crl.signer(self.current.load().verifier.authorities.certificates())
    }

    /// What a connection that arrives now is to be served with.
    pub(crate) fn current(&self) -> Arc<Loaded> {
        self.current.load_full()
    }

    /// Who a client is whose handshake has succeeded. Its chain is judged again by what the listener goes by now: the
    /// handshake has not kept which CA vouched for it, and may have begun before a change. It is entered among the
    /// connections that a later change ends.
    pub(crate) fn admit(&self, chain: Option<&Chain>) -> Result<(Identity, Certificate, LiveConnection), NotAdmitted> {
        let chain = chain.unwrap_or_default();
        let leaf = chain.first().ok_or(IdentityError::NoUri)?;
        let by = self.current();
        let identity = by.judge(chain)?;
        let live = self.live.enter(chain, Some(identity.clone()))?;
        let current = self.current.load();
        // A reload in between has not seen this connection.
        if !Arc::ptr_eq(&by, &current) && current.judge(chain)? != identity {
            return Err(IdentityError::Changed.into());
        }
        Ok((identity, Certificate::of(leaf)?, live))
    }

    fn load_from(&self, client_cas: &[ClientCa]) -> Result<(), TlsError> {
        let loaded = Arc::new(Loaded::read(&self.own, client_cas, &self.domain, self.admission, &self.live)?);
        let before = self.current.swap(Arc::clone(&loaded));
        if !before.verifier.authorities.same(&loaded.verifier.authorities) {
            self.live.verify_again(|chain, identity| loaded.judge(chain).ok().as_ref() == identity);
        }
        Ok(())
    }
}

impl Reloadable for ServerTls {
    fn name(&self) -> &'static str {
        self.admission.name()
    }

    fn loaded_from(&self) -> Stamps {
        self.current.load().from.clone()
    }

    fn reload(&self) -> Result<(), TlsError> {
        self.load_from(&self.client_cas.lock())
    }

    fn certificate(&self) -> Certificate {
        self.current.load().own
    }
}

impl Loaded {
    fn read(
        identity: &IdentityFiles,
        client_cas: &[ClientCa],
        domain: &TrustDomain,
        admission: Admission,
        live: &Arc<LiveConnections>,
    ) -> Result<Self, TlsError> {
        let from = Stamps::of([&*identity.certificate, &*identity.key].into_iter().chain(client_cas.iter().map(|ca| &*ca.file)));
        let own = identity.load()?;
        let no_identity = |source| TlsError::NoIdentity { path: identity.certificate.clone(), source };
        if admission == Admission::Peer {
            certificate_identity(&own.leaf, domain).and_then(|found| admission.admit(found)).map_err(no_identity)?;
        }
        let certificate = Certificate::of(&own.leaf).map_err(no_identity)?;
        let verifier = ClientVerifier::new(Authorities::read(client_cas)?, domain.clone(), admission, Arc::clone(live));
        let verifier = Arc::new(verifier);
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
        Ok(Self { config: Arc::new(config), verifier, own: certificate, from })
    }

    fn judge(&self, chain: &Chain) -> Result<Identity, NotAdmitted> {
        let (leaf, intermediates) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
        self.verifier.judge(leaf, intermediates, UnixTime::now())
    }
}
