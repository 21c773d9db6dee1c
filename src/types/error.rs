//! The one error of this crate: a text that is not the identifier it should be.

/// A text or byte string that does not parse as the named thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct ParseError {
    /// What was expected, in the field's words ("region", "key ARN").
    pub what: &'static str,
    /// Why this is not one. Never repeats the input: the caller knows it and decides whether it may be shown.
    pub reason: &'static str,
}

impl ParseError {
    pub(crate) const fn new(what: &'static str, reason: &'static str) -> Self {
        Self { what, reason }
    }
}
