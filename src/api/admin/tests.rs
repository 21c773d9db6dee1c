//! The admin API against a fake administration.

mod iam;
mod policy;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use claviger_shapes::admin::clock::{AcceptClockResult, ClockStatus};
use claviger_shapes::admin::{
    AddPeerResult, AdminError, AdminErrorCode, AdmitKeysResult, Crl, DetachRegionResult, Identity, MembersChanged, Peer, PublishCrlResult,
    RegionStatus,
};
use claviger_types::{Identity as Holder, RevocationFlag};
use http::Method;

use crate::Limits;
use crate::testing::{Answer, FakeAdmin, FakeKms, alice, peer, router, send};

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
async fn revocation_lists_are_listed_and_published() {
    let listed: Vec<Crl> = serde_json::from_slice(&ask(Method::GET, "/admin/v1/crls", "").await.body).unwrap();
    assert_eq!(listed.len(), 1);
    let published: PublishCrlResult = serde_json::from_slice(&ask(Method::POST, "/admin/v1/crls", r#"{"crl":"7"}"#).await.body).unwrap();
    assert!(published.changed && published.crl.number == "7");
    assert_eq!(error_of(&ask(Method::POST, "/admin/v1/crls", r#"{"clr":"7"}"#).await), (400, AdminErrorCode::Invalid));
}

/// A largest list fits a request: base64 makes four bytes of three.
#[test]
fn a_revocation_list_fits_a_request() {
    use claviger_types::limits::{API_BODY_BYTES_MAX, CRL_BYTES_MAX};
    // A file may be PEM already, with a line feed after each 64 characters, and is encoded once more.
    const { assert!(CRL_BYTES_MAX * 4 / 3 * 65 / 64 * 4 / 3 + 1024 < API_BODY_BYTES_MAX) };
}

/// An operator at a listener, whose certificate is not honoured once the flag is set.
fn operator(flag: &RevocationFlag) -> claviger_tls::Peer {
    let certificate = claviger_tls::Certificate {
        fingerprint: claviger_tls::Fingerprint::of(b"a certificate"),
        not_after: claviger_types::Timestamp::from_millis(u64::MAX),
    };
    claviger_tls::Peer::with_flag(Holder::Operator { name: "ops".into() }, None, Some(certificate), flag.clone())
}

async fn get_as(admin: &Arc<FakeAdmin>, peer: claviger_tls::Peer, path: &str) -> Answer {
    let router = crate::router(FakeKms::new(), Arc::clone(admin), &Limits::default());
    send(&router, http::Request::get(path).extension(peer).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn an_operator_whose_revocation_the_node_hears_of_at_the_gate_is_refused() {
    let (admin, flag) = (Arc::new(FakeAdmin::default()), RevocationFlag::default());
    assert_eq!(get_as(&admin, operator(&flag), "/admin/v1/peers").await.status, 200);
    *admin.heard.lock().unwrap() = Some(flag.clone());
    for path in ["/admin/v1/peers", "/admin/v1/identity", "/admin/v1/crls", "/admin/v1/status", "/admin/nothing"] {
        let answer = get_as(&admin, operator(&flag), path).await;
        assert_eq!(error_of(&answer), (403, AdminErrorCode::Forbidden), "{path}");
    }
}

/// What a node that is cut off cannot know it does not act on; how the region stands is what an operator needs then.
#[tokio::test]
async fn without_a_leader_an_operators_certificate_shows_how_the_region_stands_and_no_more() {
    let (admin, flag) = (Arc::new(FakeAdmin::default()), RevocationFlag::default());
    admin.cut_off.store(true, Ordering::SeqCst);
    for path in ["/admin/v1/peers", "/admin/v1/crls", "/admin/v1/backup", "/admin/v1/nodes", "/admin/v1/identity"] {
        assert_eq!(error_of(&get_as(&admin, operator(&flag), path).await), (503, AdminErrorCode::Unavailable), "{path}");
    }
    for path in ["/admin/v1/region", "/admin/v1/clock"] {
        assert_eq!(get_as(&admin, operator(&flag), path).await.status, 200, "{path}");
    }
    // The fake's status panics: it was reached.
    assert_eq!(error_of(&get_as(&admin, operator(&flag), "/admin/v1/status").await), (500, AdminErrorCode::Internal));
    flag.set();
    assert_eq!(error_of(&get_as(&admin, operator(&flag), "/admin/v1/status").await), (403, AdminErrorCode::Forbidden));
    // The node's own socket.
    let gates = admin.gates.load(Ordering::SeqCst);
    assert_eq!(get_as(&admin, peer(Holder::Operator { name: "local".into() }), "/admin/v1/peers").await.status, 200);
    assert_eq!(admin.gates.load(Ordering::SeqCst), gates);
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
    let detached = ask(Method::POST, "/admin/v1/peers/detach", r#"{"region":"dc-east-1","after":"x"}"#).await;
    let detached: DetachRegionResult = serde_json::from_slice(&detached.body).unwrap();
    assert_eq!(detached, DetachRegionResult { detached: 2, rotating: 1, next: Some("x".to_owned()) });
    let unknown = ask(Method::POST, "/admin/v1/keys/admit", r#"{"scope":{"key":"x"},"after":null}"#).await;
    assert_eq!(error_of(&unknown), (404, AdminErrorCode::NotFound));
    for bad in ["", "{}", r#"{"scope":"none","after":null}"#, r#"{"scope":"all","after":null,"more":1}"#] {
        assert_eq!(error_of(&ask(Method::POST, "/admin/v1/keys/admit", bad).await), (400, AdminErrorCode::Invalid), "{bad}");
    }
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
        "/admin/v1/backup",
        "/admin/v1/keys/admit",
        "/admin/v1/peers",
        "/admin/v1/status",
        "/admin/v1/region",
        "/admin/v1/nodes",
        "/admin/v1/nodes/1/remove",
        "/admin/v1/leader/transfer",
        "/admin/v1/peers/probe",
        "/admin/v1/peers/detach",
        "/admin/v1/clock",
        "/admin/v1/clock/accept",
        "/admin/v1/iam",
        "/admin/v1/iam/denials",
        "/admin/v1/iam/111122223333",
        "/admin/v1/policy/simulate",
        "/admin/v1/keys/reset-policy",
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
