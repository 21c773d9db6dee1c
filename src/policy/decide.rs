//! The decision: who asks, what for, and the documents that have a say (rules page, section 10).
//!
//! [`decide`] answers and copies nothing; [`explain`](crate::explain) runs the same code with an observer that writes down what each
//! part did. The observer is a type parameter, so the two cannot differ and the first pays nothing for the second.
//!
//! How the rules page is read:
//!
//! * An explicit Deny in any document wins. A Deny to an account is one to everybody in it.
//! * In the key's account, a key policy that names a user, a session or the root suffices, and neither a boundary nor a session
//!   policy that merely does not allow takes that away; one that names a role or everybody suffices within both; one that names the
//!   account lets the caller's own policies decide, within both. AWS's IAM User Guide has the same three cases.
//! * From another account, the key policy must name the caller or its account, and the caller's own policies, boundary and
//!   session policy must allow too. Actions outside the list of the rules page never cross.
//! * Who is of another account and is not named by an Allow of the key policy is refused in the same words whatever refuses it, and
//!   as if there were no key.
//! * A grant counts as a key policy that names its grantee, from another account too: a grant to an account needs the own policies
//!   of who acts on it.
//! * An account's root may do all that its own policies could allow: it has none, and no boundary. On a key that is nothing
//!   unless the key policy or a grant names the account.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use claviger_types::{AccountId, GrantOperation, Principal};

use crate::Action;
use crate::context::Context;
use crate::decision::{Basis, Decision, Denial, Document};
use crate::document::Policy;
use crate::explain::{Observer, Part, Unobserved};
use crate::grant::{GrantTerms, GrantView, Grants, admits};
use crate::pattern::Steps;
use crate::principal::{Closeness, closeness};
use crate::statement::Statement;

/// What is asked for, and by whom.
#[derive(Debug)]
pub struct Request<'a, C: ?Sized> {
    /// Who asks.
    pub caller: &'a Principal,
    /// What for.
    pub action: Action,
    /// The ARN of the key or alias; `*` for an action that has neither.
    pub resource: &'a str,
    /// The account that owns it; the caller's own when there is none.
    pub owner: AccountId,
    /// The values of condition keys.
    pub context: &'a C,
    /// The encryption context, for the constraints of grants.
    pub encryption_context: Option<&'a BTreeMap<String, String>>,
    /// What a CreateGrant asks for, for the grants that allow it.
    pub new_grant: Option<GrantTerms<'a>>,
}

// Derived, it would ask `Clone` of the context, which is borrowed.
impl<C: ?Sized> Clone for Request<'_, C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C: ?Sized> Copy for Request<'_, C> {}

/// A policy under the name that a trace gives it.
#[derive(Clone, Debug)]
pub struct Attached {
    /// Where it comes from, `user/alice: use-keys`, say.
    pub name: Arc<str>,
    /// The policy.
    pub policy: Arc<Policy>,
}

/// Everything that has a say.
#[derive(Clone, Copy)]
pub struct Documents<'a> {
    /// The key's policy; none when the action is on no key but on an alias or on nothing, and identity policies alone decide.
    pub key_policy: Option<&'a Policy>,
    /// The caller's policies: its own, its groups' or its role's, inline and attached.
    pub identity: &'a [Attached],
    /// The caller's permissions boundary.
    pub boundary: Option<&'a Attached>,
    /// The session policy, as a peer region forwards it.
    pub session: Option<&'a Policy>,
    /// The key's grants. They are looked at when the policies do not allow, and not otherwise.
    pub grants: &'a dyn Grants,
    /// Whether the caller was revoked.
    pub revoked: bool,
}

impl Documents<'_> {
    /// No document at all.
    pub const NONE: Documents<'static> =
        Documents { key_policy: None, identity: &[], boundary: None, session: None, grants: &(), revoked: false };
}

/// Whether the caller may do what it asks. RetireGrant is asked of [`may_retire`], for a grant is what it is about; here it is
/// always refused.
pub fn decide<C: Context + ?Sized>(request: &Request<'_, C>, documents: &Documents<'_>) -> Decision {
    judge(request, documents, None, &mut Unobserved, &Steps::of_a_decision())
}

/// Whether the caller may retire this grant (rules page, section 9): it is the retiring principal; or it is the grantee and
/// RetireGrant is among the operations; or it is the issuing account's root; or its own policies allow kms:RetireGrant and its account
/// issued the grant, or is itself the retiring principal or such a grantee. The key policy can deny it and cannot allow it. The
/// grants among the documents are not looked at.
pub fn may_retire<C: Context + ?Sized>(request: &Request<'_, C>, documents: &Documents<'_>, grant: &GrantView<'_>) -> Decision {
    judge(request, documents, Some(grant), &mut Unobserved, &Steps::of_a_decision())
}

