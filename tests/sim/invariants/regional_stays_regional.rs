//! Policy, grants, aliases, tags, description and enablement never cross regions.
//!
//! So far there are descriptions and tags, each of which says for which region it was given; enablement: a key that nobody has
//! disabled in a region is enabled there; and aliases, which clients give to a key in its home region alone.

use std::collections::BTreeMap;

use claviger_state::read;
use claviger_types::{KeyId, Region};

use super::{Commit, Final, Held, Violation};
use crate::history::{Action, regional_tags, replica_name};

pub(crate) const NAME: &str = "regional_stays_regional";

#[derive(Default)]
pub(crate) struct Watcher {
    names: BTreeMap<KeyId, String>,
    /// Where a key was ever seen disabled.
    disabled: BTreeMap<(Region, KeyId), String>,
}

impl Watcher {
    pub(super) fn committed(&mut self, commit: &Commit<'_>) -> Held {
        let (key, regional) = (commit.key_id(), &commit.record.regional);
        if *commit.record.document.primary() == *commit.region() {
            self.names.entry(key).or_insert_with(|| regional.description.clone());
        }
        // A replica comes after its key.
        let name = self.names.get(&key).cloned().unwrap_or_default();
        let expected = if *commit.record.document.primary() == *commit.region() { name } else { replica_name(&name, commit.region()) };
        if regional.description != expected {
            return Err(Violation::new(NAME, format!("{} calls {expected:?} {:?}", commit.node, regional.description)));
        }
        if regional.tags != regional_tags(commit.region()) {
            return Err(Violation::new(NAME, format!("{} has {expected:?} with the tags {:?}", commit.node, regional.tags)));
        }
        if !regional.enabled {
            self.disabled.entry((commit.region().clone(), key)).or_insert(expected);
        }
        Ok(())
    }

    pub(super) fn compare(&self, end: &Final<'_>) -> Held {
        for ((region, key), name) in &self.disabled {
            let asked = end
                .history
                .calls
                .iter()
                .any(|call| call.action == Action::Disable && call.region == *region && end.history.keys[call.key].id == *key);
            if !asked {
                return Err(Violation::new(NAME, format!("{name:?} is disabled in {region}, where nobody has asked for it")));
            }
        }
        for key in &end.history.keys {
            let elsewhere = end.nodes.iter().filter(|(node, _)| node.region != key.home);
            for (node, tables) in elsewhere {
                if let Some(alias) = read::alias_names_of(tables, &key.id, None, 1).expect("tables in memory are read").first() {
                    return Err(Violation::new(NAME, format!("{node} has {alias} for {:?} of {}", key.name, key.home)));
                }
            }
        }
        Ok(())
    }
}
