//! Pooled connections of one client to one node's api listener: HTTP/1.1 over mutual TLS, kept alive.
//!
//! HTTP/1.1 and not HTTP/2: no request waits behind another's answer, a broken connection fails one request and not all, and
//! both ends spend less on each. Nothing is retried here but a request that a dying connection handed back unsent; what may
//! have taken effect is the caller's to judge.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use metrics::Gauge;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::bodies::{Bodies, Received};
use crate::client::ClientTls;
use crate::connector::connect_tls;
use crate::error::{ApiClientError, ConnectError};
use crate::pool::parse_endpoint;

/// Read buffer of one connection: bounds the headers of an answer.
const BUFFER_BYTES: usize = 64 * 1024;

/// The limits of one pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiPoolLimits {
    /// Connections open at once; a request that finds all in use waits for one.
    pub connections_max: usize,
    /// From the name lookup to the end of the TLS handshake.
    pub connect_timeout: Duration,
    /// How long a connection is kept for the next request. Shorter than the server's patience, so that requests do not meet
    /// its closing.
    pub idle_timeout: Duration,
    /// How long a connection is used at all: certificates are verified when it is made.
    pub age_max: Duration,
}

/// A node's answer, whatever its status.
pub struct ApiAnswer {
    /// The HTTP status.
    pub status: StatusCode,
    /// All its headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Received,
}

/// See the module. Must be used inside a tokio runtime.
pub struct ApiPool {
    target: String,
    host: HeaderValue,
    name: ServerName<'static>,
    port: u16,
    tls: ClientTls,
    limits: ApiPoolLimits,
    /// A connection is only made when none is idle, so bounding those in use bounds all.
    in_use: Semaphore,
    /// The longest idle first.
    idle: Mutex<Vec<Connection>>,
    open: Gauge,
}

struct Connection {
    sender: SendRequest<Full<Bytes>>,
    /// With which it was made: once another is loaded, its certificate is another.
    config: Arc<ClientConfig>,
    made_at: Instant,
    idle_since: Instant,
}

