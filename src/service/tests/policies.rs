//! Who may do what by policies: the key's, the caller's own, and both as they change.

use claviger_consensus::Observer as _;
use claviger_shapes::{ErrorCode, Operation};
use claviger_state::{CommandBody, SetPrincipalDenied};
use claviger_types::{NamedPrincipal, Principal};
use serde_json::{Value, json};

use crate::testing::{
    ACCOUNT, Deployment, EVERYBODY, EVERYTHING, HERE, Node, OTHER_ACCOUNT, account, alias_arn, alice, arn, arn_of, base64, carol, user,
};

fn bob() -> Principal {
    Principal::User { account: account(ACCOUNT), name: "bob".to_owned() }
}

/// A deployment in which bob is known and may do nothing by himself.
fn with_bob() -> (Deployment, Node) {
    let deployment = Deployment::new();
    deployment.set_identities(ACCOUNT, [user("bob", [])]);
    let node = deployment.node();
    (deployment, node)
}

/// A statement that lets these principals do everything, beside the delegation to the account.
fn policy(statements: &Value) -> String {
    let root = format!("arn:aws:iam::{ACCOUNT}:root");
    let mut all = vec![json!({"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*"})];
    all.extend(statements.as_array().unwrap().iter().cloned());
    json!({"Version": "2012-10-17", "Statement": all}).to_string()
}

fn put(node: &Node, key: &str, policy: &str) {
    node.get(Operation::PutKeyPolicy, &json!({"KeyId": key, "Policy": policy}));
}

fn code(node: &Node, who: Principal, operation: Operation, body: &Value) -> Result<(), ErrorCode> {
    node.ask(who, operation, body).map(|_| ()).map_err(|error| error.code)
}

#[test]
fn the_default_policy_leaves_it_to_the_accounts_own_policies() {
    let (deployment, node) = with_bob();
    let key = node.create_key(false);
    let body = json!({"KeyId": key});
    let root = Principal::Root { account: account(ACCOUNT) };
    assert_eq!(code(&node, root, Operation::DescribeKey, &body), Ok(()));
    let denied = node.ask(bob(), Operation::DescribeKey, &body).unwrap_err();
    let message = format!(
        "User: {} is not authorized to perform: kms:DescribeKey on resource: {} because no identity-based policy allows the \
         kms:DescribeKey action",
        arn_of(&bob()),
        arn(&key)
    );
    assert_eq!((denied.code, denied.message), (ErrorCode::AccessDenied, message));
    let stranger = Principal::User { account: account(ACCOUNT), name: "mallory".to_owned() };
    assert_eq!(code(&node, stranger, Operation::GenerateRandom, &json!({"NumberOfBytes": 1})), Err(ErrorCode::UnrecognizedClient));
    // What he is given counts at once.
    deployment.set_identities(ACCOUNT, [user("bob", [("all", EVERYTHING)])]);
    assert_eq!(code(&node, bob(), Operation::DescribeKey, &body), Ok(()));
    deployment.set_identities(ACCOUNT, [user("bob", [])]);
    assert_eq!(code(&node, bob(), Operation::DescribeKey, &body), Err(ErrorCode::AccessDenied));
}

#[test]
fn what_names_no_key_is_for_the_callers_own_policies() {
    let (_, node) = with_bob();
    for (operation, body) in [
        (Operation::CreateKey, json!({})),
        (Operation::ListKeys, json!({})),
        (Operation::ListAliases, json!({})),
        (Operation::GenerateRandom, json!({"NumberOfBytes": 1})),
        (Operation::ListRetirableGrants, json!({"RetiringPrincipal": arn_of(&bob())})),
    ] {
        assert_eq!(code(&node, bob(), operation, &body), Err(ErrorCode::AccessDenied), "{operation}");
        assert_eq!(code(&node, alice(), operation, &json!(body)), Ok(()), "{operation}");
    }
}

