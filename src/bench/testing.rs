//! Servers for tests: a throw-away PKI, and handlers behind the product's own listener.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use claviger_tls::{AcceptLimits, Admission, ClientTls, IdentityFiles, ServerTls, serve};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, SanType};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::client::Endpoints;

const DOMAIN: &str = "test.example";

/// A directory with a CA, a server's certificate and a principal's.
pub(crate) struct Pki {
    dir: tempfile::TempDir,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(dir.path().join("ca.pem"), ca.pem()).unwrap();
        let pki = Self { dir };
        let principal = format!("spiffe://{DOMAIN}/111122223333/root");
        pki.issue(&ca, "server", SanType::IpAddress([127, 0, 0, 1].into()), ExtendedKeyUsagePurpose::ServerAuth);
        pki.issue(&ca, "client", SanType::URI(principal.try_into().unwrap()), ExtendedKeyUsagePurpose::ClientAuth);
        pki
    }

    fn issue(&self, ca: &CertifiedIssuer<'static, KeyPair>, name: &str, san: SanType, usage: ExtendedKeyUsagePurpose) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![san];
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, ca).unwrap();
        fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        fs::set_permissions(self.path(&format!("{name}.key")), Permissions::from_mode(0o600)).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn client(&self) -> ClientTls {
        let files = IdentityFiles::new(self.path("client.pem"), self.path("client.key"));
        ClientTls::api(&files, &self.path("ca.pem")).unwrap()
    }

    pub(crate) fn server(&self) -> Arc<ServerTls> {
        let files = IdentityFiles::new(self.path("server.pem"), self.path("server.key"));
        Arc::new(ServerTls::load(&files, &self.path("ca.pem"), &DOMAIN.parse().unwrap(), Admission::Api).unwrap())
    }

    pub(crate) fn endpoints(&self, urls: &[String]) -> Arc<Endpoints> {
        Arc::new(Endpoints { urls: urls.to_vec(), tls: self.client() })
    }
}

/// A server on a free port; it ends with this value.
pub(crate) struct Server {
    pub(crate) url: String,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(pki: &Pki, router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let (stop, stopped) = watch::channel(false);
        let limits = AcceptLimits { drain_timeout: std::time::Duration::ZERO, ..AcceptLimits::default() };
        let task = tokio::spawn(serve(listener, pki.server(), limits, router, stopped));
        Self { url, stop, task }
    }

    /// Cuts every connection and lets nobody in again.
    pub(crate) async fn stop(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
    }
}
