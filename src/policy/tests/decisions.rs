//! How documents combine (rules page, section 10; IAM User Guide, "Policy evaluation logic").

use claviger_types::Principal;
use serde_json::{Value as Json, json};

use super::{Facts, KEY, account, decide, decide_request, foreigner, identity, key_policy, other, own, request, root, session, user};
use crate::{Action, Attached, Basis, Decision, Denial, Document, Documents, Policy};

const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
const ROLE: &str = "arn:aws:iam::111122223333:role/app";
const SESSION: &str = "arn:aws:sts::111122223333:assumed-role/app/one";
const ACCOUNT: &str = "arn:aws:iam::111122223333:root";

fn allow_to(principal: &Json) -> Json {
    json!({"Effect": "Allow", "Principal": principal, "Action": "kms:*", "Resource": "*"})
}

fn deny_to(principal: &Json) -> Json {
    json!({"Effect": "Deny", "Principal": principal, "Action": "kms:*", "Resource": "*"})
}

fn to(arn: &str) -> Policy {
    key_policy(&json!([allow_to(&json!({"AWS": arn}))]))
}

fn allow_all() -> Attached {
    identity(&json!([{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]))
}

fn deny_all() -> Attached {
    identity(&json!([{"Effect": "Deny", "Action": "kms:*", "Resource": "*"}]))
}

/// A policy that neither allows nor denies.
fn silent() -> Attached {
    identity(&json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]))
}

fn decrypt(caller: &Principal, documents: &Documents<'_>) -> Decision {
    decide(caller, Action::Decrypt, documents)
}

const fn denied(denial: Denial) -> Decision {
    Decision::Denied(denial)
}

#[test]
fn nothing_is_allowed_by_default() {
    let policy = to(ALICE);
    let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
    assert_eq!(decrypt(&user("bob"), &documents), denied(Denial::NoAllow(Document::KeyPolicy)));
    assert_eq!(decrypt(&root(), &documents), denied(Denial::NoAllow(Document::KeyPolicy)));
    assert_eq!(decrypt(&user("alice"), &documents), Decision::Allowed(Basis::KeyPolicy));
    assert_eq!(decrypt(&session("app", "one"), &documents), denied(Denial::NoAllow(Document::KeyPolicy)));
}

#[test]
fn a_key_policy_that_does_not_delegate_silences_identity_policies() {
    let policies = [allow_all()];
    let policy = to(ALICE);
    let documents = Documents { key_policy: Some(&policy), identity: &policies, ..Documents::NONE };
    assert_eq!(decrypt(&user("bob"), &documents), denied(Denial::NoAllow(Document::KeyPolicy)));
}

#[test]
fn a_delegation_needs_an_identity_policy() {
    let (all, none) = ([allow_all()], [silent()]);
    for arn in [ACCOUNT, "111122223333"] {
        let policy = to(arn);
        let documents = Documents { key_policy: Some(&policy), identity: &all, ..Documents::NONE };
        assert_eq!(decrypt(&user("bob"), &documents), Decision::Allowed(Basis::KeyPolicyAndIdentity));
        let documents = Documents { identity: &none, ..documents };
        assert_eq!(decrypt(&user("bob"), &documents), denied(Denial::NoAllow(Document::IdentityPolicy)));
        assert_eq!(decrypt(&root(), &documents), Decision::Allowed(Basis::KeyPolicy));
    }
}

#[test]
fn a_deny_anywhere_wins() {
    let policy = key_policy(&json!([allow_to(&json!("*"))]));
    let denying = key_policy(&json!([allow_to(&json!("*")), deny_to(&json!({"AWS": ALICE}))]));
    let (all, none, bound) = ([allow_all()], [allow_all(), deny_all()], deny_all());
    let open = Documents { key_policy: Some(&policy), identity: &all, ..Documents::NONE };
    assert!(decrypt(&user("alice"), &open).is_allowed());
    for (documents, document) in [
        (Documents { key_policy: Some(&denying), ..open }, Document::KeyPolicy),
        (Documents { identity: &none, ..open }, Document::IdentityPolicy),
        (Documents { boundary: Some(&bound), ..open }, Document::PermissionsBoundary),
        (Documents { session: Some(&bound.policy), ..open }, Document::SessionPolicy),
    ] {
        assert_eq!(decrypt(&user("alice"), &documents), denied(Denial::Explicit(document)));
    }
}

