//! What a listener does about clients that are slow, idle or too many, and at shutdown.

use std::sync::Arc;
use std::time::Duration;

use claviger_types::Identity;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, watch};

use crate::provider::{ALPN_H2, VERSIONS};
use crate::testing::{Pki, Server, closed, dial, get_http1, raw_client, read_answer, router, within};
use crate::{AcceptLimits, ApiClient, ApiClientError, bind_unix, serve_plain};

/// A moment, for limits that a test wants to run out. Everything else keeps its default, which no test waits for.
const MOMENT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_slow_handshake_is_cut() {
    let pki = Pki::new();
    let limits = AcceptLimits { handshake_timeout: MOMENT, ..AcceptLimits::default() };
    let server = Server::start(pki.api_server(), limits).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    closed(&mut silent).await;
    // The beginning of a ClientHello, and nothing after it.
    let mut dribbling = TcpStream::connect(server.address).await.unwrap();
    dribbling.write_all(&[0x16, 0x03, 0x01, 0x02]).await.unwrap();
    closed(&mut dribbling).await;
    server.stop().await;
}

#[tokio::test]
async fn slow_headers_are_cut_however_they_dribble() {
    let pki = Pki::new();
    let limits = AcceptLimits { header_read_timeout: MOMENT, ..AcceptLimits::default() };
    let server = Server::start(pki.api_server(), limits).await;
    let alice = pki.user("alice");

    let stream = pki.dial_api(&server, &alice).await.unwrap();
    let (mut read, mut write) = tokio::io::split(stream);
    let dribble = tokio::spawn(async move {
        let _ = write.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ").await;
        while write.write_all(b"x").await.is_ok() && write.flush().await.is_ok() {
            tokio::time::sleep(MOMENT / 20).await;
        }
    });
    closed(&mut read).await;
    dribble.abort();

    // HTTP/2: silent after the handshake, and silent after the preface.
    for preface in [&b""[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"] {
        let mut config = raw_client(&pki.path("api-ca.pem"), Some(&alice), VERSIONS);
        config.alpn_protocols = vec![ALPN_H2.to_vec()];
        let mut stream = dial(&server, config).await.unwrap();
        stream.write_all(preface).await.unwrap();
        closed(&mut stream).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn an_idle_connection_outlives_the_header_timeout_and_not_the_idle_timeout() {
    let pki = Pki::new();
    let limits = AcceptLimits { header_read_timeout: MOMENT, idle_timeout: MOMENT * 10, ..AcceptLimits::default() };
    let server = Server::start(pki.api_server(), limits).await;
    let mut stream = pki.dial_api(&server, &pki.user("alice")).await.unwrap();
    within(get_http1(&mut stream, "/")).await.unwrap();
    // That something does not happen cannot be waited for but by time.
    tokio::time::sleep(MOMENT * 2).await;
    within(get_http1(&mut stream, "/")).await.unwrap();
    closed(&mut stream).await;
    server.stop().await;
}

#[tokio::test]
async fn a_slow_body_is_cut_and_a_long_wait_of_ours_is_not() {
    let pki = Pki::new();
    let limits = AcceptLimits { body_patience: MOMENT, idle_timeout: MOMENT, header_read_timeout: MOMENT, ..AcceptLimits::default() };
    let server = Server::start(pki.peer_server("eu-west-1", 1), limits).await;
    let config = raw_client(&pki.path("peer-ca.pem"), Some(&pki.node("eu-west-1", 2)), VERSIONS);

    let mut slow = dial(&server, config.clone()).await.unwrap();
    slow.write_all(b"POST /count HTTP/1.1\r\nhost: h\r\ncontent-length: 100\r\n\r\nx").await.unwrap();
    let answer = within(read_answer(&mut slow)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");

    // A request that the server itself takes long over is not idle.
    let mut waiting = dial(&server, config).await.unwrap();
    waiting.write_all(b"GET /wait HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    within(server.entered.notified()).await;
    tokio::time::sleep(MOMENT * 3).await;
    server.gate.notify_one();
    assert!(within(read_answer(&mut waiting)).await.unwrap().ends_with("waited"));
    within(get_http1(&mut waiting, "/")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn no_more_connections_than_allowed() {
    let pki = Pki::new();
    let limits = AcceptLimits { connections_max: 1, ..AcceptLimits::default() };
    let server = Server::start(pki.api_server(), limits).await;
    let alice = pki.user("alice");
    let mut first = pki.dial_api(&server, &alice).await.unwrap();
    within(get_http1(&mut first, "/")).await.unwrap();

    assert!(within(pki.dial_api(&server, &alice)).await.is_err(), "closed at once");
    within(get_http1(&mut first, "/")).await.unwrap();

    drop(first);
    within(async {
        loop {
            if let Ok(mut stream) = pki.dial_api(&server, &alice).await
                && get_http1(&mut stream, "/").await.is_ok()
            {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn shutdown_finishes_requests_in_flight() {
    let pki = Pki::new();
    let server = Server::start(pki.api_server(), AcceptLimits::default()).await;
    let alice = pki.user("alice");
    let mut idle = pki.dial_api(&server, &alice).await.unwrap();
    within(get_http1(&mut idle, "/")).await.unwrap();
    let mut busy = pki.dial_api(&server, &alice).await.unwrap();
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    within(server.entered.notified()).await;
    // Half-open: it must not hold up the end.
    let _handshaking = TcpStream::connect(server.address).await.unwrap();

    server.shutdown.send_replace(true);
    closed(&mut idle).await;
    within(async { while TcpStream::connect(server.address).await.is_ok() {} }).await;
    // Nothing is to happen to the busy one, however long its handler takes.
    tokio::time::sleep(MOMENT).await;
    assert!(!server.task.is_finished());
    server.gate.notify_one();
    assert!(within(read_answer(&mut busy)).await.unwrap().ends_with("waited"));
    within(server.task).await.unwrap();
}

#[tokio::test]
async fn shutdown_does_not_wait_for_ever() {
    let pki = Pki::new();
    let limits = AcceptLimits { drain_timeout: MOMENT, ..AcceptLimits::default() };
    let server = Server::start(pki.api_server(), limits).await;
    let mut busy = pki.dial_api(&server, &pki.user("alice")).await.unwrap();
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    within(server.entered.notified()).await;
    within(server.stop()).await;
    closed(&mut busy).await;
}

#[tokio::test]
async fn the_unix_socket_knows_its_callers_by_the_flag() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("admin.sock");
    let (shutdown, stop) = watch::channel(false);
    let local = Identity::Operator { name: "local".to_owned() };
    let router = router(&Arc::new(Notify::new()), &Arc::new(Notify::new())).route("/json", axum::routing::get(|| async { "[1]" }));
    let limits = AcceptLimits::default();
    let task = tokio::spawn(serve_plain(bind_unix(&path).unwrap(), "admin", Some(local), limits, router, stop));

    let mut stream = UnixStream::connect(&path).await.unwrap();
    assert!(within(get_http1(&mut stream, "/")).await.unwrap().contains("Operator { name: \"local\" }"));
    let client = ApiClient::unix(&path);
    assert_eq!(within(client.get::<Vec<u8>>("/json")).await.unwrap(), [1]);
    assert!(matches!(within(client.get::<Vec<u8>>("/none")).await, Err(ApiClientError::Refused { .. })));
    assert!(matches!(within(client.get::<u8>("/json")).await, Err(ApiClientError::Answer { .. })));

    drop(shutdown);
    within(task).await.unwrap();
    assert!(matches!(within(client.get::<u8>("/json")).await, Err(ApiClientError::Connect { .. })));
}

#[tokio::test]
async fn the_api_client_knows_its_server_by_name_and_sends_its_headers() {
    let pki = Pki::new();
    let server = Server::start(pki.api_server(), AcceptLimits::default()).await;
    let tls = pki.api_client(&pki.user("alice"));
    let client = ApiClient::https(&server.url(), tls.clone()).unwrap();
    let answer = within(client.post_with_headers("/header", &[("x-test", "here")], bytes::Bytes::new())).await.unwrap();
    assert_eq!(&answer.body[..], b"here");
    let malformed = within(client.post_with_headers("/header", &[("x test", "here")], bytes::Bytes::new())).await;
    assert!(matches!(malformed, Err(ApiClientError::Request { .. })));

    // 127.0.0.2 is the same machine and not in the certificate.
    let elsewhere = ApiClient::https(&format!("https://127.0.0.2:{}", server.address.port()), tls).unwrap();
    let refused = within(elsewhere.post_with_headers("/header", &[("x-test", "here")], bytes::Bytes::new())).await;
    assert!(matches!(refused, Err(ApiClientError::Connect { .. })));
    server.stop().await;
}
