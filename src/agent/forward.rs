//! One request to one region: at a node that is well, then at the next, until one knows the answer.
//!
//! A node that cannot be reached, or says that it cannot know, leaves the request as good as unsent or of unknown outcome. Both
//! may go to another node of the region: its invocation id makes it happen once there. Everything else is the answer.

use std::time::Duration;

use bytes::Bytes;
use claviger_shapes::{ApiError, ErrorCode};
use claviger_tls::{ApiAnswer, ApiClientError, ApiPool, Bodies};
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::error::with_sources;
use crate::meter;
use crate::nodes::Nodes;
use crate::respond::ERROR_TYPE;

/// Before a node is asked a second time: it may be starting again, or its region electing a leader.
const PAUSE: Duration = Duration::from_millis(100);
/// How much of a reason a client is shown.
const REASON_CHARS_MAX: usize = 300;

/// One request.
pub(crate) struct Call<'a> {
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) deadline: Instant,
    pub(crate) answer_timeout: Duration,
}

/// Asks the nodes of a region in turn, the first one a second time, for as long as the call's deadline allows.
///
/// # Errors
/// When none of them answered at all. If one answered that it cannot know, that is the answer.
pub(crate) async fn forward(nodes: &Nodes, pools: &[ApiPool], call: &Call<'_>, answers: &Bodies) -> Result<ApiAnswer, ApiError> {
    let order = nodes.in_order();
    let mut unknowing = None;
    let mut failure: Option<Failure> = None;
    for (attempt, &index) in order.iter().cycle().take(order.len() + 1).enumerate() {
        if attempt == order.len() {
            tokio::time::sleep(PAUSE).await;
        }
        let now = Instant::now();
        if now >= call.deadline {
            break;
        }
        if let Some(failure) = &failure {
            meter::failover(nodes.region(), failure.reason);
        }
        let pool = &pools[index];
        let deadline = call.deadline.min(now + call.answer_timeout);
        let failed = match pool.post("/", call.headers, &call.body, answers, deadline).await {
            Ok(answer) if knows(&answer) => {
                if nodes.answered(index) {
                    info!(region = %nodes.region(), node = pool.target(), "the node answers again");
                }
                return Ok(answer);
            }
            Ok(answer) => {
                let text = format!("{} answered {}", pool.target(), answer.status);
                unknowing = Some(answer);
                Failure { reason: "cannot_know", text }
            }
            Err(error) => Failure { reason: reason_of(&error), text: with_sources(&error) },
        };
        if nodes.failed(index) {
            let Failure { reason, text } = &failed;
            warn!(region = %nodes.region(), node = pool.target(), reason, error = text, "the node does not serve; others are asked first");
        }
        failure = Some(failed);
    }
    unknowing.ok_or_else(|| {
        let reason: String = failure.map(|failure| failure.text).unwrap_or_default().chars().take(REASON_CHARS_MAX).collect();
        let message = format!("No node of {} could be reached; the request can be retried. The last one tried: {reason}", nodes.region());
        ApiError::new(ErrorCode::DependencyTimeout, message)
    })
}

/// How one attempt failed: a word for the metric, and what happened.
struct Failure {
    reason: &'static str,
    text: String,
}

/// Whether this is the region's answer, rather than one node's confession. A key that is unavailable is so at every node.
fn knows(answer: &ApiAnswer) -> bool {
    if answer.status == StatusCode::MISDIRECTED_REQUEST {
        return false;
    }
    let unavailable = || answer.headers.get(ERROR_TYPE).is_some_and(|code| code == ErrorCode::KeyUnavailable.as_str());
    !answer.status.is_server_error() || unavailable()
}

const fn reason_of(error: &ApiClientError) -> &'static str {
    match error {
        ApiClientError::TimedOut { .. } => "timeout",
        ApiClientError::Unknown { .. } => "broken",
        _ => "connect",
    }
}
