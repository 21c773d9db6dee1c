//! The changes of a plan: a line an identity, with what of it changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use claviger_shapes::admin::iam::Identity;
use serde_json::{Value, json};

use super::plain;
use crate::iam::{AccountPlan, Change};

/// The changes of a plan after the first `done` of them.
pub(super) fn account_lines(text: &mut String, plan: &AccountPlan, done: usize) {
    if plan.creates_account && done == 0 {
        text.push_str("    + the account\n");
    }
    for change in plan.changes.iter().skip(done) {
        let (sign, _) = kind_of(change);
        let members = members(change);
        let members = if members.is_empty() { String::new() } else { format!(": {}", members.join("; ")) };
        let _ = writeln!(text, "    {sign} {}{members}", change.name);
    }
    if plan.deletes_account {
        text.push_str("    - the account\n");
    }
}

/// The same for programs; the first `done` changes were made.
pub(super) fn account_report(plan: &AccountPlan, done: usize) -> Vec<Value> {
    let report = |(index, change): (usize, &Change)| {
        let (_, kind) = kind_of(change);
        json!({ "identity": change.name, "change": kind, "members": members(change), "done": index < done })
    };
    plan.changes.iter().enumerate().map(report).collect()
}

const fn kind_of(change: &Change) -> (char, &'static str) {
    match (&change.before, &change.after) {
        (None, _) => ('+', "create"),
        (Some(_), Some(_)) => ('~', "update"),
        (Some(_), None) => ('-', "delete"),
    }
}

/// What of an identity changes. What is made has all, and what goes has nothing to tell.
fn members(change: &Change) -> Vec<String> {
    let Some(after) = &change.after else { return Vec::new() };
    let before = change.before.as_ref();
    let mut parts = Vec::new();
    let mut add = |what: &str, signed: Vec<String>| {
        if !signed.is_empty() {
            parts.push(format!("{what} {}", signed.join(" ")));
        }
    };
    add("groups", of_sets(before.and_then(Identity::groups), after.groups()));
    add("attached", of_sets(before.and_then(Identity::attached), after.attached()));
    add("inline", of_maps(before.and_then(Identity::inline), after.inline()));
    add("tags", of_maps(before.and_then(Identity::tags), after.tags()));
    match (before.and_then(Identity::boundary), after.boundary()) {
        (old, new) if old == new => {}
        (old, new) => {
            let name = |name: Option<&String>| name.map_or("none", String::as_str).to_owned();
            parts.push(format!("boundary {} -> {}", name(old), name(new)));
        }
    }
    if let (Some(Identity::Policy(old)), Identity::Policy(new)) = (before, after)
        && old != new
    {
        parts.push("document".to_owned());
    }
    parts
}

fn of_sets(before: Option<&BTreeSet<String>>, after: Option<&BTreeSet<String>>) -> Vec<String> {
    let none = BTreeSet::new();
    let (before, after) = (before.unwrap_or(&none), after.unwrap_or(&none));
    let added = after.difference(before).map(|name| format!("+{}", plain(name)));
    added.chain(before.difference(after).map(|name| format!("-{}", plain(name)))).collect()
}

fn of_maps(before: Option<&BTreeMap<String, String>>, after: Option<&BTreeMap<String, String>>) -> Vec<String> {
    let none = BTreeMap::new();
    let (before, after) = (before.unwrap_or(&none), after.unwrap_or(&none));
    let put = after.iter().filter_map(|(name, value)| match before.get(name) {
        None => Some(format!("+{}", plain(name))),
        Some(old) if old != value => Some(format!("~{}", plain(name))),
        Some(_) => None,
    });
    put.chain(before.keys().filter(|name| !after.contains_key(*name)).map(|name| format!("-{}", plain(name)))).collect()
}