/// What the documents say, once none denies.
struct Verdicts {
    /// How closely the key policy's Allows name the caller.
    key: Option<Closeness>,
    identity: bool,
    boundary: bool,
    session: bool,
}

impl Verdicts {
    /// Whether boundary and session policy leave room.
    const fn within_limits(&self) -> Result<(), Denial> {
        if !self.boundary {
            return Err(Denial::NoAllow(Document::PermissionsBoundary));
        }
        if !self.session {
            return Err(Denial::NoAllow(Document::SessionPolicy));
        }
        Ok(())
    }

    /// Whether the caller's own policies allow, within both.
    const fn own(&self) -> Result<(), Denial> {
        if self.identity { self.within_limits() } else { Err(Denial::NoAllow(Document::IdentityPolicy)) }
    }

    /// Whether being named so closely is enough.
    const fn suffice(&self, closeness: Closeness) -> Result<(), Denial> {
        match closeness {
            Closeness::Account => self.own(),
            Closeness::Everybody | Closeness::Role => self.within_limits(),
            Closeness::Direct => Ok(()),
        }
    }
}

pub(crate) fn judge<C: Context + ?Sized, O: Observer>(
    request: &Request<'_, C>,
    documents: &Documents<'_>,
    retired: Option<&GrantView<'_>>,
    observer: &mut O,
    steps: &Steps,
) -> Decision {
    if documents.revoked && !O::EXPLAINS {
        return Decision::Denied(Denial::Revoked);
    }
    let (verdicts, denying) = evaluate(request, documents, observer, steps);
    let outcome = match (denying, retired) {
        (Some(document), _) => Err(Denial::Explicit(document)),
        (None, Some(grant)) => retire(request, &verdicts, grant),
        (None, None) => allow(request, documents, &verdicts, observer),
    };
    let denial = match outcome {
        _ if documents.revoked => Denial::Revoked,
        // A match that was broken off said no, which in a Deny is not safe.
        _ if steps.are_spent() => Denial::TooComplex,
        Ok(basis) => return Decision::Allowed(basis),
        Err(denial) => denial,
    };
    let is_stranger = request.caller.account() != request.owner && verdicts.key.is_none();
    Decision::Denied(match denial {
        Denial::Explicit(_) | Denial::TooComplex if is_stranger && retired.is_some() => Denial::MayNotRetire,
        Denial::Explicit(_) | Denial::TooComplex if is_stranger => Denial::Concealed,
        denial => denial,
    })
}

/// What every document says, and the first that denies. An observer sees all of them, also behind a Deny.
fn evaluate<C: Context + ?Sized, O: Observer>(
    request: &Request<'_, C>,
    documents: &Documents<'_>,
    observer: &mut O,
    steps: &Steps,
) -> (Verdicts, Option<Document>) {
    let bounded = documents.boundary.is_some();
    let is_root = matches!(request.caller, Principal::Root { .. });
    let mut verdicts = Verdicts { key: None, identity: is_root, boundary: is_root || !bounded, session: documents.session.is_none() };
    let mut denied = None;
    let mut read = |document, name: &str, policy: &Policy| {
        if !O::EXPLAINS && denied.is_some() {
            return None;
        }
        observer.document(document, name);
        let verdict = read(policy, request, bounded, observer, steps);
        if verdict.is_err() {
            denied.get_or_insert(document);
        }
        verdict.unwrap_or(None)
    };
    if let Some(policy) = documents.key_policy {
        verdicts.key = read(Document::KeyPolicy, "", policy);
    }
    for attached in documents.identity {
        verdicts.identity |= read(Document::IdentityPolicy, &attached.name, &attached.policy).is_some();
    }
    if let Some(attached) = documents.boundary {
        verdicts.boundary |= read(Document::PermissionsBoundary, &attached.name, &attached.policy).is_some();
    }
    if let Some(policy) = documents.session {
        verdicts.session = read(Document::SessionPolicy, "", policy).is_some();
    }
    (verdicts, denied)
}

/// A document denies.
struct Denied;

