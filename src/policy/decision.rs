//! What was decided, and why in AWS's words.

use std::fmt;

use claviger_types::GrantId;

/// The answer to "may this caller do this".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed(Basis),
    /// No.
    Denied(Denial),
}

/// What a permission rests on. A write carries it, so that it is refused if that has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The key policy names the caller.
    KeyPolicy,
    /// The key policy names the caller or its account, and the caller's own policies allow.
    KeyPolicyAndIdentity,
    /// There is no key, and the caller's own policies allow.
    Identity,
    /// A grant; of an account as grantee, together with the caller's own policies.
    Grant(GrantId),
    /// The caller may retire this grant: it is named, or its account is and its own policies allow.
    Retirement(GrantId),
}

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The caller was revoked.
    Revoked,
    /// A document denies.
    Explicit(Document),
    /// The first document in AWS's order that would have to allow and does not.
    NoAllow(Document),
    /// The key or alias belongs to another account, to which this action never extends.
    OtherAccount,
    /// The caller is of another account, and something denies its request, the key policy or its own: said as if nothing allowed it,
    /// so that the answer does not show that the key exists.
    Concealed,
    /// Neither the key's owner nor the grant allows retiring it.
    MayNotRetire,
    /// The documents take more steps than one decision may ([`claviger_types::limits::POLICY_STEPS_MAX`]).
    TooComplex,
}

/// A kind of document that takes part in a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Document {
    /// The key policy.
    KeyPolicy,
    /// A policy of the caller, its groups or its role.
    IdentityPolicy,
    /// The caller's permissions boundary.
    PermissionsBoundary,
    /// The session policy.
    SessionPolicy,
}

impl Document {
    const fn words(self) -> &'static str {
        match self {
            Self::KeyPolicy => "resource-based policy",
            Self::IdentityPolicy => "identity-based policy",
            Self::PermissionsBoundary => "permissions boundary",
            Self::SessionPolicy => "session policy",
        }
    }
}

impl Decision {
    /// Whether the answer is yes.
    pub const fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }

    /// The grant that the permission rests on.
    pub const fn grant(&self) -> Option<GrantId> {
        match self {
            Self::Allowed(Basis::Grant(id) | Basis::Retirement(id)) => Some(*id),
            _ => None,
        }
    }

    /// The denial, if it is one.
    pub const fn denial(&self) -> Option<Denial> {
        match self {
            Self::Allowed(_) => None,
            Self::Denied(denial) => Some(*denial),
        }
    }
}

impl Denial {
    /// What follows "is not authorized to perform: … on resource: …" in AWS's message: "because no …" or "with an explicit deny …".
    pub fn because(&self, action: impl fmt::Display) -> String {
        match self {
            Self::Explicit(document) => {
                let article = if matches!(document, Document::IdentityPolicy) { "an" } else { "a" };
                format!("with an explicit deny in {article} {}", document.words())
            }
            Self::NoAllow(document) => format!("because no {} allows the {action} action", document.words()),
            Self::OtherAccount | Self::Concealed => format!("because no resource-based policy allows the {action} action"),
            Self::MayNotRetire => format!("because no grant or identity-based policy allows the {action} action"),
            Self::Revoked => "because the principal has been revoked".to_owned(),
            Self::TooComplex => "because the policies that apply take too long to evaluate".to_owned(),
        }
    }
}
