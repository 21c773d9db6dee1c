//! A decision statement by statement, for `claviger policy simulate`.

use std::ops::ControlFlow;

use claviger_types::{GrantId, Partition};
use serde::Serialize;

use crate::condition::Condition;
use crate::context::{Context, Value, text_of};
use crate::decide::{Documents, Request, judge};
use crate::decision::{Basis, Decision, Document};
use crate::grant::GrantView;
use crate::pattern::Steps;
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
    let mut recorder = Recorder { partition, documents: Vec::new(), grants: Vec::new() };
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
        documents: recorder.documents,
        grants: recorder.grants,
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
    /// The documents, in the order in which they were read.
    pub documents: Vec<DocumentTrace>,
    /// The grants that name the caller, its role or its account.
    pub grants: Vec<GrantTrace>,
    /// The decision itself.
    #[serde(skip)]
    pub decision: Decision,
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

/// A part of a statement that is not a condition.
#[derive(Clone, Copy)]
pub(crate) enum Part {
    Principal,
    Action,
    Resource,
}

/// Who watches a decision being made.
pub(crate) trait Observer {
    /// Whether everything must be evaluated, also what cannot change the answer.
    const EXPLAINS: bool;
    fn document(&mut self, _document: Document, _name: &str) {}
    fn statement(&mut self, _index: usize, _statement: &Statement) {}
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

struct Recorder<'a> {
    partition: &'a Partition,
    documents: Vec<DocumentTrace>,
    grants: Vec<GrantTrace>,
}

impl Recorder<'_> {
    fn last(&mut self) -> Option<&mut StatementTrace> {
        self.documents.last_mut()?.statements.last_mut()
    }
}

impl Observer for Recorder<'_> {
    const EXPLAINS: bool = true;

    fn document(&mut self, document: Document, name: &str) {
        self.documents.push(DocumentTrace { document, name: name.to_owned(), statements: Vec::new() });
    }

    fn statement(&mut self, index: usize, statement: &Statement) {
        let trace = StatementTrace {
            index,
            sid: statement.sid.as_deref().map(str::to_owned),
            effect: statement.effect,
            principal: None,
            action: false,
            resource: false,
            conditions: Vec::new(),
            applies: false,
        };
        if let Some(document) = self.documents.last_mut() {
            document.statements.push(trace);
        }
    }

    fn part(&mut self, part: Part, met: bool) {
        let Some(statement) = self.last() else { return };
        match part {
            Part::Principal => statement.principal = Some(met),
            Part::Action => statement.action = met,
            Part::Resource => statement.resource = met,
        }
    }

    fn condition<C: Context + ?Sized>(&mut self, condition: &Condition, holds: bool, context: &C) {
        let trace = ConditionTrace {
            operator: condition.operator.to_string(),
            key: condition.key.to_string(),
            policy_values: condition.values(),
            request_values: texts_of(&context.value(&condition.key)),
            holds,
        };
        if let Some(statement) = self.last() {
            statement.conditions.push(trace);
        }
    }

    fn applies(&mut self, applies: bool) {
        if let Some(statement) = self.last() {
            statement.applies = applies;
        }
    }

    fn grant(&mut self, grant: &GrantView<'_>, [lists_operation, constraint_admits, own_policies_suffice]: [bool; 3]) {
        let grantee = grant.grantee.arn(self.partition);
        self.grants.push(GrantTrace { id: grant.id, grantee, lists_operation, constraint_admits, own_policies_suffice });
    }
}

fn texts_of(value: &Value<'_>) -> Vec<String> {
    let mut texts = Vec::new();
    if let Value::Many(many) = value {
        let _ = many.each(&mut |text| {
            texts.push(text.to_owned());
            ControlFlow::Continue(())
        });
    }
    texts.extend(text_of(value, str::to_owned));
    texts
}
