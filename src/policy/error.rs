//! Why a text is not a policy that this crate compiles, and where in it.

use std::fmt;

/// A document that is refused. AWS answers LimitExceededException for [`PolicyError::TooLarge`] and
/// MalformedPolicyDocumentException for all else.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// It is longer than a document of its kind may be.
    #[error("the policy has {bytes} bytes, and at most {bytes_max} are allowed")]
    TooLarge {
        /// Its length, UTF-8.
        bytes: usize,
        /// The limit.
        bytes_max: usize,
    },
    /// It has a character that policies may not have.
    #[error("the policy contains U+{code:04X} at byte {at}; only tab, line feed, carriage return and U+0020 to U+00FF are allowed")]
    Character {
        /// The character's code point.
        code: u32,
        /// Where it stands, in bytes from the start.
        at: usize,
    },
    /// It is not JSON, names a member twice or is nested too deeply.
    #[error("the policy is not valid JSON: {reason}")]
    Json {
        /// What the parser says, with line and column.
        reason: String,
    },
    /// A member is missing, unknown or not what it must be.
    #[error("{place}: {reason}")]
    Malformed {
        /// Where.
        place: Place,
        /// Why.
        reason: String,
    },
    /// A principal is named that has no form of a principal: a group, a pattern, another partition.
    #[error("{place}: {principal:?} is not an account, a user, a role or a session of a role")]
    Principal {
        /// Where.
        place: Place,
        /// The text.
        principal: String,
    },
    /// ForAllValues with a key of one value in an Allow: true whenever the key is missing, so AWS refuses it.
    #[error("{place}: OverlyPermissiveCondition: ForAllValues must not be used with the single-valued condition key {key}")]
    OverlyPermissiveCondition {
        /// Where.
        place: Place,
        /// The condition key.
        key: String,
    },
}

/// A place in a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The statement, counted from 0; none for the document itself.
    pub statement: Option<usize>,
    /// The statement's Sid, if it has one.
    pub sid: Option<String>,
    /// The member, with a dot before each member inside it: `Condition.StringEquals`.
    pub member: String,
}

impl Place {
    /// The place of a member of this one.
    pub(crate) fn at(&self, member: &str) -> Self {
        let member = if self.member.is_empty() { member.to_owned() } else { format!("{}.{member}", self.member) };
        Self { member, ..self.clone() }
    }

    /// The refusal of what stands here.
    pub(crate) fn refuse(&self, reason: impl Into<String>) -> PolicyError {
        PolicyError::Malformed { place: self.clone(), reason: reason.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.statement, &self.sid) {
            (Some(index), Some(sid)) => write!(f, "statement {index} ({sid:?})")?,
            (Some(index), None) => write!(f, "statement {index}")?,
            (None, _) => f.write_str("policy")?,
        }
        if self.member.is_empty() { Ok(()) } else { write!(f, ", {}", self.member) }
    }
}
