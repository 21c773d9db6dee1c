//! A certificate that expires while its holder's connection is busy: what began before is finished, nothing begins after.

use std::time::Duration;

use bytes::Bytes;
use claviger_types::{Clock, SystemClock, Timestamp};
use rcgen::CertificateParams;
use time::OffsetDateTime;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::testing::{
    By, DOMAIN, GOAWAY, HEADERS, Pki, REQUEST, STATUS_200, Server, closed, frame, get_http1, params, read_answer, read_frame, within,
};
use crate::{AcceptLimits, Admission, ClientError, ClientTls, ConnectError, Expect, PeerClient, ServerTls};

/// Long enough for a handshake and a request on a busy machine.
const LIFE: Duration = Duration::from_secs(4);
const WITHIN: Duration = Duration::from_secs(20);

/// A certificate that expires soon, and the first moment at which it is not good any more.
fn brief(sans: &[&str]) -> (CertificateParams, Timestamp) {
    let mut params = params(sans);
    params.not_after = OffsetDateTime::now_utc() + LIFE;
    let last_second = u64::try_from(params.not_after.unix_timestamp()).unwrap();
    (params, Timestamp::from_millis((last_second + 1) * 1000))
}

fn brief_user() -> (CertificateParams, Timestamp) {
    brief(&[&format!("uri:spiffe://{DOMAIN}/111122223333/user/brief")])
}

#[tokio::test]
async fn http1_finishes_what_began_and_takes_nothing_more() {
    let pki = Pki::new();
    let server = Server::start(pki.api_server(), AcceptLimits::default()).await;
    let (params, end) = brief_user();
    let files = pki.issue_with("brief", By::Api, &params);
    let mut waiting = pki.dial_api(&server, &files).await.unwrap();
    waiting.write_all(b"GET /wait HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    within(server.entered.notified()).await;

    let mut busy = pki.dial_api(&server, &files).await.unwrap();
    let mut served = 0;
    within(async {
        loop {
            let begun = SystemClock.now();
            let Ok(answer) = get_http1(&mut busy, "/").await else { break };
            if answer.starts_with("HTTP/1.1 200") {
                assert!(begun < end, "served after the certificate expired");
                served += 1;
            }
        }
    })
    .await;
    assert!(served > 0 && SystemClock.now() >= end, "ended early, after {served} requests");

    server.gate.notify_one();
    let answer = within(read_answer(&mut waiting)).await.unwrap();
    assert!(answer.ends_with("waited"), "{answer}");
    // Whether the answer announces it depends on which of the two connections' timers came first.
    closed(&mut waiting).await;
    assert!(pki.dial_api(&server, &files).await.unwrap().read(&mut [0]).await.is_err(), "the handshake admits it no longer");
    server.stop().await;
}

/// A client that answers no ping and sends on whatever it is told, so that the server cannot finish its goodbye.
#[tokio::test]
async fn http2_is_told_to_go_and_a_client_that_does_not_is_not_served() {
    let pki = Pki::new();
    let limits = AcceptLimits { drain_timeout: Duration::from_secs(2), ..AcceptLimits::default() };
    let server = Server::start(pki.api_server(), limits).await;
    let (params, end) = brief_user();
    let mut stream = pki.dial_http2(&server, &pki.issue_with("brief", By::Api, &params)).await;

    let (mut served, mut refused, mut told) = (0, 0, false);
    let outcome: std::io::Result<()> = within(async {
        for id in (1..).step_by(2) {
            let begun = SystemClock.now();
            stream.write_all(&frame(HEADERS, id, REQUEST)).await?;
            loop {
                match read_frame(&mut stream).await? {
                    (GOAWAY, _) => told = true,
                    (HEADERS, headers) if headers[0] == STATUS_200 => {
                        assert!(begun < end, "served after the certificate expired");
                        served += 1;
                        break;
                    }
                    (HEADERS, _) => {
                        refused += 1;
                        break;
                    }
                    _ => {}
                }
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    })
    .await;
    assert!(outcome.is_err() && served > 0 && refused > 0 && told, "served {served}, refused {refused}, told to go: {told}");
    server.stop().await;
}

#[tokio::test]
async fn the_peer_client_sends_nothing_to_a_node_whose_certificate_has_expired() {
    let pki = Pki::new();
    let (params, end) = brief(&[&format!("uri:spiffe://{DOMAIN}/region/eu-west-1/node/1")]);
    let files = pki.issue_with("brief", By::Peer, &params);
    let tls = ServerTls::load(&files, &pki.path("peer-ca.pem"), &Pki::domain(), Admission::Peer).unwrap();
    let server = Server::start(tls, AcceptLimits::default()).await;
    let client = PeerClient::new(pki.peer_client("eu-west-1", 2)).unwrap();
    let url = server.url();
    let post = |path| client.post(&url, &Expect::AnyNode, 0, path, Bytes::new(), WITHIN);

    // Goes on to its end, on the connection that is not used for anything else by then.
    let begun_in_time = async {
        let answer = post("/wait").await.unwrap();
        assert_eq!(&answer.body[..], b"waited");
    };
    let busy = async {
        server.entered.notified().await;
        loop {
            let begun = SystemClock.now();
            match post("/from").await {
                Ok(_) => assert!(begun < end, "sent after the certificate expired"),
                Err(ClientError::NotSent { source, .. }) if matches!(*source, ConnectError::Handshake(_)) => break,
                Err(error) => panic!("{error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(SystemClock.now() >= end);
        server.gate.notify_one();
    };
    within(async { tokio::join!(begun_in_time, busy) }).await;
    server.stop().await;
}

#[tokio::test]
async fn a_node_whose_certificate_has_expired_is_not_served_on_its_old_connection() {
    let pki = Pki::new();
    let server = Server::start(pki.peer_server("eu-west-1", 1), AcceptLimits::default()).await;
    let (params, end) = brief(&[&format!("uri:spiffe://{DOMAIN}/region/eu-west-1/node/2")]);
    let files = pki.issue_with("brief", By::Peer, &params);
    let client = PeerClient::new(ClientTls::peer(&files, &pki.path("peer-ca.pem"), &Pki::domain()).unwrap()).unwrap();
    let mut served = 0;
    within(async {
        loop {
            let begun = SystemClock.now();
            match client.post(&server.url(), &Expect::AnyNode, 0, "/from", Bytes::new(), WITHIN).await {
                Ok(answer) if answer.status.is_success() => {
                    assert!(begun < end, "served after the certificate expired");
                    served += 1;
                }
                Ok(_) => {}
                Err(_) => break,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(served > 0 && SystemClock.now() >= end, "ended early, after {served} requests");
    server.stop().await;
}
