//! The metrics of replication, named once.

use std::time::Duration;

use claviger_state::DocumentRefusal;
use claviger_types::Region;

pub(crate) fn gauge_lag(peer: &Region, dirty: u64, lag: Duration) {
    #[expect(clippy::cast_precision_loss, reason = "a count of keys")]
    let dirty = dirty as f64;
    metrics::gauge!("claviger_replication_dirty", "peer" => peer.to_string()).set(dirty);
    metrics::gauge!("claviger_replication_lag_seconds", "peer" => peer.to_string()).set(lag.as_secs_f64());
}

/// One message of `kind` ("documents", "statuses") to a peer: `result` is "ok" or why it failed.
pub(crate) fn count_batch_shipped(peer: &Region, kind: &'static str, result: &'static str) {
    metrics::counter!("claviger_replication_batches_shipped_total", "peer" => peer.to_string(), "kind" => kind, "result" => result)
        .increment(1);
}

/// A document that a peer answered for: `result` is "taken" or why not.
pub(crate) fn count_documents_shipped(peer: &Region, result: &'static str) {
    metrics::counter!("claviger_replication_documents_shipped_total", "peer" => peer.to_string(), "result" => result).increment(1);
}

/// One message from a peer.
pub(crate) fn count_batch_received(peer: &Region, kind: &'static str, result: &'static str) {
    metrics::counter!("claviger_replication_batches_received_total", "peer" => peer.to_string(), "kind" => kind, "result" => result)
        .increment(1);
}

/// A document from a peer: `result` is "taken" or why not.
pub(crate) fn count_documents_received(peer: &Region, result: &'static str) {
    metrics::counter!("claviger_replication_documents_received_total", "peer" => peer.to_string(), "result" => result).increment(1);
}

pub(crate) const fn document_result(result: Result<(), DocumentRefusal>) -> &'static str {
    match result {
        Ok(()) => "taken",
        Err(DocumentRefusal::Invalid) => "invalid",
        Err(DocumentRefusal::NotAMember) => "not_a_member",
        Err(DocumentRefusal::NoReservation) => "no_reservation",
        Err(DocumentRefusal::NotNewer) => "not_newer",
        Err(DocumentRefusal::MissingMaterial) => "missing_material",
        Err(DocumentRefusal::AccountNotAllowed) => "account_not_allowed",
    }
}
