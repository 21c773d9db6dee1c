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
    BasicConstraints, CertificateParams, CertificateRevocationList, CertificateRevocationListParams, CertifiedIssuer, CustomExtension,
    DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, RevocationReason, RevokedCertParams, SanType,
};
use rustls::{ClientConfig, SupportedProtocolVersion};
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::files::read_anchors;
use crate::provider::{ALPN_H2, VERSIONS, provider};
use crate::{AcceptLimits, Admission, ClientTls, Crl, IdentityFiles, Peer, RevokedCertificates, ServerTls, serve};

pub(crate) const DOMAIN: &str = "test.example";

pub(crate) type Ca = CertifiedIssuer<'static, KeyPair>;

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
        self.issue_below(name, self.authority(by), params, &[])
    }

    /// By any CA, and with these CA certificates presented behind it.
    pub(crate) fn issue_below(&self, name: &str, issuer: &Ca, params: &CertificateParams, between: &[&str]) -> IdentityFiles {
        let key = KeyPair::generate().unwrap();
        let files = IdentityFiles::new(self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        fs::write(&files.certificate, params.signed_by(&key, issuer).unwrap().pem() + &between.concat()).unwrap();
        write_private(&files.key, key.serialize_pem().as_bytes());
        files
    }

    fn authority(&self, by: By) -> &Ca {
        match by {
            By::Api => &self.api,
            By::Peer => &self.peer,
        }
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

/// A name of a SAN extension: its DER tag and its bytes.
pub(crate) type RawName<'a> = (u8, &'a [u8]);

/// A SAN extension of any names: also of such as no honest CA writes. Short ones.
pub(crate) fn raw_sans(names: &[RawName<'_>]) -> CustomExtension {
    let tlv = |tag: u8, value: &[u8]| [&[tag, u8::try_from(value.len()).unwrap()][..], value].concat();
    let names: Vec<u8> = names.iter().flat_map(|(tag, value)| tlv(*tag, value)).collect();
    assert!(names.len() < 0x80, "needs a longer length");
    CustomExtension::from_oid_content(&[2, 5, 29, 17], tlv(0x30, &names))
}

fn serial_of(files: &IdentityFiles) -> Vec<u8> {
    let leaf = files.load().unwrap().leaf;
    x509_parser::parse_x509_certificate(&leaf).unwrap().1.raw_serial().to_vec()
}

/// A self-signed leaf, for what only parses.
pub(crate) fn leaf_der(sans: &[&str]) -> Vec<u8> {
    params(sans).self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
}

pub(crate) fn write_private(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
}

pub(crate) fn ca_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

pub(crate) fn ca(name: &str) -> Ca {
    CertifiedIssuer::self_signed(ca_params(name), KeyPair::generate().unwrap()).unwrap()
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
    pub(crate) async fn start(tls: impl Into<Arc<ServerTls>>, limits: AcceptLimits) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), tls, limits).await
    }

    pub(crate) async fn start_at(address: SocketAddr, tls: impl Into<Arc<ServerTls>>, limits: AcceptLimits) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (shutdown, stop) = watch::channel(false);
        let (gate, entered) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let task = tokio::spawn(serve(listener, tls.into(), limits, router(&gate, &entered), stop));
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
    let wait = move |Extension(peer): Extension<Peer>| {
        let (gate, entered) = (Arc::clone(&gate), Arc::clone(&entered));
        async move {
            entered.notify_one();
            gate.notified().await;
            if peer.revoked.is_set() { "waited, and is revoked" } else { "waited" }
        }
    };
    Router::new()
        .route("/", get(|Extension(peer): Extension<Peer>| async move { format!("{:?}", peer.identity) }))
        .route("/who", post(|Extension(peer): Extension<Peer>| async move { format!("{:?}", peer.identity) }))
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
        .with_root_certificates(read_anchors(ca).unwrap().roots);
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

    /// An HTTP/2 connection as this identity, whose frames are the caller's: it answers no ping and hears no goodbye.
    pub(crate) async fn dial_http2(&self, server: &Server, identity: &IdentityFiles) -> TlsStream<TcpStream> {
        let mut config = raw_client(&self.path("api-ca.pem"), Some(identity), VERSIONS);
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        let mut stream = dial(server, config).await.unwrap();
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        stream.write_all(&frame(SETTINGS, 0, &[])).await.unwrap();
        stream
    }

    /// The parameters of a CA's revocation list of these certificates.
    pub(crate) fn crl_params(number: u64, revoked: &[&IdentityFiles]) -> CertificateRevocationListParams {
        let now = OffsetDateTime::now_utc();
        let revoked = revoked.iter().map(|files| RevokedCertParams {
            serial_number: serial_of(files).into(),
            revocation_time: now,
            reason_code: Some(RevocationReason::KeyCompromise),
            invalidity_date: None,
        });
        CertificateRevocationListParams {
            this_update: now,
            next_update: now + time::Duration::days(7),
            crl_number: number.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        }
    }

    pub(crate) fn sign_crl(&self, by: By, params: &CertificateRevocationListParams) -> CertificateRevocationList {
        params.signed_by(self.authority(by)).unwrap()
    }

    /// What a CA's list of these certificates revokes.
    pub(crate) fn revoked(&self, by: By, revoked: &[&IdentityFiles]) -> Arc<RevokedCertificates> {
        let crl = Crl::parse(self.sign_crl(by, &Self::crl_params(1, revoked)).der()).unwrap();
        Arc::new(RevokedCertificates::of(&[crl]))
    }
}

/// An HTTP/2 frame that ends its headers and its stream.
pub(crate) fn frame(kind: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    bytes.extend([kind, if kind == HEADERS { 0x05 } else { 0 }]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

pub(crate) const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;
/// `GET https://h/`, in HPACK without its dynamic table.
pub(crate) const REQUEST: &[u8] = &[0x82, 0x87, 0x84, 0x01, 0x01, b'h'];
/// `:status: 200`, in HPACK.
pub(crate) const STATUS_200: u8 = 0x88;

pub(crate) async fn read_frame<S: AsyncReadExt + Unpin>(stream: &mut S) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
    stream.read_exact(&mut payload).await?;
    Ok((head[3], payload))
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
