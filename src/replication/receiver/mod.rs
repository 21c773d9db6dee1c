//! The receiver: what peer regions may ask on the peer listener.
//!
//! Every handler goes the same way: the certificate's region must be an admitted peer before a body is read; the body is
//! bounded; the message must be from that peer's admitted life and for our present one; then one proposal. Any node of
//! the region takes every message, since proposals go to the leader by themselves.

mod documents;
mod error;
mod reservations;
mod statuses;

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Extension, Router};
use bytes::Bytes;
use claviger_consensus::Region;
use claviger_state::{PeerRecord, RegionRecord, read};
use claviger_tls::Peer;
use claviger_types::limits::RECORD_BYTES_MAX;
use claviger_types::{Identity, Region as RegionName};
use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use self::error::ReceiveError;
use crate::ReplicaAuthority;
use crate::core::Core;
use crate::message::{self, Message, PeerHello, RegionLife, path};
use crate::numbers::count_batch_received;

/// How long a message waits for its turn to be read before its sender is told to come back.
const TURN_TIMEOUT: Duration = Duration::from_secs(5);

/// One region may hold one of so many parts of all turns.
const REGION_SHARE: usize = 4;

pub(crate) struct Receiver<R> {
    core: Arc<Core<R>>,
    authority: Arc<dyn ReplicaAuthority>,
    turns: Semaphore,
    turns_by_region: Mutex<HashMap<RegionName, Arc<Semaphore>>>,
}

/// The right to have one message read and worked on.
struct Turn<'a> {
    _of_all: SemaphorePermit<'a>,
    _of_region: OwnedSemaphorePermit,
}

/// A sender whose certificate and admission have been checked.
struct Admitted<T> {
    me: RegionRecord,
    peer: PeerRecord,
    tables: T,
}

impl<T> Admitted<T> {
    fn check_lives(&self, from: &RegionLife, to: &RegionLife) -> Result<(), ReceiveError> {
        if *from != RegionLife::from(&self.peer) || *to != RegionLife::from(&self.me) {
            return Err(ReceiveError::WrongLife);
        }
        Ok(())
    }
}

/// The routes for the peer listener, which must put a [`Peer`] into each request's extensions.
pub(crate) fn router<R: Region>(core: Arc<Core<R>>, authority: Arc<dyn ReplicaAuthority>) -> Router {
    let turns = Semaphore::new(core.config.receives_at_once_max);
    Router::new()
        .route(path::HELLO, post(hello::<R>))
        .route(path::DOCUMENTS, post(documents::<R>))
        .route(path::STATUSES, post(statuses::<R>))
        .route(path::RESERVE, post(reserve::<R>))
        .route(path::RESERVATION, post(reservation::<R>))
        .with_state(Arc::new(Receiver { core, authority, turns, turns_by_region: Mutex::default() }))
}

type Shared<R> = State<Arc<Receiver<R>>>;

async fn hello<R: Region>(State(receiver): Shared<R>, Extension(peer): Extension<Peer>) -> Response {
    answer(&peer, "hello", receiver.hello(&peer)).await
}

async fn documents<R: Region>(State(receiver): Shared<R>, Extension(peer): Extension<Peer>, body: Body) -> Response {
    answer(&peer, "documents", receiver.documents(&peer, body)).await
}

async fn statuses<R: Region>(State(receiver): Shared<R>, Extension(peer): Extension<Peer>, body: Body) -> Response {
    answer(&peer, "statuses", receiver.statuses(&peer, body)).await
}

async fn reserve<R: Region>(State(receiver): Shared<R>, Extension(peer): Extension<Peer>, body: Body) -> Response {
    answer(&peer, "reserve", receiver.reserve(&peer, body)).await
}

async fn reservation<R: Region>(State(receiver): Shared<R>, Extension(peer): Extension<Peer>, body: Body) -> Response {
    answer(&peer, "reservation", receiver.reservation(&peer, body)).await
}

