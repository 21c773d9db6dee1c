//! From the dirty set to messages: what one peer is owed next, read, opened, wrapped and signed. Runs on the blocking pool.

use bytes::Bytes;
use claviger_barrier::BarrierError;
use claviger_consensus::Region;
use claviger_crypto::Secret32;
use claviger_crypto::wrap::{BATCH_SECRETS_MAX, BatchHeader, BatchRoute, seal_batch};
use claviger_protocol::{DOCUMENT_SCHEMA, MaterialState, StatusRecord, Version};
use claviger_state::{KeyRecord, PeerRecord, RegionRecord, Tables, read};
use claviger_types::encoding;
use claviger_types::{KeyId, MaterialId, Region as RegionName, Sealed};
use tokio::time::Instant;

use super::sent::{Age, Sent};
use crate::core::{Core, known_peer, own_region};
use crate::message::{self, Message, Parcel, RegionLife};
use crate::sealing::crypto_keys;
use crate::transport::with_sources;
use crate::{ReplicationConfig, ReplicationError};

/// Bytes that a parcel or a status adds besides its document and its material ids.
const FRAME_BYTES: usize = 32;
const MATERIAL_ID_BYTES: usize = 33;

/// What the shipper remembers of a peer.
pub(super) struct Memory {
    pub(super) documents: Sent<Version>,
    pub(super) statuses: Sent<u64>,
}

impl Memory {
    pub(super) fn new(config: &ReplicationConfig) -> Self {
        Self { documents: Sent::new(config.unconfirmed_max), statuses: Sent::new(config.unconfirmed_max) }
    }
}

/// How far a sweep through the dirty set has come.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    /// The last entry that was dealt with.
    at: Option<Age>,
    /// How many dirty entries lie before it: the dirty set can only be read from its oldest entry on.
    passed: usize,
}

/// Why gathering stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A message is full; there is more.
    Full,
    /// Too much waits for confirmation.
    Unconfirmed,
    /// The sweep has seen every entry.
    End,
}

/// A message with what is in it.
pub(super) struct Outgoing<V> {
    pub(super) body: Bytes,
    pub(super) contents: Vec<(Age, V)>,
}

/// The next messages to one peer.
pub(super) struct Load {
    pub(super) documents: Option<Outgoing<Version>>,
    pub(super) statuses: Option<Outgoing<u64>>,
    pub(super) endpoints: Vec<String>,
    pub(super) cursor: Cursor,
    pub(super) stop: Stop,
}

/// Collects what `peer` is owed after `cursor`, notes it in `memory`, and makes messages of it.
pub(super) fn gather<R: Region>(
    core: &Core<R>,
    peer: &RegionName,
    mut cursor: Cursor,
    memory: &mut Memory,
    number: u64,
) -> Result<Load, ReplicationError> {
    let tables = core.region.tables();
    let most = cursor.passed + core.config.batch_keys_max;
    let entries = read::dirty(&tables, peer, most)?;
    let ages: Vec<Age> = entries.iter().map(|(key_id, entry)| (entry.since, *key_id)).collect();
    let all_listed = entries.len() < most;
    let listed = entries.iter().map(|(key_id, _)| *key_id).collect();
    let up_to = if all_listed { None } else { ages.last().copied() };
    memory.documents.keep_listed(&listed, up_to);
    memory.statuses.keep_listed(&listed, up_to);

    let mut gathering = Gathering::new(core, &tables, peer, memory)?;
    cursor.passed = cursor.at.map_or(0, |at| ages.partition_point(|age| *age <= at));
    let mut stop = if all_listed { Stop::End } else { Stop::Full };
    for (index, (_, entry)) in entries.iter().enumerate().skip(cursor.passed) {
        if let Some(stopped) = gathering.take(ages[index], entry.document, entry.status)? {
            stop = stopped;
            break;
        }
        cursor = Cursor { at: Some(ages[index]), passed: index + 1 };
    }
    gathering.finish(number, cursor, stop)
}

struct Gathering<'a, R, T> {
    core: &'a Core<R>,
    tables: &'a T,
    me: RegionRecord,
    peer: PeerRecord,
    memory: &'a mut Memory,
    now: Instant,
    /// Documents that may still be sent before the peer confirms some.
    room: usize,
    parcels: Vec<Parcel>,
    secrets: Vec<Secret32>,
    documents: Vec<(Age, Version)>,
    documents_bytes: usize,
    statuses: Vec<StatusRecord>,
    status_ages: Vec<(Age, u64)>,
    statuses_bytes: usize,
}

impl<'a, R: Region, T: Tables> Gathering<'a, R, T> {
    fn new(core: &'a Core<R>, tables: &'a T, peer: &RegionName, memory: &'a mut Memory) -> Result<Self, ReplicationError> {
        let now = Instant::now();
        Ok(Self {
            core,
            tables,
            me: own_region(tables)?,
            peer: known_peer(tables, peer)?,
            now,
            room: core.config.unconfirmed_max.saturating_sub(memory.documents.awaiting(now)),
            memory,
            parcels: Vec::new(),
            secrets: Vec::new(),
            documents: Vec::new(),
            documents_bytes: 0,
            statuses: Vec::new(),
            status_ages: Vec::new(),
            statuses_bytes: 0,
        })
    }

