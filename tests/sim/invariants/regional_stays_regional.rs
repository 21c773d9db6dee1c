//! Policy, grants, aliases, tags, description and enablement never cross regions.
//!
//! So far there are descriptions, each of which says for which region it was given, and enablement: a key that nobody has
//! disabled in a region is enabled there.

use std::collections::BTreeMap;

use claviger_types::{KeyId, Region};

use super::{Commit, Final, Held, Violation};
use crate::history::{Action, replica_name};

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
        Ok(())
    }
}
