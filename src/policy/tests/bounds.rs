//! The worst documents within limits: a decision still ends within its steps, and with no if it needs more.

use claviger_types::limits::{KEY_POLICY_BYTES_MAX, POLICY_STEPS_MAX};
use serde_json::json;

use super::{Facts, KEY, document, request, user};
use crate::decide::judge;
use crate::explain::Unobserved;
use crate::pattern::Steps;
use crate::{Action, Decision, Denial, Documents, Policy, PolicyKind};

/// Decides by this key policy of one statement, and says how many steps it took.
fn steps_of(member: &str, value: serde_json::Value, facts: &Facts) -> (Decision, u64) {
    let mut statement = json!({"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"});
    statement[member] = value;
    let text = document(&json!([statement])).to_string();
    assert!((15_000..=KEY_POLICY_BYTES_MAX).contains(&text.len()), "{}", text.len());
    let policy = Policy::parse(&text, PolicyKind::Key, &claviger_types::Partition::default()).unwrap();
    let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
    let steps = Steps::of_a_decision();
    let decision = judge(&request(&user("alice"), Action::Decrypt, facts), &documents, None, &mut Unobserved, &steps);
    (decision, POLICY_STEPS_MAX - steps.left())
}

#[test]
fn wildcards_in_resources_and_actions() {
    let none = Facts::default();
    let nested = format!("arn:aws:kms:*:*:{}b", "*a".repeat(16_000));
    let (decision, taken) = steps_of("Resource", json!(nested), &none);
    assert!(!decision.is_allowed() && taken <= nested.len() as u64 * KEY.len() as u64 && taken < POLICY_STEPS_MAX);
    let many = vec!["arn:aws:kms:*:*:*?*?*?*?*?*?*?*?*?z"; 800];
    let (decision, taken) = steps_of("Resource", json!(many), &none);
    assert!(!decision.is_allowed() && taken < POLICY_STEPS_MAX);
    // Actions are matched when the document is parsed, and cost nothing here.
    let (decision, taken) = steps_of("Action", json!(format!("kms:{}x", "*?".repeat(16_000))), &none);
    assert!(!decision.is_allowed() && taken == 0);
}

#[test]
fn wildcards_against_the_longest_value_of_a_request() {
    let long: &'static str = Box::leak("a".repeat(8_192).into_boxed_str());
    let facts = Facts::default().text("kms:EncryptionContext:k", long);
    for pattern in [format!("*{}b", "a?".repeat(8_000)), format!("{}b", "*a".repeat(16_000)), format!("*{}b*", "?a".repeat(2_000))] {
        let fill = 31_000 / (pattern.len() + 3);
        let values = vec![pattern; fill.max(1)];
        for operator in ["StringLike", "StringNotLike"] {
            let (decision, taken) = steps_of("Condition", json!({operator: {"kms:EncryptionContext:k": values}}), &facts);
            if taken == POLICY_STEPS_MAX {
                assert_eq!(decision, Decision::Denied(Denial::TooComplex));
            } else {
                assert_eq!(decision.is_allowed(), operator == "StringNotLike");
            }
        }
    }
}

#[test]
fn variables_do_not_multiply() {
    let long: &'static str = Box::leak("a".repeat(8_192).into_boxed_str());
    let facts = Facts::default().text("kms:EncryptionContext:k", long);
    let value = format!("*{}b", "${kms:EncryptionContext:k}".repeat(1_200));
    let (decision, taken) = steps_of("Condition", json!({"StringLike": {"kms:EncryptionContext:k": value}}), &facts);
    assert_eq!((decision, taken), (Decision::Denied(Denial::TooComplex), POLICY_STEPS_MAX));
}

#[test]
fn sets_do_not_multiply() {
    let keys: Vec<String> = (0..2_000).map(|n| format!("k{n}")).collect();
    let facts = Facts::default().many("kms:EncryptionContextKeys", &keys.iter().map(String::as_str).collect::<Vec<_>>());
    let values = vec!["ab"; 6_000];
    let (decision, taken) = steps_of("Condition", json!({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": values}}), &facts);
    assert_eq!((decision, taken), (Decision::Denied(Denial::TooComplex), POLICY_STEPS_MAX));
}

/// Each looks through all pairs of the encryption context for a name that is not there.
#[test]
fn variables_in_sets_do_not_multiply() {
    let keys: Vec<String> = (0..1_365).map(|n| format!("{n:x}")).collect();
    let facts = Facts::default().many("kms:EncryptionContextKeys", &keys.iter().map(String::as_str).collect::<Vec<_>>());
    let values = vec!["${kms:EncryptionContext:zz}"; 1_000];
    for operator in ["ForAnyValue:StringEquals", "ForAnyValue:StringLike"] {
        let condition = json!({operator: {"kms:EncryptionContextKeys": values}});
        let (decision, taken) = steps_of("Condition", condition, &facts);
        assert_eq!((decision, taken), (Decision::Denied(Denial::TooComplex), POLICY_STEPS_MAX), "{operator}");
    }
}

#[test]
fn a_deny_that_ends_early_denies() {
    let long: &'static str = Box::leak("a".repeat(8_192).into_boxed_str());
    let facts = Facts::default().text("kms:EncryptionContext:k", long);
    let pattern = format!("*{}b", "a?".repeat(2_000));
    let statements = json!([
        {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*",
         "Condition": {"StringLike": {"kms:EncryptionContext:k": vec![pattern.as_str(); 7]}}},
    ]);
    let policy = super::key_policy(&statements);
    let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
    assert_eq!(super::decide_with(&user("alice"), Action::Decrypt, &documents, &facts), Decision::Denied(Denial::TooComplex));
}