#[test]
fn a_key_policy_lets_in_and_a_deny_keeps_out_at_every_node_at_once() {
    let (deployment, node) = with_bob();
    let other = deployment.node();
    let key = node.create_key(false);
    let encrypt = json!({"KeyId": key, "Plaintext": base64("x")});
    put(
        &node,
        &key,
        &policy(&json!([{"Effect": "Allow", "Principal": {"AWS": arn_of(&bob())}, "Action": "kms:Encrypt", "Resource": "*"}])),
    );
    for node in [&node, &other] {
        assert_eq!(code(node, bob(), Operation::Encrypt, &encrypt), Ok(()));
        assert_eq!(code(node, bob(), Operation::DescribeKey, &json!({"KeyId": key})), Err(ErrorCode::AccessDenied));
    }
    let deny = policy(&json!([{"Effect": "Deny", "Principal": {"AWS": arn_of(&alice())}, "Action": "kms:Encrypt", "Resource": "*"}]));
    put(&node, &key, &deny);
    for node in [&node, &other] {
        assert_eq!(code(node, bob(), Operation::Encrypt, &encrypt), Err(ErrorCode::AccessDenied));
        let denied = node.error(Operation::Encrypt, &encrypt);
        assert!(denied.1.ends_with("with an explicit deny in a resource-based policy"), "{}", denied.1);
    }
    assert_eq!(node.get(Operation::GetKeyPolicy, &json!({"KeyId": key}))["Policy"], deny);
}

#[test]
fn conditions_see_the_context_the_alias_and_the_tags() {
    let (_, node) = with_bob();
    let key = node.create_key(false);
    node.create_alias("alias/app", &key);
    node.get(Operation::TagResource, &json!({"KeyId": key, "Tags": [{"TagKey": "team", "TagValue": "blue"}]}));
    let allow = |condition: Value| {
        let who = json!({"AWS": arn_of(&bob())});
        put(
            &node,
            &key,
            &policy(&json!([{"Effect": "Allow", "Principal": who, "Action": "kms:Encrypt", "Resource": "*", "Condition": condition}])),
        );
    };
    let encrypt = |name: &str, context: Value| {
        let body = json!({"KeyId": name, "Plaintext": base64("x"), "EncryptionContext": context});
        code(&node, bob(), Operation::Encrypt, &body).is_ok()
    };
    allow(json!({"StringEquals": {"kms:EncryptionContext:app": "one"}}));
    assert!(encrypt(&key, json!({"app": "one"})) && !encrypt(&key, json!({"app": "two"})) && !encrypt(&key, json!({})));
    allow(json!({"StringEquals": {"kms:RequestAlias": "alias/app"}}));
    assert!(encrypt("alias/app", json!({})) && encrypt(&alias_arn("alias/app"), json!({})) && !encrypt(&key, json!({})));
    allow(json!({"StringEquals": {"aws:ResourceTag/team": "blue"}}));
    assert!(encrypt(&key, json!({})));
    node.get(Operation::TagResource, &json!({"KeyId": key, "Tags": [{"TagKey": "team", "TagValue": "red"}]}));
    assert!(!encrypt(&key, json!({})));
    allow(json!({"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/app"}}));
    assert!(encrypt(&key, json!({})));
    node.get(Operation::DeleteAlias, &json!({"AliasName": "alias/app"}));
    assert!(!encrypt(&key, json!({})));
}

#[test]
fn another_accounts_principal_needs_the_key_policy_and_its_own() {
    let (deployment, node) = with_bob();
    let key = node.create_key(false);
    let encrypt = json!({"KeyId": arn(&key), "Plaintext": base64("x")});
    assert_eq!(code(&node, carol(), Operation::Encrypt, &encrypt), Err(ErrorCode::AccessDenied));
    let other = format!("arn:aws:iam::{OTHER_ACCOUNT}:root");
    put(&node, &key, &policy(&json!([{"Effect": "Allow", "Principal": {"AWS": other}, "Action": "kms:*", "Resource": "*"}])));
    assert_eq!(code(&node, carol(), Operation::Encrypt, &encrypt), Ok(()));
    // Management never crosses accounts.
    assert_eq!(code(&node, carol(), Operation::DisableKey, &json!({"KeyId": arn(&key)})), Err(ErrorCode::AccessDenied));
    deployment.set_identities(OTHER_ACCOUNT, [user("carol", [])]);
    assert_eq!(code(&node, carol(), Operation::Encrypt, &encrypt), Err(ErrorCode::AccessDenied));
}

