//! Measurements of servers whose behaviour is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use tokio::sync::watch;

use crate::Load;
use crate::client::Patience;
use crate::cpu::CpuSource;
use crate::load::{Measured, Settings, Stop, measure};
use crate::record::{Tally, quantile_ms};
use crate::testing::{Pki, Server};
use crate::workload::{Ingredients, Key, Workload};

const SETTINGS: Settings = Settings {
    connections: 4,
    rate_per_s: None,
    warm_up: Duration::ZERO,
    duration: Duration::from_millis(500),
    patience: Patience { retries: 0, timeout: Duration::from_secs(20) },
    threads: 2,
    check_answers: true,
    drain: Duration::from_millis(700),
};

async fn measured(pki: &Pki, urls: &[String], load: &Load, settings: Settings, stop: &Arc<Stop>) -> Measured {
    let keys = (0..3).map(|n| Key { id: format!("key-{n}"), ciphertext: "YmxvYg==".to_owned() }).collect();
    let ingredients = Ingredients { keys, plaintext: b"abc".to_vec() };
    let workload = Arc::new(Workload::new(load, &ingredients, "test"));
    let cpu = [CpuSource::Process(std::process::id())];
    measure(&workload, &pki.endpoints(urls), &cpu, settings, stop, &|_| ()).await.unwrap()
}

fn load(text: &str) -> Load {
    Load::mix(text).unwrap()
}

fn ok() -> Response {
    r#"{"Plaintext":"YWJj","CiphertextBlob":"AA==","KeyMetadata":{}}"#.into_response()
}

fn total(measured: &Measured) -> Tally {
    let mut sum = Tally::new();
    measured.tallies.iter().for_each(|tally| sum.add(tally));
    sum
}

/// A server that says nothing for a while in the middle: with one connection a closed loop loses one request in that
/// time, while an open loop has all those wait that should have been made.
#[tokio::test]
async fn a_stalled_server_is_not_left_out_of_the_latencies() {
    const STALL: Duration = Duration::from_millis(600);
    const RATE: f64 = 200.0;
    let pki = Pki::new();
    let stalled_until = Arc::new(std::sync::Mutex::new(None::<Instant>));
    let router = Router::new().route(
        "/",
        post(move || async move {
            let until = *stalled_until.lock().unwrap().get_or_insert(Instant::now() + Duration::from_millis(300) + STALL);
            // Quick for 300 ms, silent for the stall, then quick again.
            let now = Instant::now();
            if now + STALL > until && now < until {
                tokio::time::sleep_until(until.into()).await;
            }
            ok()
        }),
    );
    let server = Server::start(&pki, router).await;
    let urls = [server.url.clone()];
    let settings = Settings { connections: 1, threads: 1, rate_per_s: Some(RATE), duration: Duration::from_millis(1500), ..SETTINGS };
    let measured = measured(&pki, &urls, &load("encrypt=1"), settings, &Arc::default()).await;
    let tally = total(&measured);
    assert_eq!(tally.requests, 300, "every request that was meant to be made was made");
    assert!(tally.errors.is_empty(), "{:?}", tally.errors);
    // Those meant for the stall's first half waited at least its second half: 60 of 300, whatever else was slow.
    let waited = tally.latencies.len() - tally.latencies.count_between(0, 300_000_000);
    assert!(waited >= 55, "{waited} waited 300 ms or longer");
    let p99 = quantile_ms(&tally.latencies, 0.99);
    assert!(p99 > 500.0, "p99 is {p99} ms");
    server.stop().await;
}

/// Requests that found no connection free until long after the end are failures, and as late as they were.
#[tokio::test]
async fn what_was_never_sent_counts() {
    let pki = Pki::new();
    let never = Router::new().route("/", post(|| async { std::future::pending::<Response>().await }));
    let server = Server::start(&pki, never).await;
    let urls = [server.url.clone()];
    let patience = Patience { retries: 0, timeout: Duration::from_millis(1500) };
    let duration = Duration::from_millis(500);
    let settings = Settings { connections: 2, rate_per_s: Some(100.0), duration, patience, ..SETTINGS };
    let measured = measured(&pki, &urls, &load("encrypt=1"), settings, &Arc::default()).await;
    let tally = total(&measured);
    assert_eq!((tally.requests, tally.unsent), (2, 48));
    assert_eq!(tally.errors, [("NotSent".to_owned(), 48), ("Timeout".to_owned(), 2)].into());
    assert!(quantile_ms(&tally.latencies, 0.0) > 990.0);
    server.stop().await;
}

