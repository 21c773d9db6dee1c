//! The admin API against a fake administration.

use axum::body::Body;
use claviger_shapes::admin::{AddPeerResult, AdminError, AdminErrorCode, Identity, MembersChanged, Peer, RegionStatus};
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
async fn nodes_are_changed_by_paths() {
    let region: RegionStatus = serde_json::from_slice(&ask(Method::GET, "/admin/v1/region", "").await.body).unwrap();
    assert_eq!(region.removed, [4]);
    assert_eq!(error_of(&ask(Method::GET, "/admin/v1/nodes", "").await), (503, AdminErrorCode::Unavailable));
    let changed = async |path: &str, body: &str| -> MembersChanged {
        serde_json::from_slice(&ask(Method::POST, &format!("/admin/v1/{path}"), body).await.body).unwrap()
    };
    for change in ["promote", "demote", "remove"] {
        let done = changed(&format!("nodes/5/{change}"), "").await;
        assert_eq!((done.changed, done.leader, done.pending.as_deref()), (true, Some(5), Some(change)));
    }
    assert!(!changed("nodes/7/remove", "{}").await.changed);
    assert_eq!(changed("leader/transfer", "{}").await.leader, None);
    assert_eq!(changed("leader/transfer", r#"{"to":3}"#).await.leader, Some(3));

    let post = async |path: &str, body: &str| error_of(&ask(Method::POST, &format!("/admin/v1/{path}"), body).await);
    for path in ["nodes/5", "nodes/5/destroy", "nodes/5/remove/now", "nodes/5/%ff"] {
        assert_eq!(post(path, "").await, (404, AdminErrorCode::NotFound), "{path}");
    }
    for path in ["nodes/five/remove", "nodes/-1/remove", "nodes/99999999999999999999/remove"] {
        assert_eq!(post(path, "").await, (400, AdminErrorCode::Invalid), "{path}");
    }
    for body in ["", r#"{"to":"3"}"#, r#"{"node":3}"#] {
        assert_eq!(post("leader/transfer", body).await, (400, AdminErrorCode::Invalid), "{body}");
    }
    assert_eq!(error_of(&ask(Method::GET, "/admin/v1/nodes/5/remove", "").await), (405, AdminErrorCode::MethodNotAllowed));
}

#[tokio::test]
async fn nobody_else_is() {
    let router = router(&FakeKms::new(), Limits::default());
    for path in [
        "/admin/v1/identity",
        "/admin/v1/peers",
        "/admin/v1/status",
        "/admin/v1/region",
        "/admin/v1/nodes",
        "/admin/v1/nodes/1/remove",
        "/admin/v1/leader/transfer",
        "/admin/v1/peers/probe",
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
