//! What a trace says a decision rests on, and how large it can become.

use claviger_types::limits::POLICY_TRACE_BYTES_MAX;
use claviger_types::{GrantId, GrantOperation, GrantOperations, NamedPrincipal, Partition, Principal};
use serde_json::{Value as Json, json};

use super::{Facts, foreigner, identity, key_policy, own, request, root, session, user};
use crate::{Action, Documents, GrantView, Trace, explain};

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const ACCOUNT: &str = "arn:aws:iam::111122223333:root";
const OTHERS: &str = "arn:aws:iam::444455556666:root";

fn trace(caller: &Principal, documents: &Documents<'_>, facts: &Facts) -> Trace {
    explain(&request(caller, Action::Decrypt, facts), documents, &Partition::default())
}

/// Name and statement of each document that decides.
fn decided_by(caller: &Principal, documents: &Documents<'_>) -> Vec<(String, usize)> {
    let trace = trace(caller, documents, &Facts::default());
    trace.decided_by.into_iter().map(|statement| (statement.name, statement.index)).collect()
}

fn statement(effect: &str, principal: &str) -> Json {
    json!({"Effect": effect, "Principal": {"AWS": principal}, "Action": "kms:*", "Resource": "*"})
}

#[test]
fn what_decides_is_the_statement_that_names_the_caller_as_closely_as_any() {
    let role = "arn:aws:iam::111122223333:role/app";
    let policy =
        key_policy(&json!([statement("Allow", ACCOUNT), statement("Allow", role), statement("Allow", ALICE), statement("Allow", OTHERS)]));
    let alone = Documents { key_policy: Some(&policy), ..Documents::NONE };
    let in_key_policy = |index| vec![(String::new(), index)];
    assert_eq!(decided_by(&user("alice"), &alone), in_key_policy(2));
    assert_eq!(decided_by(&session("app", "one"), &alone), in_key_policy(1));
    // The root is what the first names; bob it leaves to his own policies, of which there are none.
    assert_eq!(decided_by(&root(), &alone), in_key_policy(0));
    assert_eq!(decided_by(&user("bob"), &alone), vec![]);
    let own = [identity(&json!([
        {"Effect": "Allow", "Action": "kms:Encrypt", "Resource": "*"},
        {"Effect": "Allow", "Action": "kms:*", "Resource": "*"},
    ]))];
    let both = Documents { identity: &own, ..alone };
    assert_eq!(decided_by(&user("bob"), &both), [in_key_policy(0), vec![("policy".to_owned(), 1)]].concat());
    assert_eq!(decided_by(&foreigner("carol"), &both), [in_key_policy(3), vec![("policy".to_owned(), 1)]].concat());
}

#[test]
fn what_decides_is_the_first_deny() {
    let policy =
        key_policy(&json!([statement("Allow", ALICE), statement("Deny", ALICE), statement("Deny", "*"), statement("Allow", OTHERS)]));
    let own = [identity(&json!([{"Effect": "Deny", "Action": "*", "Resource": "*"}]))];
    let documents = Documents { key_policy: Some(&policy), identity: &own, ..Documents::NONE };
    assert_eq!(decided_by(&user("alice"), &documents), vec![(String::new(), 1)]);
    // Another account is not told so; who reads a trace is.
    let trace = trace(&foreigner("carol"), &documents, &Facts::default());
    assert_eq!(trace.reason, "because no resource-based policy allows the kms:Decrypt action");
    assert_eq!(trace.decided_by[0].index, 2);
    assert_eq!(decided_by(&user("alice"), &Documents { revoked: true, ..documents }), vec![]);
}

/// Thousands of statements and conditions, each with all of the request's values; and what decides is at their end.
#[test]
fn a_trace_is_bounded_and_keeps_what_decides() {
    let values: Vec<String> = (0..50).map(|number| format!("alias/{number}-{}", "x".repeat(240))).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let facts = Facts::default().many("kms:ResourceAliases", &values);
    let condition =
        json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "a"}, "ForAllValues:StringLike": {"kms:ResourceAliases": "b"}});
    let mut statements = vec![json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}); 50];
    let many = vec![identity(&json!(statements)); 100];
    statements.push(json!({"Sid": "last", "Effect": "Allow", "Action": "kms:*", "Resource": "*"}));
    let identity = [many, vec![identity(&json!(statements))]].concat();
    let policy = key_policy(&json!([statement("Allow", ACCOUNT)]));
    let documents = Documents { key_policy: Some(&policy), identity: &identity, ..Documents::NONE };
    let trace = trace(&user("alice"), &documents, &facts);
    assert!(trace.allowed && trace.left_out.conditions > 0 && trace.left_out.statements > 0, "{:?}", trace.left_out);
    assert!(serde_json::to_vec(&trace).unwrap().len() < 2 * POLICY_TRACE_BYTES_MAX);
    assert_eq!(trace.decided_by[1].sid.as_deref(), Some("last"));
    let last = trace.documents.last().unwrap().statements.last().unwrap();
    assert!(last.applies && last.sid.as_deref() == Some("last"));
}

#[test]
fn a_trace_of_many_grants_is_bounded_and_keeps_the_one_that_decides() {
    let policy = key_policy(&json!([statement("Allow", OTHERS)]));
    let grantee = NamedPrincipal::User { account: own(), name: "alice".to_owned() };
    let (other, right): (GrantOperations, GrantOperations) = ([GrantOperation::Encrypt].into(), [GrantOperation::Decrypt].into());
    let view = |number: u32| {
        let mut id = [0; 32];
        id[..4].copy_from_slice(&number.to_be_bytes());
        let operations = if number >= 9_998 { &right } else { &other };
        GrantView { id: GrantId::from_bytes(id), grantee: &grantee, retiring: None, issuer: own(), operations, constraint: None }
    };
    let grants: Vec<GrantView<'_>> = (0..10_000).map(view).collect();
    let documents = Documents { key_policy: Some(&policy), grants: &grants, ..Documents::NONE };
    let trace = trace(&user("alice"), &documents, &Facts::default());
    assert!(trace.allowed && trace.decided_by.is_empty());
    assert_eq!(trace.grants.len() + trace.left_out.grants, 10_000);
    assert!(trace.left_out.grants > 1_000 && serde_json::to_vec(&trace).unwrap().len() < 2 * POLICY_TRACE_BYTES_MAX);
    assert_eq!(trace.decision.grant(), Some(grants[9_998].id));
    assert_eq!(trace.grants.last().map(|grant| grant.id), Some(grants[9_998].id));
}
