//! Each rule broken on purpose (`known_bugs.rs`) is found by the model, in some scope, by a property that it has to break.

use std::process::Command;
use std::time::Instant;

use super::explore;
use super::ghost::{DECRYPTABLE, NOT_LOST, ONE_LINE};
use super::scope::SCOPES;
use crate::known_bugs::{Bug, VARIABLE};

/// The broken rule is found within so many states of a scope.
const STATES: usize = 400_000;
/// Set in the process that breaks a rule.
const HUNT: &str = "CLAVIGER_MODEL_HUNT";
const CAUGHT: &str = "caught: ";

/// Where the breach of a rule shows, and by which property.
const fn expected(bug: Bug) -> (&'static str, &'static str) {
    match bug {
        Bug::AcknowledgedAcrossEpochs => ("imports", DECRYPTABLE),
        Bug::PromotionWithoutAsking => ("two-sides", DECRYPTABLE),
        Bug::NoPromise => ("promotion", ONE_LINE),
        Bug::ActiveWithoutSince => ("re-creation", DECRYPTABLE),
        Bug::DocumentsReplaced => ("return", DECRYPTABLE),
        Bug::DeletionBeforeAcknowledgement => ("last-copy", NOT_LOST),
        Bug::HandoffWithoutConsent => ("handoff", ONE_LINE),
        Bug::GoneWithoutSince => ("late-word", NOT_LOST),
        Bug::IncarnationIgnored => ("restore", DECRYPTABLE),
    }
}

/// In a process of its own: the environment breaks one rule, for the whole process.
#[test]
fn hunt() {
    let Ok(name) = std::env::var(HUNT) else { return };
    let bug = Bug::ALL.iter().find(|bug| bug.name() == name).copied().unwrap();
    let (scope, _) = expected(bug);
    let scope = SCOPES.iter().find(|candidate| candidate.name == scope).unwrap();
    let explored = explore(*scope, false, STATES, 1);
    let (properties, path) = explored.broken.unwrap_or_else(|| panic!("{} states and nothing found", explored.states));
    let steps = path.lines().count();
    println!("{CAUGHT}{} | {} | {} | {steps} | {:.1?}", properties.join(", "), scope.name, explored.states, explored.took);
    println!("  {path}");
}

#[test]
fn every_broken_rule_is_found() {
    let begun = Instant::now();
    let mut rows = Vec::new();
    for bug in Bug::ALL {
        let hunted = Command::new(std::env::current_exe().unwrap())
            .args(["model::planted::hunt", "--exact", "--nocapture"])
            .env(VARIABLE, bug.name())
            .env(HUNT, bug.name())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&hunted.stdout).into_owned();
        let found = text.lines().find_map(|line| line.split_once(CAUGHT)).map(|(_, found)| found.to_owned());
        if found.is_none() || std::env::var_os("CLAVIGER_MODEL_PATHS").is_some() {
            println!("{}: {text}{}", bug.name(), String::from_utf8_lossy(&hunted.stderr));
        }
        rows.push((*bug, found));
    }
    println!("broken rule | found by | scope | states | steps | time");
    println!("--- | --- | --- | --- | --- | ---");
    rows.iter().for_each(|(bug, found)| println!("{} | {}", bug.name(), found.as_deref().unwrap_or("NOT FOUND")));
    println!("{:.0?} in all", begun.elapsed());
    for (bug, found) in rows {
        let properties = found.as_deref().and_then(|found| found.split(" | ").next()).unwrap_or_default();
        assert!(properties.contains(expected(bug).1), "{}: {properties}", bug.name());
    }
}