    /// Takes one dirty entry; `Some` when it has to wait for the next message.
    fn take(&mut self, age: Age, document: bool, status: bool) -> Result<Option<Stop>, ReplicationError> {
        // Materials make statuses of different sizes: the one that fills the message is its last.
        let full = self.documents.len() >= self.core.config.batch_keys_max
            || self.statuses.len() >= self.core.config.batch_keys_max
            || self.statuses_bytes >= self.core.config.batch_bytes_max;
        if full {
            return Ok(Some(Stop::Full));
        }
        let Some(key) = read::key(self.tables, &age.1)? else { return Ok(None) };
        // The document first: it is what may not fit, and then the entry comes again as a whole.
        if document
            && key.document.primary() == &self.me.region
            && !self.memory.documents.holds(&age.1, &key.document.version, self.now)
            && let Some(stop) = self.take_document(age, &key)?
        {
            return Ok(Some(stop));
        }
        if status && !self.memory.statuses.holds(&age.1, &key.status_revision, self.now) {
            self.take_status(age, &key)?;
        }
        Ok(None)
    }

    fn take_document(&mut self, age: Age, key: &KeyRecord) -> Result<Option<Stop>, ReplicationError> {
        if self.room == 0 {
            return Ok(Some(Stop::Unconfirmed));
        }
        let document = encoding::encode(DOCUMENT_SCHEMA, &key.document).map_err(ReplicationError::Encode)?;
        // What another life of the peer named is void.
        let status = read::status(self.tables, &age.1, &self.peer.region)?.filter(|status| status.incarnation == self.peer.incarnation);
        let mut wanted = Vec::new();
        for material in key.document.materials.iter().filter(|material| material.state != MaterialState::Discarded) {
            if status.as_ref().is_none_or(|status| !status.materials.contains(&material.id))
                // A primary holds all that its document names; if it did not, the peer would say what it lacks.
                && let Some(record) = read::material(self.tables, &age.1, &material.id)?
            {
                wanted.push((material.id, record.sealed));
            }
        }
        let id_secret = status.is_none().then_some(&key.id_secret);
        let bytes = document.len() + wanted.len() * MATERIAL_ID_BYTES + FRAME_BYTES;
        let secrets = wanted.len() + usize::from(id_secret.is_some());
        let fits = self.documents_bytes + bytes <= self.core.config.batch_bytes_max && self.secrets.len() + secrets <= BATCH_SECRETS_MAX;
        if !fits && !self.documents.is_empty() {
            return Ok(Some(Stop::Full));
        }
        match self.open_secrets(&age.1, id_secret, &wanted) {
            Ok(opened) => self.secrets.extend(opened),
            Err(error) => {
                tracing::error!(key = %age.1, error = %with_sources(&error), "a key cannot be shipped: its secrets do not open");
                let until = self.now + self.core.config.refusal_backoff;
                self.memory.documents.refuse(age, key.document.version.clone(), self.now, until);
                return Ok(None);
            }
        }
        let materials = wanted.into_iter().map(|(id, _)| id).collect();
        self.parcels.push(Parcel { document: document.into(), id_secret: id_secret.is_some(), materials });
        self.documents.push((age, key.document.version.clone()));
        self.documents_bytes += bytes;
        self.room -= 1;
        Ok(None)
    }

    /// In the order in which a [`Parcel`] promises them.
    fn open_secrets(
        &self,
        key_id: &KeyId,
        id_secret: Option<&Sealed>,
        materials: &[(MaterialId, Sealed)],
    ) -> Result<Vec<Secret32>, BarrierError> {
        let id_secret = id_secret.map(|sealed| self.core.sealing.open_id_secret(key_id, sealed));
        let materials = materials.iter().map(|(id, sealed)| self.core.sealing.open_material(key_id, id, sealed));
        id_secret.into_iter().chain(materials).collect()
    }

    fn take_status(&mut self, age: Age, key: &KeyRecord) -> Result<(), ReplicationError> {
        let status = read::own_status(self.tables, &self.me, key)?;
        self.statuses_bytes += status.materials.len() * MATERIAL_ID_BYTES + 4 * FRAME_BYTES;
        self.status_ages.push((age, status.revision));
        self.statuses.push(status);
        Ok(())
    }

    fn finish(self, number: u64, cursor: Cursor, stop: Stop) -> Result<Load, ReplicationError> {
        let resend_after = self.core.config.resend_after;
        let documents = if self.documents.is_empty() { None } else { Some(self.wrap(number)?) };
        let statuses = if self.statuses.is_empty() {
            None
        } else {
            let message = Message { from: RegionLife::from(&self.me), to: RegionLife::from(&self.peer), body: &self.statuses };
            Some(message::encode(&message).map_err(ReplicationError::Encode)?)
        };
        for (age, version) in &self.documents {
            self.memory.documents.note(*age, version.clone(), self.now, resend_after);
        }
        for (age, revision) in &self.status_ages {
            self.memory.statuses.note(*age, *revision, self.now, resend_after);
        }
        Ok(Load {
            documents: documents.map(|body| Outgoing { body, contents: self.documents }),
            statuses: statuses.map(|body| Outgoing { body, contents: self.status_ages }),
            endpoints: self.peer.endpoints,
            cursor,
            stop,
        })
    }

    fn wrap(&self, number: u64) -> Result<Bytes, ReplicationError> {
        let (_, own_keys) = self.core.sealing.own_keys(self.tables)?;
        let route = BatchRoute {
            source_region: self.me.region.clone(),
            source_cluster: self.me.cluster_id,
            source_incarnation: self.me.incarnation,
            target_region: self.peer.region.clone(),
            target_cluster: self.peer.cluster_id,
            target_incarnation: self.peer.incarnation,
            recipient_key_version: self.peer.keys.version,
        };
        let parcels = message::encode(&self.parcels).map_err(ReplicationError::Encode)?;
        let secrets: Vec<&Secret32> = self.secrets.iter().collect();
        let batch = seal_batch(&own_keys, &crypto_keys(&self.peer.keys)?, &BatchHeader { route, number }, &parcels, &secrets)?;
        message::encode(&batch).map_err(ReplicationError::Encode)
    }
}

