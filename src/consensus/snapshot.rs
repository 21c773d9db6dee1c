//! Snapshots on their way between nodes: one request whose body is a stream of frames, never whole in memory.
//!
//! ```text
//! u32 length ‖ header: cluster, vote, what the snapshot holds, its name, manifest and file names
//! { u32 file ‖ u64 offset ‖ u32 length ‖ bytes }*
//! ```
//!
//! Numbers are big-endian. The receiver checks everything against the manifest ([`SnapshotReceiver`]) and hands openraft a
//! directory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use claviger_storage::{SNAPSHOT_CHUNK_BYTES_MAX, SnapshotDir, SnapshotReceiver, StorageError};
use claviger_tls::{Peer, streaming_body};
use futures::{Stream, StreamExt};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::raft::SnapshotResponse;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::callers::{Callers, FromRaft};
use crate::consensus::Inner;
use crate::machine::meta_of;
use crate::peers::{CallError, Peers, Target};
use crate::raft_types::{Snapshot, SnapshotMeta, TypeConfig, Vote};
use crate::server::{Refused, check_sender};
use crate::wire::{self, lane, path};

/// What is read and sent at once.
const CHUNK_BYTES: usize = 1024 * 1024;
const FRAME_BYTES: usize = 16;
/// A manifest of the largest snapshot and the names in it.
const HEADER_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Slower than any link over which a region could be run.
const PACE_BYTES_PER_SECOND: u64 = 1024 * 1024;
/// What sending takes beside the bytes: the receiver checks and installs.
const SEND_WITHIN: Duration = Duration::from_secs(60);

#[derive(Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) vote: Vote,
    pub(crate) meta: SnapshotMeta,
    pub(crate) name: String,
    pub(crate) manifest: Bytes,
    pub(crate) files: Vec<String>,
}

/// Sends a snapshot and waits until it is installed or refused for a greater vote; with an error, how long it could take.
pub(crate) async fn send(
    peers: &Peers,
    to: &Target,
    vote: Vote,
    snapshot: Snapshot,
) -> Result<SnapshotResponse<TypeConfig>, (CallError, Duration)> {
    let Snapshot { meta, snapshot } = snapshot;
    let within = SEND_WITHIN + Duration::from_secs(snapshot.total_bytes() / PACE_BYTES_PER_SECOND);
    let header = Header {
        vote,
        meta,
        name: snapshot.name().to_owned(),
        manifest: Bytes::copy_from_slice(snapshot.manifest()),
        files: snapshot.files().iter().map(|file| file.name.clone()).collect(),
    };
    info!(to = to.id, bytes = snapshot.total_bytes(), last = ?header.meta.last_log_id, "sending a snapshot");
    let header = peers.seal(&header).map_err(|e| (e, within))?;
    let mut first = BytesMut::with_capacity(header.len() + 4);
    first.put_u32(u32::try_from(header.len()).unwrap_or(u32::MAX));
    first.extend_from_slice(&header);
    let frames = futures::stream::once(async move { Ok(first.freeze()) }).chain(chunks(snapshot));
    peers.post_stream(to, lane::SNAPSHOT, path::SNAPSHOT, streaming_body(frames), within).await.map_err(|e| (e, within))
}

/// The frames of all files, read as they are sent.
fn chunks(snapshot: SnapshotDir) -> impl Stream<Item = io::Result<Bytes>> + Send + 'static {
    futures::stream::try_unfold((snapshot, 0_usize, 0_u64), |(snapshot, mut file, mut offset)| async move {
        // Empty files need no frame: their receiver knows them from the manifest.
        while snapshot.files().get(file).is_some_and(|known| offset >= known.size) {
            (file, offset) = (file + 1, 0);
        }
        if file >= snapshot.files().len() {
            return Ok(None);
        }
        let (snapshot, chunk) = crate::blocking(move || {
            let chunk = snapshot.open_chunk(&snapshot.files()[file].name, offset, CHUNK_BYTES);
            (snapshot, chunk)
        })
        .await?;
        let chunk = chunk.map_err(io::Error::other)?;
        let mut frame = BytesMut::with_capacity(FRAME_BYTES + chunk.len());
        frame.put_u32(u32::try_from(file).map_err(io::Error::other)?);
        frame.put_u64(offset);
        frame.put_u32(u32::try_from(chunk.len()).map_err(io::Error::other)?);
        frame.extend_from_slice(&chunk);
        Ok(Some((frame.freeze(), (snapshot, file, offset + chunk.len() as u64))))
    })
}

