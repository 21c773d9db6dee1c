//! Calls from a node to other nodes, of its own region and of others: HTTP/2 over mutual TLS, on pooled connections.
//!
//! Who answers is checked before anything is sent. Nothing is retried but a request that certainly was not sent; errors
//! say which are which. A *lane* is a number that separates connections to the same endpoint, so that a snapshot in one
//! cannot starve a heartbeat in another.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claviger_types::limits::PEER_BODY_BYTES_MAX;
use claviger_types::{Identity, NodeId, Region};
use futures::{Stream, TryStreamExt};
use http::{Method, Request, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use tokio::time::Instant;

use crate::client::ClientTls;
use crate::connector::{Connector, OverTls};
use crate::error::{ClientError, ConnectError, TlsError};
use crate::identity::kind;
use crate::pool::{Connection, Pool, RequestBody};

/// Who must be at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expect {
    /// This node and no other.
    Node {
        /// Its region.
        region: Region,
        /// Its id in the region.
        id: NodeId,
    },
    /// Any node of this region.
    Region(Region),
    /// Any node of the deployment.
    AnyNode,
}

impl Expect {
    fn admits(&self, found: &Identity) -> bool {
        let Identity::Node { region: found_region, id: found_id } = found else { return false };
        match self {
            Self::Node { region, id } => region == found_region && id == found_id,
            Self::Region(region) => region == found_region,
            Self::AnyNode => true,
        }
    }
}

impl std::fmt::Display for Expect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Node { region, id } => write!(f, "node {id} of {region}"),
            Self::Region(region) => write!(f, "a node of {region}"),
            Self::AnyNode => f.write_str("a node"),
        }
    }
}

/// A node's answer.
#[derive(Clone, Debug)]
pub struct Response {
    /// The HTTP status; refusals of the other side arrive here, not as errors.
    pub status: StatusCode,
    /// The whole body, at most [`PEER_BODY_BYTES_MAX`].
    pub body: Bytes,
    /// The node that answered.
    pub peer: Identity,
}

/// A request body that is produced while it is sent.
pub struct StreamingBody(RequestBody);

/// A body of the chunks of a stream. An error in the stream resets the request; the other side sees it cut, not ended.
pub fn streaming_body<S>(chunks: S) -> StreamingBody
where
    S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
{
    StreamingBody(StreamBody::new(chunks.map_ok(Frame::data).map_err(Into::into)).boxed_unsync())
}

/// The client of the peer listener. Share one per process; it must be used inside a tokio runtime.
pub struct PeerClient {
    pool: Pool,
}

impl PeerClient {
    /// A client without connections yet.
    ///
    /// # Errors
    /// When the configuration is not one of [`ClientTls::peer`].
    pub fn new(tls: ClientTls) -> Result<Self, TlsError> {
        let domain = tls.domain.clone().ok_or_else(|| TlsError::Config(rustls::Error::General("not a peer configuration".to_owned())))?;
        Ok(Self::over(OverTls { tls, domain }))
    }

    /// A client whose connections `connector` makes.
    pub fn over(connector: impl Connector) -> Self {
        Self { pool: Pool::new(Arc::new(connector)) }
    }

    /// Posts a body and waits for the whole answer, all within `timeout`.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::was_sent`] says whether the request may have taken effect.
    pub async fn post(
        &self,
        endpoint: &str,
        expect: &Expect,
        lane: u8,
        path: &str,
        body: Bytes,
        timeout: Duration,
    ) -> Result<Response, ClientError> {
        let call = Call { endpoint, expect, lane, path, timeout, deadline: Instant::now() + timeout };
        match self.once(&call, whole(body.clone())).await {
            // The connection had ended unnoticed and the request came back unsent: once more, on a new one.
            Err(Failure::Returned) => self.once(&call, whole(body)).await.map_err(|e| e.into_error(&call)),
            outcome => outcome.map_err(|e| e.into_error(&call)),
        }
    }

