//! An acknowledged write is visible after any minority loss or crash. (Writes that a yielding primary makes to a shared
//! document are excepted; there is no yielding yet.)

use claviger_state::protocol::MemberStatus;
use claviger_state::read;

use super::{Final, Held, Violation};
use crate::history::{Action, Call, History, Outcome};

pub(crate) const NAME: &str = "acked_is_durable";

/// A key that was there is never unknown later.
pub(super) fn judge(history: &History) -> Held {
    for (key, region) in history.places() {
        let calls = history.of(key, &region);
        let shows_it = |call: &&&Call| {
            call.action != Action::Appear && matches!(call.outcome, Outcome::Done | Outcome::Shown(_) | Outcome::ShownCreating)
        };
        let Some(first) = calls.iter().filter(shows_it).map(|call| call.ended).min() else { continue };
        let lost = calls.iter().find(|call| call.begun > first && call.outcome == Outcome::Refused("NotFoundException".to_owned()));
        if let Some(lost) = lost {
            return Err(Violation::new(NAME, format!("the key was there at {first}, and then: {}", lost.describe(history))));
        }
    }
    Ok(())
}

pub(super) fn compare(end: &Final<'_>) -> Held {
    for creation in &end.history.creations {
        let Some(id) = creation.answered else { continue };
        for (node, tables) in end.in_region(&creation.region) {
            if read::key(tables, &id).unwrap().is_none() {
                return Err(Violation::new(NAME, format!("{node} has lost {}", creation.name)));
            }
        }
    }
    for (number, key) in end.history.keys.iter().enumerate() {
        for region in key.replicas.keys() {
            let answered = |call: &Call| {
                call.action == Action::Appear && call.key == number && call.region == *region && call.outcome == Outcome::Done
            };
            if !end.history.calls.iter().any(answered) {
                continue;
            }
            for (node, tables) in end.in_region(&key.home) {
                let record = read::key(tables, &key.id).unwrap();
                let member = record.and_then(|record| record.document.members.get(region).map(|member| member.status));
                if !matches!(member, Some(MemberStatus::Active | MemberStatus::Creating)) {
                    return Err(Violation::new(NAME, format!("{node} has lost the replica of {} in {region}", key.name)));
                }
            }
        }
    }
    // What a key's last acknowledged switch left is what its readers see: that is `linearizable`.
    Ok(())
}
