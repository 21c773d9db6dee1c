//! Grants as a decision sees them (rules page, section 9).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use claviger_types::{AccountId, GrantConstraint, GrantId, GrantOperation, GrantOperations, NamedPrincipal};

/// A grant of the key that a request is about.
#[derive(Clone, Copy, Debug)]
pub struct GrantView<'a> {
    /// Its id.
    pub id: GrantId,
    /// Whom it allows.
    pub grantee: &'a NamedPrincipal,
    /// Who may retire it, beside others.
    pub retiring: Option<&'a NamedPrincipal>,
    /// The account that it was issued in.
    pub issuer: AccountId,
    /// What it allows.
    pub operations: &'a GrantOperations,
    /// What the encryption context must be.
    pub constraint: Option<&'a GrantConstraint>,
}

/// The grants that may cover a request: all of the key, or those with a grantee that means the caller.
pub trait Grants {
    /// Shows each to `visit`, until it breaks off.
    fn each(&self, visit: &mut dyn FnMut(&GrantView<'_>) -> ControlFlow<()>) -> ControlFlow<()>;
}

impl Grants for Vec<GrantView<'_>> {
    fn each(&self, visit: &mut dyn FnMut(&GrantView<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        self.iter().try_for_each(visit)
    }
}

/// None.
impl Grants for () {
    fn each(&self, _: &mut dyn FnMut(&GrantView<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// The grant that a CreateGrant asks for.
#[derive(Clone, Copy, Debug)]
pub struct GrantTerms<'a> {
    /// What it would allow.
    pub operations: &'a GrantOperations,
    /// What the encryption context would have to be.
    pub constraint: Option<&'a GrantConstraint>,
}

/// Whether a grant with the terms `child` allows nothing that one with the terms `parent` does not.
pub fn child_is_within(parent: GrantTerms<'_>, child: GrantTerms<'_>) -> bool {
    let constrained = match (parent.constraint, child.constraint) {
        (None, _) => true,
        (Some(parent), Some(child)) => child.is_as_strict_as(parent),
        (Some(_), None) => false,
    };
    constrained && child.operations.is_subset(parent.operations)
}

/// Whether the constraint of `grant` admits the operation. DescribeKey and RetireGrant are not constrained; CreateGrant is by what it
/// asks for; anything else by its encryption context, which is empty if there is none.
pub(crate) fn admits(
    grant: &GrantView<'_>,
    operation: GrantOperation,
    context: Option<&BTreeMap<String, String>>,
    child: Option<GrantTerms<'_>>,
) -> bool {
    match operation {
        GrantOperation::DescribeKey | GrantOperation::RetireGrant => true,
        GrantOperation::CreateGrant => {
            let parent = GrantTerms { operations: grant.operations, constraint: grant.constraint };
            child.is_some_and(|child| child_is_within(parent, child))
        }
        _ => grant.constraint.is_none_or(|constraint| match context {
            Some(context) => constraint.admits(context),
            None => constraint.admits(&BTreeMap::new()),
        }),
    }
}
