//! Bugs that are planted on purpose, to prove that the simulation would find them. Compiled with the feature `known-bugs`
//! alone; a program so built plants the one that `CLAVIGER_BUG` names, and refuses to start without that.
//!
//! This is the one place that knows their names. Code asks `if known_bug!(Name)`, which is nothing without the feature.

use std::fmt;
use std::sync::OnceLock;

/// The environment variable that names the bug to plant.
pub const VARIABLE: &str = "CLAVIGER_BUG";

macro_rules! known_bugs {
    ($($(#[$doc:meta])* $bug:ident = $name:literal),+ $(,)?) => {
        /// A bug that can be planted.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum KnownBug { $($(#[$doc])* $bug),+ }

        impl KnownBug {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$bug),+];

            /// What the environment variable says to plant it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$bug => $name),+ }
            }
        }
    };
}

known_bugs! {
    /// The log's writer calls back before it has written.
    FlushBeforeFsync = "flush-before-fsync",
    /// A read joins a round of the read gate that was sent before it came.
    JoinRunningRound = "join-running-round",
    /// A fill of the key cache ends after the key was voided, and is kept.
    LateCacheFill = "late-cache-fill",
    /// An invocation's answer is not remembered, so its retry is carried out again.
    NoDedup = "no-dedup",
    /// A region counts as active before it has named the key's materials.
    ActiveWithoutMaterials = "active-without-materials",
}

/// The environment variable names no bug.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotNamed(String);

impl fmt::Display for NotNamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = KnownBug::ALL.iter().map(|bug| bug.name()).collect();
        write!(
            f,
            "this program was built to have a bug (feature known-bugs) and is for tests alone: {VARIABLE} must name one of {}, and is {:?}",
            names.join(", "),
            self.0
        )
    }
}

impl std::error::Error for NotNamed {}

/// The bug that the environment asks for.
///
/// # Errors
/// When it names none, or one that does not exist.
pub fn chosen() -> Result<KnownBug, NotNamed> {
    named(&std::env::var(VARIABLE).unwrap_or_default())
}

fn named(name: &str) -> Result<KnownBug, NotNamed> {
    KnownBug::ALL.iter().find(|bug| bug.name() == name).copied().ok_or_else(|| NotNamed(name.to_owned()))
}

/// Whether this process has the bug. The environment is asked once.
pub fn is_planted(bug: KnownBug) -> bool {
    static CHOSEN: OnceLock<Option<KnownBug>> = OnceLock::new();
    *CHOSEN.get_or_init(|| chosen().ok()) == Some(bug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_names_its_bug_and_no_other_does() {
        for bug in KnownBug::ALL {
            assert_eq!(named(bug.name()), Ok(*bug));
        }
        for wrong in ["", "no-such-bug", "NoDedup"] {
            assert!(named(wrong).unwrap_err().to_string().contains("flush-before-fsync"), "{wrong}");
        }
    }
}
