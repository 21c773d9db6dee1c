//! A material that ever was `Current` anywhere exists in some region until every member is `Gone`.

use std::collections::BTreeSet;

use claviger_state::read;
use claviger_types::{KeyId, MaterialId};

use super::{Commit, Final, Held, Violation};

pub(crate) const NAME: &str = "no_material_lost";

#[derive(Default)]
pub(crate) struct Watcher {
    current: BTreeSet<(KeyId, MaterialId)>,
}

impl Watcher {
    pub(super) fn committed(&mut self, commit: &Commit<'_>) {
        self.current.extend(commit.record.document.current_material().map(|material| (commit.key_id(), material.id)));
    }

    pub(super) fn compare(&self, end: &Final<'_>) -> Held {
        for (key, material) in &self.current {
            let held = |(node, tables)| -> bool {
                let _: &crate::plan::Node = node;
                read::material(tables, key, material).unwrap().is_some()
            };
            if !end.nodes.iter().any(held) {
                return Err(Violation::new(NAME, "a material that was current exists nowhere any more"));
            }
        }
        Ok(())
    }
}
