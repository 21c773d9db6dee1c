//! The admin API around restores, on a running node: it makes backups, and admits keys.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use claviger_api as api;
use claviger_backup::{BackupError, Moment, create};
use claviger_barrier::Barrier;
use claviger_consensus::{ConsensusError, Region as _, StateView};
use claviger_shapes::admin::{AdminError, AdminErrorCode, AdmitKeys, AdmitKeysResult, AdmitScope};
use claviger_state::{CommandBody, StateError, Tables, read};
use claviger_types::limits::ADMIT_KEYS_MAX;
use claviger_types::{Clock, KeyId, KeyRef, SystemClock};
use tokio::sync::{Semaphore, mpsc};
use tracing::{error, info};

use crate::admin::NodeAdmin;

/// Pieces of a backup that wait for the network.
const PIECES_WAITING: usize = 2;
const PIECE_BYTES: usize = 1 << 20;

/// What a node needs to make backups.
pub(crate) struct Backups {
    barrier: Arc<Barrier>,
    /// One at a time: each holds old data on the disk for as long as it takes.
    turn: Arc<Semaphore>,
}

impl Backups {
    pub(crate) fn new(barrier: Arc<Barrier>) -> Self {
        Self { barrier, turn: Arc::new(Semaphore::new(1)) }
    }
}

impl api::Restoring for NodeAdmin {
    async fn backup(&self) -> Result<Body, AdminError> {
        let busy = || AdminError::new(AdminErrorCode::Conflict, "this node is making a backup already: wait for it, or ask another node");
        let turn = Arc::clone(&self.backups.turn).try_acquire_owned().map_err(|_| busy())?;
        let view = self.consensus.view().await.map_err(failed)?;
        let barrier = Arc::clone(&self.backups.barrier);
        let (sender, receiver) = mpsc::channel(PIECES_WAITING);
        tokio::task::spawn_blocking(move || {
            let made = make(&view, &barrier, &sender);
            drop((view, turn));
            match made {
                Ok(()) => {}
                // Whoever asked has gone.
                Err(BackupError::Io { source, .. }) if source.kind() == io::ErrorKind::BrokenPipe => {
                    info!("a backup was given up by its taker");
                }
                Err(failed) => {
                    error!(error = format!("{:#}", anyhow::Error::new(failed)), "a backup could not be made");
                    // The answer breaks off, so that nobody takes it for whole.
                    let _ = sender.blocking_send(Err(io::Error::other("the backup could not be made")));
                }
            }
        });
        let pieces = futures::stream::unfold(receiver, async |mut receiver| receiver.recv().await.map(|piece| (piece, receiver)));
        Ok(Body::from_stream(pieces))
    }

    async fn admit_keys(&self, request: AdmitKeys) -> Result<AdmitKeysResult, AdminError> {
        self.consensus.read().await.map_err(|unavailable| failed(unavailable.into()))?;
        let tables = self.consensus.tables();
        let (keys, result) = tokio::task::spawn_blocking(move || step(&tables, &request)).await.map_err(|_| internal("interrupted"))??;
        if !keys.is_empty() {
            let admit = CommandBody::AdmitKeys(claviger_state::AdmitKeys { keys });
            let outcome =
                self.consensus.propose(admit).await.map_err(|error| AdminError::new(AdminErrorCode::Unavailable, error.to_string()))?;
            outcome.map_err(|refusal| internal(&refusal.to_string()))?;
        }
        Ok(result)
    }
}

/// Writes a backup of what `view` shows. The clock here is for people alone.
fn make(view: &StateView, barrier: &Barrier, sender: &mpsc::Sender<io::Result<Bytes>>) -> Result<(), BackupError> {
    let moment = Moment { applied_index: view.applied_index, created_at: SystemClock.now(), program: env!("CARGO_PKG_VERSION") };
    let footer = create(&view.tables, barrier, moment, BufWriter::with_capacity(PIECE_BYTES, Pieces(sender)))?;
    info!(manifest = hex::encode(footer.manifest_sha256), rows = footer.rows, index = moment.applied_index, "a backup was made");
    Ok(())
}

/// Sends what is written, and waits while the network is slower.
struct Pieces<'a>(&'a mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.blocking_send(Ok(Bytes::copy_from_slice(bytes))).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The withheld keys of one step, and what admitting them comes to.
fn step(tables: &impl Tables, request: &AdmitKeys) -> Result<(Vec<KeyId>, AdmitKeysResult), AdminError> {
    let present = read::region(tables).map_err(unreadable)?.ok_or_else(|| internal("the region has not been founded"))?.incarnation;
    let after = request.after.as_deref().map(|after| after.parse::<KeyId>().map_err(invalid)).transpose()?;
    let ids = match &request.scope {
        AdmitScope::Key(text) => vec![one_key(text)?],
        AdmitScope::Account(account) => {
            let account = account.parse().map_err(invalid)?;
            read::keys_of(tables, account, after.as_ref(), ADMIT_KEYS_MAX).map_err(unreadable)?
        }
        AdmitScope::All => read::key_ids(tables, after.as_ref(), ADMIT_KEYS_MAX).map_err(unreadable)?,
    };
    let next = ids.last().filter(|_| ids.len() == ADMIT_KEYS_MAX).map(KeyId::to_string);
    let mut result = AdmitKeysResult { next, ..AdmitKeysResult::default() };
    let mut withheld = Vec::new();
    for id in ids {
        match read::key(tables, &id).map_err(unreadable)? {
            Some(key) if key.regional.is_withheld(present) => withheld.push(id),
            Some(_) => result.unchanged += 1,
            None => return Err(AdminError::new(AdminErrorCode::NotFound, format!("there is no key {id} in this region"))),
        }
    }
    result.admitted = withheld.len() as u64;
    Ok((withheld, result))
}

fn one_key(text: &str) -> Result<KeyId, AdminError> {
    match text.parse().map_err(invalid)? {
        KeyRef::Id(id) => Ok(id),
        KeyRef::Arn(arn) => Ok(arn.key_id),
        KeyRef::Alias(_) | KeyRef::AliasArn(_) => Err(AdminError::new(AdminErrorCode::Invalid, "name the key by its id or its ARN")),
    }
}

fn invalid(error: impl std::fmt::Display) -> AdminError {
    AdminError::new(AdminErrorCode::Invalid, error.to_string())
}

fn internal(message: &str) -> AdminError {
    AdminError::new(AdminErrorCode::Internal, message)
}

fn unreadable(error: StateError) -> AdminError {
    internal(&format!("{:#}", anyhow::Error::new(error)))
}

fn failed(error: ConsensusError) -> AdminError {
    let code = if matches!(error, ConsensusError::Unavailable(_)) { AdminErrorCode::Unavailable } else { AdminErrorCode::Internal };
    AdminError::new(code, format!("{:#}", anyhow::Error::new(error)))
}
