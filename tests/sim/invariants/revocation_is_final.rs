//! After an acknowledged disable no node of that region serves under the old state.

use super::{Held, Violation};
use crate::history::{Action, Call, History, Outcome};

pub(crate) const NAME: &str = "revocation_is_final";

/// A key was used in a call that began after a DisableKey was acknowledged, though no EnableKey can have come between.
pub(super) fn judge(history: &History) -> Held {
    for (key, region) in history.places() {
        let calls = history.of(key, &region);
        let switches = |action| calls.iter().filter(move |call| call.action == action);
        let used = |call: &&&Call| call.action.is_cryptographic() && matches!(call.outcome, Outcome::Done | Outcome::WrongPlaintext);
        for call in calls.iter().filter(used) {
            for revoked in switches(Action::Disable).filter(|revoked| revoked.outcome == Outcome::Done && revoked.ended < call.begun) {
                let between = |enable: &&Call| {
                    // A refused one did nothing; one that ended before the disable began, or began after the use, cannot have.
                    !matches!(enable.outcome, Outcome::Refused(_)) && enable.ended > revoked.begun && enable.begun < call.ended
                };
                if !switches(Action::Enable).any(between) {
                    return Err(Violation::new(NAME, format!("{} — and yet {}", revoked.describe(history), call.describe(history))));
                }
            }
        }
    }
    Ok(())
}
