//! The demo's KMS client: one identity at one region, which goes on to the next node when one does not answer, as an SDK
//! would with several endpoints. A retried write carries the same invocation id, so it happens once.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use claviger_tls::{ApiClient, ClientTls};
use serde_json::Value;
use uuid::Uuid;

/// How long a call may go on trying.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// A client of one region.
pub(super) struct Kms {
    nodes: Vec<ApiClient>,
}

/// An answer that is not a success.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: String,
    pub(super) message: String,
}

impl Kms {
    pub(super) fn new(urls: impl Iterator<Item = String>, tls: &ClientTls) -> anyhow::Result<Self> {
        let nodes = urls.map(|url| Ok(ApiClient::https(&url, tls.clone())?)).collect::<anyhow::Result<_>>()?;
        Ok(Self { nodes })
    }

    /// Calls an operation at whatever node answers.
    ///
    /// # Errors
    /// When it is refused, or no node answers in time.
    pub(super) async fn call(&self, operation: &str, input: &Value) -> anyhow::Result<Value> {
        match self.try_call(operation, input).await? {
            Ok(output) => Ok(output),
            Err(Refused { code, message }) => bail!("{operation} was refused: {code}: {message}"),
        }
    }

    /// As [`Kms::call`], with a refusal as a value.
    ///
    /// # Errors
    /// When no node answers in time.
    pub(super) async fn try_call(&self, operation: &str, input: &Value) -> anyhow::Result<Result<Value, Refused>> {
        let invocation = Uuid::new_v4().to_string();
        let started = Instant::now();
        loop {
            for node in &self.nodes {
                match answer_of(node, operation, input, &invocation).await {
                    Ok(answer) => return Ok(answer),
                    Err(error) if started.elapsed() > PATIENCE => return Err(error.context(format!("no node answers {operation}"))),
                    Err(_) => {}
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Calls an operation at every node, each of which must refuse it with this code.
    ///
    /// # Errors
    /// When one does anything else.
    pub(super) async fn refused_everywhere(&self, operation: &str, input: &Value, code: &str) -> anyhow::Result<()> {
        for node in &self.nodes {
            match answer_of(node, operation, input, &Uuid::new_v4().to_string()).await? {
                Err(refused) if refused.code == code => {}
                Err(refused) => bail!("{} answered {operation} with {}: {}", node.target(), refused.code, refused.message),
                Ok(_) => bail!("{} served {operation}, which should be refused with {code}", node.target()),
            }
        }
        Ok(())
    }
}

/// One attempt at one node: `Err` is worth another attempt, a refusal is not.
async fn answer_of(node: &ApiClient, operation: &str, input: &Value, invocation: &str) -> anyhow::Result<Result<Value, Refused>> {
    let headers = [
        ("x-amz-target", format!("TrentService.{operation}")),
        ("content-type", "application/x-amz-json-1.1".to_owned()),
        ("amz-sdk-invocation-id", invocation.to_owned()),
    ];
    let response = node.post_with_headers("/", &headers, serde_json::to_vec(input)?.into()).await?;
    if response.status.is_success() {
        let body = if response.body.is_empty() { b"{}".as_slice() } else { &response.body };
        return Ok(Ok(serde_json::from_slice(body).context("the answer is not JSON")?));
    }
    let error: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    let text = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let refused = Refused { code: text("__type"), message: text("message") };
    if response.status.is_server_error() {
        bail!("{}: {}", refused.code, refused.message);
    }
    Ok(Err(refused))
}
