//! Stub nodes behind real mutual TLS, an agent before them, and AWS's own signer.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use axum::body::{Body, Bytes};
use axum::routing::post;
use axum::{Extension, Router};
use claviger_tls::{AcceptLimits, Admission, IdentityFiles, Peer, ServerTls, serve};
use claviger_types::{Clock, SystemClock};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tower::Service;

use crate::credentials::{self, AccessKey};
use crate::{Agent, IdentitySettings, Limits, RegionSettings, Settings};

pub(crate) const REGION: &str = "eu-west-1";
pub(crate) const OTHER_REGION: &str = "us-east-1";
const DOMAIN: &str = "test.example";

/// What a stub node does with every request.
#[derive(Clone, Copy)]
pub(crate) enum Behaviour {
    Answer(u16, &'static str),
    Hang,
}

/// What it saw.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) identity: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

pub(crate) struct Node {
    pub(crate) url: String,
    behaviour: Arc<Mutex<Behaviour>>,
    seen: Arc<Mutex<Vec<Seen>>>,
    _stop: watch::Sender<bool>,
}

impl Node {
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.behaviour.lock().unwrap() = behaviour;
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(
    Extension(peer): Extension<Peer>,
    Extension(behaviour): Extension<Arc<Mutex<Behaviour>>>,
    Extension(seen): Extension<Arc<Mutex<Vec<Seen>>>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    seen.lock().unwrap().push(Seen { identity: format!("{:?}", peer.identity), headers, body });
    let behaviour = *behaviour.lock().unwrap();
    match behaviour {
        Behaviour::Hang => std::future::pending().await,
        Behaviour::Answer(status, code) => Response::builder()
            .status(status)
            .header("x-amzn-RequestId", "the-node-s-own-id")
            .header("x-amzn-ErrorType", code)
            .header("date", "Thu, 01 Jan 1970 00:00:00 GMT")
            .body(Body::from(format!("{{\"__type\":\"{code}\"}}")))
            .unwrap(),
    }
}

/// A deployment of stub nodes and an agent's files.
pub(crate) struct Stage {
    dir: tempfile::TempDir,
    ca: CertifiedIssuer<'static, KeyPair>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let stage = Self { dir: tempfile::tempdir().unwrap(), ca };
        fs::write(stage.path("ca.pem"), stage.ca.pem()).unwrap();
        stage
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Issues (again) a certificate under a file name.
    pub(crate) fn issue(&self, name: &str, sans: Vec<SanType>) -> IdentityFiles {
        let mut params = CertificateParams::default();
        params.subject_alt_names = sans;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let files = IdentityFiles::new(self.path(&format!("{name}.pem")), self.path(&format!("{name}.key")));
        fs::write(&files.key, key.serialize_pem()).unwrap();
        fs::set_permissions(&files.key, Permissions::from_mode(0o600)).unwrap();
        fs::write(&files.certificate, params.signed_by(&key, &self.ca).unwrap().pem()).unwrap();
        files
    }

    pub(crate) fn issue_user(&self, file: &str, user: &str) -> IdentityFiles {
        self.issue(file, vec![SanType::URI(format!("spiffe://{DOMAIN}/111122223333/user/{user}").try_into().unwrap())])
    }

    /// A node that answers 200.
    pub(crate) async fn node(&self) -> Node {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let files = self.issue(&format!("node-{}", address.port()), vec![SanType::IpAddress("127.0.0.1".parse().unwrap())]);
        let tls = ServerTls::load(&files, &self.path("ca.pem"), &DOMAIN.parse().unwrap(), Admission::Api).unwrap();
        let (stop, stopped) = watch::channel(false);
        let (behaviour, seen) = (Arc::new(Mutex::new(Behaviour::Answer(200, "none"))), Arc::default());
        let router = Router::new().route("/", post(answer)).layer(Extension(Arc::clone(&behaviour))).layer(Extension(Arc::clone(&seen)));
        tokio::spawn(serve(listener, Arc::new(tls), AcceptLimits::default(), router, stopped));
        Node { url: format!("https://{address}"), behaviour, seen, _stop: stop }
    }

