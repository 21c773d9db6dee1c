//! From the dirty set to a message: what one peer is owed next, read, opened, wrapped and signed. Runs on the blocking pool.

use bytes::Bytes;
use claviger_barrier::BarrierError;
use claviger_consensus::Region;
use claviger_crypto::SecretBytes;
use claviger_crypto::wrap::{BATCH_SEALED_BYTES_MAX, BATCH_SECRETS_MAX, BatchHeader, BatchRoute, seal_batch, sealed_bytes};
use claviger_protocol::{DOCUMENT_SCHEMA, StatusRecord};
use claviger_state::{KeyRecord, PeerRecord, RegionRecord, StateError, Tables, read};
use claviger_types::encoding;
use claviger_types::{KeyId, MaterialId, Origin, Region as RegionName, Sealed};
use tokio::time::Instant;

use super::sent::{Age, Sent};
use super::{Kind, What};
use crate::ReplicationError;
use crate::core::{Core, known_peer, own_region};
use crate::message::{self, Message, Parcel, RegionLife};
use crate::sealing::crypto_keys;
use crate::transport::with_sources;

/// Bytes that a parcel adds to its document and its material ids, and that a status has besides its material ids.
const PARCEL_BYTES: usize = 32;
const STATUS_BYTES: usize = 256;
const MATERIAL_ID_BYTES: usize = 33;
/// Entries listed at once beyond those that the sweep has passed.
const STRETCH_MAX: usize = 65_536;

type SealedMaterials = Vec<(MaterialId, Sealed)>;

/// How far a sweep through the dirty set has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// The last entry that was dealt with.
    at: Option<Age>,
    /// How many dirty entries lie before it: the dirty set can only be read from its oldest entry on.
    passed: usize,
    /// How many more to list. Doubles while there is nothing to take, so that a sweep over many entries that others
    /// deal with costs in proportion to their number.
    stretch: usize,
}

impl Cursor {
    pub(super) const fn start(batch_keys_max: usize) -> Self {
        Self { at: None, passed: 0, stretch: batch_keys_max }
    }
}

/// Why gathering stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// A message is full, or there is more to list.
    More,
    /// Too much waits for confirmation.
    Unconfirmed,
    /// The sweep has seen every entry.
    End,
}

/// The next message to one peer.
pub(super) struct Load {
    /// With what is in it.
    pub(super) message: Option<(Bytes, Vec<(Age, What)>)>,
    pub(super) endpoints: Vec<String>,
    pub(super) cursor: Cursor,
    pub(super) stop: Stop,
}

/// Collects what `peer` is owed of `kind` after `cursor`, notes it in `sent`, and makes a message of it.
pub(super) fn gather<R: Region>(
    core: &Core<R>,
    peer: &RegionName,
    kind: Kind,
    mut cursor: Cursor,
    sent: &mut Sent<What>,
    number: u64,
) -> Result<Load, ReplicationError> {
    let tables = core.region.tables();
    let most = cursor.passed + cursor.stretch;
    let entries = read::dirty(&tables, peer, most)?;
    let all_listed = entries.len() < most;
    let ages: Vec<Age> = entries.iter().map(|(key_id, entry)| (entry.since, *key_id)).collect();
    sent.keep_listed(&ages.iter().map(|age| age.1).collect(), if all_listed { None } else { ages.last().copied() });

    let mut gathering = Gathering::new(core, &tables, peer, sent)?;
    cursor.passed = cursor.at.map_or(0, |at| ages.partition_point(|age| *age <= at));
    let mut stop = if all_listed { Stop::End } else { Stop::More };
    for (index, (_, entry)) in entries.iter().enumerate().skip(cursor.passed) {
        let stopped = match kind {
            Kind::Documents if entry.document => gathering.take_document(ages[index])?,
            Kind::Statuses if entry.status => gathering.take_status(ages[index])?,
            Kind::Documents | Kind::Statuses => None,
        };
        if let Some(stopped) = stopped {
            stop = stopped;
            break;
        }
        (cursor.at, cursor.passed) = (Some(ages[index]), index + 1);
    }
    let idle = gathering.contents.is_empty();
    cursor.stretch = if idle { (cursor.stretch * 2).min(STRETCH_MAX) } else { core.config.batch_keys_max };
    gathering.finish(kind, number, cursor, stop)
}