/// Takes a snapshot from the leader and installs it.
pub(crate) async fn receive(State(inner): State<Arc<Inner>>, caller: Option<Extension<Peer>>, body: Body) -> Result<Response, Refused> {
    let from = FromRaft::admit(&inner, caller.as_deref())?;
    // One at a time: each may fill the disk.
    let Ok(_turn) = inner.receiving.try_acquire() else { return Err(Refused::Unavailable) };
    let mut frames = Frames { body: body.into_data_stream(), read: BytesMut::new() };
    let length = frames.take(4).await?.get_u32() as usize;
    if length > HEADER_BYTES_MAX {
        return Err(Refused::Malformed("the snapshot's header is too large"));
    }
    let header: Header = inner.open(&frames.take(length).await?)?;
    check_sender(&header.vote, from)?;
    check_place(&inner, &header)?;
    info!(from, last = ?header.meta.last_log_id, "receiving a snapshot");
    let snapshot = take_files(&inner, &header, frames).await?;
    if !meta_of(&snapshot).is_ok_and(|meta| meta == header.meta) {
        return Err(Refused::Malformed("the snapshot is of another point of the log than its header says"));
    }
    let snapshot = Snapshot { meta: header.meta, snapshot };
    let installed = inner.raft.install_full_snapshot(header.vote, snapshot).await;
    // One that was declined would stay on the disk.
    let state = Arc::clone(&inner.state);
    on_disk(move || state.prune_snapshots()).await?;
    let response = installed.map_err(|e| Refused::Stopped(e.to_string()))?;
    let bytes = wire::encode(&response).map_err(|e| Refused::Stopped(e.to_string()))?;
    Ok(bytes.into_response())
}

/// openraft panics on a snapshot that no leader can have: beyond its own term, or beside what is committed here.
fn check_place(inner: &Inner, header: &Header) -> Result<(), Refused> {
    let Some(last) = header.meta.last_log_id else { return Err(Refused::Malformed("the snapshot is of an empty state")) };
    if *last.committed_leader_id() > header.vote.leader_id {
        return Err(Refused::Malformed("the snapshot is of a later term than its sender"));
    }
    let committed = inner.raft.metrics().borrow_watched().local_committed;
    match committed {
        Some(committed) if last > committed && last.index() <= committed.index() => {
            Err(Refused::Malformed("the snapshot contradicts what is committed here"))
        }
        _ => Ok(()),
    }
}

async fn take_files(inner: &Inner, header: &Header, mut frames: Frames) -> Result<SnapshotDir, Refused> {
    let state = Arc::clone(&inner.state);
    let (name, manifest) = (header.name.clone(), header.manifest.clone());
    let mut receiver = on_disk(move || SnapshotReceiver::begin(&state, &name, &manifest)).await?;
    while frames.has_more().await? {
        let mut frame = frames.take(FRAME_BYTES).await?;
        let (file, offset, length) = (frame.get_u32() as usize, frame.get_u64(), frame.get_u32() as usize);
        if length > SNAPSHOT_CHUNK_BYTES_MAX {
            return Err(Refused::Malformed("a chunk of the snapshot is too large"));
        }
        let chunk = frames.take(length).await?;
        let name = header.files.get(file).cloned().ok_or(Refused::Malformed("the snapshot has no such file"))?;
        receiver = on_disk(move || receiver.write_chunk(&name, offset, &chunk).map(|()| receiver)).await?;
    }
    on_disk(move || receiver.finish()).await
}

async fn on_disk<T: Send + 'static>(work: impl FnOnce() -> Result<T, StorageError> + Send + 'static) -> Result<T, Refused> {
    let done = crate::blocking(work).await.map_err(|e| Refused::Stopped(e.to_string()))?;
    done.map_err(|error| {
        warn!(%error, "a snapshot could not be taken");
        match error {
            StorageError::Snapshot { .. } => Refused::Malformed("the snapshot is not what its manifest says"),
            other => Refused::Stopped(other.to_string()),
        }
    })
}

/// The body, cut where its reader wants.
struct Frames {
    body: BodyDataStream,
    read: BytesMut,
}

impl Frames {
    /// Exactly `bytes` bytes; callers bound the number.
    async fn take(&mut self, bytes: usize) -> Result<Bytes, Refused> {
        while self.read.len() < bytes {
            if !self.fill().await? {
                return Err(Refused::Malformed("the snapshot ends early"));
            }
        }
        Ok(self.read.split_to(bytes).freeze())
    }

    async fn has_more(&mut self) -> Result<bool, Refused> {
        while self.read.is_empty() {
            if !self.fill().await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn fill(&mut self) -> Result<bool, Refused> {
        match self.body.next().await {
            Some(Ok(bytes)) => {
                self.read.extend_from_slice(&bytes);
                Ok(true)
            }
            Some(Err(_)) => Err(Refused::Malformed("the snapshot was cut off")),
            None => Ok(false),
        }
    }
}