#[test]
fn a_deny_to_an_account_or_a_role_is_one_to_everybody_in_it() {
    for (principal, callers) in [
        (ACCOUNT, vec![user("alice"), root(), session("app", "one")]),
        (ROLE, vec![session("app", "one"), session("app", "two")]),
        (SESSION, vec![session("app", "one")]),
    ] {
        let policy = key_policy(&json!([allow_to(&json!("*")), deny_to(&json!({"AWS": principal}))]));
        let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
        for caller in callers {
            assert_eq!(decrypt(&caller, &documents), denied(Denial::Explicit(Document::KeyPolicy)), "{principal}");
        }
        assert_eq!(decrypt(&user("bob"), &documents).is_allowed(), principal != ACCOUNT);
    }
}

#[test]
fn boundaries_and_sessions_limit_delegations_and_roles_and_nobody_who_is_named() {
    let (all, limit) = ([allow_all()], silent());
    for (arn, caller, limited) in [
        (ACCOUNT, user("alice"), true),
        (ALICE, user("alice"), false),
        (ROLE, session("app", "one"), true),
        (SESSION, session("app", "one"), false),
    ] {
        let policy = to(arn);
        let documents = Documents { key_policy: Some(&policy), identity: &all, ..Documents::NONE };
        assert!(decrypt(&caller, &documents).is_allowed());
        let bounded = decrypt(&caller, &Documents { boundary: Some(&limit), ..documents });
        let in_session = decrypt(&caller, &Documents { session: Some(&limit.policy), ..documents });
        if limited {
            assert_eq!(bounded, denied(Denial::NoAllow(Document::PermissionsBoundary)), "{arn}");
            assert_eq!(in_session, denied(Denial::NoAllow(Document::SessionPolicy)), "{arn}");
        } else {
            assert!(bounded.is_allowed() && in_session.is_allowed(), "{arn}");
        }
    }
    let anyone = key_policy(&json!([allow_to(&json!("*"))]));
    let documents = Documents { key_policy: Some(&anyone), boundary: Some(&limit), ..Documents::NONE };
    // Everybody is nobody by name.
    for caller in [user("alice"), session("app", "one")] {
        assert_eq!(decrypt(&caller, &documents), denied(Denial::NoAllow(Document::PermissionsBoundary)));
        assert!(decrypt(&caller, &Documents { boundary: None, ..documents }).is_allowed());
    }
}

#[test]
fn an_account_and_a_name_allow_what_either_does() {
    let policy = key_policy(&json!([allow_to(&json!({"AWS": [ACCOUNT, ALICE]}))]));
    let limit = silent();
    let documents = Documents { key_policy: Some(&policy), boundary: Some(&limit), ..Documents::NONE };
    assert!(decrypt(&user("alice"), &documents).is_allowed());
    assert!(!decrypt(&user("bob"), &documents).is_allowed());
}

#[test]
fn everybody_is_everybody_of_the_account_and_with_their_own_policies_anybody() {
    for principal in [json!("*"), json!({"AWS": "*"}), json!({"AWS": ["*"]})] {
        let policy = key_policy(&json!([allow_to(&principal)]));
        let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
        assert!(decrypt(&user("bob"), &documents).is_allowed());
        assert_eq!(decrypt(&foreigner("carol"), &documents), denied(Denial::NoAllow(Document::IdentityPolicy)));
        let all = [allow_all()];
        assert!(decrypt(&foreigner("carol"), &Documents { identity: &all, ..documents }).is_allowed());
    }
}

#[test]
fn services_and_other_providers_are_nobody() {
    for principal in
        [json!({"Service": "ec2.amazonaws.com"}), json!({"Federated": "accounts.google.com"}), json!({"CanonicalUser": "79a5"})]
    {
        let policy = key_policy(&json!([allow_to(&principal)]));
        assert!(!decrypt(&root(), &Documents { key_policy: Some(&policy), ..Documents::NONE }).is_allowed());
    }
}

#[test]
fn not_principal_in_a_deny_spares_who_it_names() {
    let policy = key_policy(&json!([
        allow_to(&json!("*")),
        {"Effect": "Deny", "NotPrincipal": {"AWS": [ALICE, ACCOUNT]}, "Action": "kms:*", "Resource": "*"},
    ]));
    let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
    assert!(decrypt(&user("alice"), &documents).is_allowed());
    assert!(decrypt(&root(), &documents).is_allowed());
    assert_eq!(decrypt(&user("bob"), &documents), denied(Denial::Explicit(Document::KeyPolicy)));
    // AWS: nobody who has a permissions boundary is spared.
    let boundary = allow_all();
    let bounded = Documents { boundary: Some(&boundary), ..documents };
    assert_eq!(decrypt(&user("alice"), &bounded), denied(Denial::Explicit(Document::KeyPolicy)));
}

