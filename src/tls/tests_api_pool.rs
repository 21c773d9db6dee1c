//! The pool against a real listener: reuse, bounds, and connections that die.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::{HeaderMap, StatusCode};
use metrics::Gauge;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::testing::{Pki, Server, within};
use crate::{AcceptLimits, ApiAnswer, ApiClientError, ApiPool, ApiPoolLimits, Bodies};

const LIMITS: ApiPoolLimits = ApiPoolLimits {
    connections_max: 4,
    connect_timeout: Duration::from_secs(10),
    idle_timeout: Duration::from_secs(60),
    age_max: Duration::from_secs(600),
};

fn answers() -> Bodies {
    Bodies::new(64 * 1024, 1024 * 1024, Duration::from_secs(10))
}

fn pool(pki: &Pki, url: &str, limits: ApiPoolLimits) -> ApiPool {
    ApiPool::new(url, pki.api_client(&pki.user("alice")), limits, Gauge::noop()).unwrap()
}

async fn post_by(pool: &ApiPool, path: &'static str, patience: Duration) -> Result<ApiAnswer, ApiClientError> {
    pool.post(path, &HeaderMap::new(), &Bytes::from_static(b"body"), &answers(), Instant::now() + patience).await
}

async fn post(pool: &ApiPool, path: &'static str) -> String {
    let answer = within(post_by(pool, path, Duration::from_secs(20))).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test]
async fn requests_in_a_row_share_a_connection_until_it_is_old() {
    let pki = Pki::new();
    let server = Server::start(pki.api_server(), AcceptLimits::default()).await;
    let pool = pool(&pki, &server.url(), LIMITS);
    let from = post(&pool, "/from").await;
    for _ in 0..5 {
        assert_eq!(post(&pool, "/from").await, from);
    }
    for limits in [ApiPoolLimits { idle_timeout: Duration::ZERO, ..LIMITS }, ApiPoolLimits { age_max: Duration::ZERO, ..LIMITS }] {
        let pool = self::pool(&pki, &server.url(), limits);
        assert_ne!(post(&pool, "/from").await, post(&pool, "/from").await);
    }
    server.stop().await;
}

#[tokio::test]
async fn there_are_never_more_connections_than_allowed() {
    let pki = Pki::new();
    let server = Server::start(pki.api_server(), AcceptLimits::default()).await;
    let pool = pool(&pki, &server.url(), LIMITS);
    let sources: BTreeSet<String> = join_all((0..64).map(|_| post(&pool, "/from"))).await.into_iter().collect();
    assert!(sources.len() <= LIMITS.connections_max, "{sources:?}");
    assert_eq!(post(&pool, "/count").await, "4", "the body arrives");
    server.stop().await;
}

#[tokio::test]
async fn connections_that_died_while_idle_are_not_noticed() {
    let pki = Pki::new();
    let server = Server::start(pki.api_server(), AcceptLimits::default()).await;
    let address: SocketAddr = server.address;
    let pool = pool(&pki, &server.url(), LIMITS);
    join_all((0..4).map(|_| post(&pool, "/from"))).await;
    server.stop().await;
    let refused = within(post_by(&pool, "/from", Duration::from_secs(20))).await.err().unwrap();
    assert!(matches!(refused, ApiClientError::Connect { .. }), "{refused}");
    let server = Server::start_at(address, pki.api_server(), AcceptLimits::default()).await;
    post(&pool, "/from").await;
    server.stop().await;
}

#[tokio::test]
async fn a_late_answer_is_not_taken_for_the_next_one() {
    let pki = Pki::new();
    let server = Server::start(pki.api_server(), AcceptLimits::default()).await;
    let pool = pool(&pki, &server.url(), LIMITS);
    let from = post(&pool, "/from").await;
    let late = post_by(&pool, "/wait", Duration::from_millis(50)).await.err().unwrap();
    assert!(matches!(late, ApiClientError::TimedOut { .. }), "{late}");
    server.gate.notify_one();
    assert_ne!(post(&pool, "/from").await, from, "the connection that owes an answer is gone");
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_never_speaks_tls_is_given_up() {
    let pki = Pki::new();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", silent.local_addr().unwrap());
    let pool = pool(&pki, &url, ApiPoolLimits { connect_timeout: Duration::from_millis(50), ..LIMITS });
    let error = within(post_by(&pool, "/", Duration::from_secs(20))).await.err().unwrap();
    assert!(matches!(error, ApiClientError::Connect { .. }), "{error}");
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_cut() {
    let pki = Pki::new();
    let server = Server::start(pki.api_server(), AcceptLimits::default()).await;
    let pool = Arc::new(pool(&pki, &server.url(), LIMITS));
    let error = within(post_by(&pool, "/big", Duration::from_secs(20))).await.err().unwrap();
    assert!(matches!(error, ApiClientError::Unknown { .. }), "{error}");
    assert!(matches!(
        ApiPool::new("http://h:1", pki.api_client(&pki.user("bob")), LIMITS, Gauge::noop()),
        Err(ApiClientError::Connect { .. })
    ));
    server.stop().await;
}
