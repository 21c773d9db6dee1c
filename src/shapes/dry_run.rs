//! DryRun and its modifiers (rules page, section 15).

use crate::decode::{List, Text};
use crate::{ApiError, model};

/// Whether a request is only to be decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DryRun {
    /// It is to be carried out.
    #[default]
    No,
    /// All but what changes or uses something.
    Yes,
    /// The same, without a look at the ciphertext, which need not be there.
    IgnoringCiphertext,
}

impl DryRun {
    /// Whether nothing is to happen.
    pub fn is_on(self) -> bool {
        self != Self::No
    }

    /// Ends a request that has passed every check, if it was to do no more.
    ///
    /// # Errors
    /// DryRunOperationException, if so.
    pub fn check(self) -> Result<(), ApiError> {
        if self.is_on() { Err(ApiError::dry_run()) } else { Ok(()) }
    }

    pub(crate) fn new(dry_run: Option<bool>) -> Self {
        if dry_run == Some(true) { Self::Yes } else { Self::No }
    }

    /// With modifiers, of which there is one, and which need DryRun.
    pub(crate) fn modified(dry_run: Option<bool>, modifiers: Option<&DryRunModifiersWire<'_>>) -> Result<Self, ApiError> {
        let is_modified = modifiers.is_some_and(|modifiers| !modifiers.items().is_empty());
        match (Self::new(dry_run), is_modified) {
            (plain, false) => Ok(plain),
            (Self::No, true) => Err(ApiError::validation("DryRunModifiers can be specified only if DryRun is true.")),
            (_, true) => Ok(Self::IgnoringCiphertext),
        }
    }
}

/// DryRunModifiers as they stand in the request.
pub(crate) type DryRunModifiersWire<'a> = List<Option<Text<'a>>, { model::DRY_RUN_MODIFIERS_MAX }>;
