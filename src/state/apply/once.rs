//! Exactly once: what an invocation id did is remembered for a bounded time, counted in log time.

use std::ops::ControlFlow;

use claviger_types::limits::INVOCATION_MEMORY;
use claviger_types::{Timestamp, known_bug};

use crate::read::{self, invocation_row};
use crate::{Authorised, CommandBody, InvocationRecord, Once, Outcome, Overlay, Refusal, StateError, Table};

/// How many old entries each new one sweeps out: more than one, so that the table shrinks to what the memory spans.
const SWEPT_PER_COMMAND: usize = 4;

/// The invocation that a command belongs to.
pub(super) const fn of(body: &CommandBody) -> Option<&Once> {
    match body {
        CommandBody::CreateKey(create) => Some(&create.once),
        CommandBody::SetKeyEnabled(set) => Some(&set.once),
        CommandBody::ReplicateKey(replicate) => Some(&replicate.once),
        CommandBody::CreateAlias(create) => Some(&create.once),
        CommandBody::UpdateAlias(update) => Some(&update.once),
        CommandBody::DeleteAlias(delete) => Some(&delete.once),
        CommandBody::TagResource(tag) => Some(&tag.once),
        CommandBody::UntagResource(untag) => Some(&untag.once),
        CommandBody::UpdateKeyDescription(update) => Some(&update.once),
        CommandBody::PutKeyPolicy(put) => Some(&put.once),
        CommandBody::CreateGrant(create) => Some(&create.once),
        CommandBody::RetireGrant(retire) => Some(&retire.once),
        CommandBody::RevokeGrant(revoke) => Some(&revoke.once),
        CommandBody::ScheduleKeyDeletion(schedule) => Some(&schedule.once),
        CommandBody::CancelKeyDeletion(cancel) => Some(&cancel.once),
        CommandBody::SetKeyRotation(set) => Some(&set.once),
        CommandBody::RotateKeyOnDemand(rotate) => Some(&rotate.once),
        CommandBody::ImportKeyMaterial(import) => Some(&import.once),
        CommandBody::DeleteImportedKeyMaterial(delete) => Some(&delete.once),
        _ => None,
    }
}

/// What the same invocation was answered before.
pub(super) fn recall(tables: &Overlay<'_>, once: &Once) -> Result<Option<Outcome>, StateError> {
    Ok(read::invocation(tables, &once.principal, &once.invocation_id)?.map(|record| record.answer_to(once)))
}

/// Whether something that the authorisation read besides its keys has changed.
pub(super) fn is_stale(tables: &Overlay<'_>, authorised: &Authorised) -> Result<bool, StateError> {
    if let Some((account, revision)) = authorised.account_revision
        && read::account(tables, account)?.is_none_or(|held| held.revision != revision)
    {
        return Ok(true);
    }
    match &authorised.grant {
        Some((key_id, grant_id)) => Ok(read::grant(tables, key_id, grant_id)?.is_none()),
        None => Ok(false),
    }
}

impl InvocationRecord {
    /// The stored answer, or a refusal when the same id comes with another request.
    pub fn answer_to(&self, once: &Once) -> Outcome {
        if self.operation == once.operation && self.body_sha256 == once.body_sha256 {
            self.outcome.clone()
        } else {
            Err(Refusal::InvocationReused)
        }
    }
}

/// Stores an answer for retries and sweeps out answers that are too old.
pub(super) fn remember(tables: &mut Overlay<'_>, once: &Once, outcome: &Outcome, now: Timestamp) -> Result<(), StateError> {
    if known_bug!(NoDedup) {
        return Ok(());
    }
    let row = invocation_row(&once.principal, &once.invocation_id);
    let record = InvocationRecord { operation: once.operation, body_sha256: once.body_sha256, outcome: outcome.clone(), at: now };
    tables.put(&row, &record)?;
    tables.put_bytes(Table::InvocationsByTime, &[now.as_millis().to_be_bytes().as_slice(), &row].concat(), Vec::new());
    sweep(tables, now)
}

fn sweep(tables: &mut Overlay<'_>, now: Timestamp) -> Result<(), StateError> {
    let mut old = Vec::new();
    read::scan_prefix(tables, Table::InvocationsByTime, &[], &[], |row, _| {
        let (time, _) = row.split_first_chunk::<8>().ok_or_else(|| StateError::corrupt_row(Table::InvocationsByTime, row))?;
        let at = Timestamp::from_millis(u64::from_be_bytes(*time));
        if now.since(at) < INVOCATION_MEMORY || old.len() >= SWEPT_PER_COMMAND {
            return Ok(ControlFlow::Break(()));
        }
        old.push(row.to_vec());
        Ok(ControlFlow::Continue(()))
    })?;
    for row in old {
        tables.delete(Table::Invocations, &row[8..]);
        tables.delete(Table::InvocationsByTime, &row);
    }
    Ok(())
}
