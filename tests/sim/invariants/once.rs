//! An invocation id takes effect at most once.
//!
//! Every CreateKey gives a description that no other does, so two keys of one description are one invocation carried out
//! twice. One client alone asks for each replica, so its retry is never told that the replica exists already.

use std::collections::BTreeMap;

use claviger_state::read;
use claviger_types::KeyId;

use super::{Final, Held, Violation};
use crate::history::History;
use crate::plan::account;

pub(crate) const NAME: &str = "once";

pub(super) fn judge(history: &History) -> Held {
    match history.replicated_twice.first() {
        Some(what) => Err(Violation::new(NAME, what)),
        None => Ok(()),
    }
}

pub(super) fn compare(end: &Final<'_>) -> Held {
    for (node, tables) in &end.nodes {
        let mut named: BTreeMap<String, Vec<KeyId>> = BTreeMap::new();
        for key in read::keys_of(tables, account(), None, usize::MAX).unwrap() {
            let record = read::key(tables, &key).unwrap().unwrap();
            named.entry(record.regional.description).or_default().push(key);
        }
        for (name, keys) in named {
            if keys.len() > 1 {
                return Err(Violation::new(NAME, format!("one CreateKey, {name:?}, has made {} keys in {node}", keys.len())));
            }
            let creation = end.history.creations.iter().find(|creation| creation.name == name && creation.region == node.region);
            let answered = creation.and_then(|creation| creation.answered);
            if answered.is_some_and(|answered| answered != keys[0]) {
                return Err(Violation::new(NAME, format!("CreateKey of {name:?} named another key than {node} holds")));
            }
        }
    }
    Ok(())
}
