//! What names and texts of access control must be, checked again here: a row that a bad proposer made would stay.

use std::collections::BTreeMap;

use claviger_types::NamedPrincipal;
use claviger_types::limits::{KEY_POLICY_BYTES_MAX, TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_PER_KEY_MAX};

use crate::Refusal;

/// Longest name of a user, role, group or session (IAM).
pub(super) const NAME_BYTES_MAX: usize = 64;
/// Longest name of a policy (IAM).
pub(super) const POLICY_NAME_BYTES_MAX: usize = 128;

/// Whether a name has IAM's characters (letters, digits and `+=,.@_-`), at least one and at most `most`.
pub(super) fn is_name(text: &str, most: usize) -> bool {
    let shaped = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
    shaped && (1..=most).contains(&text.len())
}

/// Whether every name in it is one.
pub(super) fn is_well_named(principal: &NamedPrincipal) -> bool {
    let is_name = |name: &str| is_name(name, NAME_BYTES_MAX);
    match principal {
        NamedPrincipal::Account(_) => true,
        NamedPrincipal::User { name, .. } | NamedPrincipal::Role { name, .. } => is_name(name),
        NamedPrincipal::AssumedRole { role, session, .. } => is_name(role) && is_name(session),
    }
}

/// Whether no more tags than an identity may have, none of them too long. IAM has the limits of KMS.
pub(super) fn are_tags(tags: &BTreeMap<String, String>) -> bool {
    let fits = |text: &str, most: usize| text.chars().count() <= most;
    tags.len() <= TAGS_PER_KEY_MAX
        && tags.iter().all(|(key, value)| !key.is_empty() && fits(key, TAG_KEY_CHARS_MAX) && fits(value, TAG_VALUE_CHARS_MAX))
}

/// A key policy that is not too large.
pub(super) fn key_policy(policy: Option<&String>) -> Result<(), Refusal> {
    match policy {
        Some(policy) if policy.len() > KEY_POLICY_BYTES_MAX => {
            Err(Refusal::BadPolicy(format!("it has more than {KEY_POLICY_BYTES_MAX} bytes")))
        }
        _ => Ok(()),
    }
}