#[test]
fn an_alias_needs_the_action_on_itself_and_on_its_keys() {
    let (deployment, node) = with_bob();
    let key = node.create_key(false);
    let alias = json!({"AliasName": "alias/a", "TargetKeyId": key});
    let on = |resource: &str| {
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": resource}}).to_string()
    };
    for lacking in [on(&alias_arn("alias/a")), on(&arn(&key))] {
        deployment.set_identities(ACCOUNT, [user("bob", [("p", &lacking)])]);
        assert_eq!(code(&node, bob(), Operation::CreateAlias, &alias), Err(ErrorCode::AccessDenied), "{lacking}");
    }
    let (first, second) = (on(&alias_arn("alias/a")), on(&arn(&key)));
    deployment.set_identities(ACCOUNT, [user("bob", [("p", &first), ("q", &second)])]);
    assert_eq!(code(&node, bob(), Operation::CreateAlias, &alias), Ok(()));
}

#[test]
fn a_policy_that_is_none_names_nobody_or_locks_its_author_out_is_refused() {
    let (_, node) = with_bob();
    let key = node.create_key(false);
    let refused = |policy: &str| node.error(Operation::PutKeyPolicy, &json!({"KeyId": key, "Policy": policy}));
    let nobody = format!("arn:aws:iam::{ACCOUNT}:user/nobody");
    let of_nobody = policy(&json!([{"Effect": "Allow", "Principal": {"AWS": nobody}, "Action": "kms:*", "Resource": "*"}]));
    for bad in ["{", "{}", &of_nobody] {
        assert_eq!(refused(bad).0, ErrorCode::MalformedPolicyDocument, "{bad}");
    }
    let mut large = EVERYBODY.to_owned();
    large.insert_str(1, &" ".repeat(32 * 1024));
    assert_eq!(refused(&large).0, ErrorCode::LimitExceeded);
    let of_bob = json!({"Version": "2012-10-17", "Statement": {
        "Effect": "Allow", "Principal": {"AWS": arn_of(&bob())}, "Action": "kms:*", "Resource": "*"}})
    .to_string();
    let message = "The new key policy will not allow you to update the key policy in the future.";
    assert_eq!(refused(&of_bob), (ErrorCode::MalformedPolicyDocument, message.to_owned()));
    let create = |bypass: bool| json!({"Policy": of_bob, "BypassPolicyLockoutSafetyCheck": bypass});
    assert_eq!(node.error(Operation::CreateKey, &create(false)).1, message);
    let created = node.get(Operation::CreateKey, &create(true));
    let key = created["KeyMetadata"]["KeyId"].as_str().unwrap();
    assert_eq!(node.error(Operation::DescribeKey, &json!({"KeyId": key})).0, ErrorCode::AccessDenied);
    assert_eq!(code(&node, bob(), Operation::DescribeKey, &json!({"KeyId": key})), Ok(()));
    assert_eq!(code(&node, bob(), Operation::PutKeyPolicy, &json!({"KeyId": key, "Policy": EVERYBODY})), Ok(()));
    node.get(Operation::DescribeKey, &json!({"KeyId": key}));
}

/// The lockout check sees the key as it will be: what its conditions ask of the key has a value.
#[test]
fn the_lockout_check_of_a_new_key_sees_its_tags_and_its_account() {
    let (_, node) = with_bob();
    let statement = |key: &str, value: &str| {
        let condition = json!({"StringEquals": {key: value}});
        let root = format!("arn:aws:iam::{ACCOUNT}:root");
        let allow = json!({"Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*", "Resource": "*", "Condition": condition});
        json!({"Version": "2012-10-17", "Statement": allow}).to_string()
    };
    let tags = json!([{"TagKey": "team", "TagValue": "red"}]);
    let create = |policy: &str| code(&node, alice(), Operation::CreateKey, &json!({"Policy": policy, "Tags": tags}));
    for (key, right, wrong) in [("aws:ResourceTag/team", "red", "blue"), ("kms:CallerAccount", ACCOUNT, OTHER_ACCOUNT)] {
        assert_eq!(create(&statement(key, right)), Ok(()), "{key}");
        assert_eq!(create(&statement(key, wrong)), Err(ErrorCode::MalformedPolicyDocument), "{key}");
    }
}