struct Gathering<'a, R, T> {
    core: &'a Core<R>,
    tables: &'a T,
    me: RegionRecord,
    peer: PeerRecord,
    sent: &'a mut Sent<What>,
    now: Instant,
    /// Keys that may be added to those which wait for the peer's confirmation.
    room: usize,
    /// How many of them this message adds.
    newcomers: usize,
    contents: Vec<(Age, What)>,
    bytes: usize,
    parcels: Vec<Parcel>,
    secrets: Vec<SecretBytes>,
    /// What `secrets` take in the message.
    sealed_bytes: usize,
    statuses: Vec<StatusRecord>,
}

impl<'a, R: Region, T: Tables> Gathering<'a, R, T> {
    fn new(core: &'a Core<R>, tables: &'a T, peer: &RegionName, sent: &'a mut Sent<What>) -> Result<Self, ReplicationError> {
        let now = Instant::now();
        Ok(Self {
            core,
            tables,
            me: own_region(tables)?,
            peer: known_peer(tables, peer)?,
            now,
            room: core.config.unconfirmed_max.saturating_sub(sent.awaiting(now)),
            newcomers: 0,
            sent,
            contents: Vec::new(),
            bytes: 0,
            parcels: Vec::new(),
            secrets: Vec::new(),
            sealed_bytes: 0,
            statuses: Vec::new(),
        })
    }

    /// Whether a key with `bytes` and `secrets` has to wait. A message takes at least one of whatever size.
    fn is_full(&mut self, key_id: &KeyId, bytes: usize, secrets: &[SecretBytes]) -> Result<Option<Stop>, StateError> {
        let config = &self.core.config;
        let fits = self.contents.len() < config.batch_keys_max
            && self.bytes + bytes <= config.batch_bytes_max
            && self.secrets.len() + secrets.len() <= BATCH_SECRETS_MAX
            && self.sealed_bytes + wrapped_bytes(secrets) <= BATCH_SEALED_BYTES_MAX;
        if !fits && !self.contents.is_empty() {
            return Ok(Some(Stop::More));
        }
        // What takes the place of something older needs no room.
        if !self.sent.awaits(key_id, self.now) {
            if self.newcomers >= self.room {
                self.make_room()?;
            }
            if self.newcomers >= self.room {
                return Ok(Some(Stop::Unconfirmed));
            }
            self.newcomers += 1;
        }
        Ok(None)
    }

    /// Gives up waiting for the confirmation of what has changed since: what will be confirmed is the newer.
    fn make_room(&mut self) -> Result<(), StateError> {
        let tables = self.tables;
        self.sent.retain(|key_id, what| {
            let key = read::key(tables, key_id)?;
            Ok::<_, StateError>(key.is_some_and(|key| match what {
                What::Document(version) => key.document.version == *version,
                What::Status(revision) => key.status_revision == *revision,
            }))
        })?;
        self.room = self.core.config.unconfirmed_max.saturating_sub(self.sent.awaiting(self.now));
        Ok(())
    }

