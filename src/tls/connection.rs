//! One connection from its first byte of HTTP to its end: serve, watch for idleness, expiry and revocation, drain, cut.
//!
//! hyper's own header timeout is not used: it takes an idle keep-alive connection for a slow one, and HTTP/2 has none.
//! Instead one watchdog per connection asks whether requests begin: the first within the header timeout, each further one
//! within the idle timeout of the last answer. Whatever a client dribbles without completing a request, it is cut.
//!
//! A certificate is good for requests that begin before it expires. Then the connection drains as at shutdown; a request
//! that comes all the same, as an HTTP/2 client may send it past our GOAWAY, is answered 421 without being looked at.
//! A certificate that is revoked, or whose CA is not trusted any more, ends its connection in the same way, with less time
//! for what is in flight; further requests are answered 403.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use http::StatusCode;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;
use tower::Service;

use crate::accept::AcceptLimits;
use crate::identity::{Certificate, Peer};
use crate::live::LiveConnection;
use crate::paced_body::PacedBody;
use crate::watched_body::watched;

/// Receive window of one HTTP/2 stream: the largest API body in one flight.
const STREAM_WINDOW_BYTES: u32 = 1024 * 1024;
/// Receive window of one HTTP/2 connection: bounds what all its streams together can make a node hold unread.
const CONNECTION_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// Read buffer of one HTTP/1.1 connection; hyper's minimum is 8 KiB.
const HTTP1_BUFFER_BYTES: usize = 64 * 1024;
/// How long a connection that is idle, or whose certificate is revoked, may take to end by itself once it was told to.
const CLOSE_GRACE: Duration = Duration::from_secs(2);

/// The protocol of a connection, decided by ALPN and never by guessing from its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// Serves a connection until it ends, is cut, or has drained after `shutdown`.
pub(crate) async fn drive<S>(
    stream: S,
    protocol: Protocol,
    peer: Option<Peer>,
    live: Option<LiveConnection>,
    limits: AcceptLimits,
    router: Router,
    shutdown: watch::Receiver<bool>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let standing = Arc::new(Standing { certificate: peer.as_ref().and_then(|peer| peer.certificate), live });
    let activity = Arc::new(Activity::new());
    let service = service_fn({
        let (activity, standing) = (Arc::clone(&activity), Arc::clone(&standing));
        move |request: Request<Incoming>| {
            let in_flight = InFlight::begin(Arc::clone(&activity));
            let mut request = request.map(|body| PacedBody::new(body, limits.body_patience));
            if let Some(peer) = &peer {
                request.extensions_mut().insert(peer.clone());
            }
            let answer = standing.check().map(|()| router.clone().call(request));
            async move {
                let answer: Result<_, Infallible> = match answer {
                    Ok(answer) => answer.await.map(|answer| answer.map(|body| watched(body, &in_flight.0))),
                    Err(refusal) => Ok(refusal.into_response()),
                };
                drop(in_flight);
                answer
            }
        }
    });
    let io = TokioIo::new(stream);
    match protocol {
        Protocol::Http1 => {
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(None).max_buf_size(HTTP1_BUFFER_BYTES);
            builder.max_header_size(limits.header_bytes_max as usize);
            watch_over(builder.serve_connection(io, service), &activity, &standing, &limits, shutdown).await;
        }
        Protocol::Http2 => {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            builder
                .timer(TokioTimer::new())
                .max_concurrent_streams(limits.streams_max)
                .max_header_list_size(limits.header_bytes_max)
                .initial_stream_window_size(STREAM_WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .keep_alive_interval(limits.ping_interval)
                .keep_alive_timeout(limits.ping_timeout);
            watch_over(builder.serve_connection(io, service), &activity, &standing, &limits, shutdown).await;
        }
    }
}

/// Whether requests may begin on a connection. There is nothing to expire or revoke where there is no certificate.
struct Standing {
    certificate: Option<Certificate>,
    live: Option<LiveConnection>,
}

impl Standing {
    /// Refuses a request by a certificate that is not good any more.
    fn check(&self) -> Result<(), StatusCode> {
        if self.live.as_ref().is_some_and(|live| live.flag().is_set()) {
            return Err(StatusCode::FORBIDDEN);
        }
        if self.certificate.is_some_and(|certificate| certificate.time_left().is_none()) {
            return Err(StatusCode::MISDIRECTED_REQUEST);
        }
        Ok(())
    }

    async fn expired(&self) {
        match self.certificate {
            Some(certificate) => certificate.expired().await,
            None => std::future::pending().await,
        }
    }

    async fn revoked(&self) {
        match &self.live {
            Some(live) => live.ended().await,
            None => std::future::pending().await,
        }
    }
}

async fn watch_over<C: GracefulConnection>(
    connection: C,
    activity: &Activity,
    standing: &Standing,
    limits: &AcceptLimits,
    mut shutdown: watch::Receiver<bool>,
) where
    C::Error: std::fmt::Debug,
{
    let mut connection: Pin<&mut C> = pin!(connection);
    let cut_at = loop {
        tokio::select! {
            // An end is an end, whether the client hung up, broke the protocol or was told to go.
            _ = connection.as_mut() => return,
            () = stopped(&mut shutdown) => break Instant::now() + limits.drain_timeout,
            () = standing.expired() => break Instant::now() + limits.drain_timeout,
            () = standing.revoked() => break Instant::now() + CLOSE_GRACE,
            () = tokio::time::sleep_until(activity.deadline(limits)) => match activity.state(limits) {
                State::Alive => {}
                State::NeverBegan => return,
                State::Idle => break Instant::now() + CLOSE_GRACE,
            }
        }
    };
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout_at(cut_at, connection).await;
}

/// Waits for the shutdown. A sender that is gone is a shutdown too.
pub(crate) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// What the watchdog knows of a connection. Written once per request, read once per timeout.
pub(crate) struct Activity {
    started: Instant,
    in_flight: AtomicUsize,
    begun: AtomicU64,
    /// Milliseconds after `started` at which the last answer was ready, or the last frame of a long one was sent.
    last_answer_ms: AtomicU64,
}

enum State {
    Alive,
    NeverBegan,
    Idle,
}

impl Activity {
    fn new() -> Self {
        Self { started: Instant::now(), in_flight: AtomicUsize::new(0), begun: AtomicU64::new(0), last_answer_ms: AtomicU64::new(0) }
    }

    /// Something was sent.
    pub(crate) fn touch(&self) {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_answer_ms.store(now_ms, Ordering::Release);
    }

    /// When to look next. While a request is being worked on, that is one idle timeout from now.
    fn deadline(&self, limits: &AcceptLimits) -> Instant {
        if self.begun.load(Ordering::Acquire) == 0 {
            return self.started + limits.header_read_timeout;
        }
        if self.in_flight.load(Ordering::Acquire) > 0 {
            return Instant::now() + limits.idle_timeout;
        }
        self.started + Duration::from_millis(self.last_answer_ms.load(Ordering::Acquire)) + limits.idle_timeout
    }

    fn state(&self, limits: &AcceptLimits) -> State {
        if Instant::now() < self.deadline(limits) {
            State::Alive
        } else if self.begun.load(Ordering::Acquire) == 0 {
            State::NeverBegan
        } else {
            State::Idle
        }
    }
}

struct InFlight(Arc<Activity>);

impl InFlight {
    fn begin(activity: Arc<Activity>) -> Self {
        activity.in_flight.fetch_add(1, Ordering::AcqRel);
        activity.begun.fetch_add(1, Ordering::AcqRel);
        Self(activity)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.touch();
        self.0.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}
