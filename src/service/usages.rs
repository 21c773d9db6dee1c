//! [`Usages`]: which keys this node has used of late, written behind (rules page, section 17). Never in the way of a request: one
//! short lock, and one command for many keys every few seconds. What a node had not written when it stopped is forgotten.

use std::collections::HashMap;
use std::time::Duration;

use claviger_consensus as consensus;
use claviger_shapes::Operation;
use claviger_state::{CommandBody, LastUsageRecord, RecordUsages, UsageOperation};
use claviger_types::limits::USAGES_PER_COMMAND_MAX;
use claviger_types::{KeyId, Timestamp};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::cached_key::CachedKey;
use crate::{Context, Service};

/// How often what was seen is written.
const WRITTEN_EVERY: Duration = Duration::from_secs(5);
/// Keys remembered while nothing can be written; others are not tracked meanwhile.
const KEYS_MAX: usize = 100_000;

/// The last use of each key since it was last written.
#[derive(Default)]
pub(crate) struct Usages {
    seen: Mutex<HashMap<KeyId, Seen>>,
}

struct Seen {
    operation: UsageOperation,
    at: Instant,
    request_id: [u8; 16],
}

impl Usages {
    /// A successful use, now.
    pub(crate) fn note(&self, key: &CachedKey, operation: UsageOperation, context: &Context) {
        let seen = Seen { operation, at: Instant::now(), request_id: context.request_id.into_bytes() };
        let mut keys = self.seen.lock();
        if keys.len() < KEYS_MAX || keys.contains_key(&key.arn.key_id) {
            keys.insert(key.arn.key_id, seen);
        }
    }

    /// Takes what was seen, with times counted back from `now`.
    fn take(&self, now: Timestamp) -> Vec<(KeyId, LastUsageRecord)> {
        let seen = std::mem::take(&mut *self.seen.lock());
        let at =
            |seen: &Seen| Timestamp::from_millis(now.as_millis().saturating_sub(u64::try_from(seen.at.elapsed().as_millis()).unwrap_or(0)));
        let record = |seen: Seen| LastUsageRecord { operation: seen.operation, at: at(&seen), request_id: seen.request_id };
        seen.into_iter().map(|(key_id, seen)| (key_id, record(seen))).collect()
    }
}

impl<R: consensus::Region> Service<R> {
    /// Writes what this node has used every few seconds, until it is told to stop.
    pub async fn write_usages(&self, mut stop: watch::Receiver<bool>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(WRITTEN_EVERY) => self.write_seen_usages().await,
                _ = stop.wait_for(|stop| *stop) => break,
            }
        }
        self.write_seen_usages().await;
    }

    /// Writes what has been used since the last time. What cannot be written is forgotten: it says nothing of what a key is.
    pub(crate) async fn write_seen_usages(&self) {
        let Ok(now) = self.region.log_time() else { return };
        let used = self.usages.take(now);
        for usages in used.chunks(USAGES_PER_COMMAND_MAX) {
            let body = CommandBody::RecordUsages(RecordUsages { usages: usages.to_vec() });
            match self.region.propose(body).await {
                Ok(Ok(_)) => {}
                Ok(Err(refusal)) => tracing::warn!(%refusal, "the last use of keys was not recorded"),
                Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "the last use of keys was not recorded"),
            }
        }
    }
}

/// As the API names it.
pub(crate) const fn operation(usage: UsageOperation) -> Operation {
    match usage {
        UsageOperation::Decrypt => Operation::Decrypt,
        UsageOperation::DeriveSharedSecret => Operation::DeriveSharedSecret,
        UsageOperation::Encrypt => Operation::Encrypt,
        UsageOperation::GenerateDataKey => Operation::GenerateDataKey,
        UsageOperation::GenerateDataKeyPair => Operation::GenerateDataKeyPair,
        UsageOperation::GenerateDataKeyPairWithoutPlaintext => Operation::GenerateDataKeyPairWithoutPlaintext,
        UsageOperation::GenerateDataKeyWithoutPlaintext => Operation::GenerateDataKeyWithoutPlaintext,
        UsageOperation::GenerateMac => Operation::GenerateMac,
        UsageOperation::ReEncrypt => Operation::ReEncrypt,
        UsageOperation::Sign => Operation::Sign,
        UsageOperation::Verify => Operation::Verify,
        UsageOperation::VerifyMac => Operation::VerifyMac,
    }
}
