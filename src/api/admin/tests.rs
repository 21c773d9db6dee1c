//! The admin API against a fake administration.

use axum::body::Body;
use claviger_shapes::admin::{AddPeerResult, AdminError, AdminErrorCode, AdmitKeysResult, Identity, Peer};
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
async fn backups_are_streamed_and_keys_admitted() {
    let answer = ask(Method::GET, "/admin/v1/backup", "").await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"sealed pieces"[..]));
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    assert!(answer.headers.get("content-length").is_none(), "nobody knows how long it will be");
    let admitted = ask(Method::POST, "/admin/v1/keys/admit", r#"{"scope":"all","after":"x"}"#).await;
    let admitted: AdmitKeysResult = serde_json::from_slice(&admitted.body).unwrap();
    assert_eq!((admitted.admitted, admitted.unchanged, admitted.next.as_deref()), (3, 1, Some("x")));
    let unknown = ask(Method::POST, "/admin/v1/keys/admit", r#"{"scope":{"key":"x"},"after":null}"#).await;
    assert_eq!(error_of(&unknown), (404, AdminErrorCode::NotFound));
    for bad in ["", "{}", r#"{"scope":"none","after":null}"#, r#"{"scope":"all","after":null,"more":1}"#] {
        assert_eq!(error_of(&ask(Method::POST, "/admin/v1/keys/admit", bad).await), (400, AdminErrorCode::Invalid), "{bad}");
    }
}

#[tokio::test]
async fn nobody_else_is() {
    let router = router(&FakeKms::new(), Limits::default());
    for path in [
        "/admin/v1/identity",
        "/admin/v1/backup",
        "/admin/v1/keys/admit",
        "/admin/v1/peers",
        "/admin/v1/status",
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
