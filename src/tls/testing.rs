//! A throw-away PKI for this crate's tests: two CAs in a temporary directory and certificates of any make; a server that
//! says who called; clients that do what they should not.

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::routing::{get, post};
use axum::{Extension, Router};
use claviger_types::TrustDomain;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::{ClientConfig, SupportedProtocolVersion};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::files::read_anchors;
use crate::provider::{VERSIONS, provider};
use crate::{AcceptLimits, Admission, ClientTls, IdentityFiles, Peer, ServerTls, serve};

pub(crate) const DOMAIN: &str = "test.example";

type Ca = CertifiedIssuer<'static, KeyPair>;

/// Which CA signs.
#[derive(Clone, Copy)]
pub(crate) enum By {
    Api,
    Peer,
}

pub(crate) struct Pki {
    dir: tempfile::TempDir,
    api: Ca,
    peer: Ca,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (api, peer) = (ca("api ca"), ca("peer ca"));
        fs::write(dir.path().join("api-ca.pem"), api.pem()).unwrap();
        fs::write(dir.path().join("peer-ca.pem"), peer.pem()).unwrap();
        Self { dir, api, peer }
    }

    pub(crate) fn domain() -> TrustDomain {
        DOMAIN.parse().unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A certificate with these SANs (`uri:…`, `dns:…`, `ip:…`), good for both ends of a connection.
    pub(crate) fn issue(&self, name: &str, by: By, sans: &[&str]) -> IdentityFiles {
        self.issue_with(name, by, &params(sans))
    }

    pub(crate) fn issue_with(&self, name: &str, by: By, params: &CertificateParams) -> IdentityFiles {
        let key = KeyPair::generate().unwrap();
        let issuer = match by {
            By::Api => &self.api,
            By::Peer => &self.peer,
        };
        let files = IdentityFiles::new(self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        fs::write(&files.certificate, params.signed_by(&key, issuer).unwrap().pem()).unwrap();
        write_private(&files.key, key.serialize_pem().as_bytes());
        files
    }

    pub(crate) fn user(&self, name: &str) -> IdentityFiles {
        self.issue(name, By::Api, &[&format!("uri:spiffe://{DOMAIN}/111122223333/user/{name}")])
    }

    pub(crate) fn node(&self, region: &str, id: u64) -> IdentityFiles {
        let uri = format!("uri:spiffe://{DOMAIN}/region/{region}/node/{id}");
        self.issue(&format!("{region}-{id}"), By::Peer, &[&uri, "dns:localhost", "ip:127.0.0.1"])
    }

    pub(crate) fn api_server(&self) -> ServerTls {
        let own = self.issue("server", By::Api, &["dns:localhost", "ip:127.0.0.1"]);
        ServerTls::load(&own, &self.path("api-ca.pem"), &Self::domain(), Admission::Api).unwrap()
    }

    pub(crate) fn peer_server(&self, region: &str, id: u64) -> ServerTls {
        ServerTls::load(&self.node(region, id), &self.path("peer-ca.pem"), &Self::domain(), Admission::Peer).unwrap()
    }

    pub(crate) fn peer_client(&self, region: &str, id: u64) -> ClientTls {
        ClientTls::peer(&self.node(region, id), &self.path("peer-ca.pem"), &Self::domain()).unwrap()
    }

    pub(crate) fn api_client(&self, files: &IdentityFiles) -> ClientTls {
        ClientTls::api(files, &self.path("api-ca.pem")).unwrap()
    }
}

pub(crate) fn params(sans: &[&str]) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "test");
    params.subject_alt_names = sans.iter().map(|san| parse_san(san)).collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn parse_san(san: &str) -> SanType {
    match san.split_once(':').unwrap() {
        ("uri", uri) => SanType::URI(uri.try_into().unwrap()),
        ("dns", name) => SanType::DnsName(name.try_into().unwrap()),
        ("ip", address) => SanType::IpAddress(address.parse().unwrap()),
        (other, _) => panic!("{other}"),
    }
}

