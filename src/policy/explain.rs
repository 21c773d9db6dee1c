//! A decision statement by statement, for `claviger policy simulate`.

use claviger_types::{GrantId, Partition};
use serde::Serialize;

use crate::condition::Condition;
use crate::context::Context;
use crate::decide::{Documents, Request, judge};
use crate::decision::{Basis, Decision, Document};
use crate::grant::GrantView;
use crate::pattern::Steps;
use crate::principal::Closeness;
use crate::recorder::Recorder;
use crate::statement::{Effect, Statement};

/// The same decision as [`decide`](crate::decide), with everything that led to it. Every part of every statement is evaluated, also
/// where the decision needed fewer.
pub fn explain<C: Context + ?Sized>(request: &Request<'_, C>, documents: &Documents<'_>, partition: &Partition) -> Trace {
    explain_with(request, documents, None, partition)
}

/// The same decision as [`may_retire`](crate::may_retire), with everything that led to it.
pub fn explain_retirement<C: Context + ?Sized>(
    request: &Request<'_, C>,
    documents: &Documents<'_>,
    grant: &GrantView<'_>,
    partition: &Partition,
) -> Trace {
    explain_with(request, documents, Some(grant), partition)
}

fn explain_with<C: Context + ?Sized>(
    request: &Request<'_, C>,
    documents: &Documents<'_>,
    retired: Option<&GrantView<'_>>,
    partition: &Partition,
) -> Trace {
    let mut recorder = Recorder::new(partition);
    let steps = Steps::of_a_decision();
    let decision = judge(request, documents, retired, &mut recorder, &steps);
    // What only the trace looked at must not spend what the decision has.
    let decision = if steps.are_spent() { judge(request, documents, retired, &mut Unobserved, &Steps::of_a_decision()) } else { decision };
    Trace {
        caller: request.caller.arn(partition),
        action: request.action.as_str(),
        resource: request.resource.to_owned(),
        allowed: decision.is_allowed(),
        reason: reason(&decision, request),
        decided_by: recorder.deciding(&decision),
        documents: recorder.documents,
        grants: recorder.grants,
        left_out: recorder.left_out,
        decision,
    }
}

fn reason<C: ?Sized>(decision: &Decision, request: &Request<'_, C>) -> String {
    match decision {
        Decision::Denied(denial) => denial.because(request.action),
        Decision::Allowed(Basis::KeyPolicy) => "because a resource-based policy names the principal".to_owned(),
        Decision::Allowed(Basis::KeyPolicyAndIdentity) => {
            "because a resource-based policy and an identity-based policy allow it".to_owned()
        }
        Decision::Allowed(Basis::Identity) => "because an identity-based policy allows it".to_owned(),
        Decision::Allowed(Basis::Grant(id)) => format!("because the grant {id} allows it"),
        Decision::Allowed(Basis::Retirement(id)) => format!("because the principal may retire the grant {id}"),
    }
}

/// A decision and what led to it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trace {
    /// The caller's ARN.
    pub caller: String,
    /// The action.
    pub action: &'static str,
    /// The ARN of what it is on, or `*`.
    pub resource: String,
    /// The answer.
    pub allowed: bool,
    /// Why, in AWS's words where it has some.
    pub reason: String,
    /// The statements that it rests on: the first that denies, or of each document that had to allow the first that names the caller
    /// as closely as any. None where a grant allows, or nothing does.
    pub decided_by: Vec<StatementRef>,
    /// The documents, in the order in which they were read.
    pub documents: Vec<DocumentTrace>,
    /// The grants that name the caller, its role or its account.
    pub grants: Vec<GrantTrace>,
    /// What a trace has no room for ([`claviger_types::limits::POLICY_TRACE_BYTES_MAX`]).
    pub left_out: LeftOut,
    /// The decision itself.
    #[serde(skip)]
    pub decision: Decision,
}

/// One statement among all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StatementRef {
    /// The kind of its document.
    pub document: Document,
    /// The name of its document, as [`DocumentTrace::name`].
    pub name: String,
    /// Counted from 0.
    pub index: usize,
    /// Its Sid.
    pub sid: Option<String>,
}

/// How many parts a trace has no room for. None of them is one that the decision rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Whole statements.
    pub statements: usize,
    /// Conditions of statements that are there.
    pub conditions: usize,
    /// Grants.
    pub grants: usize,
}

/// A document's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DocumentTrace {
    /// Its kind.
    pub document: Document,
    /// Its name; empty for the key policy and the session policy, of which there is one.
    pub name: String,
    /// Its statements, in its order.
    pub statements: Vec<StatementTrace>,
}

/// A statement's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatementTrace {
    /// Counted from 0.
    pub index: usize,
    /// Its Sid.
    pub sid: Option<String>,
    /// What it does when it applies.
    pub effect: Effect,
    /// Whether it is about the caller; none in an identity policy.
    pub principal: Option<bool>,
    /// How closely it names the caller, where it is about it.
    pub closeness: Option<Closeness>,
    /// Whether it is about the action.
    pub action: bool,
    /// Whether it is about the resource.
    pub resource: bool,
    /// Its conditions.
    pub conditions: Vec<ConditionTrace>,
    /// Whether it applies: all of the above.
    pub applies: bool,
}

/// A condition's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ConditionTrace {
    /// The operator, with qualifier and suffix.
    pub operator: String,
    /// The condition key.
    pub key: String,
    /// The policy's values.
    pub policy_values: Vec<String>,
    /// The request's; none if it has no such key.
    pub request_values: Vec<String>,
    /// Whether it holds.
    pub holds: bool,
}

/// A grant's part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GrantTrace {
    /// Its id.
    #[serde(serialize_with = "as_text")]
    pub id: GrantId,
    /// Its grantee's ARN: the caller, its role or its account.
    pub grantee: String,
    /// Whether it lists the operation.
    pub lists_operation: bool,
    /// Whether its constraint admits the request.
    pub constraint_admits: bool,
    /// Whether the caller's own policies, its boundary and its session policy say what they must for a grantee so named.
    pub own_policies_suffice: bool,
}

fn as_text<S: serde::Serializer>(id: &GrantId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

/// A part of a statement that is neither principal nor condition.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Action,
    Resource,
}

/// Who watches a decision being made.
pub(crate) trait Observer {
    /// Whether everything must be evaluated, also what cannot change the answer.
    const EXPLAINS: bool;
    fn document(&mut self, _document: Document, _name: &str) {}
    fn statement(&mut self, _index: usize, _statement: &Statement) {}
    fn principal(&mut self, _closeness: Option<Closeness>) {}
    fn part(&mut self, _part: Part, _met: bool) {}
    fn condition<C: Context + ?Sized>(&mut self, _condition: &Condition, _holds: bool, _context: &C) {}
    fn applies(&mut self, _applies: bool) {}
    /// A grant that names the caller: whether it lists the operation and admits it, and whether being named so is enough.
    fn grant(&mut self, _grant: &GrantView<'_>, _met: [bool; 3]) {}
}

/// Nobody.
pub(crate) struct Unobserved;

impl Observer for Unobserved {
    const EXPLAINS: bool = false;
}