/// As AWS has it: "you must also specify the account ARN of the not-denied principal" (IAM User Guide, "NotPrincipal").
#[test]
fn not_principal_in_a_deny_spares_nobody_whose_account_it_does_not_list() {
    let sparing = |names: &Json| {
        let deny = json!({"Effect": "Deny", "NotPrincipal": names, "Action": "kms:*", "Resource": "*"});
        key_policy(&json!([allow_to(&json!("*")), deny]))
    };
    let is_spared = |names: &Json, caller: &Principal| {
        let policy = sparing(names);
        decrypt(caller, &Documents { key_policy: Some(&policy), ..Documents::NONE }).is_allowed()
    };
    let other = "arn:aws:iam::444455556666:root";
    assert!(!is_spared(&json!({"AWS": ALICE}), &user("alice")) && !is_spared(&json!({"AWS": [ALICE, other]}), &user("alice")));
    assert!(is_spared(&json!({"AWS": [ALICE, ACCOUNT]}), &user("alice")));
    let one = session("app", "one");
    for too_few in [json!([ROLE, ACCOUNT]), json!([SESSION, ACCOUNT]), json!([ROLE, SESSION]), json!([ROLE, SESSION, other])] {
        assert!(!is_spared(&json!({"AWS": too_few}), &one), "{too_few}");
    }
    assert!(is_spared(&json!({"AWS": [ROLE, SESSION, ACCOUNT]}), &one));
    assert!(!is_spared(&json!({"AWS": [ALICE, ACCOUNT]}), &user("bob")));
    assert!(is_spared(&json!("*"), &user("bob")));
}

#[test]
fn not_principal_in_an_allow_leaves_out_accounts_whole() {
    let not = |arn: &str| key_policy(&json!([{"Effect": "Allow", "NotPrincipal": {"AWS": arn}, "Action": "kms:*", "Resource": "*"}]));
    let policy = not(ALICE);
    let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
    assert!(decrypt(&user("bob"), &documents).is_allowed() && !decrypt(&user("alice"), &documents).is_allowed());
    let policy = not(ACCOUNT);
    let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
    assert!(!decrypt(&user("bob"), &documents).is_allowed());
}

#[test]
fn across_accounts_both_sides_must_allow() {
    let (all, none, limit) = ([allow_all()], [silent()], silent());
    for arn in ["arn:aws:iam::444455556666:user/carol", "arn:aws:iam::444455556666:root"] {
        let policy = to(arn);
        let documents = Documents { key_policy: Some(&policy), identity: &all, ..Documents::NONE };
        let carol = foreigner("carol");
        assert_eq!(decrypt(&carol, &documents), Decision::Allowed(Basis::KeyPolicyAndIdentity));
        let unallowed = decrypt(&carol, &Documents { identity: &none, ..documents });
        assert_eq!(unallowed, denied(Denial::NoAllow(Document::IdentityPolicy)));
        let bounded = decrypt(&carol, &Documents { boundary: Some(&limit), ..documents });
        assert_eq!(bounded, denied(Denial::NoAllow(Document::PermissionsBoundary)));
        // Not on the list of what crosses accounts, whatever the policies say.
        for action in [Action::DisableKey, Action::PutKeyPolicy, Action::ScheduleKeyDeletion, Action::ListKeyPolicies] {
            assert_eq!(decide(&carol, action, &documents), denied(Denial::OtherAccount));
        }
    }
    let policy = to("arn:aws:iam::444455556666:root");
    let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
    assert!(decrypt(&Principal::Root { account: other() }, &documents).is_allowed());
    let policy = to(ALICE);
    let documents = Documents { key_policy: Some(&policy), identity: &all, ..Documents::NONE };
    assert_eq!(decrypt(&foreigner("alice"), &documents), denied(Denial::NoAllow(Document::KeyPolicy)));
}

#[test]
fn a_stranger_does_not_learn_from_the_words_that_the_key_exists() {
    let policy = key_policy(&json!([deny_to(&json!("*"))]));
    let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
    let denial = decrypt(&foreigner("carol"), &documents).denial().unwrap();
    assert_eq!(denial.because(Action::Decrypt), Denial::OtherAccount.because(Action::Decrypt));
    assert_eq!(decrypt(&user("bob"), &documents), denied(Denial::Explicit(Document::KeyPolicy)));
    // Its own policies are looked at only where there is a key: what they deny is not told either, unless the key policy names it.
    let (own, limit) = ([deny_all()], deny_all());
    let silent = to(ALICE);
    let limits = [
        Documents { identity: &own, ..Documents::NONE },
        Documents { boundary: Some(&limit), ..Documents::NONE },
        Documents { session: Some(&limit.policy), ..Documents::NONE },
    ];
    for documents in limits {
        let documents = Documents { key_policy: Some(&silent), ..documents };
        let denial = decrypt(&foreigner("carol"), &documents).denial().unwrap();
        assert_eq!(denial.because(Action::Decrypt), Denial::NoAllow(Document::KeyPolicy).because(Action::Decrypt));
        let named = to("arn:aws:iam::444455556666:root");
        let denial = decrypt(&foreigner("carol"), &Documents { key_policy: Some(&named), ..documents }).denial().unwrap();
        assert!(matches!(denial, Denial::Explicit(_)), "{denial:?}");
    }
}

