//! What an operator may tune, and the bounds that no setting can pass.

use std::time::Duration;

use claviger_crypto::wrap::BATCH_DOCUMENTS_BYTES_MAX;

/// Documents or statuses in one message, whatever is configured: what a receiver takes at most.
pub(crate) const MESSAGE_KEYS_MAX: usize = 4096;
/// Bytes of documents or statuses in one message, whatever is configured. A receiver adds its own seals and proposes them as
/// one log entry, which must stay below `limits::RECORD_BYTES_MAX`.
pub(crate) const MESSAGE_BYTES_MAX: usize = 6 * 1024 * 1024;
const _: () = assert!(MESSAGE_BYTES_MAX < BATCH_DOCUMENTS_BYTES_MAX);

/// Sizes and times of the shipper and the receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicationConfig {
    /// Keys in one batch.
    pub batch_keys_max: usize,
    /// Bytes of documents in one batch; a single larger document still goes, alone.
    pub batch_bytes_max: usize,
    /// Batches on their way to one peer at once.
    pub batches_in_flight_max: usize,
    /// Documents that one peer was sent and has not confirmed by a status; more wait.
    pub unconfirmed_max: usize,
    /// Patience with one message to one endpoint.
    pub request_timeout: Duration,
    /// How often the dirty set is looked at without having been told that it grew.
    pub rescan_interval: Duration,
    /// How long a sent document waits for the peer's status before it is sent again; doubles with each repetition.
    pub resend_after: Duration,
    /// How long what a peer refused is left alone.
    pub refusal_backoff: Duration,
    /// First pause after a peer could not be reached; doubles, with jitter.
    pub backoff_min: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
    /// How often the leader asks after reservations that are too old.
    pub reservation_check_interval: Duration,
    /// Messages from peers that this node reads and opens at once, each up to 16 MiB.
    pub receives_at_once_max: usize,
}

impl Default for ReplicationConfig {
    fn default() -> Self {
        Self {
            batch_keys_max: 512,
            batch_bytes_max: 1024 * 1024,
            batches_in_flight_max: 4,
            unconfirmed_max: 4096,
            request_timeout: Duration::from_secs(10),
            rescan_interval: Duration::from_secs(1),
            resend_after: Duration::from_secs(3),
            refusal_backoff: Duration::from_secs(60),
            backoff_min: Duration::from_millis(200),
            backoff_max: Duration::from_secs(10),
            reservation_check_interval: Duration::from_secs(10),
            receives_at_once_max: 16,
        }
    }
}

impl ReplicationConfig {
    /// The same within what can work at all.
    pub(crate) fn bounded(self) -> Self {
        Self {
            batch_keys_max: self.batch_keys_max.clamp(1, MESSAGE_KEYS_MAX),
            batch_bytes_max: self.batch_bytes_max.clamp(1, MESSAGE_BYTES_MAX),
            batches_in_flight_max: self.batches_in_flight_max.clamp(1, 64),
            unconfirmed_max: self.unconfirmed_max.clamp(1, 65_536),
            receives_at_once_max: self.receives_at_once_max.max(1),
            ..self
        }
    }
}
