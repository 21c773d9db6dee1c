//! What must hold, one file for each statement of the design (section 5.3) that applies so far, under its name there.
//!
//! Most are told of every commit of every node as it happens ([`Commit`]); some judge what clients saw when a run is over,
//! and some compare the nodes' tables then ([`Final`]).

pub(crate) mod acked_is_durable;
pub(crate) mod convergence;
pub(crate) mod decryptable_everywhere;
pub(crate) mod linearizable;
pub(crate) mod material_is_immutable;
pub(crate) mod no_material_lost;
pub(crate) mod once;
pub(crate) mod one_line_of_succession;
pub(crate) mod regional_stays_regional;
pub(crate) mod revocation_is_final;
#[cfg(test)]
mod tests;
pub(crate) mod version_never_regresses;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use claviger_barrier::Barrier;
use claviger_state::{KeyRecord, MemoryTables, Tables};
use claviger_types::{KeyId, Region};
use serde::{Deserialize, Serialize};

use crate::history::{History, Moment};
use crate::plan::Node;

/// A statement that does not hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Violation {
    pub(crate) invariant: Cow<'static, str>,
    pub(crate) what: String,
}

impl Violation {
    pub(crate) fn new(invariant: &'static str, what: impl Into<String>) -> Self {
        Self { invariant: Cow::Borrowed(invariant), what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.what)
    }
}

pub(crate) type Held = Result<(), Violation>;

/// A key that a node has just changed by applying its log.
pub(crate) struct Commit<'a> {
    pub(crate) node: &'a Node,
    /// How often the node had been started.
    pub(crate) life: u64,
    pub(crate) moment: Moment,
    pub(crate) record: &'a KeyRecord,
    pub(crate) tables: &'a dyn Tables,
    pub(crate) barrier: &'a Barrier,
}

impl Commit<'_> {
    pub(crate) fn key_id(&self) -> KeyId {
        self.record.document.key_id
    }

    pub(crate) fn region(&self) -> &Region {
        &self.node.region
    }
}

/// All nodes when a run is over, the faults have stopped, and everything that was to happen has.
pub(crate) struct Final<'a> {
    pub(crate) history: &'a History,
    pub(crate) nodes: BTreeMap<Node, MemoryTables>,
}

impl Final<'_> {
    pub(crate) fn in_region<'a>(&'a self, region: &'a Region) -> impl Iterator<Item = (&'a Node, &'a MemoryTables)> {
        self.nodes.iter().filter(move |(node, _)| node.region == *region)
    }
}

/// Those that watch every commit.
#[derive(Default)]
pub(crate) struct Watchers {
    pub(crate) versions: version_never_regresses::Watcher,
    pub(crate) succession: one_line_of_succession::Watcher,
    pub(crate) materials: material_is_immutable::Watcher,
    pub(crate) lost: no_material_lost::Watcher,
    pub(crate) decryptable: decryptable_everywhere::Watcher,
    pub(crate) regional: regional_stays_regional::Watcher,
}

impl Watchers {
    pub(crate) fn committed(&mut self, commit: &Commit<'_>) -> Held {
        self.versions.committed(commit)?;
        self.succession.committed(commit)?;
        self.materials.committed(commit)?;
        self.lost.committed(commit);
        self.decryptable.committed(commit)?;
        self.regional.committed(commit)
    }
}

/// What clients saw.
pub(crate) fn judge(history: &History, watchers: &Watchers) -> Held {
    revocation_is_final::judge(history)?;
    once::judge(history)?;
    acked_is_durable::judge(history)?;
    watchers.decryptable.judge(history)?;
    linearizable::judge(history)
}

/// What the nodes hold in the end.
pub(crate) fn compare(end: &Final<'_>, watchers: &Watchers) -> Held {
    acked_is_durable::compare(end)?;
    once::compare(end)?;
    watchers.versions.compare(end)?;
    watchers.lost.compare(end)?;
    watchers.regional.compare(end)?;
    convergence::compare(end)
}
