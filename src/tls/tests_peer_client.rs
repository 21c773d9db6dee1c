//! The peer client against a real listener: who may answer, what errors say, and what happens when servers come and go.

use std::time::Duration;

use bytes::Bytes;
use claviger_types::{Identity, Region};
use http::StatusCode;
use tokio::net::TcpListener;

use crate::testing::{By, DOMAIN, Pki, Server, within};
use crate::{AcceptLimits, Admission, ClientError, ConnectError, Expect, PeerClient, Response, ServerTls, streaming_body};

const PATIENCE: Duration = Duration::from_secs(20);

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn node(name: &str, id: u64) -> Expect {
    Expect::Node { region: region(name), id }
}

async fn start(pki: &Pki) -> Server {
    Server::start(pki.peer_server("eu-west-1", 1), AcceptLimits::default()).await
}

async fn post(client: &PeerClient, url: &str, expect: &Expect, lane: u8, path: &str) -> Result<Response, ClientError> {
    within(client.post(url, expect, lane, path, Bytes::from_static(b"hello"), PATIENCE)).await
}

fn client(pki: &Pki) -> PeerClient {
    PeerClient::new(pki.peer_client("eu-west-1", 2)).unwrap()
}

#[tokio::test]
async fn one_connection_per_lane_and_the_peer_is_named() {
    let pki = Pki::new();
    let (server, client) = (start(&pki).await, client(&pki));
    let from = async |lane| post(&client, &server.url(), &node("eu-west-1", 1), lane, "/from").await.unwrap();
    let first = from(0).await;
    assert_eq!(first.peer, Identity::Node { region: region("eu-west-1"), id: 1 });
    assert_eq!(from(0).await.body, first.body);
    assert_ne!(from(1).await.body, first.body);
    let counted = post(&client, &server.url(), &Expect::AnyNode, 0, "/count").await.unwrap();
    assert_eq!((counted.status, &counted.body[..]), (StatusCode::OK, &b"5"[..]));
    assert_eq!(post(&client, &server.url(), &Expect::AnyNode, 0, "/none").await.unwrap().status, StatusCode::NOT_FOUND);
    server.stop().await;
}

#[tokio::test]
async fn concurrent_first_requests_share_one_connection() {
    let pki = Pki::new();
    let (server, client) = (start(&pki).await, client(&pki));
    let url = server.url();
    let answers = (0..20).map(|_| post(&client, &url, &Expect::AnyNode, 0, "/from"));
    let answers = futures::future::join_all(answers).await;
    let first = answers[0].as_ref().unwrap().body.clone();
    assert!(answers.into_iter().all(|answer| answer.unwrap().body == first));
    server.stop().await;
}

