//! The admin API against a fake administration.

use axum::body::Body;
use claviger_shapes::admin::clock::{AcceptClockResult, ClockStatus};
use claviger_shapes::admin::{AddPeerResult, AdminError, AdminErrorCode, Identity, Peer};
use claviger_types::Identity as Holder;
use http::Method;

use crate::Limits;
use crate::testing::{Answer, FakeKms, alice, peer, router, send};

const GOOD_PROBE: &str = r#"{"endpoints":["https://10.0.0.1:9000","https://[::1]:9000"],"region":"dc-north-2"}"#;

async fn ask(method: Method, path: &str, body: &str) -> Answer {
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .extension(peer(Holder::Operator { name: "ops".into() }))
        .body(Body::from(body.to_owned()))
        .unwrap();
    send(&router(&FakeKms::new(), Limits::default()), request).await
}

fn error_of(answer: &Answer) -> (u16, AdminErrorCode) {
    let error: AdminError = serde_json::from_slice(&answer.body).unwrap();
    assert!(!error.message.is_empty());
    (answer.status.as_u16(), error.code)
}

#[tokio::test]
async fn operators_are_served() {
    let answer = ask(Method::GET, "/admin/v1/identity", "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    let identity: Identity = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(identity.region.as_str(), "eu-west-1");

    let peers: Vec<Peer> = serde_json::from_slice(&ask(Method::GET, "/admin/v1/peers", "").await.body).unwrap();
    assert_eq!(peers.len(), 1);

    let probed: Identity = serde_json::from_slice(&ask(Method::POST, "/admin/v1/peers/probe", GOOD_PROBE).await.body).unwrap();
    assert_eq!(probed.region.as_str(), "dc-north-2");

    let add = format!(r#"{{"endpoints":["https://b.example:9000"],"region":"dc-north-2","fingerprint":"{}"}}"#, "22".repeat(32));
    let added: AddPeerResult = serde_json::from_slice(&ask(Method::POST, "/admin/v1/peers", &add).await.body).unwrap();
    assert!(added.changed);
    assert_eq!(added.peer.endpoints, ["https://b.example:9000"]);
    assert_eq!(error_of(&ask(Method::POST, "/admin/v1/peers", &add.replace("22", "33")).await), (409, AdminErrorCode::Conflict));
}

#[tokio::test]
async fn clocks_are_shown_and_accepted() {
    let status: ClockStatus = serde_json::from_slice(&ask(Method::GET, "/admin/v1/clock", "").await.body).unwrap();
    assert!(status.due_work_allowed);
    for (body, changed) in [("{}", true), (r#"{"dry_run":true}"#, false)] {
        let answer = ask(Method::POST, "/admin/v1/clock/accept", body).await;
        assert_eq!(serde_json::from_slice::<AcceptClockResult>(&answer.body).unwrap().changed, changed, "{body}");
    }
    // A word that is misspelt must not make a trial run a real one.
    for body in ["", r#"{"dryrun":true}"#] {
        assert_eq!(error_of(&ask(Method::POST, "/admin/v1/clock/accept", body).await), (400, AdminErrorCode::Invalid), "{body}");
    }
}

#[tokio::test]
async fn nobody_else_is() {
    let router = router(&FakeKms::new(), Limits::default());
    for path in [
        "/admin/v1/identity",
        "/admin/v1/peers",
        "/admin/v1/status",
        "/admin/v1/peers/probe",
        "/admin/v1/clock",
        "/admin/v1/clock/accept",
        "/admin/nothing",
        "/admin",
    ] {
        let bare = || http::Request::get(path).body(Body::empty()).unwrap();
        assert_eq!(error_of(&send(&router, bare()).await), (403, AdminErrorCode::Forbidden), "{path} without a certificate");
        for other in
            [alice(), peer(Holder::Carrier { name: "agent".into() }), peer(Holder::Node { region: "eu-west-1".parse().unwrap(), id: 1 })]
        {
            let mut request = bare();
            request.extensions_mut().insert(other.clone());
            assert_eq!(error_of(&send(&router, request).await), (403, AdminErrorCode::Forbidden), "{path} by {other:?}");
        }
    }
}

#[tokio::test]
async fn other_paths_and_methods() {
    assert_eq!(error_of(&ask(Method::GET, "/admin/v1/nothing", "").await), (404, AdminErrorCode::NotFound));
    assert_eq!(error_of(&ask(Method::GET, "/admin", "").await), (404, AdminErrorCode::NotFound));
    assert_eq!(error_of(&ask(Method::DELETE, "/admin/v1/peers", "").await), (405, AdminErrorCode::MethodNotAllowed));
    assert_eq!(error_of(&ask(Method::GET, "/admin/v1/peers/probe", "").await), (405, AdminErrorCode::MethodNotAllowed));
}

#[tokio::test]
async fn bodies_are_checked() {
    let many = format!(r#"{{"endpoints":[{}],"region":"dc-north-2"}}"#, vec![r#""https://a:1""#; 17].join(","));
    let long = GOOD_PROBE.replace("10.0.0.1", &"a".repeat(600));
    for body in [
        "",
        "[]",
        r#"{"endpoints":[],"region":"dc-north-2"}"#,
        &many,
        &long,
        &GOOD_PROBE.replace("https://10", "http://10"),
        &GOOD_PROBE.replace(":9000\",", "\","),
        &GOOD_PROBE.replace("10.0.0.1", "user@10.0.0.1"),
        &GOOD_PROBE.replace("10.0.0.1:9000", "10.0.0.1:9000/path"),
        &GOOD_PROBE.replace("dc-north-2", "dc1"),
        &GOOD_PROBE.replace("region", "regoin"),
    ] {
        assert_eq!(error_of(&ask(Method::POST, "/admin/v1/peers/probe", body).await), (400, AdminErrorCode::Invalid), "{body}");
    }
    let no_fingerprint = GOOD_PROBE.replace(r#""region""#, r#""fingerprint":"","region""#);
    assert_eq!(error_of(&ask(Method::POST, "/admin/v1/peers", &no_fingerprint).await), (400, AdminErrorCode::Invalid));
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    assert_eq!(error_of(&ask(Method::GET, "/admin/v1/status", "").await), (500, AdminErrorCode::Internal));
}