    /// Takes the document of a dirty entry, if it is to be sent now; `Some` when it has to wait for the next message.
    fn take_document(&mut self, age: Age) -> Result<Option<Stop>, ReplicationError> {
        let Some(key) = read::key(self.tables, &age.1)? else { return Ok(None) };
        let what = What::Document(key.document.version.clone());
        if !key.document.is_owned_by(&self.me.author()) || self.sent.holds(&age.1, &what, self.now) {
            return Ok(None);
        }
        let document = encoding::encode(DOCUMENT_SCHEMA, &key.document).map_err(ReplicationError::Encode)?;
        let (id_secret, materials) = self.wanted_secrets(&key)?;
        let bytes = document.len() + materials.len() * MATERIAL_ID_BYTES + PARCEL_BYTES;
        let opened = match self.open_secrets(&age.1, id_secret, &materials) {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(key = %age.1, error = %with_sources(&error), "a key cannot be shipped: its secrets do not open");
                self.sent.refuse(age, what, self.now, self.now + self.core.config.refusal_backoff);
                return Ok(None);
            }
        };
        if let Some(stop) = self.is_full(&age.1, bytes, &opened)? {
            return Ok(Some(stop));
        }
        self.sealed_bytes += wrapped_bytes(&opened);
        self.secrets.extend(opened);
        let materials = materials.into_iter().map(|(id, _)| id).collect();
        self.parcels.push(Parcel { document: document.into(), id_secret: id_secret.is_some(), materials });
        self.contents.push((age, what));
        self.bytes += bytes;
        Ok(None)
    }

    /// The id secret while the peer has shown no status, and the materials that it has not named.
    fn wanted_secrets<'k>(&self, key: &'k KeyRecord) -> Result<(Option<&'k Sealed>, SealedMaterials), StateError> {
        let key_id = &key.document.key_id;
        // What another life of the peer named is void.
        let status = read::status(self.tables, key_id, &self.peer.region)?.filter(|status| status.incarnation == self.peer.incarnation);
        let mut materials = Vec::new();
        // Imported bytes never cross (rule 9).
        let shipped = key.document.materials.iter().filter(|_| key.document.origin == Origin::AwsKms);
        for material in shipped {
            if status.as_ref().is_none_or(|status| !status.materials.contains(&material.id))
                // A primary holds all that its document names; if it did not, the peer would say what it lacks.
                && let Some(record) = read::material(self.tables, key_id, &material.id)?
            {
                materials.push((material.id, record.sealed));
            }
        }
        Ok((status.is_none().then_some(&key.id_secret), materials))
    }

    /// In the order in which a [`Parcel`] promises them.
    fn open_secrets(
        &self,
        key_id: &KeyId,
        id_secret: Option<&Sealed>,
        materials: &[(MaterialId, Sealed)],
    ) -> Result<Vec<SecretBytes>, BarrierError> {
        let id_secret = id_secret.map(|sealed| self.core.sealing.open_id_secret(key_id, sealed).map(SecretBytes::from));
        let materials = materials.iter().map(|(id, sealed)| self.core.sealing.open_material(key_id, id, sealed));
        id_secret.into_iter().chain(materials).collect()
    }

    /// Takes the status of a dirty entry, if it is to be sent now; `Some` when it has to wait for the next message.
    fn take_status(&mut self, age: Age) -> Result<Option<Stop>, ReplicationError> {
        let Some(key) = read::key(self.tables, &age.1)? else { return Ok(None) };
        let what = What::Status(key.status_revision);
        if self.sent.holds(&age.1, &what, self.now) {
            return Ok(None);
        }
        let status = read::own_status(self.tables, &self.me, &key)?;
        let bytes = status.materials.len() * MATERIAL_ID_BYTES + STATUS_BYTES;
        if let Some(stop) = self.is_full(&age.1, bytes, &[])? {
            return Ok(Some(stop));
        }
        self.statuses.push(status);
        self.contents.push((age, what));
        self.bytes += bytes;
        Ok(None)
    }

    fn finish(self, kind: Kind, number: u64, cursor: Cursor, stop: Stop) -> Result<Load, ReplicationError> {
        let message = if self.contents.is_empty() {
            None
        } else {
            let body = match kind {
                Kind::Documents => self.wrap_documents(number)?,
                Kind::Statuses => {
                    let (from, to) = (RegionLife::from(&self.me), RegionLife::from(&self.peer));
                    message::encode(&Message { from, to, body: &self.statuses }).map_err(ReplicationError::Encode)?
                }
            };
            for (age, what) in &self.contents {
                self.sent.note(*age, what.clone(), self.now, self.core.config.resend_after);
            }
            Some((body, self.contents))
        };
        Ok(Load { message, endpoints: self.peer.endpoints, cursor, stop })
    }

    fn wrap_documents(&self, number: u64) -> Result<Bytes, ReplicationError> {
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
        let batch = seal_batch(&own_keys, &crypto_keys(&self.peer.keys)?, &BatchHeader { route, number }, &parcels, &self.secrets)?;
        message::encode(&batch).map_err(ReplicationError::Encode)
    }
}

fn wrapped_bytes(secrets: &[SecretBytes]) -> usize {
    secrets.iter().map(|secret| sealed_bytes(secret.expose().len())).sum()
}
