//! Reads are linearizable, on every node (the design's promise P2; no name of its own in section 5.3): what clients saw of
//! a key in a region, and of an alias, has an order in which every call takes effect between its beginning and its end.

use claviger_types::Region;

use super::{Held, Violation};
use crate::history::{Action, AliasAction, AliasCall, AliasOutcome, Call, History, NEVER, Outcome};
use crate::linearizability::{Event, Step, check};

pub(crate) const NAME: &str = "linearizable";

/// The values of a key's register.
const DISABLED: usize = 0;
const ENABLED: usize = 1;

pub(super) fn judge(history: &History) -> Held {
    for (key, region) in history.places() {
        let calls = history.of(key, &region).into_iter();
        let said: Vec<_> = calls.filter_map(|call| Some((step(call)?, call.begun, end(call), call.describe(history)))).collect();
        explain(&said)?;
    }
    let mut aliases: Vec<(&str, &Region)> = history.alias_calls.iter().map(|call| (call.alias, &call.region)).collect();
    aliases.sort();
    aliases.dedup();
    for (alias, region) in aliases {
        let mut calls: Vec<&AliasCall> = history.alias_calls.iter().filter(|call| call.alias == alias && call.region == *region).collect();
        calls.sort_by_key(|call| call.begun);
        let said: Vec<_> =
            calls.into_iter().filter_map(|call| Some((alias_step(call)?, call.begun, call.ended, call.describe()))).collect();
        explain(&said)?;
    }
    Ok(())
}

fn explain(calls: &[(Step, u64, u64, String)]) -> Held {
    let events: Vec<Event> = calls.iter().map(|(step, begun, ended, _)| Event { step: *step, begun: *begun, ended: *ended }).collect();
    let Err(index) = check(&events) else { return Ok(()) };
    let around = index.saturating_sub(6)..(index + 7).min(calls.len());
    let lines: Vec<&str> = calls[around].iter().map(|(.., line)| line.as_str()).collect();
    Err(Violation::new(NAME, format!("no order explains {}; about it:\n  {}", calls[index].3, lines.join("\n  "))))
}

/// What a call says of the key's register; none when it says nothing.
fn step(call: &Call) -> Option<Step> {
    let refused = |code: &str| matches!(&call.outcome, Outcome::Refused(found) if found == code);
    Some(match (call.action, &call.outcome) {
        (Action::Create | Action::Appear, Outcome::Done | Outcome::Unknown) => Step::Make(ENABLED),
        (Action::Enable, Outcome::Done | Outcome::Unknown) => Step::Set(ENABLED),
        (Action::Disable, Outcome::Done | Outcome::Unknown) => Step::Set(DISABLED),
        (_, Outcome::Unknown) => return None,
        (Action::Describe, Outcome::Shown(enabled)) => Step::Show(Some(if *enabled { ENABLED } else { DISABLED })),
        (Action::Encrypt | Action::Decrypt, Outcome::Done | Outcome::WrongPlaintext) => Step::Show(Some(ENABLED)),
        (Action::Encrypt | Action::Decrypt, _) if refused("DisabledException") => Step::Show(Some(DISABLED)),
        (Action::Describe, Outcome::ShownCreating) => Step::ShowPresent,
        (_, _) if refused("KMSInvalidStateException") => Step::ShowPresent,
        (Action::Describe | Action::Encrypt | Action::Enable | Action::Disable, _) if refused("NotFoundException") => Step::Show(None),
        _ => return None,
    })
}

/// A replica appears by itself, some time after ReplicateKey was answered or not.
const fn end(call: &Call) -> u64 {
    if matches!(call.action, Action::Appear) || matches!(call.outcome, Outcome::Unknown) { NEVER } else { call.ended }
}

/// What a call says of the alias's register, whose values are keys.
fn alias_step(call: &AliasCall) -> Option<Step> {
    let refused = |code: &str| matches!(&call.outcome, AliasOutcome::Refused(found) if found == code);
    Some(match (call.action, &call.outcome) {
        (AliasAction::Look, AliasOutcome::Shown(key)) => Step::Show(Some(*key)),
        (AliasAction::Look, AliasOutcome::Unknown) => return None,
        (AliasAction::Create(key), AliasOutcome::Done | AliasOutcome::Unknown) => Step::Make(key),
        (AliasAction::Update(key), AliasOutcome::Done | AliasOutcome::Unknown) => Step::Set(key),
        (AliasAction::Delete, AliasOutcome::Done | AliasOutcome::Unknown) => Step::Unmake,
        (AliasAction::Create(_), _) if refused("AlreadyExistsException") => Step::ShowPresent,
        (AliasAction::Look | AliasAction::Update(_) | AliasAction::Delete, _) if refused("NotFoundException") => Step::Show(None),
        _ => return None,
    })
}
