//! Tests of whole documents and decisions, by topic; what they share is here.

mod allocations;
mod bounds;
mod decisions;
mod differential;
mod documents;
mod grants;
mod kms_examples;
mod operators;
mod properties;
mod traces;
mod variables;

use std::collections::BTreeMap;
use std::sync::Arc;

use claviger_types::{AccountId, Partition, Principal};
use serde_json::{Value as Json, json};

use crate::{Action, Attached, ConditionKey, Context, Decision, Documents, Policy, PolicyError, PolicyKind, Request, Value};

const KEY: &str = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn account(text: &str) -> AccountId {
    text.parse().unwrap()
}

fn own() -> AccountId {
    account("111122223333")
}

fn other() -> AccountId {
    account("444455556666")
}

fn root() -> Principal {
    Principal::Root { account: own() }
}

fn user(name: &str) -> Principal {
    Principal::User { account: own(), name: name.into() }
}

fn session(role: &str, session: &str) -> Principal {
    Principal::AssumedRole { account: own(), role: role.into(), session: session.into() }
}

fn foreigner(name: &str) -> Principal {
    Principal::User { account: other(), name: name.into() }
}

/// The values of a request by the text of their keys.
#[derive(Default)]
struct Facts(BTreeMap<String, Value<'static>>);

impl Facts {
    fn with(mut self, key: &str, value: Value<'static>) -> Self {
        self.0.insert(key.to_ascii_lowercase(), value);
        self
    }

    fn text(self, key: &str, text: &'static str) -> Self {
        self.with(key, Value::Text(text))
    }

    fn many(self, key: &str, texts: &[&str]) -> Self {
        // Tests end soon enough.
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        self.with(key, Value::Many(Box::leak(Box::new(texts))))
    }
}

impl Context for Facts {
    fn value(&self, key: &ConditionKey) -> Value<'_> {
        self.0.get(&key.to_string().to_ascii_lowercase()).cloned().unwrap_or(Value::Absent)
    }
}

fn parse(document: &Json, kind: PolicyKind) -> Result<Policy, PolicyError> {
    Policy::parse(&document.to_string(), kind, &Partition::default())
}

/// A document of these statements.
fn document(statements: &Json) -> Json {
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn key_policy(statements: &Json) -> Policy {
    parse(&document(statements), PolicyKind::Key).unwrap()
}

fn identity(statements: &Json) -> Attached {
    Attached { name: "policy".into(), policy: Arc::new(parse(&document(statements), PolicyKind::Identity).unwrap()) }
}

/// A request for the key of these tests.
fn request<'a>(caller: &'a Principal, action: Action, context: &'a Facts) -> Request<'a, Facts> {
    Request { caller, action, resource: KEY, owner: own(), context, encryption_context: None, new_grant: None }
}

fn decide(caller: &Principal, action: Action, documents: &Documents<'_>) -> Decision {
    decide_with(caller, action, documents, &Facts::default())
}

/// Decides, and sees that the explanation is of the same decision.
fn decide_with(caller: &Principal, action: Action, documents: &Documents<'_>, facts: &Facts) -> Decision {
    decide_request(&request(caller, action, facts), documents)
}

fn decide_request(request: &Request<'_, Facts>, documents: &Documents<'_>) -> Decision {
    let decision = crate::decide(request, documents);
    assert_eq!(crate::explain(request, documents, &Partition::default()).decision, decision);
    decision
}

/// Whether a key policy with one statement for everybody, under these conditions, lets alice decrypt.
fn holds(conditions: &Json, facts: &Facts) -> bool {
    let statement = json!([{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*", "Condition": conditions}]);
    let policy = key_policy(&statement);
    decide_with(&user("alice"), Action::Decrypt, &Documents { key_policy: Some(&policy), ..Documents::NONE }, facts).is_allowed()
}
