//! The admin client against a listener of the tls crate, with certificates of the pki module: the whole way but the node.

use std::path::Path;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Router};
use claviger_shapes::admin::{AdminError, AdminErrorCode};
use claviger_tls::{AcceptLimits, Admission, ClientTls, Expect, IdentityFiles, PeerClient, ServerTls, bind_unix, serve, serve_plain};
use claviger_types::TrustDomain;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::*;
use crate::pki::{LEAF_DAYS, Validity, init, issue_client, issue_node, issue_operator};

const IDENTITY: &str =
    r#"{"region":"eu-west-1","cluster_id":"c","incarnation":"i","trust_domain":"kms.example","key_version":1,"fingerprint":"f"}"#;

/// Serves only operators, as the real one does.
fn router() -> Router {
    let admit = |peer: &claviger_tls::Peer| match &peer.identity {
        claviger_types::Identity::Operator { .. } => Ok(()),
        _ => {
            let refusal = AdminError::new(AdminErrorCode::Forbidden, "only operators are served");
            Err((StatusCode::FORBIDDEN, serde_json::to_string(&refusal).unwrap()))
        }
    };
    Router::new()
        .route(
            "/admin/v1/identity",
            get(move |Extension(peer): Extension<claviger_tls::Peer>| async move { admit(&peer).map(|()| IDENTITY) }),
        )
        .route("/admin/v1/peers", get(|| async { "[]" }).post(|| async { (StatusCode::BAD_GATEWAY, "no JSON") }))
        .route(
            "/admin/v1/peers/probe",
            post(|body: bytes::Bytes| async move {
                let request: ProbePeer = serde_json::from_slice(&body).unwrap();
                IDENTITY.replace("eu-west-1", request.region.as_str())
            }),
        )
}

#[tokio::test]
async fn certificates_of_the_pki_open_the_listeners_they_are_for() {
    let dir = tempfile::tempdir().unwrap();
    let (pki, node) = (dir.path().join("pki"), dir.path().join("node"));
    let domain: TrustDomain = "kms.example".parse().unwrap();
    let valid = Validity::days(LEAF_DAYS);
    init(&pki, &domain, valid).unwrap();
    issue_node(&pki, &node, &"eu-west-1".parse().unwrap(), 1, &["127.0.0.1".to_owned(), "localhost".to_owned()], valid).unwrap();
    issue_operator(&pki, &dir.path().join("ops"), "ops", valid).unwrap();
    issue_client(&pki, &dir.path().join("alice"), "111122223333/user/alice", valid).unwrap();

    let (api_ca, peer_ca) = (node.join("api-ca.pem"), node.join("peer-ca.pem"));
    let files = |stem: &Path| IdentityFiles::new(stem.with_extension("pem"), stem.with_extension("key"));
    let (shutdown, stop) = watch::channel(false);
    let start = async |own: &str, ca: &Path, admission| {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let tls = ServerTls::load(&files(&node.join(own)), ca, &domain, admission).unwrap();
        (url, tokio::spawn(serve(listener, Arc::new(tls), AcceptLimits::default(), router(), stop.clone())))
    };
    let (api, api_task) = start("api", &api_ca, Admission::Api).await;
    let (peer, peer_task) = start("peer", &peer_ca, Admission::Peer).await;

    let client = |stem: &str| ApiClient::https(&api, ClientTls::api(&files(&dir.path().join(stem)), &api_ca).unwrap()).unwrap();
    let ops = client("ops");
    assert_eq!(identity(&ops).await.unwrap().cluster_id, "c");
    assert!(peers(&ops).await.unwrap().is_empty());
    let request = ProbePeer { endpoints: vec![], region: "us-east-1".parse().unwrap() };
    assert_eq!(probe(&ops, &request).await.unwrap().region.as_str(), "us-east-1");
    // Refusals: in the API's words, in somebody else's, and of somebody who is no operator.
    assert!(matches!(status(&ops).await, Err(AdminClientError::Call(ApiClientError::Refused { .. }))));
    let add = AddPeer { endpoints: vec![], region: "us-east-1".parse().unwrap(), fingerprint: String::new() };
    assert!(matches!(add_peer(&ops, &add).await, Err(AdminClientError::Call(ApiClientError::Refused { .. }))));
    let refused = identity(&client("alice")).await.unwrap_err();
    assert!(matches!(&refused, AdminClientError::Refused { error, .. } if error.code == AdminErrorCode::Forbidden), "{refused}");

    // Nodes among themselves.
    let client = PeerClient::new(ClientTls::peer(&files(&node.join("peer")), &peer_ca, &domain).unwrap()).unwrap();
    let expect = Expect::Node { region: "eu-west-1".parse().unwrap(), id: 1 };
    let patience = std::time::Duration::from_secs(20);
    let answer = client.post(&peer, &expect, 0, "/none", bytes::Bytes::new(), patience).await.unwrap();
    assert_eq!(answer.status, StatusCode::NOT_FOUND);

    // The same over the node's own socket, where the caller is an operator by the flag.
    let socket = dir.path().join("admin.sock");
    let local = claviger_types::Identity::Operator { name: "local".to_owned() };
    let unix = bind_unix(&socket).unwrap();
    let unix_task = tokio::spawn(serve_plain(unix, "admin", Some(local), AcceptLimits::default(), router(), stop.clone()));
    assert_eq!(identity(&ApiClient::unix(&socket)).await.unwrap().fingerprint, "f");

    shutdown.send_replace(true);
    for task in [api_task, peer_task, unix_task] {
        task.await.unwrap();
    }
}
