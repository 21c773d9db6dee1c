//! What happened, line by line, and a hash of it: two runs of one seed must have the same. Nothing random that the seed does
//! not fix may be in a line: keys are named by the request that made them.

use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};

/// See the module.
pub(crate) struct Trace {
    // Its keys are fixed, so its hashes are the same in every process.
    hasher: DefaultHasher,
    lines: u64,
    spoken: bool,
}

impl Trace {
    /// `spoken` traces are printed as they are made.
    pub(crate) fn new(spoken: bool) -> Self {
        Self { hasher: DefaultHasher::new(), lines: 0, spoken }
    }

    pub(crate) fn note(&mut self, millis: u128, line: impl Display) {
        let line = format!("{:>4}.{:03} {line}", millis / 1000, millis % 1000);
        line.hash(&mut self.hasher);
        self.lines += 1;
        if self.spoken {
            println!("{line}");
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        let mut hasher = self.hasher.clone();
        self.lines.hash(&mut hasher);
        hasher.finish()
    }
}
