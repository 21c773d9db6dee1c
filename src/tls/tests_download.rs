//! Answers that are made while they are sent: how long they may take, and when they are cut.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{Notify, watch};

use crate::testing::within;
use crate::{AcceptLimits, ApiClient, ApiClientError, bind_unix, serve_plain};

/// An idle timeout that a test wants to run out.
const IDLE: Duration = Duration::from_secs(1);
/// Pieces that come one after the other, each long before that, and together for longer than it and the grace after it.
const PIECES: u8 = 40;
const PAUSE: Duration = Duration::from_millis(100);

/// Tells when it is dropped.
struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

struct Served {
    dir: tempfile::TempDir,
    gone: Arc<Notify>,
    stop: watch::Sender<bool>,
}

impl Served {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gone = Arc::new(Notify::new());
        let (stop, stopped) = watch::channel(false);
        let told = Arc::clone(&gone);
        let endless = move || {
            let told = Told(Arc::clone(&told));
            let frames = stream::repeat_with(move || {
                let _ = &told;
                Ok::<_, io::Error>(Bytes::from(vec![7; 64 * 1024]))
            });
            async move { Body::from_stream(frames) }
        };
        let slow = async || {
            let frames = stream::iter(0..PIECES).then(async |number| {
                tokio::time::sleep(PAUSE).await;
                Ok::<_, io::Error>(Bytes::from(vec![number]))
            });
            Body::from_stream(Box::pin(frames))
        };
        let broken = async || Body::from_stream(stream::iter([Ok("begin"), Err(io::Error::other("a disk"))]));
        let router = Router::new().route("/endless", get(endless)).route("/slow", get(slow)).route("/broken", get(broken));
        let limits = AcceptLimits { header_read_timeout: IDLE, idle_timeout: IDLE, ..AcceptLimits::default() };
        let listener = bind_unix(&dir.path().join("socket")).unwrap();
        tokio::spawn(serve_plain(listener, "test", None, limits, router, stopped));
        Self { dir, gone, stop }
    }

    fn client(&self) -> ApiClient {
        ApiClient::unix(&self.dir.path().join("socket"))
    }
}

async fn collect(client: &ApiClient, path: &str) -> Result<Vec<u8>, ApiClientError> {
    let mut all = Vec::new();
    let take = |bytes: &[u8]| {
        all.extend_from_slice(bytes);
        Ok::<_, ApiClientError>(())
    };
    within(client.download(path, take)).await.map(|()| all)
}

#[tokio::test]
async fn an_answer_may_take_longer_than_a_connection_may_be_idle() {
    let served = Served::start();
    assert_eq!(collect(&served.client(), "/slow").await.unwrap(), (0..PIECES).collect::<Vec<u8>>());
    served.stop.send_replace(true);
}

#[tokio::test]
async fn an_answer_whose_client_does_not_read_is_cut() {
    let served = Served::start();
    let mut stream = UnixStream::connect(served.dir.path().join("socket")).await.unwrap();
    stream.write_all(b"GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    stream.read_exact(&mut [0; 100]).await.unwrap();
    within(served.gone.notified()).await;
    served.stop.send_replace(true);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error_and_a_taker_may_end_it() {
    let served = Served::start();
    assert!(matches!(collect(&served.client(), "/broken").await, Err(ApiClientError::Unknown { .. })));
    assert!(matches!(collect(&served.client(), "/nothing").await, Err(ApiClientError::Refused { .. })));
    let client = served.client();
    let full = client.download("/endless", |_: &[u8]| Err(Full));
    assert!(matches!(within(full).await, Err(Full)));
    within(served.gone.notified()).await;
    served.stop.send_replace(true);
}

#[derive(Debug)]
struct Full;

impl From<ApiClientError> for Full {
    fn from(_: ApiClientError) -> Self {
        Self
    }
}