#[test]
fn a_write_that_was_authorised_before_its_right_was_taken_away_changes_nothing() {
    for taken in ["the policy", "the identity", "everything"] {
        let (deployment, node) = with_bob();
        let deployment = std::sync::Arc::new(deployment);
        let key = node.create_key(false);
        deployment.set_identities(ACCOUNT, [user("bob", [("all", EVERYTHING)])]);
        let (hooked, admin, of_key) = (std::sync::Arc::clone(&deployment), deployment.node(), key.clone());
        node.region.before_propose(move || match taken {
            "the policy" => {
                let deny = json!([{"Effect": "Deny", "Principal": {"AWS": arn_of(&bob())}, "Action": "kms:DisableKey", "Resource": "*"}]);
                put(&admin, &of_key, &policy(&deny));
            }
            "the identity" => hooked.set_identities(ACCOUNT, [user("bob", [])]),
            _ => {
                let principal = NamedPrincipal::User { account: account(ACCOUNT), name: "bob".to_owned() };
                let (reason, by) = ("left".to_owned(), "ops".to_owned());
                hooked.apply(CommandBody::SetPrincipalDenied(Box::new(SetPrincipalDenied { principal, denied: true, reason, by })));
            }
        });
        assert_eq!(code(&node, bob(), Operation::DisableKey, &json!({"KeyId": key})), Err(ErrorCode::AccessDenied), "{taken}");
        let state = node.get(Operation::DescribeKey, &json!({"KeyId": key}));
        assert_eq!(state["KeyMetadata"]["KeyState"], "Enabled", "{taken}");
    }
}

/// DeleteAlias decides twice. What takes away the right to the alias after the first decision makes the whole of it stale, though
/// the second rests on the account as it is then.
#[test]
fn a_right_that_is_taken_away_between_two_decisions_is_not_used() {
    let (deployment, node) = with_bob();
    let deployment = std::sync::Arc::new(deployment);
    let key = node.create_key(false);
    node.create_alias("alias/a", &key);
    let on = |resource: &str| {
        json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "kms:*", "Resource": resource}}).to_string()
    };
    let (on_alias, on_key) = (on(&alias_arn("alias/a")), on(&arn(&key)));
    deployment.set_identities(ACCOUNT, [user("bob", [("alias", &on_alias), ("key", &on_key)])]);
    // Bob and the alias are cached; the key is looked up in the tables, after the decision on the alias.
    assert_eq!(code(&node, bob(), Operation::Encrypt, &json!({"KeyId": "alias/a", "Plaintext": base64("x")})), Ok(()));
    node.service.cache.keys_changed(&[key.parse().unwrap()]);
    let hooked = std::sync::Arc::clone(&deployment);
    // The first look is for what this invocation was answered before.
    node.region.after_tables(|| {});
    node.region.after_tables(move || hooked.set_identities(ACCOUNT, [user("bob", [("key", &on_key)])]));
    assert_eq!(code(&node, bob(), Operation::DeleteAlias, &json!({"AliasName": "alias/a"})), Err(ErrorCode::AccessDenied));
    node.get(Operation::DescribeKey, &json!({"KeyId": "alias/a"}));
}

