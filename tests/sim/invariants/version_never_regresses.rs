//! The version a region holds for a key only grows, within an incarnation.
//!
//! A node that lost its newest state in a crash applies its log again, so it is watched within one life; what any node of
//! a region has ever applied was committed, so in the end the region holds nothing older.

use std::collections::BTreeMap;

use claviger_state::protocol::Version;
use claviger_state::read;
use claviger_types::{KeyId, Region};

use super::{Commit, Final, Held, Violation};
use crate::plan::Node;

pub(crate) const NAME: &str = "version_never_regresses";

#[derive(Default)]
pub(crate) struct Watcher {
    of_life: BTreeMap<(Node, u64, KeyId), Version>,
    of_region: BTreeMap<(Region, KeyId), Version>,
}

impl Watcher {
    pub(super) fn committed(&mut self, commit: &Commit<'_>) -> Held {
        let (key, version) = (commit.key_id(), &commit.record.document.version);
        let last = self.of_life.insert((commit.node.clone(), commit.life, key), version.clone());
        if let Some(last) = last.filter(|last| last > version) {
            return Err(Violation::new(NAME, format!("{} went from {last} to {version}", commit.node)));
        }
        let greatest = self.of_region.entry((commit.region().clone(), key)).or_insert_with(|| version.clone());
        if *greatest < *version {
            *greatest = version.clone();
        }
        Ok(())
    }

    pub(super) fn compare(&self, end: &Final<'_>) -> Held {
        for ((region, key), greatest) in &self.of_region {
            for (node, tables) in end.in_region(region) {
                let held = read::key(tables, key).unwrap().map(|record| record.document.version);
                if held.as_ref() < Some(greatest) {
                    return Err(Violation::new(NAME, format!("{node} holds {held:?} in the end, its region had committed {greatest}")));
                }
            }
        }
        Ok(())
    }
}
