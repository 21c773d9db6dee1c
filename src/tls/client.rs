//! The client side of TLS: of the peer client (nodes by SPIFFE id) and of the api client (servers by host name).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use claviger_types::{Identity, TrustDomain};
use rustls::ClientConfig;
use rustls::client::{Resumption, WebPkiServerVerifier};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::TlsError;
use crate::connector::connect_tls;
use crate::error::ConnectError;
use crate::files::{IdentityFiles, read_anchors};
use crate::identity::{IdentityError, certificate_identity, kind};
use crate::pool::parse_endpoint;
use crate::provider::{ALPN_H2, ALPN_HTTP1, VERSIONS, provider};
use crate::verify::NodeVerifier;

/// From the name lookup to the end of the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to an api listener, ready for HTTP/1.1.
pub type ApiStream = TlsStream<TcpStream>;

/// A client's TLS configuration. Cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    pub(crate) config: Arc<ClientConfig>,
    /// Present on a configuration for the peer listener.
    pub(crate) domain: Option<TrustDomain>,
}

impl ClientTls {
    /// For [`crate::PeerClient`]: presents a node's certificate, takes nodes of the peer CA whatever their address.
    ///
    /// # Errors
    /// When a file cannot be used, or the certificate is not a node's.
    pub fn peer(identity: &IdentityFiles, peer_ca: &Path, domain: &TrustDomain) -> Result<Self, TlsError> {
        let own = identity.load()?;
        let no_identity = |source| TlsError::NoIdentity { path: identity.certificate.clone(), source };
        match certificate_identity(&own.leaf, domain).map_err(no_identity)? {
            Identity::Node { .. } => {}
            other => return Err(no_identity(IdentityError::NotAdmitted { found: kind(&other) })),
        }
        let verifier = NodeVerifier::new(read_anchors(peer_ca)?, domain.clone());
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(TlsError::Config)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(own.resolver);
        Ok(Self { config: finish(config, ALPN_H2), domain: Some(domain.clone()) })
    }

    /// For [`crate::ApiClient`]: presents a client's certificate, takes servers of the CA that have the name called.
    ///
    /// # Errors
    /// When a file cannot be used.
    pub fn api(identity: &IdentityFiles, api_ca: &Path) -> Result<Self, TlsError> {
        let own = identity.load()?;
        let verifier = WebPkiServerVerifier::builder_with_provider(read_anchors(api_ca)?, provider())
            .build()
            .map_err(|_| TlsError::NotPem { what: "CA certificate", path: api_ca.to_owned(), expected: "at least one CA certificate" })?;
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(TlsError::Config)?
            .with_webpki_verifier(verifier)
            .with_client_cert_resolver(own.resolver);
        Ok(Self { config: finish(config, ALPN_HTTP1), domain: None })
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

fn finish(mut config: ClientConfig, protocol: &[u8]) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![protocol.to_vec()];
    // As on the server: every connection is verified in full.
    config.resumption = Resumption::disabled();
    Arc::new(config)
}