    /// The URL of a node that is down.
    pub(crate) async fn no_node(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        format!("https://{}", listener.local_addr().unwrap())
    }

    pub(crate) fn access_key(&self, identity: &str) -> AccessKey {
        credentials::create(&self.path("credentials"), identity, SystemClock.now()).unwrap()
    }

    pub(crate) fn agent(&self, nodes: &[&str], other_region: &[&str]) -> Running {
        let region = |name: &str, nodes: &[&str]| RegionSettings {
            name: name.parse().unwrap(),
            nodes: nodes.iter().map(|node| (*node).to_owned()).collect(),
        };
        let identity = |name: &str| IdentitySettings { name: name.to_owned(), files: self.issue_user(name, name) };
        let settings = Settings {
            ca: self.path("ca.pem"),
            credentials: self.path("credentials"),
            regions: vec![region(REGION, nodes), region(OTHER_REGION, other_region)],
            identities: vec![identity("alice"), identity("bob")],
            limits: Limits { answer_timeout: Duration::from_secs(1), ..Limits::default() },
        };
        let agent = Arc::new(Agent::new(settings, Arc::new(SystemClock)).unwrap());
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(Arc::clone(&agent).follow_files(Arc::default(), stopped));
        Running { router: agent.router(), agent, _stop: stop }
    }
}

/// An agent that follows its files.
pub(crate) struct Running {
    pub(crate) agent: Arc<Agent>,
    router: Router,
    _stop: watch::Sender<bool>,
}

/// An answer, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.headers.get("x-amzn-errortype").map_or("", |code| code.to_str().unwrap())
    }
}

impl Running {
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let call = self.router.clone().call(request);
        let response = tokio::time::timeout(Duration::from_secs(40), call).await.unwrap().unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: head.status, headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    /// A request of this key, well signed.
    pub(crate) async fn call(&self, key: &AccessKey, region: &str) -> Answer {
        self.send(signed(key.id.as_str(), key.secret.expose(), region, &[])).await
    }
}

/// What STS is asked.
pub(crate) const GET_CALLER_IDENTITY: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// A request of KMS with the body `{}`, signed by AWS's own crate.
pub(crate) fn signed(id: &str, secret: &str, region: &str, extra: &[(&str, &str)]) -> Request<Body> {
    let fixed = [("x-amz-target", "TrentService.Encrypt"), ("content-type", "application/x-amz-json-1.1")];
    signed_for("kms", id, secret, region, &[&fixed, extra].concat(), "{}")
}

/// A request of STS, signed by AWS's own crate.
pub(crate) fn signed_form(id: &str, secret: &str, region: &str) -> Request<Body> {
    let fixed = [("content-type", "application/x-www-form-urlencoded; charset=utf-8")];
    signed_for("sts", id, secret, region, &fixed, GET_CALLER_IDENTITY)
}

fn signed_for(service: &str, id: &str, secret: &str, region: &str, headers: &[(&str, &str)], body: &'static str) -> Request<Body> {
    let token = headers.iter().find(|(name, _)| *name == "x-amz-security-token").map(|(_, token)| (*token).to_owned());
    let identity = Credentials::new(id, secret, token, None, "test").into();
    let sent = headers.iter().copied().filter(|(name, _)| *name != "x-amz-security-token");
    let headers = std::iter::once(("host", "127.0.0.1:8300")).chain(sent);
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let signable = SignableRequest::new("POST", "http://127.0.0.1:8300/", headers.clone(), SignableBody::Bytes(body.as_bytes())).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let request = headers.fold(Request::post("/"), |request, (name, value)| request.header(name, value));
    let mut request = request.body(Body::from(body)).unwrap();
    instructions.apply_to_request_http1x(&mut request);
    request
}

/// Asks until the condition holds.
pub(crate) async fn eventually(mut holds: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), asking).await.expect("it does not come true");
}
