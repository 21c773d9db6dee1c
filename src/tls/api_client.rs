//! A small HTTP/1.1 client for a node's api listener (mutual TLS, server known by name) and for its Unix socket.
//!
//! One connection per request: it serves a command line, which makes a handful of them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use crate::client::ClientTls;
use crate::connector::connect_tls;
use crate::error::{ApiClientError, BoxError, ConnectError};
use crate::pool::parse_endpoint;

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than a node holds a request while it waits for a leader.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How much of a refusal is shown.
const REFUSAL_CHARS_MAX: usize = 2000;

/// An answer as it came.
#[derive(Clone, Debug)]
pub struct ApiResponse {
    /// The HTTP status.
    pub status: StatusCode,
    /// The whole body.
    pub body: Bytes,
}

/// See the module.
pub struct ApiClient {
    target: String,
    way: Way,
}

enum Way {
    Https { name: ServerName<'static>, port: u16, tls: ClientTls },
    Unix(PathBuf),
}

impl ApiClient {
    /// A client of `https://host:port`, with a configuration of [`ClientTls::api`].
    ///
    /// # Errors
    /// When the URL is not of that form.
    pub fn https(url: &str, tls: ClientTls) -> Result<Self, ApiClientError> {
        let target = url.trim_end_matches('/').to_owned();
        match parse_endpoint(url) {
            Some((name, port)) => Ok(Self { target, way: Way::Https { name, port, tls } }),
            None => Err(ApiClientError::Connect { target, source: ConnectError::Endpoint }),
        }
    }

    /// A client of a node's own Unix socket.
    pub fn unix(socket: &Path) -> Self {
        Self { target: socket.display().to_string(), way: Way::Unix(socket.to_owned()) }
    }

    /// The URL or the socket's path, for messages.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// GETs a path and reads the JSON answer.
    ///
    /// # Errors
    /// See [`ApiClientError`]; a status other than success is `Refused`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ApiClientError> {
        let response = self.request(Method::GET, path, JSON, Bytes::new()).await?;
        self.parse(&response)
    }

    /// POSTs JSON to a path and reads the JSON answer.
    ///
    /// # Errors
    /// See [`ApiClientError`]; a status other than success is `Refused`.
    pub async fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, ApiClientError> {
        let body = serde_json::to_vec(body).map_err(|e| ApiClientError::Request { target: self.target.clone(), source: e.into() })?;
        let response = self.request(Method::POST, path, JSON, body.into()).await?;
        self.parse(&response)
    }

    /// GETs a path whose answer may have any length, and gives it to `take` piece by piece. When this returns `Ok` the
    /// answer was whole; the server must keep sending.
    ///
    /// # Errors
    /// See [`ApiClientError`]; a status other than success is `Refused`. What `take` returns ends it too.
    pub async fn download<E: From<ApiClientError>>(&self, path: &str, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let exchange = self.send(Method::GET, path, JSON, Bytes::new());
        let (response, _driver) = tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.unwrap_or_else(|_| Err(self.timed_out()))?;
        let status = response.status();
        let mut body = response.into_body();
        if !status.is_success() {
            let refused = Limited::new(body, ANSWER_BYTES_MAX).collect();
            let refused = tokio::time::timeout(ANSWER_TIMEOUT, refused).await.map_err(|_| self.timed_out())?;
            let body = refused.map_err(|source| self.unknown(source))?.to_bytes();
            return Err(self.refused(&ApiResponse { status, body }).into());
        }
        while let Some(frame) = tokio::time::timeout(ANSWER_TIMEOUT, body.frame()).await.map_err(|_| self.timed_out())? {
            if let Ok(bytes) = frame.map_err(|source| self.unknown(source.into()))?.into_data() {
                take(&bytes)?;
            }
        }
        Ok(())
    }

    /// POSTs bytes under these headers (`content-type` among them) and returns the answer whatever its status.
    ///
    /// # Errors
    /// See [`ApiClientError`].
    pub async fn post_with_headers<V: AsRef<str>>(
        &self,
        path: &str,
        headers: &[(&str, V)],
        body: Bytes,
    ) -> Result<ApiResponse, ApiClientError> {
        self.request(Method::POST, path, headers, body).await
    }

    async fn request<V: AsRef<str>>(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, V)],
        body: Bytes,
    ) -> Result<ApiResponse, ApiClientError> {
        let exchange = async {
            let (response, _driver) = self.send(method, path, headers, body).await?;
            let status = response.status();
            let body =
                Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await.map_err(|source| self.unknown(source))?.to_bytes();
            Ok(ApiResponse { status, body })
        };
        tokio::time::timeout(ANSWER_TIMEOUT, exchange).await.unwrap_or_else(|_| Err(self.timed_out()))
    }

    /// Connects, sends, and reads the head of the answer. The connection ends with what drives it.
    async fn send<V: AsRef<str>>(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, V)],
        body: Bytes,
    ) -> Result<(Response<Incoming>, AbortOnDrop), ApiClientError> {
        let request = |host: &str| {
            let builder = Request::builder().method(method).uri(path).header(header::HOST, host);
            let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, value.as_ref()));
            let source = |e: http::Error| ApiClientError::Request { target: self.target.clone(), source: e.into() };
            builder.body(Full::new(body)).map_err(source)
        };
        match &self.way {
            Way::Https { name, port, tls } => {
                let connecting = connect_tls(tls, name.clone(), *port);
                let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
                    .await
                    .unwrap_or(Err(ConnectError::TimedOut(CONNECT_TIMEOUT)))
                    .map_err(|source| self.not_connected(source))?;
                let host = self.target.trim_start_matches("https://");
                self.exchange(stream, request(host)?).await
            }
            Way::Unix(socket) => {
                let stream = UnixStream::connect(socket).await.map_err(|e| self.not_connected(ConnectError::Tcp(e)))?;
                self.exchange(stream, request("localhost")?).await
            }
        }
    }

    async fn exchange<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<(Response<Incoming>, AbortOnDrop), ApiClientError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| self.not_connected(ConnectError::Http(e)))?;
        let driver = AbortOnDrop(tokio::spawn(async move {
            // Whoever waits for the answer is told.
            let _ = driver.await;
        }));
        let response = sender.send_request(request).await.map_err(|e| self.unknown(e.into()))?;
        Ok((response, driver))
    }

    fn not_connected(&self, source: ConnectError) -> ApiClientError {
        ApiClientError::Connect { target: self.target.clone(), source }
    }

    fn unknown(&self, source: BoxError) -> ApiClientError {
        ApiClientError::Unknown { target: self.target.clone(), source }
    }

    fn timed_out(&self) -> ApiClientError {
        ApiClientError::TimedOut { target: self.target.clone(), after: ANSWER_TIMEOUT }
    }

    fn refused(&self, response: &ApiResponse) -> ApiClientError {
        let body = String::from_utf8_lossy(&response.body).chars().take(REFUSAL_CHARS_MAX).collect();
        ApiClientError::Refused { target: self.target.clone(), status: response.status, body }
    }

    fn parse<T: DeserializeOwned>(&self, response: &ApiResponse) -> Result<T, ApiClientError> {
        if !response.status.is_success() {
            return Err(self.refused(response));
        }
        serde_json::from_slice(&response.body).map_err(|source| ApiClientError::Answer { target: self.target.clone(), source })
    }
}

/// Ends what drives a connection when nobody waits for its answers any more.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
