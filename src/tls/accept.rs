//! The accept loop: TCP or Unix socket → TLS handshake → [`Peer`] → HTTP, with a limit on everything before the first
//! request is read.
//!
//! A connection beyond `connections_max` is closed at once rather than left waiting: its client then tries another node.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use claviger_types::Identity;
use rustls::{CertificateError, OtherError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, info, warn};

use crate::connection::{Protocol, drive, stopped};
use crate::identity::{IdentityError, Peer};
use crate::listener::Listener;
use crate::provider::ALPN_H2;
use crate::server::{Admission, ServerTls};
use crate::verify::NotAdmitted;

/// How long the loop waits after accept failed for want of something (file descriptors, memory).
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// The limits of one listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AcceptLimits {
    /// Connections open at once, handshakes included.
    pub connections_max: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From the handshake to the end of the first request's headers.
    pub header_read_timeout: Duration,
    /// From an answer to the end of the next request's headers. An answer that its client does not read counts as idleness.
    pub idle_timeout: Duration,
    /// How long a request body may keep the node waiting in all, plus one second for each 16 KiB that came.
    pub body_patience: Duration,
    /// Headers of one request, bytes.
    pub header_bytes_max: u32,
    /// Requests at once on one HTTP/2 connection.
    pub streams_max: u32,
    /// HTTP/2: how often a silent connection is asked whether it is still there.
    pub ping_interval: Duration,
    /// HTTP/2: how long it may take to say so.
    pub ping_timeout: Duration,
    /// At shutdown, and when the client's certificate has expired: how long requests in flight may take to finish. When the
    /// certificate is revoked they have two seconds.
    pub drain_timeout: Duration,
}

impl Default for AcceptLimits {
    fn default() -> Self {
        Self {
            connections_max: 4096,
            handshake_timeout: Duration::from_secs(10),
            header_read_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(120),
            body_patience: Duration::from_secs(10),
            header_bytes_max: 32 * 1024,
            streams_max: 256,
            ping_interval: Duration::from_secs(20),
            ping_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(20),
        }
    }
}

/// Serves mutual TLS on a bound listener until `shutdown` becomes true (or its sender is dropped), then lets requests in
/// flight finish for at most `drain_timeout`. Every request carries a [`Peer`] extension.
pub async fn serve<L: Listener>(listener: L, tls: Arc<ServerTls>, limits: AcceptLimits, router: Router, shutdown: watch::Receiver<bool>) {
    let name = tls.admission().name();
    accept_loop(listener, name, limits, shutdown.clone(), move |stream, address| {
        let (tls, router, mut shutdown) = (Arc::clone(&tls), router.clone(), shutdown.clone());
        async move {
            let acceptor = TlsAcceptor::from(Arc::clone(&tls.current().config));
            let handshake = tokio::time::timeout(limits.handshake_timeout, acceptor.accept(stream));
            let finished = tokio::select! {
                finished = handshake => finished,
                () = stopped(&mut shutdown) => return,
            };
            let outcome = match finished {
                Ok(Ok(stream)) => match tls.admit(stream.get_ref().1.peer_certificates()) {
                    Ok(admitted) => Ok((stream, admitted)),
                    Err(e) => Err(Refusal::NotAdmitted(Box::new(e))),
                },
                Ok(Err(e)) => Err(Refusal::of_handshake(e)),
                Err(_) => Err(Refusal::Slow),
            };
            match outcome {
                Ok((stream, (identity, certificate, live))) => {
                    let http2 = stream.get_ref().1.alpn_protocol() == Some(ALPN_H2);
                    let protocol = if http2 { Protocol::Http2 } else { Protocol::Http1 };
                    let peer = Peer::with_flag(identity, address, Some(certificate), live.flag().clone());
                    drive(stream, protocol, Some(peer), Some(live), limits, router, shutdown).await;
                }
                Err(refusal) => {
                    metrics::counter!("claviger_tls_refused_total", "listener" => name, "reason" => refusal.reason()).increment(1);
                    info!(listener = name, ?address, %refusal, "connection refused");
                }
            }
        }
    })
    .await;
}

/// Serves HTTP/1.1 without TLS: the node's own Unix socket, whose callers are `peer`, and the metrics listener, whose
/// callers are nobody. `name` appears in logs and metrics.
pub async fn serve_plain<L: Listener>(
    listener: L,
    name: &'static str,
    peer: Option<Identity>,
    limits: AcceptLimits,
    router: Router,
    shutdown: watch::Receiver<bool>,
) {
    accept_loop(listener, name, limits, shutdown.clone(), move |stream, address| {
        let peer = peer.clone().map(|identity| Peer::new(identity, address, None));
        drive(stream, Protocol::Http1, peer, None, limits, router.clone(), shutdown.clone())
    })
    .await;
}