/// A self-signed leaf, for what only parses.
pub(crate) fn leaf_der(sans: &[&str]) -> Vec<u8> {
    params(sans).self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

pub(crate) fn write_private(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

fn ca(name: &str) -> Ca {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A running listener; `gate` lets requests to `/wait` finish.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) gate: Arc<Notify>,
    pub(crate) entered: Arc<Notify>,
    pub(crate) shutdown: watch::Sender<bool>,
    pub(crate) task: JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(tls: ServerTls, limits: AcceptLimits) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), tls, limits).await
    }

    pub(crate) async fn start_at(address: SocketAddr, tls: ServerTls, limits: AcceptLimits) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, stop) = watch::channel(false);
        let (gate, entered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let task = tokio::spawn(serve(listener, Arc::new(tls), limits, router(&gate, &entered), stop));
        Self { address, gate, entered, shutdown, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    pub(crate) async fn stop(self) {
        self.shutdown.send_replace(true);
        self.task.await.unwrap();
    }
}

pub(crate) fn router(gate: &Arc<Notify>, entered: &Arc<Notify>) -> Router {
    let (gate, entered) = (Arc::clone(gate), Arc::clone(entered));
    let wait = move || {
        let (gate, entered) = (Arc::clone(&gate), Arc::clone(&entered));
        async move {
            entered.notify_one();
            gate.notified().await;
            "waited"
        }
    };
    Router::new()
        .route("/", get(|Extension(peer): Extension<Peer>| async move { format!("{:?}", peer.identity) }))
        .route("/wait", get(wait.clone()).post(wait))
        .route("/from", post(|Extension(peer): Extension<Peer>| async move { peer.address.unwrap().to_string() }))
        .route("/header", post(|headers: http::HeaderMap| async move { headers["x-test"].to_str().unwrap().to_owned() }))
        .route("/count", post(count).layer(axum::extract::DefaultBodyLimit::disable()))
        .route("/big", post(|| async { vec![0_u8; claviger_types::limits::PEER_BODY_BYTES_MAX + 1] }))
}

async fn count(body: axum::body::Body) -> Result<String, http::StatusCode> {
    use http_body_util::BodyExt;
    let mut body = body;
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame.map_err(|_| http::StatusCode::BAD_REQUEST)?.data_ref().map_or(0, bytes::Bytes::len);
    }
    Ok(bytes.to_string())
}

/// A client that trusts the CA file and presents what it is told to.
pub(crate) fn raw_client(ca: &Path, identity: Option<&IdentityFiles>, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut provider = (*provider()).clone();
    if versions.iter().any(|version| version.version == rustls::ProtocolVersion::TLSv1_2) {
        provider = rustls::crypto::aws_lc_rs::default_provider();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(read_anchors(ca).unwrap());
    match identity {
        Some(files) => builder.with_client_cert_resolver(files.load().unwrap().resolver),
        None => builder.with_no_client_auth(),
    }
}

/// A TLS connection to a server of this PKI.
pub(crate) async fn dial(server: &Server, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(server.address).await?;
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), tcp).await
}

impl Pki {
    /// A connection as this identity, ALPN unset (HTTP/1.1).
    pub(crate) async fn dial_api(&self, server: &Server, identity: &IdentityFiles) -> io::Result<TlsStream<TcpStream>> {
        dial(server, raw_client(&self.path("api-ca.pem"), Some(identity), VERSIONS)).await
    }
}

/// One HTTP/1.1 exchange; the text of everything that came until the answer's end.
pub(crate) async fn get_http1<S: AsyncReadExt + AsyncWriteExt + Unpin>(stream: &mut S, path: &str) -> io::Result<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await?;
    read_answer(stream).await
}

pub(crate) async fn read_answer<S: AsyncReadExt + Unpin>(stream: &mut S) -> io::Result<String> {
    let mut text = String::new();
    loop {
        let mut bytes = [0; 4096];
        let count = stream.read(&mut bytes).await?;
        if count == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        text.push_str(&String::from_utf8_lossy(&bytes[..count]));
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |n| n.parse().unwrap());
        if body.len() >= length {
            return Ok(text);
        }
    }
}

/// Waits until the server has closed a connection, however it did so.
pub(crate) async fn closed<S: AsyncReadExt + Unpin>(stream: &mut S) {
    let mut bytes = [0; 4096];
    let end = async { while matches!(stream.read(&mut bytes).await, Ok(count) if count > 0) {} };
    within(end).await;
}

/// Fails a test that hangs.
pub(crate) async fn within<F: Future>(work: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("took too long")
}