/// How closely the Allows of a policy that apply name the caller: in an identity policy always directly.
fn read<C: Context + ?Sized, O: Observer>(
    policy: &Policy,
    request: &Request<'_, C>,
    bounded: bool,
    observer: &mut O,
    steps: &Steps,
) -> Result<Option<Closeness>, Denied> {
    let mut allowed = None;
    let mut denied = false;
    for (index, statement) in policy.statements.iter().enumerate() {
        observer.statement(index, statement);
        let applies = match &statement.principals {
            None => Some(Closeness::Direct),
            Some(principals) => {
                let closeness = principals.closeness(request.caller, statement.denies(), bounded);
                observer.principal(closeness);
                closeness
            }
        };
        // An Allow that brings nothing new need not be looked at further.
        if !O::EXPLAINS && (applies.is_none() || (!statement.denies() && applies <= allowed)) {
            continue;
        }
        let matched = matches(statement, request, observer, steps);
        let applies = applies.filter(|_| matched);
        observer.applies(applies.is_some());
        match applies {
            Some(_) if statement.denies() => {
                if !O::EXPLAINS {
                    return Err(Denied);
                }
                denied = true;
            }
            closeness => allowed = allowed.max(closeness),
        }
    }
    if denied { Err(Denied) } else { Ok(allowed) }
}

/// Whether action, resource and all conditions of a statement are met.
fn matches<C: Context + ?Sized, O: Observer>(statement: &Statement, request: &Request<'_, C>, observer: &mut O, steps: &Steps) -> bool {
    let denies = statement.denies();
    let mut met = statement.actions.contains(request.action);
    observer.part(Part::Action, met);
    if met || O::EXPLAINS {
        let included = statement.resources.include(request.resource, request.context, denies, steps);
        observer.part(Part::Resource, included);
        met &= included;
    }
    for condition in &statement.conditions {
        if !met && !O::EXPLAINS {
            break;
        }
        let holds = condition.holds(request.context, denies, steps);
        observer.condition(condition, holds, request.context);
        met &= holds;
    }
    met
}

/// Whether what allows suffices.
fn allow<C: Context + ?Sized, O: Observer>(
    request: &Request<'_, C>,
    documents: &Documents<'_>,
    verdicts: &Verdicts,
    observer: &mut O,
) -> Result<Basis, Denial> {
    if request.action == Action::RetireGrant {
        return Err(Denial::MayNotRetire);
    }
    let across = request.caller.account() != request.owner;
    if documents.key_policy.is_none() {
        if across {
            return Err(Denial::OtherAccount);
        }
        return verdicts.own().map(|()| Basis::Identity);
    }
    if across && !request.action.crosses_accounts() {
        return Err(Denial::OtherAccount);
    }
    let by_policy = match verdicts.key {
        None => Err(Denial::NoAllow(Document::KeyPolicy)),
        Some(_) if across => verdicts.own().map(|()| Basis::KeyPolicyAndIdentity),
        Some(Closeness::Account) => verdicts.own().map(|()| Basis::KeyPolicyAndIdentity),
        Some(closeness) => verdicts.suffice(closeness).map(|()| Basis::KeyPolicy),
    };
    if by_policy.is_ok() && !O::EXPLAINS {
        return by_policy;
    }
    let by_grant = find_grant(request, documents, verdicts, observer);
    by_policy.or_else(|denial| by_grant.ok_or(denial))
}

/// The first grant that covers the request.
fn find_grant<C: Context + ?Sized, O: Observer>(
    request: &Request<'_, C>,
    documents: &Documents<'_>,
    verdicts: &Verdicts,
    observer: &mut O,
) -> Option<Basis> {
    let operation = request.action.grant_operation()?;
    let mut found = None;
    let _ = documents.grants.each(&mut |grant| {
        let Some(closeness) = closeness(grant.grantee, request.caller) else { return ControlFlow::Continue(()) };
        let listed = grant.operations.contains(&operation);
        let admitted = admits(grant, operation, request.encryption_context, request.new_grant);
        let suffices = verdicts.suffice(closeness).is_ok();
        observer.grant(grant, [listed, admitted, suffices]);
        if listed && admitted && suffices {
            found = found.or(Some(Basis::Grant(grant.id)));
        }
        if found.is_some() && !O::EXPLAINS { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    found
}

/// Whether the caller may retire `grant`, once nothing denies it.
fn retire<C: Context + ?Sized>(request: &Request<'_, C>, verdicts: &Verdicts, grant: &GrantView<'_>) -> Result<Basis, Denial> {
    let retiring = grant.retiring.and_then(|named| closeness(named, request.caller));
    let grantee = closeness(grant.grantee, request.caller).filter(|_| grant.operations.contains(&GrantOperation::RetireGrant));
    let issuer = (grant.issuer == request.caller.account()).then_some(match request.caller {
        Principal::Root { .. } => Closeness::Direct,
        Principal::User { .. } | Principal::AssumedRole { .. } => Closeness::Account,
    });
    match retiring.max(grantee).max(issuer) {
        None => Err(Denial::MayNotRetire),
        Some(closeness) => verdicts.suffice(closeness).map(|()| Basis::Retirement(grant.id)),
    }
}
