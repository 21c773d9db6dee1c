//! Versions of a shared document, and the epochs in them.

use std::fmt;

use claviger_types::{Incarnation, Region};
use serde::{Deserialize, Serialize};

/// A region in one of its lives: who commits changes to a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Author {
    /// The region.
    pub region: Region,
    /// Its incarnation; a restored region is another author.
    pub incarnation: Incarnation,
}

/// One author's tenure over a document; all of a version but the revision. Fields are compared in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Epoch {
    /// Forced promotions so far. Compared first, so that a handoff never outranks the promotion that replaced it.
    pub promotions: u64,
    /// Planned handoffs so far.
    pub handoffs: u64,
    /// The one author of this epoch.
    pub author: Author,
}

/// A document's version: its epoch, then the revision within it. Compared in that order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Whose tenure.
    pub epoch: Epoch,
    /// Counts the author's changes, from 1.
    pub revision: u64,
}

/// Promotions, handoffs and revisions are below this, whoever says so: no sum of one overflows.
const COUNT_MAX: u64 = 1 << 62;

impl Epoch {
    /// Whether one can be counted on from here. A peer's word is not believed otherwise.
    pub const fn is_in_range(&self) -> bool {
        self.promotions < COUNT_MAX && self.handoffs < COUNT_MAX
    }
}

impl Version {
    /// Whether one can be counted on from here.
    pub const fn is_in_range(&self) -> bool {
        self.epoch.is_in_range() && self.revision < COUNT_MAX
    }

    /// The first version of a document that `author` creates.
    pub const fn first(author: Author) -> Self {
        Self { epoch: Epoch { promotions: 0, handoffs: 0, author }, revision: 1 }
    }

    /// The version of the author's next change.
    pub fn next(&self) -> Self {
        Self { epoch: self.epoch.clone(), revision: self.revision + 1 }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Epoch { promotions, handoffs, author } = &self.epoch;
        write!(f, "{promotions}.{handoffs}@{}.{}", author.region, self.revision)
    }
}