#[tokio::test]
async fn a_mix_keeps_its_shares_and_counts_what_the_server_counts() {
    let pki = Pki::new();
    let served: Arc<[AtomicU64; 2]> = Arc::default();
    let counts = Arc::clone(&served);
    let router = Router::new().route(
        "/",
        post(move |headers: HeaderMap| async move {
            let index = usize::from(headers["x-amz-target"] == "TrentService.Decrypt");
            counts[index].fetch_add(1, Ordering::Relaxed);
            ok()
        }),
    );
    let server = Server::start(&pki, router).await;
    let settings = Settings { warm_up: Duration::from_millis(100), ..SETTINGS };
    let measured = measured(&pki, std::slice::from_ref(&server.url), &load("encrypt=3,decrypt=1"), settings, &Arc::default()).await;
    let [encrypts, decrypts] = [0, 1].map(|index| served[index].load(Ordering::Relaxed));
    let tally = total(&measured);
    assert!(tally.errors.is_empty(), "{:?}", tally.errors);
    assert_eq!(tally.requests + measured.warm_up_requests, encrypts + decrypts);
    assert!(measured.warm_up_requests > 0 && tally.requests > 40, "{}", tally.requests);
    // Each connection may be within a cycle when it ends.
    assert!(encrypts.abs_diff(3 * decrypts) <= 3 * 4, "{encrypts} and {decrypts}");
    assert!(tally.in_time <= tally.requests && tally.requests - tally.in_time <= 4);
    assert!((measured.seconds - 0.5).abs() < 0.01);
    assert!(measured.server_cpu_s.is_some() && measured.client_cpu_s.is_some());
    server.stop().await;
}

/// One node refuses, one hangs up; the third answers. With retries nothing is lost, without them all is told by code.
#[tokio::test]
async fn retries_go_on_to_the_next_node() {
    let pki = Pki::new();
    let busy = r#"{"__type":"ThrottlingException"}"#;
    let throttles = Server::start(&pki, Router::new().route("/", post(move || async move { (StatusCode::BAD_REQUEST, busy) }))).await;
    let good = Server::start(&pki, Router::new().route("/", post(|| async { ok() }))).await;
    let gone = Server::start(&pki, Router::new()).await;
    let urls = [throttles.url.clone(), gone.url.clone(), good.url.clone()];
    gone.stop().await;
    let patience = Patience { retries: 4, ..SETTINGS.patience };
    let settings = Settings { connections: 3, patience, ..SETTINGS };
    let tally = total(&measured(&pki, &urls, &load("encrypt=1"), settings, &Arc::default()).await);
    assert!(tally.errors.is_empty(), "{:?}", tally.errors);
    assert!(tally.mended >= 2 && tally.failed_attempts.contains_key("ThrottlingException"), "{:?}", tally.failed_attempts);
    assert!(tally.failed_attempts.contains_key("NotConnected"), "{:?}", tally.failed_attempts);

    let settings = Settings { connections: 3, ..SETTINGS };
    let tally = total(&measured(&pki, &urls, &load("encrypt=1"), settings, &Arc::default()).await);
    assert!(tally.errors["ThrottlingException"] > 0 && tally.errors["NotConnected"] > 0 && tally.in_time > 0, "{:?}", tally.errors);
    assert_eq!(tally.errors, tally.failed_attempts);
    throttles.stop().await;
    good.stop().await;
}

#[tokio::test]
async fn a_wrong_plaintext_is_an_error() {
    let pki = Pki::new();
    let wrong = || async { r#"{"Plaintext":"YWJk"}"# };
    let server = Server::start(&pki, Router::new().route("/", post(wrong))).await;
    let urls = [server.url.clone()];
    let tally = total(&measured(&pki, &urls, &load("decrypt=1"), SETTINGS, &Arc::default()).await);
    assert!(tally.errors["WrongAnswer"] >= 4, "the first answer of each connection is checked: {:?}", tally.errors);
    server.stop().await;
}

#[tokio::test]
async fn stopping_keeps_what_was_measured() {
    let pki = Pki::new();
    let served = Arc::<AtomicU64>::default();
    let count = Arc::clone(&served);
    let answer = move || async move {
        count.fetch_add(1, Ordering::Relaxed);
        ok()
    };
    let server = Server::start(&pki, Router::new().route("/", post(answer))).await;
    for rate_per_s in [None, Some(50.0)] {
        let stop = Arc::<Stop>::default();
        let enough = served.load(Ordering::Relaxed) + 5;
        let stopper = tokio::spawn({
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            async move {
                while served.load(Ordering::Relaxed) < enough {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                stop.set();
            }
        });
        let settings = Settings { duration: Duration::from_secs(3600), rate_per_s, ..SETTINGS };
        let measured = measured(&pki, std::slice::from_ref(&server.url), &load("encrypt=1"), settings, &stop).await;
        stopper.await.unwrap();
        assert!(total(&measured).requests >= 4 && measured.seconds < 60.0, "{} s", measured.seconds);
    }
    server.stop().await;
}

#[tokio::test]
async fn the_empty_handler_answers_as_many_bytes_as_it_was_told() {
    let pki = Pki::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let (stop, stopped) = watch::channel(false);
    let answers = vec![("TrentService.Encrypt".to_owned(), 345)];
    let task = tokio::spawn(crate::serve_empty(listener, pki.server(), claviger_tls::AcceptLimits::default(), answers, stopped));
    let mut client = crate::client::Client::new(pki.endpoints(&[url]), SETTINGS.patience, 0);
    let (mut scratch, mut invocations) = (Vec::new(), crate::workload::Invocations::new());
    for (operation, bytes) in [(claviger_shapes::Operation::Encrypt, 345), (claviger_shapes::Operation::Decrypt, 0)] {
        let request = crate::workload::Request::new(operation, &serde_json::json!({}), "test");
        let called = client.call(request.bytes(&mut scratch, &mut invocations)).await;
        assert!(called.ok, "{called:?}");
        assert_eq!(client.body().len(), bytes);
    }
    drop(client);
    stop.send_replace(true);
    task.await.unwrap();
}