async fn answer<T: Serialize>(peer: &Peer, kind: &'static str, work: impl Future<Output = Result<T, ReceiveError>>) -> Response {
    let result = work.await.and_then(|answer| message::encode(&answer).map_err(ReceiveError::Encode));
    // The certificate bounds the label: there are as many regions as the trust domain has issued.
    if let Ok(region) = source_region(peer) {
        count_batch_received(region, kind, result.as_ref().map_or_else(ReceiveError::reason, |_| "ok"));
    }
    match result {
        Ok(body) => body.into_response(),
        Err(error) => {
            error.log(peer, kind);
            (error.status(), error.to_string()).into_response()
        }
    }
}

fn source_region(peer: &Peer) -> Result<&RegionName, ReceiveError> {
    match &peer.identity {
        Identity::Node { region, .. } => Ok(region),
        _ => Err(ReceiveError::NotANode),
    }
}

impl<R: Region> Receiver<R> {
    /// Who we are, for any node of the trust domain.
    async fn hello(&self, source: &Peer) -> Result<PeerHello, ReceiveError> {
        source_region(source)?;
        let tables = self.fresh_tables(source).await?;
        let me = crate::core::own_region(&tables)?;
        let keys = read::region_keys(&tables)?.ok_or(ReceiveError::NotFounded)?.public;
        Ok(PeerHello { life: RegionLife::from(&me), keys })
    }

    /// Behind the read gate, where it is known whether the sender's certificate has been revoked, however far this node is
    /// behind.
    async fn fresh_tables(&self, source: &Peer) -> Result<R::Tables, ReceiveError> {
        let tables = self.core.fresh_tables().await?;
        if source.revoked.is_set() { Err(ReceiveError::NotANode) } else { Ok(tables) }
    }

    async fn admit(&self, source: &Peer) -> Result<Admitted<R::Tables>, ReceiveError> {
        let region = source_region(source)?;
        let tables = self.fresh_tables(source).await?;
        let me = crate::core::own_region(&tables)?;
        let peer = read::peer(&tables, region)?.ok_or(ReceiveError::UnknownPeer)?;
        Ok(Admitted { me, peer, tables })
    }

    /// Admits the sender, waits for a turn, and reads the body.
    async fn take(&self, source: &Peer, body: Body) -> Result<(Admitted<R::Tables>, Turn<'_>, Bytes), ReceiveError> {
        // Before the body: a stranger costs a lookup and no memory. Only one who may have been admitted lately, elsewhere
        // in the region, is worth the read gate.
        if read::peer(&self.core.region.tables(), source_region(source)?)?.is_none() {
            self.admit(source).await?;
        }
        let turn = tokio::time::timeout(TURN_TIMEOUT, self.turn(source_region(source)?)).await.map_err(|_| ReceiveError::Busy)??;
        let body = axum::body::to_bytes(body, RECORD_BYTES_MAX).await.map_err(|_| ReceiveError::Body)?;
        // Behind the gate, and after the body: what is read from here on is not older than the message.
        Ok((self.admit(source).await?, turn, body))
    }

    /// A turn among those of one region first, so that a slow region does not hold all of them. Asked for admitted regions
    /// only, which bounds the map.
    async fn turn(&self, region: &RegionName) -> Result<Turn<'_>, ReceiveError> {
        let of_region = Arc::clone(
            self.turns_by_region
                .lock()
                .entry(region.clone())
                .or_insert_with(|| Arc::new(Semaphore::new(self.core.config.receives_at_once_max.div_ceil(REGION_SHARE)))),
        );
        let of_region = of_region.acquire_owned().await.map_err(|_| ReceiveError::Busy)?;
        let of_all = self.turns.acquire().await.map_err(|_| ReceiveError::Busy)?;
        Ok(Turn { _of_all: of_all, _of_region: of_region })
    }

    /// As [`Receiver::take`], for all messages but documents.
    async fn take_message<T: DeserializeOwned>(
        &self,
        source: &Peer,
        body: Body,
    ) -> Result<(Admitted<R::Tables>, Turn<'_>, T), ReceiveError> {
        let (admitted, turn, body) = self.take(source, body).await?;
        let message: Message<T> = message::decode(&body).map_err(ReceiveError::Decode)?;
        admitted.check_lives(&message.from, &message.to)?;
        Ok((admitted, turn, message.body))
    }
}
