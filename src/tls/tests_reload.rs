//! Certificates that are replaced under a running listener and a running client.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::AlertDescription;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::testing::{By, Pki, Server, closed, get_http1, within};
use crate::tests_admission::alert;
use crate::{AcceptLimits, ClientTls, Expect, Fingerprint, IdentityFiles, PeerClient, Reloadable, ServerTls, keep_loaded};

/// How often files are looked at here: fast, since tests wait for what comes of it.
const LOOK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(20);

/// The loop of a process, over some of its endpoints.
struct Keeper {
    at_once: Arc<Notify>,
    _shutdown: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Keeper {
    fn start(endpoints: Vec<Arc<dyn Reloadable>>, every: Duration) -> Self {
        let (shutdown, stop) = watch::channel(false);
        let at_once = Arc::new(Notify::new());
        let task = tokio::spawn(keep_loaded(endpoints, every, Arc::clone(&at_once), stop));
        Self { at_once, _shutdown: shutdown, task }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn start(pki: &Pki) -> (Arc<ServerTls>, Server) {
    let tls = Arc::new(pki.api_server());
    let server = Server::start(Arc::clone(&tls), AcceptLimits::default()).await;
    (tls, server)
}

/// The certificate that a new connection is shown.
async fn shown(pki: &Pki, server: &Server, who: &IdentityFiles) -> Fingerprint {
    let mut stream = pki.dial_api(server, who).await.unwrap();
    within(get_http1(&mut stream, "/")).await.unwrap();
    Fingerprint::of(&stream.get_ref().1.peer_certificates().unwrap()[0])
}

fn fingerprint(files: &IdentityFiles) -> Fingerprint {
    Fingerprint::of(&files.load().unwrap().leaf)
}

/// As an administrator's tool replaces a file: whole.
fn replace(path: &Path, with: &Path) {
    let staged = path.with_extension("staged");
    fs::copy(with, &staged).unwrap();
    fs::rename(staged, path).unwrap();
}

fn server_files(pki: &Pki) -> IdentityFiles {
    IdentityFiles::new(pki.path("server.pem"), pki.path("server.key"))
}

fn new_server_files(pki: &Pki) -> IdentityFiles {
    pki.issue("server-2", By::Api, &["dns:localhost", "ip:127.0.0.1"])
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    within(async {
        while !holds().await {
            tokio::time::sleep(LOOK / 4).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_old_ones_live_on() {
    let pki = Pki::new();
    let (tls, server) = start(&pki).await;
    let alice = pki.user("alice");
    let _keeper = Keeper::start(vec![Arc::clone(&tls) as Arc<_>], LOOK);
    let old = shown(&pki, &server, &alice).await;
    assert_eq!(old, fingerprint(&server_files(&pki)));
    let mut live = pki.dial_api(&server, &alice).await.unwrap();
    within(get_http1(&mut live, "/")).await.unwrap();

    let (files, new) = (server_files(&pki), new_server_files(&pki));
    replace(&files.certificate, &new.certificate);
    replace(&files.key, &new.key);
    until(async || shown(&pki, &server, &alice).await == fingerprint(&new)).await;
    within(get_http1(&mut live, "/")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn what_cannot_be_used_changes_nothing_until_it_is_mended() {
    let pki = Pki::new();
    let tls = Arc::new(pki.api_server());
    let (files, new) = (server_files(&pki), new_server_files(&pki));
    let held = || tls.certificate().fingerprint;
    let (old, new_print) = (fingerprint(&files), fingerprint(&new));

    fs::write(&files.certificate, "junk").unwrap();
    assert!(tls.reload().unwrap_err().to_string().contains("server.pem"));
    assert_eq!(held(), old);
    // Half of a pair, as it is between the replacement of one file and that of the other.
    replace(&files.certificate, &new.certificate);
    assert!(tls.reload().unwrap_err().to_string().contains("does not belong to certificate"));
    replace(&files.key, &new.key);
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(tls.reload().unwrap_err().to_string().contains("chmod 600"));
    assert_eq!(held(), old);

    // The loop tries again when a file changes, were it in its mode alone.
    let _keeper = Keeper::start(vec![Arc::clone(&tls) as Arc<_>], LOOK);
    // That something does not happen cannot be waited for but by time.
    tokio::time::sleep(LOOK * 5).await;
    assert_eq!(held(), old);
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
    until(async || held() == new_print).await;

    fs::write(pki.path("api-ca.pem"), "").unwrap();
    assert!(tls.reload().unwrap_err().to_string().contains("api-ca.pem"));
}

#[tokio::test]
async fn everything_is_loaded_at_once_on_request() {
    let pki = Pki::new();
    let tls = Arc::new(pki.api_server());
    let keeper = Keeper::start(vec![Arc::clone(&tls) as Arc<_>], Duration::from_secs(3600));
    let (files, new) = (server_files(&pki), new_server_files(&pki));
    replace(&files.certificate, &new.certificate);
    replace(&files.key, &new.key);
    keeper.at_once.notify_one();
    until(async || tls.certificate().fingerprint == fingerprint(&new)).await;
}

#[tokio::test]
async fn connections_end_whose_certificate_the_new_cas_do_not_vouch_for() {
    let (pki, next) = (Pki::new(), Pki::new());
    let (tls, server) = start(&pki).await;
    let (old, new) = (pki.user("alice"), next.user("alice"));
    let bundle = pki.path("api-ca.pem");
    let [old_ca, new_ca] = [&pki, &next].map(|pki| fs::read_to_string(pki.path("api-ca.pem")).unwrap());
    let connect = async |who: &IdentityFiles| {
        let mut stream = pki.dial_api(&server, who).await.unwrap();
        within(get_http1(&mut stream, "/")).await.unwrap();
        stream
    };
    let mut by_old = connect(&old).await;

    fs::write(&bundle, format!("{old_ca}{new_ca}")).unwrap();
    tls.reload().unwrap();
    within(get_http1(&mut by_old, "/")).await.unwrap();
    let mut by_new = connect(&new).await;

    fs::write(&bundle, &new_ca).unwrap();
    tls.reload().unwrap();
    closed(&mut by_old).await;
    within(get_http1(&mut by_new, "/")).await.unwrap();
    // The client goes on trusting the server's old CA. Both CAs have one name, so it is the signature that fails.
    fs::write(pki.path("old-ca.pem"), old_ca).unwrap();
    assert_eq!(alert(&pki, &server, "old-ca.pem", Some(&old)).await, AlertDescription::DecryptError);
    server.stop().await;
}

#[tokio::test]
async fn the_peer_client_shows_its_new_certificate_on_new_connections_and_drops_servers_of_an_old_ca() {
    let (pki, next) = (Pki::new(), Pki::new());
    let server = Server::start(pki.peer_server("eu-west-1", 1), AcceptLimits::default()).await;
    let files = pki.node("eu-west-1", 2);
    // A CA file of the client's own.
    let bundle = pki.path("client-peer-ca.pem");
    fs::copy(pki.path("peer-ca.pem"), &bundle).unwrap();
    let tls = ClientTls::peer(&files, &bundle, &Pki::domain()).unwrap();
    let client = PeerClient::new(tls.clone()).unwrap();
    let post = async |lane, path: &str| within(client.post(&server.url(), &Expect::AnyNode, lane, path, Bytes::new(), PATIENCE)).await;
    let from = post(0, "/from").await.unwrap().body;

    let renewed = pki.node("eu-west-1", 22);
    replace(&files.certificate, &renewed.certificate);
    replace(&files.key, &renewed.key);
    tls.reload().unwrap();
    assert_eq!(post(0, "/from").await.unwrap().body, from, "the live connection stays");
    let seen = post(1, "/who").await.unwrap().body;
    assert!(String::from_utf8_lossy(&seen).contains("id: 22"), "{seen:?}");

    fs::copy(next.path("peer-ca.pem"), &bundle).unwrap();
    tls.reload().unwrap();
    assert!(!post(0, "/from").await.unwrap_err().was_sent());
    server.stop().await;
}
