//! Grants: whom they let in, what their constraints admit, who may retire them (rules page, section 9).

use std::collections::BTreeMap;

use claviger_types::{GrantConstraint, GrantId, GrantOperation, GrantOperations, NamedPrincipal, Partition, Principal};
use serde_json::json;

use super::{Facts, decide_request, foreigner, identity, key_policy, other, own, request, root, session, user};
use crate::{Action, Basis, Decision, Denial, Document, Documents, GrantTerms, GrantView, child_is_within, explain_retirement, may_retire};

fn named(text: &str) -> NamedPrincipal {
    NamedPrincipal::parse(text, &Partition::default()).unwrap()
}

fn operations(list: &[GrantOperation]) -> GrantOperations {
    list.iter().copied().collect()
}

fn pairs(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn id(byte: u8) -> GrantId {
    GrantId::from_bytes([byte; 32])
}

/// What alone names the deployer, so that nobody else has anything from it.
fn closed() -> crate::Policy {
    key_policy(
        &json!([{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/admin"}, "Action": "kms:*", "Resource": "*"}]),
    )
}

fn view<'a>(grantee: &'a NamedPrincipal, operations: &'a GrantOperations) -> GrantView<'a> {
    GrantView { id: id(1), grantee, retiring: None, issuer: own(), operations, constraint: None }
}

#[test]
fn a_grant_lets_its_grantee_in_and_is_named() {
    let (policy, decrypt) = (closed(), operations(&[GrantOperation::Decrypt]));
    let own_policies = [identity(&json!([{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}]))];
    for (grantee, caller, needs_own) in [
        ("arn:aws:iam::111122223333:user/bob", user("bob"), false),
        ("arn:aws:iam::111122223333:role/app", session("app", "one"), false),
        ("arn:aws:sts::111122223333:assumed-role/app/one", session("app", "one"), false),
        ("arn:aws:iam::111122223333:root", root(), false),
        ("arn:aws:iam::111122223333:root", user("bob"), true),
        ("arn:aws:iam::444455556666:user/carol", foreigner("carol"), false),
        ("444455556666", foreigner("carol"), true),
    ] {
        let grantee = named(grantee);
        let grants = vec![view(&grantee, &decrypt)];
        let documents = Documents { key_policy: Some(&policy), grants: &grants, ..Documents::NONE };
        let facts = Facts::default();
        let ask = |action, documents: &Documents<'_>| decide_request(&request(&caller, action, &facts), documents);
        let allowed = Decision::Allowed(Basis::Grant(id(1)));
        assert_eq!(ask(Action::Decrypt, &Documents { identity: &own_policies, ..documents }), allowed, "{grantee}");
        assert_eq!(ask(Action::Decrypt, &documents).is_allowed(), !needs_own, "{grantee}");
        assert_eq!(ask(Action::Encrypt, &documents), Decision::Denied(Denial::NoAllow(Document::KeyPolicy)), "{grantee}");
    }
    let grantee = named("arn:aws:sts::111122223333:assumed-role/app/one");
    let grants = vec![view(&grantee, &decrypt)];
    let documents = Documents { key_policy: Some(&policy), grants: &grants, ..Documents::NONE };
    let (two, facts) = (session("app", "two"), Facts::default());
    assert!(!decide_request(&request(&two, Action::Decrypt, &facts), &documents).is_allowed());
}

#[test]
fn a_deny_and_a_role_s_boundary_hold_against_a_grant() {
    let decrypt = operations(&[GrantOperation::Decrypt]);
    let (bob, app) = (named("arn:aws:iam::111122223333:user/bob"), named("arn:aws:iam::111122223333:role/app"));
    let grants = vec![view(&bob, &decrypt), view(&app, &decrypt)];
    let denying = key_policy(
        &json!([{"Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::111122223333:user/bob"}, "Action": "*", "Resource": "*"}]),
    );
    let documents = Documents { key_policy: Some(&denying), grants: &grants, ..Documents::NONE };
    let facts = Facts::default();
    let ask = |caller: &Principal, documents: &Documents<'_>| decide_request(&request(caller, Action::Decrypt, &facts), documents);
    assert_eq!(ask(&user("bob"), &documents), Decision::Denied(Denial::Explicit(Document::KeyPolicy)));
    assert!(ask(&session("app", "one"), &documents).is_allowed());
    let boundary = identity(&json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]));
    assert!(!ask(&session("app", "one"), &Documents { boundary: Some(&boundary), ..documents }).is_allowed());
    assert!(!ask(&user("bob"), &Documents { revoked: true, ..documents }).is_allowed());
}

#[test]
fn a_constraint_admits_exact_contexts() {
    let (policy, bob) = (closed(), named("arn:aws:iam::111122223333:user/bob"));
    let listed = operations(&[GrantOperation::Decrypt, GrantOperation::DescribeKey]);
    let ask = |constraint: &GrantConstraint, action, context: Option<&[(&str, &str)]>| {
        let grants = vec![GrantView { constraint: Some(constraint), ..view(&bob, &listed) }];
        let (caller, facts, context) = (user("bob"), Facts::default(), context.map(pairs));
        let request = crate::Request { encryption_context: context.as_ref(), ..request(&caller, action, &facts) };
        decide_request(&request, &Documents { key_policy: Some(&policy), grants: &grants, ..Documents::NONE }).is_allowed()
    };
    let equals = GrantConstraint::EncryptionContextEquals(pairs(&[("Dept", "IT")]));
    let subset = GrantConstraint::EncryptionContextSubset(pairs(&[("Dept", "IT")]));
    for (context, by_equals, by_subset) in [
        (Some(&[("Dept", "IT")][..]), true, true),
        (Some(&[("Dept", "IT"), ("Team", "x")]), false, true),
        (Some(&[("dept", "IT")]), false, false),
        (Some(&[("Dept", "it")]), false, false),
        (Some(&[]), false, false),
        (None, false, false),
    ] {
        assert_eq!(ask(&equals, Action::Decrypt, context), by_equals, "{context:?}");
        assert_eq!(ask(&subset, Action::Decrypt, context), by_subset, "{context:?}");
    }
    assert!(ask(&equals, Action::DescribeKey, None));
}

#[test]
fn a_child_is_within_its_parent() {
    let subset = |list| GrantConstraint::EncryptionContextSubset(pairs(list));
    let (wide, narrow) = (subset(&[("a", "1")]), subset(&[("a", "1"), ("b", "2")]));
    let (both, one) = (operations(&[GrantOperation::Decrypt, GrantOperation::CreateGrant]), operations(&[GrantOperation::Decrypt]));
    let terms = |operations, constraint| GrantTerms { operations, constraint };
    assert!(child_is_within(terms(&both, None), terms(&one, None)));
    assert!(child_is_within(terms(&both, None), terms(&both, Some(&wide))));
    assert!(child_is_within(terms(&both, Some(&wide)), terms(&one, Some(&narrow))));
    assert!(!child_is_within(terms(&both, Some(&narrow)), terms(&one, Some(&wide))));
    assert!(!child_is_within(terms(&both, Some(&wide)), terms(&one, None)));
    assert!(!child_is_within(terms(&one, None), terms(&both, None)));

    let (policy, bob, caller, facts) = (closed(), named("arn:aws:iam::111122223333:user/bob"), user("bob"), Facts::default());
    let grants = vec![GrantView { constraint: Some(&wide), ..view(&bob, &both) }];
    let documents = Documents { key_policy: Some(&policy), grants: &grants, ..Documents::NONE };
    let ask = |new_grant| decide_request(&crate::Request { new_grant, ..request(&caller, Action::CreateGrant, &facts) }, &documents);
    assert_eq!(ask(Some(terms(&one, Some(&narrow)))).grant(), Some(id(1)));
    assert!(!ask(Some(terms(&one, None))).is_allowed());
    assert!(!ask(None).is_allowed());
}

/// Decides on retiring, and sees that the explanation is of the same decision.
fn retire(caller: &Principal, documents: &Documents<'_>, grant: &GrantView<'_>) -> Decision {
    let facts = Facts::default();
    let request = request(caller, Action::RetireGrant, &facts);
    let decision = may_retire(&request, documents, grant);
    assert_eq!(explain_retirement(&request, documents, grant, &Partition::default()).decision, decision);
    decision
}

#[test]
fn who_may_retire() {
    let everybody = key_policy(&json!([{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"}]));
    let (bob, dan) = (named("arn:aws:iam::111122223333:user/bob"), named("arn:aws:iam::111122223333:user/dan"));
    let (with, without) = (operations(&[GrantOperation::Decrypt, GrantOperation::RetireGrant]), operations(&[GrantOperation::Decrypt]));
    let documents = Documents { key_policy: Some(&everybody), ..Documents::NONE };
    let grant = GrantView { retiring: Some(&dan), ..view(&bob, &with) };
    let (yes, no) = (Decision::Allowed(Basis::Retirement(id(1))), Decision::Denied(Denial::NoAllow(Document::IdentityPolicy)));
    assert_eq!(retire(&user("dan"), &documents, &grant), yes);
    assert_eq!(retire(&user("bob"), &documents, &grant), yes);
    assert_eq!(retire(&root(), &documents, &grant), yes);
    // The key policy allows it to everybody, and that is nothing.
    assert_eq!(retire(&user("eve"), &documents, &grant), no);
    assert_eq!(retire(&user("bob"), &documents, &view(&bob, &without)), no);
    assert_eq!(retire(&foreigner("carol"), &documents, &grant), Decision::Denied(Denial::MayNotRetire));
    let asked_elsewhere = decide_request(&request(&root(), Action::RetireGrant, &Facts::default()), &documents);
    assert_eq!(asked_elsewhere, Decision::Denied(Denial::MayNotRetire));
    assert_eq!(decide_request(&request(&root(), Action::RetireGrant, &Facts::default()), &Documents::NONE), asked_elsewhere);
    // The issuing account's policies delegate it.
    let delegating = [identity(&json!([{"Effect": "Allow", "Action": "kms:RetireGrant", "Resource": "*"}]))];
    assert_eq!(retire(&user("eve"), &Documents { identity: &delegating, ..documents }, &grant), yes);
    assert!(!retire(&foreigner("carol"), &Documents { identity: &delegating, ..documents }, &grant).is_allowed());
    // So do those of an account that is the retiring principal.
    let account = NamedPrincipal::Account(other());
    let theirs = GrantView { retiring: Some(&account), ..view(&bob, &with) };
    assert_eq!(retire(&foreigner("carol"), &Documents { identity: &delegating, ..documents }, &theirs), yes);
    assert!(!retire(&foreigner("carol"), &documents, &theirs).is_allowed());
    assert_eq!(retire(&Principal::Root { account: other() }, &documents, &theirs), yes);
    // And it can be denied.
    let denying = key_policy(&json!([{"Effect": "Deny", "Principal": "*", "Action": "kms:RetireGrant", "Resource": "*"}]));
    let documents = Documents { key_policy: Some(&denying), ..Documents::NONE };
    assert_eq!(retire(&user("dan"), &documents, &grant), Decision::Denied(Denial::Explicit(Document::KeyPolicy)));
}

#[test]
fn a_trace_shows_the_grants_that_name_the_caller() {
    let (policy, listed) = (closed(), operations(&[GrantOperation::Decrypt]));
    let (bob, dan, account) =
        (named("arn:aws:iam::111122223333:user/bob"), named("arn:aws:iam::111122223333:user/dan"), named("111122223333"));
    let constraint = GrantConstraint::EncryptionContextEquals(pairs(&[("a", "1")]));
    let grants = vec![
        view(&dan, &listed),
        GrantView { id: id(2), ..view(&account, &listed) },
        GrantView { id: id(3), constraint: Some(&constraint), ..view(&bob, &listed) },
        GrantView { id: id(4), ..view(&bob, &listed) },
    ];
    let (caller, facts) = (user("bob"), Facts::default());
    let documents = Documents { key_policy: Some(&policy), grants: &grants, ..Documents::NONE };
    let trace = crate::explain(&request(&caller, Action::Decrypt, &facts), &documents, &Partition::default());
    let shown = |byte, grantee: &str, constraint_admits, own_policies_suffice| {
        let grantee = format!("arn:aws:iam::111122223333:{grantee}");
        crate::GrantTrace { id: id(byte), grantee, lists_operation: true, constraint_admits, own_policies_suffice }
    };
    assert_eq!(trace.grants, [shown(2, "root", true, false), shown(3, "user/bob", false, true), shown(4, "user/bob", true, true)]);
    assert_eq!(trace.decision.grant(), Some(id(4)));
    assert_eq!(trace.reason, format!("because the grant {} allows it", id(4)));
}