    /// As [`PeerClient::post`] with a body that is produced while it is sent, which is why it is never sent twice.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn post_stream(
        &self,
        endpoint: &str,
        expect: &Expect,
        lane: u8,
        path: &str,
        body: StreamingBody,
        timeout: Duration,
    ) -> Result<Response, ClientError> {
        let call = Call { endpoint, expect, lane, path, timeout, deadline: Instant::now() + timeout };
        self.once(&call, body.0).await.map_err(|e| e.into_error(&call))
    }

    async fn once(&self, call: &Call<'_>, body: RequestBody) -> Result<Response, Failure> {
        let connection = match tokio::time::timeout_at(call.deadline, self.pool.connection(call.endpoint, call.lane)).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(source)) => return Err(ClientError::NotSent { endpoint: call.endpoint.to_owned(), source }.into()),
            Err(_) => return Err(call.timed_out(false).into()),
        };
        if !call.expect.admits(&connection.peer) {
            // The right node may come up at this address at any time: do not hold on to the wrong one.
            self.pool.forget(call.endpoint, call.lane, &connection);
            return Err(call.wrong_peer(&connection.peer).into());
        }
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!("{}{}", call.endpoint.trim_end_matches('/'), call.path))
            .header(header::CONTENT_TYPE, "application/octet-stream")
            .body(body)
            .map_err(|source| ClientError::Request { endpoint: call.endpoint.to_owned(), source })?;
        let sent_at = Instant::now();
        match tokio::time::timeout_at(call.deadline, exchange(call, &connection, request)).await {
            Ok(Err(Failure::Returned)) => {
                self.pool.forget(call.endpoint, call.lane, &connection);
                Err(Failure::Returned)
            }
            Ok(outcome) => outcome,
            Err(_) => {
                // Silence on the whole connection: the path may be dead without a reset having reached us.
                if !connection.answered_since(sent_at) {
                    self.pool.forget(call.endpoint, call.lane, &connection);
                }
                Err(call.timed_out(true).into())
            }
        }
    }
}

/// One call, whatever number of attempts it takes.
struct Call<'a> {
    endpoint: &'a str,
    expect: &'a Expect,
    lane: u8,
    path: &'a str,
    timeout: Duration,
    deadline: Instant,
}

impl Call<'_> {
    fn timed_out(&self, sent: bool) -> ClientError {
        ClientError::TimedOut { endpoint: self.endpoint.to_owned(), after: self.timeout, sent }
    }

    fn wrong_peer(&self, found: &Identity) -> ClientError {
        let found = match found {
            Identity::Node { region, id } => format!("node {id} of {region}"),
            other => kind(other).to_owned(),
        };
        ClientError::WrongPeer { endpoint: self.endpoint.to_owned(), expected: self.expect.to_string(), found }
    }

    fn unknown(&self, source: Box<dyn std::error::Error + Send + Sync>) -> ClientError {
        ClientError::Unknown { endpoint: self.endpoint.to_owned(), source }
    }
}

async fn exchange(call: &Call<'_>, connection: &Connection, request: Request<RequestBody>) -> Result<Response, Failure> {
    let response = match connection.sender.clone().try_send_request(request).await {
        Ok(response) => response,
        Err(failed) if failed.message().is_some() => return Err(Failure::Returned),
        Err(failed) => return Err(call.unknown(failed.into_error().into()).into()),
    };
    connection.answered();
    let (head, body) = response.into_parts();
    let body = Limited::new(body, PEER_BODY_BYTES_MAX).collect().await.map_err(|source| {
        if source.is::<LengthLimitError>() {
            ClientError::ResponseTooLarge { endpoint: call.endpoint.to_owned(), limit_bytes: PEER_BODY_BYTES_MAX }
        } else {
            call.unknown(source)
        }
    })?;
    Ok(Response { status: head.status, body: body.to_bytes(), peer: connection.peer.clone() })
}

/// How one attempt failed.
enum Failure {
    /// The request came back unsent.
    Returned,
    Final(ClientError),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Final(error)
    }
}

impl Failure {
    fn into_error(self, call: &Call<'_>) -> ClientError {
        match self {
            Self::Final(error) => error,
            Self::Returned => ClientError::NotSent { endpoint: call.endpoint.to_owned(), source: Arc::new(ConnectError::Abandoned) },
        }
    }
}

fn whole(body: Bytes) -> RequestBody {
    Full::new(body).map_err(|never| match never {}).boxed_unsync()
}
