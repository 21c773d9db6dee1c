//! The connections of a [`crate::PeerClient`]: one HTTP/2 connection per endpoint and lane, made when first needed and
//! again when it has ended.
//!
//! Connecting is a task of its own, so that a request with a short timeout cannot abandon the attempt that the next one
//! needs; all requests that wait for an attempt share its outcome. State lives in [`Pool`] alone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use claviger_types::Identity;
use http::Uri;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::client::conn::http2::SendRequest;
use rustls_pki_types::ServerName;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::connector::{Connected, Connector};
use crate::error::ConnectError;
use crate::identity::Certificate;
use crate::live::LiveConnection;

/// What a request body may be: known bytes or a stream.
pub(crate) type RequestBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// From the name lookup to the end of the TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Endpoints times lanes that are remembered; beyond it those without a live connection are forgotten.
const SLOTS_MAX: usize = 1024;

/// A live connection and who is at its other end.
pub(crate) struct Connection {
    pub(crate) sender: SendRequest<RequestBody>,
    pub(crate) peer: Identity,
    certificate: Option<Certificate>,
    live: Option<LiveConnection>,
    started: Instant,
    last_answer_ms: AtomicU64,
}

impl Connection {
    fn new(Connected { sender, peer, certificate, live }: Connected) -> Self {
        Self { sender, peer, certificate, live, started: Instant::now(), last_answer_ms: AtomicU64::new(0) }
    }

    /// Whether another request may be sent on it. A peer is believed no longer than its certificate is good and honoured.
    fn is_live(&self) -> bool {
        let is_honoured = self.live.as_ref().is_none_or(|live| !live.flag().is_set());
        !self.sender.is_closed() && is_honoured && self.certificate.is_none_or(|certificate| certificate.time_left().is_some())
    }

    /// Notes that the peer has answered something.
    pub(crate) fn answered(&self) {
        let now_ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_answer_ms.fetch_max(now_ms, Ordering::Relaxed);
    }

    /// Whether the peer has answered anything since.
    pub(crate) fn answered_since(&self, then: Instant) -> bool {
        self.started + Duration::from_millis(self.last_answer_ms.load(Ordering::Relaxed)) >= then
    }
}

type Outcome = Result<Arc<Connection>, Arc<ConnectError>>;

enum Slot {
    Connecting(watch::Receiver<Option<Outcome>>),
    Ready(Arc<Connection>),
}

impl Slot {
    fn is_live(&self) -> bool {
        match self {
            Self::Connecting(outcome) => outcome.has_changed().is_ok(),
            Self::Ready(connection) => connection.is_live(),
        }
    }
}

type Slots = HashMap<(String, u8), Slot>;

pub(crate) struct Pool {
    connector: Arc<dyn Connector>,
    slots: Arc<Mutex<Slots>>,
}

impl Pool {
    pub(crate) fn new(connector: Arc<dyn Connector>) -> Self {
        Self { connector, slots: Arc::default() }
    }

    /// The live connection of this endpoint and lane, or a new one.
    pub(crate) async fn connection(&self, endpoint: &str, lane: u8) -> Outcome {
        let mut outcome = match self.ready_or_connecting(endpoint, lane)? {
            Slot::Ready(connection) => return Ok(connection),
            Slot::Connecting(outcome) => outcome,
        };
        let outcome = outcome.wait_for(Option::is_some).await;
        match outcome.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            Ok(None) | Err(_) => Err(Arc::new(ConnectError::Abandoned)),
        }
    }

    /// Forgets a connection that seems dead; requests that are on it may still finish.
    pub(crate) fn forget(&self, endpoint: &str, lane: u8, suspect: &Arc<Connection>) {
        let key = (endpoint.to_owned(), lane);
        let mut slots = lock(&self.slots);
        if matches!(slots.get(&key), Some(Slot::Ready(held)) if Arc::ptr_eq(held, suspect)) {
            slots.remove(&key);
        }
    }

    fn ready_or_connecting(&self, endpoint: &str, lane: u8) -> Result<Slot, Arc<ConnectError>> {
        let key = (endpoint.to_owned(), lane);
        let mut slots = lock(&self.slots);
        match slots.get(&key) {
            Some(Slot::Ready(connection)) if connection.is_live() => return Ok(Slot::Ready(Arc::clone(connection))),
            Some(slot @ Slot::Connecting(outcome)) if slot.is_live() => return Ok(Slot::Connecting(outcome.clone())),
            _ => {}
        }
        if slots.len() >= SLOTS_MAX {
            slots.retain(|_, slot| slot.is_live());
        }
        let (name, port) = parse_endpoint(endpoint).ok_or_else(|| Arc::new(ConnectError::Endpoint))?;
        let (publish, outcome) = watch::channel(None);
        slots.insert(key.clone(), Slot::Connecting(outcome.clone()));
        let (connecting, slots) = (self.connector.connect(name.to_str().into_owned(), port), Arc::clone(&self.slots));
        tokio::spawn(async move {
            let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
            let connected = connected.unwrap_or(Err(ConnectError::TimedOut(CONNECT_TIMEOUT)));
            let outcome = connected.map(|connected| Arc::new(Connection::new(connected))).map_err(Arc::new);
            let mut slots = lock(&slots);
            match &outcome {
                Ok(connection) => slots.insert(key, Slot::Ready(Arc::clone(connection))),
                Err(_) => slots.remove(&key),
            };
            drop(slots);
            publish.send_replace(Some(outcome));
        });
        Ok(Slot::Connecting(outcome))
    }
}

/// No code that can panic runs under this lock, so a poisoned one still guards a whole map.
fn lock(slots: &Mutex<Slots>) -> std::sync::MutexGuard<'_, Slots> {
    slots.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Splits `https://host:port` (nothing after it but an optional slash).
pub(crate) fn parse_endpoint(endpoint: &str) -> Option<(ServerName<'static>, u16)> {
    let uri: Uri = endpoint.parse().ok()?;
    let bare = uri.path() == "/" && uri.query().is_none() && !uri.authority()?.as_str().contains('@');
    if uri.scheme_str() != Some("https") || !bare {
        return None;
    }
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    Some((ServerName::try_from(host.to_owned()).ok()?, uri.port_u16()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_https_host_and_port() {
        for good in ["https://localhost:1", "https://127.0.0.1:65535", "https://[::1]:8443", "https://a.example:443/"] {
            assert!(parse_endpoint(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "localhost:1",
            "http://localhost:1",
            "https://localhost",
            "https://u@h:1",
            "https://h:1/p",
            "https://h:1/?q",
            "https://h:70000",
        ] {
            assert!(parse_endpoint(bad).is_none(), "{bad}");
        }
    }
}