impl ApiPool {
    /// A pool without connections yet, to `https://host:port`, with a configuration of [`ClientTls::api`]. The gauge counts
    /// the connections that are open.
    ///
    /// # Errors
    /// When the URL is not of that form.
    pub fn new(url: &str, tls: ClientTls, limits: ApiPoolLimits, open: Gauge) -> Result<Self, ApiClientError> {
        let target = url.trim_end_matches('/').to_owned();
        let host = target.strip_prefix("https://").and_then(|host| HeaderValue::from_str(host).ok());
        let (Some((name, port)), Some(host)) = (parse_endpoint(url), host) else {
            return Err(ApiClientError::Connect { target, source: ConnectError::Endpoint });
        };
        let in_use = Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS));
        Ok(Self { target, host, name, port, tls, limits, in_use, idle: Mutex::default(), open })
    }

    /// Whether a URL is one that [`ApiPool::new`] takes.
    pub fn takes(url: &str) -> bool {
        parse_endpoint(url).is_some()
    }

    /// The URL, for messages.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Posts a body under these headers and reads the whole answer, all before `deadline`. When this future is dropped, so is
    /// the connection that it was using.
    ///
    /// # Errors
    /// See [`ApiClientError`]: after `Connect` the request was certainly not sent.
    pub async fn post(
        &self,
        path: &'static str,
        headers: &HeaderMap,
        body: &Bytes,
        answers: &Bodies,
        deadline: Instant,
    ) -> Result<ApiAnswer, ApiClientError> {
        let patience = deadline.saturating_duration_since(Instant::now());
        tokio::time::timeout_at(deadline, self.exchange(path, headers, body, answers))
            .await
            .unwrap_or_else(|_| Err(ApiClientError::TimedOut { target: self.target.clone(), after: patience }))
    }

    async fn exchange(&self, path: &'static str, headers: &HeaderMap, body: &Bytes, answers: &Bodies) -> Result<ApiAnswer, ApiClientError> {
        let closed = |_| self.not_connected(ConnectError::Abandoned);
        let _turn = self.in_use.acquire().await.map_err(closed)?;
        loop {
            let idle = self.take_idle().await;
            let was_idle = idle.is_some();
            let mut connection = match idle {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            match connection.sender.try_send_request(self.request(path, headers, body)).await {
                Ok(response) => return self.finish(connection, response, answers).await,
                // It had ended while nobody used it. A new one has not.
                Err(failed) if failed.message().is_some() && was_idle => {}
                Err(failed) if failed.message().is_some() => return Err(self.not_connected(ConnectError::Http(failed.into_error()))),
                Err(failed) => return Err(self.unknown(failed.into_error().into())),
            }
        }
    }

    async fn finish(&self, connection: Connection, response: Response<Incoming>, answers: &Bodies) -> Result<ApiAnswer, ApiClientError> {
        let (head, body) = response.into_parts();
        let body = answers.read(body).await.map_err(|error| self.unknown(error.into()))?;
        self.give_back(connection);
        Ok(ApiAnswer { status: head.status, headers: head.headers, body })
    }

    fn request(&self, path: &'static str, headers: &HeaderMap, body: &Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = Uri::from_static(path);
        *request.headers_mut() = headers.clone();
        request.headers_mut().insert(header::HOST, self.host.clone());
        request
    }

    /// The connection that was used last, if it may still be used: the others go idle, and away.
    async fn take_idle(&self) -> Option<Connection> {
        loop {
            let mut connection = self.lock_idle().pop()?;
            if self.is_good(&connection) && connection.sender.ready().await.is_ok() {
                return Some(connection);
            }
        }
    }

    fn give_back(&self, mut connection: Connection) {
        connection.idle_since = Instant::now();
        if connection.sender.is_closed() || !self.is_good(&connection) {
            return;
        }
        let mut idle = self.lock_idle();
        let stale = idle.iter().take_while(|connection| !self.is_good(connection)).count();
        idle.drain(..stale);
        idle.push(connection);
    }

    fn is_good(&self, connection: &Connection) -> bool {
        let Connection { config, made_at, idle_since, .. } = connection;
        let is_young = idle_since.elapsed() < self.limits.idle_timeout && made_at.elapsed() < self.limits.age_max;
        is_young && Arc::ptr_eq(config, &self.tls.config())
    }

    /// No code that can panic runs under this lock, so a poisoned one still guards a whole list.
    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> Result<Connection, ApiClientError> {
        let timeout = self.limits.connect_timeout;
        // Before connecting: should another be loaded meanwhile, this connection is used once.
        let config = self.tls.config();
        let connecting = async {
            let stream = connect_tls(&self.tls, self.name.clone(), self.port).await?;
            http1::Builder::new().max_buf_size(BUFFER_BYTES).handshake(TokioIo::new(stream)).await.map_err(ConnectError::Http)
        };
        let connected = tokio::time::timeout(timeout, connecting).await.unwrap_or(Err(ConnectError::TimedOut(timeout)));
        let (sender, driver) = connected.map_err(|source| self.not_connected(source))?;
        let open = self.open.clone();
        open.increment(1.0);
        tokio::spawn(async move {
            // Whatever ended it, a request that was on it has been told.
            let _ = driver.await;
            open.decrement(1.0);
        });
        let now = Instant::now();
        Ok(Connection { sender, config, made_at: now, idle_since: now })
    }

    fn not_connected(&self, source: ConnectError) -> ApiClientError {
        ApiClientError::Connect { target: self.target.clone(), source }
    }

    fn unknown(&self, source: Box<dyn std::error::Error + Send + Sync>) -> ApiClientError {
        ApiClientError::Unknown { target: self.target.clone(), source }
    }
}