/// Serves a listener whose callers are known without TLS by where they call from, as in a simulated network: HTTP/2 on a
/// peer listener, HTTP/1.1 on an api listener. Whom the kind of listener does not admit is refused as by [`serve`].
pub async fn serve_known<L: Listener>(
    listener: L,
    admission: Admission,
    who: impl Fn(SocketAddr) -> Option<Identity> + Send + 'static,
    limits: AcceptLimits,
    router: Router,
    shutdown: watch::Receiver<bool>,
) {
    let protocol = if admission == Admission::Peer { Protocol::Http2 } else { Protocol::Http1 };
    accept_loop(listener, admission.name(), limits, shutdown.clone(), move |stream, address| {
        let caller = address.and_then(&who).and_then(|identity| admission.admit(identity).ok());
        let peer = caller.map(|identity| Peer::new(identity, address, None));
        let (router, shutdown) = (router.clone(), shutdown.clone());
        async move {
            if peer.is_some() {
                drive(stream, protocol, peer, None, limits, router, shutdown).await;
            }
        }
    })
    .await;
}

/// Why a connection did not get as far as HTTP.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("TLS handshake: {0}")]
    Handshake(io::Error),
    #[error("TLS handshake too slow")]
    Slow,
    #[error(transparent)]
    NotAdmitted(Box<NotAdmitted>),
}

impl Refusal {
    /// Of a handshake that failed: who the client is may be why.
    fn of_handshake(error: io::Error) -> Self {
        let refused = match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(reason)))) => reason.downcast_ref(),
            _ => None,
        };
        match refused {
            Some(reason) => Self::NotAdmitted(Box::new(NotAdmitted::Identity(IdentityError::clone(reason)))),
            None => Self::Handshake(error),
        }
    }

    fn reason(&self) -> &'static str {
        const REVOKED: rustls::Error = rustls::Error::InvalidCertificate(CertificateError::Revoked);
        match self {
            Self::Handshake(e) if e.get_ref().and_then(|e| e.downcast_ref()) == Some(&REVOKED) => "revoked",
            Self::Handshake(_) => "handshake",
            Self::Slow => "slow",
            Self::NotAdmitted(e) => match **e {
                NotAdmitted::Identity(_) => "identity",
                NotAdmitted::Certificate(rustls::Error::InvalidCertificate(CertificateError::Revoked)) => "revoked",
                NotAdmitted::Certificate(_) => "handshake",
            },
        }
    }
}

async fn accept_loop<L, F, W>(mut listener: L, name: &'static str, limits: AcceptLimits, mut shutdown: watch::Receiver<bool>, work: F)
where
    L: Listener,
    F: Fn(L::Stream, Option<SocketAddr>) -> W,
    W: Future<Output = ()> + Send + 'static,
    L::Stream: AsyncRead + AsyncWrite,
{
    let room = Arc::new(Semaphore::new(limits.connections_max));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => report_panic(name, ended),
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => match Arc::clone(&room).try_acquire_owned() {
                    Ok(permit) => {
                        let work = work(stream, address);
                        let counted = Counted::new(name, permit);
                        connections.spawn(async move {
                            work.await;
                            drop(counted);
                        });
                    }
                    Err(_) => {
                        metrics::counter!("claviger_tls_refused_total", "listener" => name, "reason" => "full").increment(1);
                        debug!(listener = name, ?address, connections_max = limits.connections_max, "connection refused: no room");
                    }
                },
                Err(e) if is_of_one_connection(&e) => debug!(listener = name, error = %e, "a connection broke before it was accepted"),
                Err(e) => {
                    warn!(listener = name, error = %e, "accept failed; trying again");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }
    drop(listener);
    // Each connection drains by itself, as it watches `shutdown` too.
    let drained = tokio::time::timeout(limits.drain_timeout, async {
        while let Some(ended) = connections.join_next().await {
            report_panic(name, ended);
        }
    });
    if drained.await.is_err() {
        warn!(listener = name, connections = connections.len(), "connections cut at shutdown");
    }
    connections.shutdown().await;
}

fn report_panic(name: &'static str, ended: Result<(), tokio::task::JoinError>) {
    if let Err(e) = ended
        && e.is_panic()
    {
        tracing::error!(listener = name, error = %e, "a connection's task panicked");
    }
}

/// These say something of the connection that was to be accepted and nothing of the listener (accept(2)).
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, InvalidInput, NotConnected};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | InvalidInput | NotConnected)
}

/// A connection's place in the semaphore and in the gauge.
struct Counted {
    name: &'static str,
    _permit: OwnedSemaphorePermit,
}

impl Counted {
    fn new(name: &'static str, permit: OwnedSemaphorePermit) -> Self {
        metrics::gauge!("claviger_connections", "listener" => name).increment(1.0);
        Self { name, _permit: permit }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("claviger_connections", "listener" => self.name).decrement(1.0);
    }
}
