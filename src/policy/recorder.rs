//! The observer that writes a decision down. What it keeps is bounded, whatever the documents are; what the decision rests on it always
//! keeps.

use std::ops::ControlFlow;

use claviger_types::Partition;
use claviger_types::limits::POLICY_TRACE_BYTES_MAX;

use crate::condition::Condition;
use crate::context::{Context, Value, text_of};
use crate::decision::{Basis, Decision, Denial, Document};
use crate::explain::{ConditionTrace, DocumentTrace, GrantTrace, LeftOut, Observer, Part, StatementRef, StatementTrace};
use crate::grant::GrantView;
use crate::principal::Closeness;
use crate::statement::{Effect, Statement};

/// What each of them takes beside its texts, about, as JSON.
const DOCUMENT_BYTES: usize = 64;
const STATEMENT_BYTES: usize = 192;
const CONDITION_BYTES: usize = 96;
const GRANT_BYTES: usize = 256;

pub(crate) struct Recorder<'a> {
    partition: &'a Partition,
    pub(crate) documents: Vec<DocumentTrace>,
    pub(crate) grants: Vec<GrantTrace>,
    pub(crate) left_out: LeftOut,
    /// Bytes that may still be written.
    room: usize,
    denies: Option<StatementRef>,
    key_policy_allows: Option<(Closeness, StatementRef)>,
    identity_allows: Option<StatementRef>,
    has_sufficient_grant: bool,
}

impl<'a> Recorder<'a> {
    pub(crate) const fn new(partition: &'a Partition) -> Self {
        Self {
            partition,
            documents: Vec::new(),
            grants: Vec::new(),
            left_out: LeftOut { statements: 0, conditions: 0, grants: 0 },
            room: POLICY_TRACE_BYTES_MAX,
            denies: None,
            key_policy_allows: None,
            identity_allows: None,
            has_sufficient_grant: false,
        }
    }

    /// The statements that a decision rests on.
    pub(crate) fn deciding(&self, decision: &Decision) -> Vec<StatementRef> {
        let key_policy = self.key_policy_allows.as_ref().map(|(_, statement)| statement);
        let identity = self.identity_allows.as_ref();
        let statements = match decision {
            Decision::Denied(Denial::Explicit(_) | Denial::Concealed) => [self.denies.as_ref(), None],
            Decision::Allowed(Basis::KeyPolicy) => [key_policy, None],
            Decision::Allowed(Basis::KeyPolicyAndIdentity) => [key_policy, identity],
            Decision::Allowed(Basis::Identity) => [identity, None],
            Decision::Allowed(Basis::Grant(_) | Basis::Retirement(_)) | Decision::Denied(_) => [None, None],
        };
        statements.into_iter().flatten().cloned().collect()
    }

    /// Whether there is room for so much; if not, there is none for anything any more.
    fn take(&mut self, bytes: usize) -> bool {
        let left = self.room.checked_sub(bytes);
        self.room = left.unwrap_or(0);
        left.is_some()
    }

    fn last(&mut self) -> Option<&mut StatementTrace> {
        self.documents.last_mut()?.statements.last_mut()
    }

    /// Notes the last statement, which applies, if the decision may come to rest on it.
    fn note_last(&mut self) -> bool {
        let Some(document) = self.documents.last() else { return false };
        let Some(statement) = document.statements.last() else { return false };
        let closeness = statement.closeness.unwrap_or(Closeness::Direct);
        let is_first = match (statement.effect, document.document) {
            (Effect::Deny, _) => self.denies.is_none(),
            (Effect::Allow, Document::KeyPolicy) => self.key_policy_allows.as_ref().is_none_or(|(held, _)| *held < closeness),
            (Effect::Allow, Document::IdentityPolicy) => self.identity_allows.is_none(),
            (Effect::Allow, Document::PermissionsBoundary | Document::SessionPolicy) => false,
        };
        if !is_first {
            return false;
        }
        let (index, sid) = (statement.index, statement.sid.clone());
        let noted = StatementRef { document: document.document, name: document.name.clone(), index, sid };
        match (statement.effect, document.document) {
            (Effect::Deny, _) => self.denies = Some(noted),
            (Effect::Allow, Document::KeyPolicy) => self.key_policy_allows = Some((closeness, noted)),
            (Effect::Allow, _) => self.identity_allows = Some(noted),
        }
        true
    }
}

impl Observer for Recorder<'_> {
    const EXPLAINS: bool = true;

    fn document(&mut self, document: Document, name: &str) {
        self.take(DOCUMENT_BYTES + name.len());
        self.documents.push(DocumentTrace { document, name: name.to_owned(), statements: Vec::new() });
    }

    fn statement(&mut self, index: usize, statement: &Statement) {
        let trace = StatementTrace {
            index,
            sid: statement.sid.as_deref().map(str::to_owned),
            effect: statement.effect,
            principal: None,
            closeness: None,
            action: false,
            resource: false,
            conditions: Vec::new(),
            applies: false,
        };
        if let Some(document) = self.documents.last_mut() {
            document.statements.push(trace);
        }
    }

    fn principal(&mut self, closeness: Option<Closeness>) {
        if let Some(statement) = self.last() {
            statement.principal = Some(closeness.is_some());
            statement.closeness = closeness;
        }
    }

    fn part(&mut self, part: Part, met: bool) {
        let Some(statement) = self.last() else { return };
        match part {
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
        let texts = trace.policy_values.iter().chain(&trace.request_values).map(|text| text.len() + 4).sum::<usize>();
        if !self.take(CONDITION_BYTES + trace.operator.len() + trace.key.len() + texts) {
            self.left_out.conditions += 1;
        } else if let Some(statement) = self.last() {
            statement.conditions.push(trace);
        }
    }

    fn applies(&mut self, applies: bool) {
        let Some(statement) = self.last() else { return };
        statement.applies = applies;
        let bytes = STATEMENT_BYTES + statement.sid.as_ref().map_or(0, String::len);
        let must_stay = applies && self.note_last();
        if !self.take(bytes) && !must_stay {
            self.left_out.statements += 1;
            if let Some(document) = self.documents.last_mut() {
                document.statements.pop();
            }
        }
    }

    fn grant(&mut self, grant: &GrantView<'_>, [lists_operation, constraint_admits, own_policies_suffice]: [bool; 3]) {
        let grantee = grant.grantee.arn(self.partition);
        let is_first_sufficient = lists_operation && constraint_admits && own_policies_suffice && !self.has_sufficient_grant;
        self.has_sufficient_grant |= is_first_sufficient;
        if !self.take(GRANT_BYTES + grantee.len()) && !is_first_sufficient {
            self.left_out.grants += 1;
            return;
        }
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