/// A refusal that depended on whether both keys are one would tell which key another account's alias names.
#[test]
fn re_encrypting_does_not_tell_which_key_another_accounts_alias_names() {
    let (_, node) = with_bob();
    let (key, other) = (node.create_key(false), node.create_key(false));
    node.create_alias("alias/same", &key);
    node.create_alias("alias/else", &other);
    let statement = json!([{"Effect": "Allow", "Principal": {"AWS": arn_of(&carol())}, "Action": "kms:ReEncryptFrom", "Resource": "*",
        "Condition": {"Bool": {"kms:ReEncryptOnSameKey": "true"}}}]);
    put(&node, &key, &policy(&statement));
    let blob = node.encrypt(&key, b"x");
    let refused = |alias: &str| {
        let body = json!({"CiphertextBlob": blob, "DestinationKeyId": alias_arn(alias)});
        let error = node.ask(carol(), Operation::ReEncrypt, &body).unwrap_err();
        (error.code, error.message.replace(alias, "alias"))
    };
    assert_eq!(refused("alias/same"), refused("alias/else"));
    assert!(refused("alias/same").1.contains("kms:ReEncryptTo"));
}

/// No moment had both the old policy and the new grant.
#[test]
fn policy_and_grants_are_of_one_moment() {
    let (deployment, node) = with_bob();
    deployment.set_identities(ACCOUNT, [user("bob", [])]);
    let key = node.create_key(false);
    let encrypt = json!({"KeyId": key, "Plaintext": base64("x")});
    assert_eq!(code(&node, bob(), Operation::Encrypt, &encrypt), Err(ErrorCode::AccessDenied));
    // A grant voids the key and what was kept with it: the next request reads both anew. Between the two, bob is denied and given a
    // grant.
    let (admin, of_key) = (deployment.node(), key.clone());
    let grant = |operations| json!({"KeyId": key, "GranteePrincipal": arn_of(&bob()), "Operations": operations});
    node.get(Operation::CreateGrant, &grant(["Decrypt"]));
    let late = grant(["Encrypt"]);
    node.region.after_tables(move || {
        let deny = json!([{"Effect": "Deny", "Principal": {"AWS": arn_of(&bob())}, "Action": "kms:Encrypt", "Resource": "*"}]);
        put(&admin, &of_key, &policy(&deny));
        admin.get(Operation::CreateGrant, &late);
    });
    assert_eq!(code(&node, bob(), Operation::Encrypt, &encrypt), Err(ErrorCode::AccessDenied));
}

#[test]
fn one_who_is_denied_everything_learns_nothing() {
    let (deployment, node) = with_bob();
    deployment.set_identities(ACCOUNT, [user("bob", [("all", EVERYTHING)])]);
    let invocation = Some(("once", 1));
    assert!(node.ask_once(bob(), Operation::CreateKey, &json!({}), invocation).is_ok());
    let principal = NamedPrincipal::User { account: account(ACCOUNT), name: "bob".to_owned() };
    let (reason, by) = ("left".to_owned(), "ops".to_owned());
    deployment.apply(CommandBody::SetPrincipalDenied(Box::new(SetPrincipalDenied { principal, denied: true, reason, by })));
    // Neither what there is nor what it was answered before.
    let refused = [
        node.ask_once(bob(), Operation::CreateKey, &json!({}), invocation),
        node.ask(bob(), Operation::DeleteAlias, &json!({"AliasName": "alias/none"})),
        node.ask(bob(), Operation::DescribeKey, &json!({"KeyId": "00000000-0000-4000-8000-000000000000"})),
    ];
    for answer in refused {
        let error = answer.unwrap_err();
        assert_eq!(error.code, ErrorCode::AccessDenied);
        assert!(error.message.ends_with("on resource: * because the principal has been revoked"), "{}", error.message);
    }
}

#[test]
fn a_region_name_in_the_default_policy_is_nobodys() {
    let (_, node) = with_bob();
    let key = node.create_key(true);
    let text = node.get(Operation::GetKeyPolicy, &json!({"KeyId": key, "PolicyName": "default"}));
    assert!(text["Policy"].as_str().unwrap().contains("key-default-1") && !text["Policy"].as_str().unwrap().contains(HERE));
    let names = node.get(Operation::ListKeyPolicies, &json!({"KeyId": key}));
    assert_eq!((&names["PolicyNames"], &names["Truncated"]), (&json!(["default"]), &json!(false)));
}
