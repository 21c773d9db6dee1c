//! Reads are linearizable, on every node (the design's promise P2; no name of its own in section 5.3): what clients saw of
//! a key in a region has an order in which every call takes effect between its beginning and its end.

use super::{Held, Violation};
use crate::history::{Action, Call, History, NEVER, Outcome};
use crate::linearizability::{Event, State, Step, check};

pub(crate) const NAME: &str = "linearizable";

pub(super) fn judge(history: &History) -> Held {
    for (key, region) in history.places() {
        let calls: Vec<(&Call, Event)> = history.of(key, &region).into_iter().filter_map(|call| Some((call, event(call)?))).collect();
        let events: Vec<Event> = calls.iter().map(|(_, event)| *event).collect();
        if let Err(index) = check(&events) {
            let around = index.saturating_sub(6)..(index + 7).min(calls.len());
            let lines: Vec<String> = calls[around].iter().map(|(call, _)| call.describe(history)).collect();
            let (stuck, _) = calls[index];
            return Err(Violation::new(
                NAME,
                format!("no order explains {}; about it:\n  {}", stuck.describe(history), lines.join("\n  ")),
            ));
        }
    }
    Ok(())
}

/// What a call says of the register; none when it says nothing.
fn event(call: &Call) -> Option<Event> {
    let refused = |code: &str| matches!(&call.outcome, Outcome::Refused(found) if found == code);
    let shown = |enabled| if enabled { State::Enabled } else { State::Disabled };
    let step = match (call.action, &call.outcome) {
        (Action::Create | Action::Appear, Outcome::Done | Outcome::Unknown) => Step::Appear,
        (Action::Enable, Outcome::Done | Outcome::Unknown) => Step::Set(State::Enabled),
        (Action::Disable, Outcome::Done | Outcome::Unknown) => Step::Set(State::Disabled),
        (_, Outcome::Unknown) => return None,
        (Action::Describe, Outcome::Shown(enabled)) => Step::Show(shown(*enabled)),
        (Action::Encrypt | Action::Decrypt, Outcome::Done | Outcome::WrongPlaintext) => Step::Show(State::Enabled),
        (Action::Encrypt | Action::Decrypt, _) if refused("DisabledException") => Step::Show(State::Disabled),
        (Action::Describe, Outcome::ShownCreating) => Step::ShowPresent,
        (_, _) if refused("KMSInvalidStateException") => Step::ShowPresent,
        (Action::Describe | Action::Encrypt | Action::Enable | Action::Disable, _) if refused("NotFoundException") => {
            Step::Show(State::Absent)
        }
        _ => return None,
    };
    // A replica appears by itself, after ReplicateKey was answered or not.
    let ended = if call.action == Action::Appear || call.outcome == Outcome::Unknown { NEVER } else { call.ended };
    Some(Event { step, begun: call.begun, ended })
}
