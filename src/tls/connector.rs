//! How a [`crate::PeerClient`] reaches a node: TCP and mutual TLS, or what a simulation puts in their place. Either way the
//! connector answers for who is at the other end.

use claviger_types::{Identity, TrustDomain};
use futures::future::{BoxFuture, FutureExt};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::ClientTls;
use crate::error::ConnectError;
use crate::identity::{Certificate, IdentityError, certificate_identity};
use crate::live::LiveConnection;
use crate::pool::RequestBody;
use crate::provider::ALPN_H2;

/// A connection that says nothing for this long is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(5);
/// How long it may take to say so before it counts as dead.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// Receive windows for answers; answers are small next to requests.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Headers of one answer.
const HEADER_BYTES_MAX: u32 = 32 * 1024;

/// Makes connections to nodes.
pub trait Connector: Send + Sync + 'static {
    /// A new connection to the node at `host` (a name, or an address without brackets) and `port`.
    fn connect(&self, host: String, port: u16) -> BoxFuture<'static, Result<Connected, ConnectError>>;
}

/// A new connection.
pub struct Connected {
    pub(crate) sender: SendRequest<RequestBody>,
    pub(crate) peer: Identity,
    pub(crate) certificate: Option<Certificate>,
    /// Present where a certificate can be revoked.
    pub(crate) live: Option<LiveConnection>,
}

impl Connected {
    /// Begins HTTP/2 on a stream at whose other end is `peer`. Spawns what drives it, so it must be called in a runtime.
    ///
    /// # Errors
    /// When the stream breaks.
    pub async fn over<S>(stream: S, peer: Identity, certificate: Option<Certificate>) -> Result<Self, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (sender, driver) = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(HEADER_BYTES_MAX)
            .keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(ConnectError::Http)?;
        tokio::spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "a peer connection ended");
            }
        });
        Ok(Self { sender, peer, certificate, live: None })
    }
}

/// The network: TCP and mutual TLS; the certificate says who is there.
pub(crate) struct OverTls {
    pub(crate) tls: ClientTls,
    pub(crate) domain: TrustDomain,
}

impl Connector for OverTls {
    fn connect(&self, host: String, port: u16) -> BoxFuture<'static, Result<Connected, ConnectError>> {
        let (tls, domain) = (self.tls.clone(), self.domain.clone());
        async move {
            let name = ServerName::try_from(host).map_err(|_| ConnectError::Endpoint)?;
            let stream = connect_tls(&tls, name, port).await?;
            let session = stream.get_ref().1;
            if session.alpn_protocol() != Some(ALPN_H2) {
                return Err(ConnectError::Protocol("HTTP/2"));
            }
            let chain = session.peer_certificates().unwrap_or_default();
            let leaf = chain.first().ok_or(ConnectError::Identity(IdentityError::NoUri))?;
            let live = tls.admit(chain).map_err(|e| ConnectError::Handshake(std::io::Error::other(e)))?;
            let peer = certificate_identity(leaf, &domain).map_err(ConnectError::Identity)?;
            let certificate = Certificate::of(leaf).map_err(ConnectError::Identity)?;
            Ok(Connected { live: Some(live), ..Connected::over(stream, peer, Some(certificate)).await? })
        }
        .boxed()
    }
}

/// TCP and TLS to a server; which certificates are good is the configuration's matter.
pub(crate) async fn connect_tls(tls: &ClientTls, name: ServerName<'static>, port: u16) -> Result<TlsStream<TcpStream>, ConnectError> {
    let host = name.to_str().into_owned();
    let tcp = TcpStream::connect((host.as_str(), port)).await.map_err(ConnectError::Tcp)?;
    tcp.set_nodelay(true).map_err(ConnectError::Tcp)?;
    TlsConnector::from(tls.config()).connect(name, tcp).await.map_err(ConnectError::Handshake)
}
