//! The client side of TLS: of the peer client (nodes by SPIFFE id) and of the api client (servers by host name).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use claviger_types::{Identity, TrustDomain};
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::TlsError;
use crate::connector::connect_tls;
use crate::crl::RevokedCertificates;
use crate::error::ConnectError;
use crate::files::{IdentityFiles, read_anchors};
use crate::identity::{Certificate, IdentityError, certificate_identity, kind};
use crate::live::{Chain, LiveConnection, LiveConnections};
use crate::pool::parse_endpoint;
use crate::provider::{ALPN_H2, ALPN_HTTP1, VERSIONS, provider};
use crate::reload::{Reloadable, Stamps};
use crate::verify::NodeVerifier;

/// From the name lookup to the end of the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to an api listener, ready for HTTP/1.1.
pub type ApiStream = TlsStream<TcpStream>;

/// A client's TLS configuration. Cheap to clone; clones share what a reload or a revocation changes.
#[derive(Clone)]
pub struct ClientTls {
    shared: Arc<Shared>,
    /// Present on a configuration for the peer listener.
    pub(crate) domain: Option<TrustDomain>,
}

struct Shared {
    current: ArcSwap<Loaded>,
    own: IdentityFiles,
    server_ca: PathBuf,
    live: Arc<LiveConnections>,
}

/// What the files held when they were read last.
struct Loaded {
    config: Arc<ClientConfig>,
    verifier: Arc<dyn ServerCertVerifier>,
    anchors: Vec<CertificateDer<'static>>,
    own: Certificate,
    from: Stamps,
}

impl ClientTls {
    /// For [`crate::PeerClient`]: presents a node's certificate, takes nodes of the peer CA whatever their address.
    ///
    /// # Errors
    /// When a file cannot be used, or the certificate is not a node's.
    pub fn peer(identity: &IdentityFiles, peer_ca: &Path, domain: &TrustDomain) -> Result<Self, TlsError> {
        Self::load(identity, peer_ca, Some(domain), "peer-client")
    }

    /// For [`crate::ApiClient`]: presents a client's certificate, takes servers of the CA that have the name called.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn api(identity: &IdentityFiles, api_ca: &Path) -> Result<Self, TlsError> {
        Self::load(identity, api_ca, None, "api-client")
    }

    fn load(identity: &IdentityFiles, server_ca: &Path, domain: Option<&TrustDomain>, name: &'static str) -> Result<Self, TlsError> {
        let live = LiveConnections::new(name);
        let current = ArcSwap::from_pointee(Loaded::read(identity, server_ca, domain, &live)?);
        let shared = Shared { current, own: identity.clone(), server_ca: server_ca.to_owned(), live };
        Ok(Self { shared: Arc::new(shared), domain: domain.cloned() })
    }

    /// Honours these certificates no longer, on new connections and on live ones. Only the peer client looks at them: who
    /// serves an api is known by its name.
    pub fn revoke(&self, revoked: &Arc<RevokedCertificates>) {
        self.shared.live.revoke(revoked);
    }

    /// The configuration for a connection that starts now.
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.shared.current.load().config)
    }

    /// Enters a connection of the peer client that was just made, unless its server is not honoured any more.
    pub(crate) fn admit(&self, chain: &Chain) -> Result<LiveConnection, rustls::Error> {
        let live = self.shared.live.enter(chain, None)?;
        // A reload during the handshake has not seen this one.
        self.shared.current.load().verify(chain)?;
        Ok(live)
    }

    /// Connects to `https://host:port` with a configuration of [`ClientTls::api`], for callers that speak HTTP themselves.
    ///
    /// # Errors
    /// When the URL is not of that form, or there is no connection within 5 s.
    pub async fn connect(&self, url: &str) -> Result<ApiStream, ConnectError> {
        let (name, port) = parse_endpoint(url).ok_or(ConnectError::Endpoint)?;
        let connecting = connect_tls(self, name, port);
        tokio::time::timeout(CONNECT_TIMEOUT, connecting).await.unwrap_or(Err(ConnectError::TimedOut(CONNECT_TIMEOUT)))
    }
}

impl Reloadable for ClientTls {
    fn name(&self) -> &'static str {
        self.shared.live.endpoint()
    }

    fn loaded_from(&self) -> Stamps {
        self.shared.current.load().from.clone()
    }

    fn reload(&self) -> Result<(), TlsError> {
        let Shared { current, own, server_ca, live } = &*self.shared;
        let loaded = Arc::new(Loaded::read(own, server_ca, self.domain.as_ref(), live)?);
        let before = current.swap(Arc::clone(&loaded));
        if before.anchors != loaded.anchors {
            live.verify_again(|chain, _| loaded.verify(chain).is_ok());
        }
        Ok(())
    }

    fn certificate(&self) -> Certificate {
        self.shared.current.load().own
    }
}

impl Loaded {
    fn read(
        identity: &IdentityFiles,
        server_ca: &Path,
        domain: Option<&TrustDomain>,
        live: &Arc<LiveConnections>,
    ) -> Result<Self, TlsError> {
        let from = Stamps::of([&*identity.certificate, &*identity.key, server_ca]);
        let own = identity.load()?;
        let no_identity = |source| TlsError::NoIdentity { path: identity.certificate.clone(), source };
        let anchors = read_anchors(server_ca)?;
        let (verifier, protocol): (Arc<dyn ServerCertVerifier>, _) = match domain {
            Some(domain) => {
                match certificate_identity(&own.leaf, domain).map_err(no_identity)? {
                    Identity::Node { .. } => {}
                    other => return Err(no_identity(IdentityError::NotAdmitted { found: kind(&other) })),
                }
                (Arc::new(NodeVerifier::new(anchors.roots, domain.clone(), Arc::clone(live))), ALPN_H2)
            }
            None => {
                let what = "CA certificate";
                let empty = |_| TlsError::NotPem { what, path: server_ca.to_owned(), expected: "at least one CA certificate" };
                (WebPkiServerVerifier::builder_with_provider(anchors.roots, provider()).build().map_err(empty)?, ALPN_HTTP1)
            }
        };
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(TlsError::Config)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&verifier))
            .with_client_cert_resolver(own.resolver);
        config.alpn_protocols = vec![protocol.to_vec()];
        // As on the server: every connection is verified in full.
        config.resumption = Resumption::disabled();
        let certificate = Certificate::of(&own.leaf).map_err(no_identity)?;
        Ok(Self { config: Arc::new(config), verifier, anchors: anchors.certificates, own: certificate, from })
    }

    /// Verifies a node's chain, whatever its address.
    fn verify(&self, chain: &Chain) -> Result<(), rustls::Error> {
        let (leaf, intermediates) = chain.split_first().ok_or(rustls::Error::NoCertificatesPresented)?;
        let any_name = ServerName::IpAddress(std::net::Ipv4Addr::UNSPECIFIED.into());
        self.verifier.verify_server_cert(leaf, intermediates, &any_name, &[], UnixTime::now()).map(drop)
    }
}
