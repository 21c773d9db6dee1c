//! What each client CA may say: of its own accounts, through intermediates, and after a change.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use claviger_types::{Identity, Principal};
use rcgen::{CertifiedIssuer, DnType, KeyPair};
use rustls::AlertDescription;
use rustls::CertificateError::UnknownIssuer;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::sync::{Notify, watch};

use crate::testing::{Ca, DOMAIN, Pki, Server, ca, ca_params, closed, get_http1, params, within};
use crate::tests_admission::alert;
use crate::verify::NotAdmitted;
use crate::{
    AcceptLimits, Accounts, Binding, BindingError, ClientCa, Holder, IdentityError, IdentityFiles, Reloadable, ServerTls, TlsError,
    keep_loaded,
};

pub(crate) const OURS: &str = "111122223333";
pub(crate) const THEIRS: &str = "444455556666";

fn only(account: &str) -> Accounts {
    Accounts::Only([account.parse().unwrap()].into())
}

pub(crate) fn of(account: &str) -> Binding {
    Binding::new(only(account), false, false).unwrap()
}

pub(crate) fn user(account: &str, name: &str) -> Principal {
    Principal::User { account: account.parse().unwrap(), name: name.to_owned() }
}

pub(crate) fn uri(path: &str) -> String {
    format!("uri:spiffe://{DOMAIN}/{path}")
}

/// Two CAs that a listener trusts, besides the one that signed its own certificate.
pub(crate) struct Fixture {
    pub(crate) pki: Pki,
    pub(crate) first: Ca,
    pub(crate) second: Ca,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let fixture = Self { pki: Pki::new(), first: ca("first ca"), second: ca("second ca") };
        fs::write(fixture.pki.path("first.pem"), fixture.first.pem()).unwrap();
        fs::write(fixture.pki.path("second.pem"), fixture.second.pem()).unwrap();
        fixture
    }

    pub(crate) fn ca(&self, file: &str, binding: Binding) -> ClientCa {
        ClientCa { file: self.pki.path(file), binding }
    }

    /// The first CA speaks for our account, the second for theirs.
    fn both(&self) -> Vec<ClientCa> {
        vec![self.ca("first.pem", of(OURS)), self.ca("second.pem", of(THEIRS))]
    }

    pub(crate) fn load(&self, cas: Vec<ClientCa>) -> Result<ServerTls, TlsError> {
        let own = self.pki.issue("server", crate::testing::By::Api, &["dns:localhost", "ip:127.0.0.1"]);
        ServerTls::api(&own, cas, &Pki::domain())
    }

    pub(crate) async fn start(&self, cas: Vec<ClientCa>) -> (Arc<ServerTls>, Server) {
        let tls = Arc::new(self.load(cas).unwrap());
        let server = Server::start(Arc::clone(&tls), AcceptLimits::default()).await;
        (tls, server)
    }

    /// A certificate with these SANs and the subject `CN=test`.
    pub(crate) fn issue(&self, by: &Ca, sans: &[&str]) -> IdentityFiles {
        self.issue_below(by, sans, &[])
    }

    fn issue_below(&self, by: &Ca, sans: &[&str], between: &[&Ca]) -> IdentityFiles {
        let between: Vec<String> = between.iter().map(|ca| ca.pem()).collect();
        let between: Vec<&str> = between.iter().map(String::as_str).collect();
        // A name of its own for every certificate of a test.
        let name = format!("client-{}", fs::read_dir(self.pki.path("")).unwrap().count());
        self.pki.issue_below(&name, by, &test_params(sans), &between)
    }
}

/// Of the subject `O=Example`, `CN=test`, with these SANs.
pub(crate) fn test_params(sans: &[&str]) -> rcgen::CertificateParams {
    let mut params = params(sans);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Example");
    params.distinguished_name.push(DnType::CommonName, "test");
    params
}

/// Below a CA, and a CA itself.
fn below(above: &Ca, name: &str) -> Ca {
    CertifiedIssuer::signed_by(ca_params(name), KeyPair::generate().unwrap(), above).unwrap()
}

