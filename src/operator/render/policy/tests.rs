//! What people and programs are shown of decisions and of reset policies.

use super::*;

fn statement(index: usize, sid: Option<&str>, denies: bool, applies: bool) -> StatementTrace {
    StatementTrace {
        index,
        sid: sid.map(str::to_owned),
        denies,
        principal: Some(true),
        closeness: Some(Closeness::Account),
        action: applies,
        resource: true,
        conditions: Vec::new(),
        applies,
    }
}

fn trace() -> DecisionTrace {
    let condition = ConditionTrace {
        operator: "StringEquals".to_owned(),
        key: "kms:EncryptionContext:app".to_owned(),
        policy_values: vec!["one".to_owned(), "t\u{1b}wo".to_owned()],
        request_values: Vec::new(),
        holds: false,
    };
    let own = StatementTrace { principal: None, closeness: None, conditions: vec![condition], ..statement(0, None, true, false) };
    DecisionTrace {
        caller: "arn:aws:iam::111122223333:user/alice".to_owned(),
        action: "kms:Decrypt".to_owned(),
        resource: "arn:aws:kms:eu-west-1:111122223333:key/k".to_owned(),
        allowed: true,
        basis: Some(Basis::KeyPolicy),
        reason: "because a resource-based policy names the principal".to_owned(),
        decided_by: vec![StatementRef { document: DocumentKind::KeyPolicy, name: String::new(), index: 2, sid: Some("Use it".to_owned()) }],
        documents: vec![
            DocumentTrace {
                document: DocumentKind::KeyPolicy,
                name: String::new(),
                statements: vec![statement(0, Some(""), false, false), statement(2, Some("Use it"), false, true)],
            },
            DocumentTrace { document: DocumentKind::IdentityPolicy, name: "user/alice: own".to_owned(), statements: vec![own] },
        ],
        grants: Vec::new(),
        left_out: LeftOut::default(),
    }
}

fn shown(trace: DecisionTrace) -> String {
    simulation(&Simulation { allowed: trace.allowed, message: None, decisions: vec![trace] }, Format::Human)
}

fn first_line(trace: DecisionTrace) -> String {
    shown(trace).lines().next().unwrap_or_default().to_owned()
}

#[test]
fn people_see_the_decision_and_then_each_part() {
    assert_eq!(
        shown(trace()),
        r#"ALLOWED by key policy, statement 2 "Use it"
  arn:aws:iam::111122223333:user/alice asks for kms:Decrypt on arn:aws:kms:eu-west-1:111122223333:key/k

  key policy
    statement 0: Allow, does not apply
      principal   yes (its account)
      action      no
      resource    yes
    statement 2 "Use it": Allow, applies
      principal   yes (its account)
      action      yes
      resource    yes

  identity policy user/alice: own
    statement 0: Deny, does not apply
      action      no
      resource    yes
      condition   no: StringEquals kms:EncryptionContext:app "one", "t wo"; the request: has none
"#
    );
}

#[test]
fn each_decision_has_its_words() {
    let id = "0f".repeat(32);
    let allowed = |basis| first_line(DecisionTrace { basis: Some(basis), decided_by: Vec::new(), ..trace() });
    assert_eq!(allowed(Basis::Grant(id.clone())), format!("ALLOWED by grant {id}"));
    assert_eq!(allowed(Basis::Retirement(id.clone())), format!("ALLOWED: the caller may retire grant {id}"));
    assert_eq!(allowed(Basis::IdentityPolicy), "ALLOWED because a resource-based policy names the principal");
    let denied =
        DecisionTrace { allowed: false, basis: None, reason: "with an explicit deny in a resource-based policy".to_owned(), ..trace() };
    assert_eq!(first_line(denied.clone()), "DENIED with an explicit deny in a resource-based policy: key policy, statement 2 \"Use it\"");
    let denied = DecisionTrace { decided_by: Vec::new(), documents: Vec::new(), ..denied };
    let text = shown(DecisionTrace {
        grants: vec![GrantTrace {
            id: id.clone(),
            grantee: "arn:aws:iam::111122223333:root".to_owned(),
            lists_operation: true,
            constraint_admits: false,
            own_policies_suffice: false,
        }],
        left_out: LeftOut { statements: 0, conditions: 3, grants: 4 },
        ..denied
    });
    for part in [
        "DENIED with an explicit deny in a resource-based policy\n",
        "the caller has no policies of its own",
        &format!(
            "grant {id} to arn:aws:iam::111122223333:root\n      operation   yes\n      constraint  no\n      own policies do not suffice\n"
        ),
        "0 statements, 3 conditions, 4 grants",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn several_decisions_are_announced_and_the_callers_message_is_last() {
    let simulated = Simulation { allowed: false, message: Some("User: …".to_owned()), decisions: vec![trace(), trace()] };
    let text = simulation(&simulated, Format::Human);
    assert!(
        text.starts_with("DENIED: the request needs 2 decisions\n\nALLOWED by") && text.ends_with("\nThe caller would be told: User: …\n"),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<Simulation>(&simulation(&simulated, Format::Json)).unwrap(), simulated);
}

#[test]
fn a_policy_that_was_replaced_is_printed_whole() {
    let result = ResetKeyPolicyResult { key: "k".to_owned(), changed: true, replaced: Some("{\n\t\"Id\": \"\u{1b}\"\n}".to_owned()) };
    assert!(reset_result(&result, Format::Human).ends_with("It had this one:\n{\n\t\"Id\": \" \"\n}\n"));
    assert_eq!(serde_json::from_str::<ResetKeyPolicyResult>(&reset_result(&result, Format::Json)).unwrap(), result);
    let again = ResetKeyPolicyResult { changed: false, replaced: None, ..result };
    assert!(reset_result(&again, Format::Human).contains("Nothing was changed"));
}
