//! A client as an SDK behind the agent is one: one request at a time, a bounded number of retries, the next node when one
//! does not answer.
//!
//! A retry is the same bytes, invocation id included, so a write happens once whatever the first attempt came to.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use claviger_shapes::ErrorCode;
use claviger_tls::{ApiStream, ClientTls};
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};

use crate::connection::{Broken, Connection};

/// How long a client that went to another node stays there before it tries its own again.
const AWAY: Duration = Duration::from_secs(2);
/// The longest pause before a retry, as botocore has it.
const PAUSE_MAX: Duration = Duration::from_secs(20);
/// Bytes of an answer that is refused; what is longer is not looked at.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// How much a client puts up with: the *standard* retry mode of AWS's SDKs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Attempts after the first.
    pub retries: u32,
    /// How long one attempt may take.
    pub timeout: Duration,
}

/// The nodes, and the certificate that is shown to them.
pub(crate) struct Endpoints {
    pub(crate) urls: Vec<String>,
    pub(crate) tls: ClientTls,
}

/// What a request came to.
#[derive(Debug, Default)]
pub(crate) struct Called {
    /// How each attempt failed, an AWS code or a word of this crate; all but the last were tried again.
    pub(crate) failed: Vec<Cow<'static, str>>,
    /// Whether the last attempt succeeded.
    pub(crate) ok: bool,
}

/// One attempt that did not succeed.
struct Failure {
    code: Cow<'static, str>,
    retryable: bool,
}

/// See the module. It belongs to a node, whose connection it keeps for as long as it is good.
pub(crate) struct Client {
    endpoints: Arc<Endpoints>,
    patience: Patience,
    home: usize,
    at: usize,
    went_away: Instant,
    connection: Option<Connection<ApiStream>>,
}

impl Client {
    pub(crate) fn new(endpoints: Arc<Endpoints>, patience: Patience, home: usize) -> Self {
        let home = home % endpoints.urls.len().max(1);
        Self { endpoints, patience, home, at: home, went_away: Instant::now(), connection: None }
    }

    /// Connects now, so that the first request does not pay for it. Failing is left to the first request.
    pub(crate) async fn connect(&mut self) {
        // What went wrong comes again, and is counted, with the first request.
        let _ = self.connected().await;
    }

    /// Makes a request, again as long as it is worth it.
    pub(crate) async fn call(&mut self, request: &[u8]) -> Called {
        let mut called = Called::default();
        loop {
            let Err(failure) = self.attempt(request).await else {
                called.ok = true;
                return called;
            };
            called.failed.push(failure.code);
            let retry = u32::try_from(called.failed.len()).unwrap_or(u32::MAX);
            if !failure.retryable || retry > self.patience.retries {
                return called;
            }
            self.move_on();
            sleep(pause(retry)).await;
        }
    }

    /// The body of the last answer.
    pub(crate) fn body(&self) -> &[u8] {
        self.connection.as_ref().map_or(&[], Connection::body)
    }

    async fn attempt(&mut self, request: &[u8]) -> Result<(), Failure> {
        if self.at != self.home && self.went_away.elapsed() > AWAY {
            self.go_home().await;
        }
        let within = self.patience.timeout;
        let connection = self.connected().await?;
        let status = match timeout(within, connection.exchange(request)).await {
            Ok(Ok(status)) => status,
            Ok(Err(broken)) => {
                return Err(self.lost(match broken {
                    Broken::Closed => "ConnectionClosed",
                    Broken::Malformed => "MalformedAnswer",
                }));
            }
            Err(_) => return Err(self.lost("Timeout")),
        };
        if status == 200 { Ok(()) } else { Err(refusal(status, self.body())) }
    }

    async fn connected(&mut self) -> Result<&mut Connection<ApiStream>, Failure> {
        if self.connection.is_none() {
            let stream = self.endpoints.tls.connect(&self.endpoints.urls[self.at]).await;
            let stream = stream.map_err(|_| Failure { code: "NotConnected".into(), retryable: true })?;
            self.connection = Some(Connection::new(stream));
        }
        self.connection.as_mut().ok_or(Failure { code: "NotConnected".into(), retryable: true })
    }

    fn lost(&mut self, code: &'static str) -> Failure {
        self.connection = None;
        Failure { code: code.into(), retryable: true }
    }

    fn move_on(&mut self) {
        if self.endpoints.urls.len() > 1 {
            self.connection = None;
            self.at = (self.at + 1) % self.endpoints.urls.len();
            self.went_away = Instant::now();
        }
    }

    /// Keeps the connection that works until the node that the client belongs to has answered.
    async fn go_home(&mut self) {
        self.went_away = Instant::now();
        if let Ok(stream) = self.endpoints.tls.connect(&self.endpoints.urls[self.home]).await {
            self.connection = Some(Connection::new(stream));
            self.at = self.home;
        }
    }
}

/// A random share of one, two, four… seconds: botocore's standard mode.
fn pause(retry: u32) -> Duration {
    let longest = Duration::from_secs(1 << (retry - 1).min(16)).min(PAUSE_MAX);
    // A fresh `RandomState` hashes nothing to a random number.
    let share = u32::try_from(RandomState::new().hash_one(()) % 1024).unwrap_or_default();
    longest * share / 1024
}

fn refusal(status: u16, body: &[u8]) -> Failure {
    #[derive(Deserialize)]
    struct Refusal {
        #[serde(rename = "__type")]
        code: String,
    }
    let refusal: Option<Refusal> = body.get(..REFUSAL_BYTES_MAX.min(body.len())).and_then(|body| serde_json::from_slice(body).ok());
    let code = refusal.map(|refusal| refusal.code);
    let known = code.as_deref().and_then(ErrorCode::from_name);
    let retryable = status >= 500 || matches!(known, Some(ErrorCode::Throttling | ErrorCode::RequestTimeout));
    // Only codes that the API has: what somebody else answers must not fill the report.
    let code = known.map_or_else(|| Cow::Owned(format!("Http{status}")), |known| Cow::Borrowed(known.as_str()));
    Failure { code, retryable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_refusals_are_tried_again() {
        let of = |status, body: &str| {
            let failure = refusal(status, body.as_bytes());
            (failure.code.into_owned(), failure.retryable)
        };
        assert_eq!(of(400, r#"{"__type":"DisabledException","message":"x"}"#), ("DisabledException".to_owned(), false));
        assert_eq!(of(400, r#"{"__type":"ThrottlingException"}"#), ("ThrottlingException".to_owned(), true));
        assert_eq!(of(503, r#"{"__type":"DependencyTimeoutException"}"#), ("DependencyTimeoutException".to_owned(), true));
        assert_eq!(of(502, "<html>"), ("Http502".to_owned(), true));
        assert_eq!(of(404, r#"{"__type":"Nonsense"}"#), ("Http404".to_owned(), false));
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for retry in 1..40 {
            let longest = Duration::from_secs(1 << (retry - 1).min(5)).min(PAUSE_MAX);
            assert!((0..50).all(|_| pause(retry) < longest), "{retry}");
        }
        assert!((0..50).any(|_| pause(1) != pause(1)), "all at once");
    }
}