pub(crate) fn judge(tls: &ServerTls, files: &IdentityFiles) -> Result<Identity, NotAdmitted> {
    let pem = fs::read(&files.certificate).unwrap();
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().unwrap();
    tls.admit(Some(&chain)).map(|(identity, ..)| identity)
}

pub(crate) fn refused(tls: &ServerTls, files: &IdentityFiles) -> IdentityError {
    match judge(tls, files) {
        Err(NotAdmitted::Identity(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(crate) fn assert_is(tls: &ServerTls, files: &IdentityFiles, principal: Principal) {
    assert_eq!(judge(tls, files).unwrap(), Identity::Principal(principal));
}

pub(crate) fn mapped(holders: &[(Holder, &str)]) -> Binding {
    let mut binding = of(OURS);
    for (holder, name) in holders {
        binding.map(holder.clone(), user(OURS, name)).unwrap();
    }
    binding
}

pub(crate) fn dns(name: &str) -> Holder {
    Holder::by_dns(name).unwrap()
}

#[tokio::test]
async fn a_ca_speaks_for_its_own_accounts_alone() {
    let fixture = Fixture::new();
    let (tls, server) = fixture.start(fixture.both()).await;
    let (ours, theirs) = (uri("111122223333/user/alice"), uri("444455556666/user/alice"));
    for (by, san, account) in [(&fixture.first, &ours, OURS), (&fixture.second, &theirs, THEIRS)] {
        let good = fixture.issue(by, &[san]);
        assert_is(&tls, &good, user(account, "alice"));
        let mut stream = fixture.pki.dial_api(&server, &good).await.unwrap();
        assert!(within(get_http1(&mut stream, "/")).await.unwrap().contains("alice"));
    }
    for (by, san) in [(&fixture.second, &ours), (&fixture.first, &theirs)] {
        let bad = fixture.issue(by, &[san]);
        assert_eq!(alert(&fixture.pki, &server, "api-ca.pem", Some(&bad)).await, AlertDescription::CertificateUnknown);
        let text = refused(&tls, &bad).to_string();
        assert!(text.contains("/user/alice") && text.contains(".pem) may not say"), "{text}");
    }
    // Nobody is trusted for having signed the listener's own certificate, nor for a name.
    for stranger in [ca("third ca"), ca("first ca")] {
        judge(&tls, &fixture.issue(&stranger, &[&ours])).unwrap_err();
    }
    let own_ca = fixture.pki.user("alice");
    assert!(matches!(judge(&tls, &own_ca), Err(NotAdmitted::Certificate(rustls::Error::InvalidCertificate(UnknownIssuer)))));
    server.stop().await;
}

#[test]
fn operators_and_carriers_are_said_by_cas_that_may() {
    let fixture = Fixture::new();
    let nobody = || Accounts::Only(BTreeSet::new());
    assert_eq!(Binding::new(nobody(), false, false), Err(BindingError::Nothing));
    let (operators, carriers) = (Binding::new(nobody(), true, false).unwrap(), Binding::new(Accounts::All, false, true).unwrap());
    let tls = fixture.load(vec![fixture.ca("first.pem", operators), fixture.ca("second.pem", carriers)]).unwrap();
    for (path, first, second) in [
        ("operator/ops", true, false),
        ("carrier/agent", false, true),
        ("111122223333/root", false, true),
        ("444455556666/role/r/s", false, true),
        ("region/eu-west-1/node/1", false, false),
    ] {
        for (by, good) in [(&fixture.first, first), (&fixture.second, second)] {
            assert_eq!(judge(&tls, &fixture.issue(by, &[&uri(path)])).is_ok(), good, "{path}");
        }
    }
}

#[tokio::test]
async fn intermediates_speak_for_the_ca_above_them() {
    let fixture = Fixture::new();
    let (tls, server) = fixture.start(fixture.both()).await;
    let alice = uri("111122223333/user/alice");
    let (ours, theirs) = (below(&fixture.first, "between"), below(&fixture.second, "between"));
    let deep = below(&ours, "deep");
    assert_is(&tls, &fixture.issue_below(&ours, &[&alice], &[&ours]), user(OURS, "alice"));
    assert_is(&tls, &fixture.issue_below(&deep, &[&alice], &[&deep, &ours]), user(OURS, "alice"));
    let mut stream = fixture.pki.dial_api(&server, &fixture.issue_below(&ours, &[&alice], &[&ours])).await.unwrap();
    within(get_http1(&mut stream, "/")).await.unwrap();

    // Presenting the other CA, or what it signed, beside one's own chain changes nothing.
    let bad = fixture.issue_below(&theirs, &[&alice], &[&theirs, &ours, &fixture.first]);
    assert!(matches!(refused(&tls, &bad), IdentityError::NotBound { ca, .. } if ca.ends_with("second.pem")));
    assert_eq!(alert(&fixture.pki, &server, "api-ca.pem", Some(&bad)).await, AlertDescription::CertificateUnknown);
    let cut = fixture.issue(&ours, &[&alice]);
    assert_eq!(alert(&fixture.pki, &server, "api-ca.pem", Some(&cut)).await, AlertDescription::UnknownCA);
    server.stop().await;
}

#[test]
fn a_ca_below_another_has_its_own_binding_and_not_that_of_the_other() {
    let fixture = Fixture::new();
    let subordinate = below(&fixture.first, "subordinate");
    fs::write(fixture.pki.path("subordinate.pem"), subordinate.pem()).unwrap();
    let (alice, carol) = (uri("111122223333/user/alice"), uri("444455556666/user/carol"));
    let all = || fixture.ca("first.pem", Binding::new(Accounts::All, true, true).unwrap());
    let bound = || fixture.ca("subordinate.pem", of(THEIRS));
    for cas in [vec![all(), bound()], vec![bound(), all()]] {
        let tls = fixture.load(cas).unwrap();
        for between in [&[][..], &[&subordinate], &[&subordinate, &fixture.first]] {
            let bad = fixture.issue_below(&subordinate, &[&alice], between);
            assert!(matches!(refused(&tls, &bad), IdentityError::NotBound { ca, .. } if ca.ends_with("subordinate.pem")));
            assert_is(&tls, &fixture.issue_below(&subordinate, &[&carol], between), user(THEIRS, "carol"));
            let below = below(&subordinate, "below");
            refused(&tls, &fixture.issue_below(&below, &[&alice], &[&[&below][..], between].concat()));
        }
        assert_is(&tls, &fixture.issue(&fixture.first, &[&alice]), user(OURS, "alice"));
    }
}

#[test]
fn what_two_cas_vouch_for_goes_by_the_first() {
    let fixture = Fixture::new();
    // One intermediate, signed by both.
    let pem = KeyPair::generate().unwrap().serialize_pem();
    let key = || KeyPair::from_pem(&pem).unwrap();
    let [by_first, by_second] =
        [&fixture.first, &fixture.second].map(|above| CertifiedIssuer::signed_by(ca_params("cross"), key(), above).unwrap());
    let alice = fixture.issue_below(&by_first, &[&uri("111122223333/user/alice")], &[&by_second, &by_first]);
    assert_is(&fixture.load(fixture.both()).unwrap(), &alice, user(OURS, "alice"));
    let mut reversed = fixture.both();
    reversed.reverse();
    assert!(matches!(refused(&fixture.load(reversed).unwrap(), &alice), IdentityError::NotBound { .. }));
}

#[test]
fn two_cas_that_are_one_are_refused() {
    let fixture = Fixture::new();
    let (first, second) = (fixture.first.pem(), fixture.second.pem());
    let refused = |content: &str| {
        fs::write(fixture.pki.path("second.pem"), content).unwrap();
        match fixture.load(fixture.both()) {
            Err(error @ TlsError::SharedCa { .. }) => error.to_string(),
            other => panic!("{:?}", other.map(drop)),
        }
    };
    // The same certificate, among others; another CA of the same name; the same key under another name.
    let text = refused(&format!("{second}{first}"));
    assert!(text.contains("first.pem") && text.contains("second.pem"), "{text}");
    refused(&ca("first ca").pem());
    refused(&ca_params("renamed").self_signed(fixture.first.key()).unwrap().pem());
    // One file may have a CA twice, and its successor of the same name.
    fs::write(fixture.pki.path("first.pem"), format!("{first}{first}{}", ca("first ca").pem())).unwrap();
    fs::write(fixture.pki.path("second.pem"), second).unwrap();
    fixture.load(fixture.both()).unwrap();
}

#[tokio::test]
async fn live_connections_end_that_a_changed_binding_does_not_allow() {
    let fixture = Fixture::new();
    let name = dns("backup.example");
    let first = |binding| fixture.ca("first.pem", binding);
    let second = || fixture.ca("second.pem", Binding::new(Accounts::All, true, false).unwrap());
    let (tls, server) = fixture.start(vec![first(mapped(&[(name.clone(), "backup")])), second()]).await;
    let connect = async |by: &Ca, san: &str| {
        let mut stream = fixture.pki.dial_api(&server, &fixture.issue(by, &[san])).await.unwrap();
        within(get_http1(&mut stream, "/")).await.unwrap();
        stream
    };
    let mut alice = connect(&fixture.first, &uri("111122223333/user/alice")).await;
    let mut backup = connect(&fixture.first, "dns:backup.example").await;
    let mut carol = connect(&fixture.second, &uri("444455556666/user/carol")).await;
    let mut bob = connect(&fixture.second, &uri("111122223333/user/bob")).await;
    let mut operator = connect(&fixture.second, &uri("operator/ops")).await;

    // The same files: only who the mapping is about.
    tls.rebind(vec![first(mapped(&[(name, "other")])), second()]).unwrap();
    closed(&mut backup).await;
    let mut other = connect(&fixture.first, "dns:backup.example").await;
    tls.rebind(vec![first(of(OURS)), fixture.ca("second.pem", of(THEIRS))]).unwrap();
    for stream in [&mut bob, &mut operator, &mut other] {
        closed(stream).await;
    }
    within(get_http1(&mut carol, "/")).await.unwrap();
    // What cannot be used changes nothing.
    assert!(tls.rebind(vec![fixture.ca("nowhere.pem", of(OURS))]).unwrap_err().to_string().contains("nowhere.pem"));
    within(get_http1(&mut carol, "/")).await.unwrap();
    tls.rebind(vec![first(of(OURS))]).unwrap();
    closed(&mut carol).await;
    within(get_http1(&mut alice, "/")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn the_files_of_all_cas_are_watched_of_added_ones_too() {
    const LOOK: Duration = Duration::from_millis(20);
    let fixture = Fixture::new();
    let (tls, server) = fixture.start(vec![fixture.ca("first.pem", of(OURS))]).await;
    let (_shutdown, stop) = watch::channel(false);
    let at_once = Arc::new(Notify::new());
    let keeper = tokio::spawn(keep_loaded(vec![Arc::clone(&tls) as Arc<dyn Reloadable>], LOOK, Arc::clone(&at_once), stop));
    tls.rebind(fixture.both()).unwrap();
    at_once.notify_one();
    let carol = fixture.issue(&fixture.second, &[&uri("444455556666/user/carol")]);
    let mut stream = fixture.pki.dial_api(&server, &carol).await.unwrap();
    within(get_http1(&mut stream, "/")).await.unwrap();
    // Taken up at once the rebinding has been seen; until then it is as if nothing had changed.
    let staged = fixture.pki.path("staged.pem");
    within(async {
        loop {
            fs::write(&staged, ca("next ca").pem()).unwrap();
            fs::rename(&staged, fixture.pki.path("second.pem")).unwrap();
            tokio::time::sleep(LOOK * 5).await;
            if judge(&tls, &carol).is_err() {
                break;
            }
        }
    })
    .await;
    closed(&mut stream).await;
    keeper.abort();
    server.stop().await;
}