#[test]
fn without_a_key_identity_policies_decide() {
    let (all, bound) = ([allow_all()], silent());
    let documents = Documents { identity: &all, ..Documents::NONE };
    let facts = Facts::default();
    let create = |caller: &Principal, documents: &Documents<'_>| {
        let request = crate::Request { resource: "*", ..request(caller, Action::CreateKey, &facts) };
        decide_request(&request, documents)
    };
    assert_eq!(create(&user("alice"), &documents), Decision::Allowed(Basis::Identity));
    assert_eq!(create(&user("alice"), &Documents::NONE), denied(Denial::NoAllow(Document::IdentityPolicy)));
    let bounded = Documents { boundary: Some(&bound), ..documents };
    assert_eq!(create(&user("alice"), &bounded), denied(Denial::NoAllow(Document::PermissionsBoundary)));
    // The root needs no policy, and a Deny still holds it.
    assert!(create(&root(), &Documents::NONE).is_allowed());
    assert!(create(&root(), &Documents { boundary: Some(&bound), ..Documents::NONE }).is_allowed());
    let deny = deny_all();
    let denying = Documents { session: Some(&deny.policy), ..Documents::NONE };
    assert_eq!(create(&root(), &denying), denied(Denial::Explicit(Document::SessionPolicy)));
    // A pattern of ARNs does not name what has none.
    let keys = [identity(&json!([{"Effect": "Allow", "Action": "kms:*", "Resource": "arn:aws:kms:*:*:*"}]))];
    assert!(!create(&user("alice"), &Documents { identity: &keys, ..Documents::NONE }).is_allowed());
}

#[test]
fn an_alias_of_another_account_is_out_of_reach() {
    let all = [allow_all()];
    let documents = Documents { identity: &all, ..Documents::NONE };
    let (carol, facts) = (foreigner("carol"), Facts::default());
    let request = crate::Request { resource: "arn:aws:kms:eu-west-1:111122223333:alias/x", ..request(&carol, Action::UpdateAlias, &facts) };
    assert_eq!(decide_request(&request, &documents), denied(Denial::OtherAccount));
}

#[test]
fn resources_and_actions() {
    let check = |statement: Json, action| {
        let policies = [identity(&json!([statement]))];
        let policy = to(ACCOUNT);
        let documents = Documents { key_policy: Some(&policy), identity: &policies, ..Documents::NONE };
        decide(&user("alice"), action, &documents).is_allowed()
    };
    for (resource, expected) in [
        ("*", true),
        (KEY, true),
        ("arn:aws:kms:*:111122223333:key/*", true),
        ("arn:aws:kms:eu-west-?:111122223333:key/1234*", true),
        ("arn:aws:kms", true),
        ("arn:aws:s3", false),
        ("arn:aws:kms:eu-west-1:111122223333:alias/*", false),
        ("arn:aws:kms:us-east-1:111122223333:key/*", false),
        ("arn:aws:kms:EU-WEST-1:111122223333:key/*", false),
        ("arn:aws:*:key/*", false),
    ] {
        assert_eq!(check(json!({"Effect": "Allow", "Action": "kms:*", "Resource": resource}), Action::Decrypt), expected, "{resource}");
        assert_eq!(check(json!({"Effect": "Allow", "Action": "kms:*", "NotResource": resource}), Action::Decrypt), !expected, "{resource}");
    }
    for (action, expected) in [("kms:Decrypt", true), ("kms:De*", true), ("KMS:DECRYPT", true), ("*", true), ("kms:Encrypt", false)] {
        assert_eq!(check(json!({"Effect": "Allow", "Action": action, "Resource": "*"}), Action::Decrypt), expected, "{action}");
        assert_eq!(check(json!({"Effect": "Allow", "NotAction": action, "Resource": "*"}), Action::Decrypt), !expected, "{action}");
    }
}

