//! The services that a signature can be for, and what marks a request of each.

/// A service. Its requests look so different that none can be taken for one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// KMS: `x-amz-target` names the operation.
    Kms,
    /// STS: a form names the action, and there is no `x-amz-target`.
    Sts,
}

impl Service {
    /// Reads the service of a credential scope.
    pub(crate) fn from_scope(text: &str) -> Option<Self> {
        match text {
            "kms" => Some(Self::Kms),
            "sts" => Some(Self::Sts),
            _ => None,
        }
    }

    /// The headers that must be there, once each, and signed. Unsigned, each of them could be changed to another's meaning.
    pub(crate) const fn must_be_signed(self) -> &'static [&'static str] {
        match self {
            Self::Kms => &["host", "x-amz-date", "x-amz-target"],
            Self::Sts => &["host", "x-amz-date"],
        }
    }
}