#[tokio::test]
async fn another_node_than_expected_gets_nothing() {
    let pki = Pki::new();
    let (server, client) = (start(&pki).await, client(&pki));
    for expect in [node("eu-west-1", 3), node("eu-west-2", 1), Expect::Region(region("eu-west-2"))] {
        let error = post(&client, &server.url(), &expect, 0, "/wait").await.unwrap_err();
        assert!(matches!(&error, ClientError::WrongPeer { found, .. } if found == "node 1 of eu-west-1"), "{error}");
        assert!(!error.was_sent());
    }
    // A connection that is good for one expectation is not taken for another.
    post(&client, &server.url(), &Expect::Region(region("eu-west-1")), 0, "/from").await.unwrap();
    assert!(matches!(post(&client, &server.url(), &node("eu-west-1", 9), 0, "/wait").await, Err(ClientError::WrongPeer { .. })));
    let entered = tokio::time::timeout(Duration::ZERO, server.entered.notified()).await;
    assert!(entered.is_err(), "the request reached the wrong node");
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_is_no_node_of_ours_gets_nothing() {
    let (pki, other) = (Pki::new(), Pki::new());
    let client = client(&pki);
    let refused = async |tls| {
        let server = Server::start(tls, AcceptLimits::default()).await;
        let error = post(&client, &server.url(), &Expect::AnyNode, 0, "/from").await.unwrap_err();
        assert!(matches!(&error, ClientError::NotSent { source, .. } if matches!(**source, ConnectError::Handshake(_))), "{error}");
        server.stop().await;
    };
    refused(other.peer_server("eu-west-1", 1)).await;
    refused(pki.api_server()).await;
    // Of the right CA, and an operator.
    let files = pki.issue("operator", By::Peer, &[&format!("uri:spiffe://{DOMAIN}/operator/ops"), "ip:127.0.0.1"]);
    refused(ServerTls::load(&files, &pki.path("peer-ca.pem"), &Pki::domain(), Admission::Api).unwrap()).await;
}

#[tokio::test]
async fn reconnects_after_the_server_restarts() {
    let pki = Pki::new();
    let (server, client) = (start(&pki).await, client(&pki));
    let (url, address) = (server.url(), server.address);
    post(&client, &url, &Expect::AnyNode, 0, "/from").await.unwrap();
    server.stop().await;
    let error = post(&client, &url, &Expect::AnyNode, 0, "/from").await.unwrap_err();
    assert!(matches!(error, ClientError::NotSent { .. } | ClientError::Unknown { .. }), "{error}");

    let server = Server::start_at(address, pki.peer_server("eu-west-1", 1), AcceptLimits::default()).await;
    within(async { while post(&client, &url, &Expect::AnyNode, 0, "/from").await.is_err() {} }).await;
    // Twice more, on the connection that is there now.
    let answer = post(&client, &url, &Expect::AnyNode, 0, "/from").await.unwrap();
    assert_eq!(post(&client, &url, &Expect::AnyNode, 0, "/from").await.unwrap().body, answer.body);
    server.stop().await;
}

#[tokio::test]
async fn errors_say_whether_the_request_was_sent() {
    let pki = Pki::new();
    let (server, client) = (start(&pki).await, client(&pki));
    let brief = Duration::from_millis(300);

    // Nobody listens.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = post(&client, &format!("https://{free}"), &Expect::AnyNode, 0, "/from").await.unwrap_err();
    assert!(matches!(&error, ClientError::NotSent { source, .. } if matches!(**source, ConnectError::Tcp(_))), "{error}");

    // Somebody listens and never shakes hands.
    let mute = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", mute.local_addr().unwrap());
    let error = client.post(&url, &Expect::AnyNode, 0, "/from", Bytes::new(), brief).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { sent: false, .. }), "{error}");
    assert!(!error.was_sent());

    // The handler never answers.
    let error = client.post(&server.url(), &Expect::AnyNode, 0, "/wait", Bytes::new(), PATIENCE.min(brief)).await.unwrap_err();
    assert!(matches!(error, ClientError::TimedOut { sent: true, .. }), "{error}");
    assert!(error.was_sent());

    // The server goes away in the middle.
    within(server.entered.notified()).await;
    let url = server.url();
    let call = tokio::spawn(async move { client.post(&url, &Expect::AnyNode, 1, "/wait", Bytes::new(), PATIENCE).await });
    within(server.entered.notified()).await;
    server.task.abort();
    let error = within(call).await.unwrap().unwrap_err();
    assert!(matches!(error, ClientError::Unknown { .. }), "{error}");
    assert!(error.was_sent());

    assert!(matches!(
        PeerClient::new(pki.peer_client("eu-west-1", 2)).unwrap().post("http://x", &Expect::AnyNode, 0, "/", Bytes::new(), brief).await,
        Err(ClientError::NotSent { .. })
    ));
}

#[tokio::test]
async fn an_oversized_answer_is_refused() {
    let pki = Pki::new();
    let (server, client) = (start(&pki).await, client(&pki));
    let error = post(&client, &server.url(), &Expect::AnyNode, 0, "/big").await.unwrap_err();
    assert!(matches!(error, ClientError::ResponseTooLarge { .. }), "{error}");
    // The connection survives it.
    post(&client, &server.url(), &Expect::AnyNode, 0, "/from").await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_streamed_body_arrives_whole_or_is_seen_to_be_cut() {
    let pki = Pki::new();
    let (server, client) = (start(&pki).await, client(&pki));
    let chunk = Bytes::from(vec![7; 1 << 20]);
    let chunks = futures::stream::iter((0..24).map({
        let chunk = chunk.clone();
        move |_| Ok(chunk.clone())
    }));
    let url = server.url();
    let sent = client.post_stream(&url, &Expect::AnyNode, 2, "/count", streaming_body(chunks), PATIENCE);
    assert_eq!(&within(sent).await.unwrap().body[..], (24_usize << 20).to_string().as_bytes());

    let broken = futures::stream::iter([Ok(chunk), Err(std::io::Error::other("disk"))]);
    match within(client.post_stream(&url, &Expect::AnyNode, 2, "/count", streaming_body(broken), PATIENCE)).await {
        Ok(answer) => assert_eq!(answer.status, StatusCode::BAD_REQUEST),
        Err(error) => assert!(matches!(error, ClientError::Unknown { .. }), "{error}"),
    }
    server.stop().await;
}
