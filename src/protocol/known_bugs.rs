//! Rules broken on purpose, to prove that the model would notice. Compiled with the feature `known-bugs` alone; a process so built
//! breaks the one that `CLAVIGER_PROTOCOL_BUG` names, or none.
//!
//! These are apart from `claviger_types::known_bugs`, whose bugs the simulation of whole regions hunts. Code asks `if bug!(Name)`,
//! which is nothing without the feature.

#[cfg(feature = "known-bugs")]
pub use planted::{Bug, VARIABLE, is_planted};

#[cfg(feature = "known-bugs")]
mod planted {
    use std::sync::OnceLock;

    /// The environment variable that names the rule to break.
    pub const VARIABLE: &str = "CLAVIGER_PROTOCOL_BUG";

    macro_rules! bugs {
        ($($(#[$doc:meta])* $bug:ident = $name:literal),+ $(,)?) => {
            /// A rule that can be broken.
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum Bug { $($(#[$doc])* $bug),+ }

            impl Bug {
                /// Every one of them.
                pub const ALL: &[Self] = &[$(Self::$bug),+];

                /// What the environment variable says to plant it.
                pub const fn name(self) -> &'static str {
                    match self { $(Self::$bug => $name),+ }
                }
            }
        };
    }

    bugs! {
        /// A member's word from an earlier epoch counts for a rotation (rule 3).
        AcknowledgedAcrossEpochs = "acknowledged-across-epochs",
        /// A promotion takes the survivors for granted (rule 7).
        PromotionWithoutAsking = "promotion-without-asking",
        /// A promise is given and not kept (rule 7).
        NoPromise = "no-promise",
        /// A member becomes active by a status from before its latest change (rule 4).
        ActiveWithoutSince = "active-without-since",
        /// A newer document takes away what it does not name (rule 2).
        DocumentsReplaced = "documents-replaced",
        /// A replica destroys its materials before the primary has them (rule 8).
        DeletionBeforeAcknowledgement = "deletion-before-acknowledgement",
        /// An offer is taken without consent, even one that was refused (rule 6).
        HandoffWithoutConsent = "handoff-without-consent",
        /// A member is gone by what it said before it was created again (rule 8).
        GoneWithoutSince = "gone-without-since",
        /// A restored region is taken for what it was (rule 11).
        IncarnationIgnored = "incarnation-ignored",
    }

    /// Whether this process breaks the rule. The environment is asked once.
    pub fn is_planted(bug: Bug) -> bool {
        static CHOSEN: OnceLock<Option<Bug>> = OnceLock::new();
        let chosen = || std::env::var(VARIABLE).ok().and_then(|name| Bug::ALL.iter().find(|bug| bug.name() == name).copied());
        *CHOSEN.get_or_init(chosen) == Some(bug)
    }
}

/// Whether the named rule is broken in this process: never, in a build without the feature `known-bugs`.
#[cfg(feature = "known-bugs")]
macro_rules! bug {
    ($bug:ident) => {
        $crate::known_bugs::is_planted($crate::known_bugs::Bug::$bug)
    };
}
#[cfg(not(feature = "known-bugs"))]
macro_rules! bug {
    ($bug:ident) => {
        false
    };
}
pub(crate) use bug;
