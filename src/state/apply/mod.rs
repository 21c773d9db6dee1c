//! Carrying out one command: everything here is a function of the tables, the log index and the command.

mod admit;
mod aliases;
mod crl;
mod dirty;
mod grants;
mod identities;
mod keys;
mod labels;
mod life;
mod members;
mod names;
mod nodes;
mod once;
mod receive;
mod region;
mod reserve;
mod share;
#[cfg(test)]
mod tests;

use claviger_types::Timestamp;

use crate::read::{self, LOG_TIME_ROW};
use crate::{Applied, Command, CommandBody, Effects, Outcome, Overlay, Refusal, StateError, Table};

/// Applies `command`, which stands at `index` of the log, to the tables.
///
/// A refused command leaves nothing behind but the time and, for a retry, its refusal.
///
/// # Errors
/// When the tables cannot be read or hold a damaged record: the node must stop.
pub fn apply(tables: &mut Overlay<'_>, index: u64, command: &Command) -> Result<Applied, StateError> {
    let now = read::log_time(tables)?.max(command.time);
    tables.put_bytes(Table::Meta, LOG_TIME_ROW, now.as_millis().to_be_bytes().to_vec());
    let Some(once) = once::of(&command.body) else {
        return attempt(tables, index, now, &command.body);
    };
    if let Some(outcome) = once::recall(tables, once)? {
        return Ok(Applied { outcome, effects: Effects::default() });
    }
    if once::is_stale(tables, &once.authorised)? {
        return Ok(Applied { outcome: Err(Refusal::StaleAuthorisation), effects: Effects::default() });
    }
    let applied = attempt(tables, index, now, &command.body)?;
    // These ask the service to try again, with what it then reads: a stored refusal would stand in the retry's way.
    if !matches!(applied.outcome, Err(Refusal::StaleAuthorisation | Refusal::ReservationLapsed)) {
        once::remember(tables, once, &applied.outcome, now)?;
    }
    Ok(applied)
}

/// Carries out the command on an overlay of its own, whose writes are kept only if it is not refused.
fn attempt(tables: &mut Overlay<'_>, index: u64, now: Timestamp, body: &CommandBody) -> Result<Applied, StateError> {
    let mut step = Step { tables: Overlay::new(tables), index, now, effects: Effects::default() };
    let outcome = step.carry_out(body)?;
    let Step { tables: tried, effects, .. } = step;
    let writes = tried.into_writes();
    if outcome.is_err() {
        return Ok(Applied { outcome, effects: Effects::default() });
    }
    tables.extend(writes);
    Ok(Applied { outcome, effects })
}

/// One command on its way.
struct Step<'a> {
    tables: Overlay<'a>,
    index: u64,
    now: Timestamp,
    effects: Effects,
}

impl Step<'_> {
    fn carry_out(&mut self, body: &CommandBody) -> Result<Outcome, StateError> {
        if let CommandBody::FoundRegion(found) = body {
            return self.found_region(found);
        }
        let Some(me) = read::region(&self.tables)? else { return Ok(Err(Refusal::NotFounded)) };
        match body {
            CommandBody::FoundRegion(_) => Ok(Err(Refusal::AlreadyFounded)),
            CommandBody::Tick | CommandBody::AcceptClock => Ok(Ok(crate::Response::Done)),
            CommandBody::RegisterNode(register) => self.register_node(*register),
            CommandBody::CreateKey(create) => self.create_key(&me, create),
            CommandBody::SetKeyEnabled(set) => self.set_key_enabled(&me, set),
            CommandBody::ReplicateKey(replicate) => self.replicate_key(&me, replicate),
            CommandBody::Reserve(reserve) => self.reserve(reserve),
            CommandBody::LapseReservation { key_id, revision } => self.lapse_reservation(key_id, *revision),
            CommandBody::AddPeer(add) => self.add_peer(&me, add),
            CommandBody::ReceiveDocuments(receive) => self.receive_documents(&me, receive),
            CommandBody::ReceiveStatuses(receive) => self.receive_statuses(&me, receive),
            CommandBody::StatusesDelivered { to, delivered } => self.statuses_delivered(to, delivered),
            CommandBody::CreateAlias(create) => self.create_alias(&me, create),
            CommandBody::UpdateAlias(update) => self.update_alias(&me, update),
            CommandBody::DeleteAlias(delete) => self.delete_alias(delete),
            CommandBody::TagResource(tag) => self.tag_resource(&me, tag),
            CommandBody::UntagResource(untag) => self.untag_resource(&me, untag),
            CommandBody::UpdateKeyDescription(update) => self.update_key_description(&me, update),
            CommandBody::PublishCrl(publish) => self.publish_crl(publish),
            CommandBody::AdmitKeys(admit) => self.admit_keys(&me, admit),
            CommandBody::RemoveNode { id } => self.remove_node(*id),
            CommandBody::SetNodeRole { id, role } => self.set_node_role(*id, *role),
            CommandBody::PutKeyPolicy(put) => self.put_key_policy(put),
            CommandBody::CreateGrant(create) => self.create_grant(&me, create),
            CommandBody::RetireGrant(retire) => self.end_grant(&retire.key, &retire.grant_id),
            CommandBody::RevokeGrant(revoke) => self.end_grant(&revoke.key, &revoke.grant_id),
            CommandBody::ApplyIdentities(apply) => self.apply_identities(apply),
            CommandBody::SetPrincipalDenied(set) => self.set_principal_denied(set),
            CommandBody::ResetKeyPolicy(reset) => self.reset_key_policy(reset),
            CommandBody::ScheduleKeyDeletion(schedule) => self.schedule_key_deletion(&me, schedule),
            CommandBody::CancelKeyDeletion(cancel) => self.cancel_key_deletion(&me, cancel),
            CommandBody::SetKeyRotation(set) => self.set_key_rotation(&me, set),
            CommandBody::RotateKeyOnDemand(rotate) => self.rotate_key_on_demand(&me, rotate),
            CommandBody::ImportKeyMaterial(import) => self.import_key_material(&me, import),
            CommandBody::DeleteImportedKeyMaterial(delete) => self.delete_imported_key_material(&me, delete),
            CommandBody::CarryOutDue(due) => self.carry_out_due(&me, due),
            CommandBody::RecordUsages(record) => self.record_usages(record),
            CommandBody::DetachMember(detach) => self.detach_member(&me, detach),
        }
    }

    /// What counts nothing has no row, so that what is gone leaves none.
    fn add_to_counter(&mut self, name: &str, change: i64) -> Result<(), StateError> {
        match read::count(&self.tables, name)?.saturating_add_signed(change) {
            0 => self.tables.delete(Table::Counters, name.as_bytes()),
            value => self.tables.put_bytes(Table::Counters, name.as_bytes(), value.to_be_bytes().to_vec()),
        }
        Ok(())
    }

    /// The peer in its admitted life, if it may act for what is asked.
    fn admitted(&self, author: &claviger_protocol::Author) -> Result<Result<crate::PeerRecord, Refusal>, StateError> {
        let Some(peer) = read::peer(&self.tables, &author.region)? else { return Ok(Err(Refusal::UnknownPeer)) };
        if peer.incarnation != author.incarnation {
            return Ok(Err(Refusal::PeerIncarnation));
        }
        Ok(Ok(peer))
    }
}

/// Short-circuits a refusal inside a function that returns `Result<Outcome, StateError>`.
macro_rules! granted {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(refusal) => return Ok(Err(refusal.into())),
        }
    };
}
use granted;