#[test]
fn a_key_policy_is_about_this_key() {
    for (resource, expected) in [("*", true), (KEY, true), ("arn:aws:kms:eu-west-1:111122223333:key/other", false), ("arn:aws:kms:*", true)]
    {
        let policy = key_policy(&json!([{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": resource}]));
        let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
        assert_eq!(decrypt(&user("alice"), &documents).is_allowed(), expected, "{resource}");
    }
    // Accepted, and without effect.
    for statement in
        [json!({"Effect": "Allow", "Principal": "*", "Action": "kms:*"}), json!({"Effect": "Allow", "Principal": "*", "Resource": "*"})]
    {
        let policy = key_policy(&json!([statement]));
        assert!(!decrypt(&user("alice"), &Documents { key_policy: Some(&policy), ..Documents::NONE }).is_allowed());
    }
}

#[test]
fn whoever_is_revoked_may_nothing() {
    let policy = key_policy(&json!([allow_to(&json!("*"))]));
    let documents = Documents { key_policy: Some(&policy), revoked: true, ..Documents::NONE };
    assert_eq!(decrypt(&user("alice"), &documents), denied(Denial::Revoked));
    assert_eq!(decide(&root(), Action::CreateKey, &Documents { revoked: true, ..Documents::NONE }), denied(Denial::Revoked));
}

#[test]
fn the_words_are_those_of_aws() {
    for (denial, words) in [
        (Denial::NoAllow(Document::KeyPolicy), "because no resource-based policy allows the kms:Decrypt action"),
        (Denial::NoAllow(Document::IdentityPolicy), "because no identity-based policy allows the kms:Decrypt action"),
        (Denial::NoAllow(Document::PermissionsBoundary), "because no permissions boundary allows the kms:Decrypt action"),
        (Denial::NoAllow(Document::SessionPolicy), "because no session policy allows the kms:Decrypt action"),
        (Denial::Explicit(Document::KeyPolicy), "with an explicit deny in a resource-based policy"),
        (Denial::Explicit(Document::IdentityPolicy), "with an explicit deny in an identity-based policy"),
        (Denial::Explicit(Document::PermissionsBoundary), "with an explicit deny in a permissions boundary"),
        (Denial::Explicit(Document::SessionPolicy), "with an explicit deny in a session policy"),
    ] {
        assert_eq!(denial.because(Action::Decrypt), words);
    }
}

#[test]
fn the_account_must_be_the_same_and_not_the_name() {
    let stranger = Principal::User { account: account("999999999999"), name: "alice".into() };
    let policy = to(ALICE);
    let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
    assert_ne!(stranger.account(), own());
    assert!(!decrypt(&stranger, &documents).is_allowed());
}

#[test]
fn a_trace_shows_each_part() {
    let policy = key_policy(&json!([
        {"Sid": "Use it", "Effect": "Allow", "Principal": {"AWS": ALICE}, "Action": "kms:Decrypt", "Resource": "*",
         "Condition": {"StringLike": {"kms:ViaService": ["ec2.*", "s3.*"]}, "Bool": {"aws:SecureTransport": true}}},
        {"Effect": "Deny", "Principal": "*", "Action": "kms:Encrypt", "Resource": "*"},
    ]));
    let (alice, facts) = (user("alice"), Facts::default().text("kms:ViaService", "rds.eu-west-1.amazonaws.com"));
    let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
    let trace = crate::explain(&request(&alice, Action::Decrypt, &facts), &documents, &claviger_types::Partition::default());
    assert_eq!(
        serde_json::to_value(&trace).unwrap(),
        json!({
            "caller": ALICE, "action": "kms:Decrypt", "resource": KEY, "allowed": false,
            "reason": "because no resource-based policy allows the kms:Decrypt action", "decided_by": [],
            "documents": [{"document": "key-policy", "name": "", "statements": [
                {"index": 0, "sid": "Use it", "effect": "Allow", "principal": true, "closeness": "direct", "action": true, "resource": true, "conditions": [
                    {"operator": "Bool", "key": "aws:SecureTransport", "policy_values": ["true"], "request_values": [], "holds": false},
                    {"operator": "StringLike", "key": "kms:ViaService", "policy_values": ["ec2.*", "s3.*"],
                     "request_values": ["rds.eu-west-1.amazonaws.com"], "holds": false},
                 ], "applies": false},
                {"index": 1, "sid": null, "effect": "Deny", "principal": true, "closeness": "everybody", "action": false, "resource": true,
                 "conditions": [], "applies": false},
            ]}],
            "grants": [], "left_out": {"statements": 0, "conditions": 0, "grants": 0},
        })
    );
}
