//! Grants: whom they let in, for what, until when; who lists and ends them.

use std::collections::BTreeSet;

use claviger_shapes::{ErrorCode, Operation};
use claviger_state::{self as state, Authorised, CommandBody, Once};
use claviger_types::limits::GRANTS_PER_KEY_MAX;
use claviger_types::{GrantId, GrantOperation, NamedPrincipal, Principal};
use serde_json::{Value, json};

use crate::testing::{ACCOUNT, Deployment, Node, account, alice, arn, arn_of, base64, carol, user};

fn bob() -> Principal {
    Principal::User { account: account(ACCOUNT), name: "bob".to_owned() }
}

/// A node of a region in which bob may do nothing by himself, and a key.
fn with_key() -> (Deployment, Node, String) {
    let deployment = Deployment::new();
    deployment.set_identities(ACCOUNT, [user("bob", [])]);
    let node = deployment.node();
    let key = node.create_key(false);
    (deployment, node, key)
}

fn grant(node: &Node, key: &str, more: &Value) -> Value {
    let mut body = json!({"KeyId": key, "GranteePrincipal": arn_of(&bob()), "Operations": ["Encrypt"]});
    for (member, value) in more.as_object().unwrap() {
        body[member] = value.clone();
    }
    node.get(Operation::CreateGrant, &body)
}

fn encrypt(node: &Node, who: Principal, key: &str, context: &Value) -> Result<(), ErrorCode> {
    let body = json!({"KeyId": key, "Plaintext": base64("x"), "EncryptionContext": context});
    node.ask(who, Operation::Encrypt, &body).map(|_| ()).map_err(|error| error.code)
}

#[test]
fn a_grant_lets_in_at_every_node_and_ends_everywhere() {
    let (deployment, node, key) = with_key();
    let other = deployment.node();
    // What each node knows of bob's grants before is void at once.
    assert_eq!(encrypt(&other, bob(), &key, &json!({})), Err(ErrorCode::AccessDenied));
    let made = grant(&node, &key, &json!({"Operations": ["Encrypt", "DescribeKey"]}));
    assert_eq!(encrypt(&other, bob(), &key, &json!({})), Ok(()));
    assert!(other.ask(bob(), Operation::DescribeKey, &json!({"KeyId": key})).is_ok());
    assert_eq!(other.ask(bob(), Operation::DisableKey, &json!({"KeyId": key})).unwrap_err().code, ErrorCode::AccessDenied);
    let listed = node.get(Operation::ListGrants, &json!({"KeyId": key}));
    let entry = &listed["Grants"][0];
    assert_eq!((&entry["GrantId"], &entry["KeyId"]), (&made["GrantId"], &json!(arn(&key))));
    assert_eq!(entry["IssuingAccount"], format!("arn:aws:iam::{ACCOUNT}:root"));
    node.get(Operation::RevokeGrant, &json!({"KeyId": key, "GrantId": made["GrantId"]}));
    assert_eq!(encrypt(&other, bob(), &key, &json!({})), Err(ErrorCode::AccessDenied));
    assert_eq!(node.get(Operation::ListGrants, &json!({"KeyId": key}))["Grants"], json!([]));
    let again = node.error(Operation::RevokeGrant, &json!({"KeyId": key, "GrantId": made["GrantId"]}));
    assert_eq!(again.0, ErrorCode::NotFound);
}

#[test]
fn a_constraint_is_about_the_encryption_context() {
    let (_, node, key) = with_key();
    grant(&node, &key, &json!({"Constraints": {"EncryptionContextSubset": {"app": "one"}}}));
    assert_eq!(encrypt(&node, bob(), &key, &json!({"app": "one", "more": "x"})), Ok(()));
    for wrong in [json!({}), json!({"app": "two"}), json!({"App": "one"})] {
        assert_eq!(encrypt(&node, bob(), &key, &wrong), Err(ErrorCode::AccessDenied), "{wrong}");
    }
}

#[test]
fn a_named_grant_is_made_once_and_its_tokens_are_equal() {
    let (_, node, key) = with_key();
    let first = grant(&node, &key, &json!({"Name": "n"}));
    assert_eq!(grant(&node, &key, &json!({"Name": "n"})), first);
    let other = grant(&node, &key, &json!({"Name": "n", "Operations": ["Decrypt"]}));
    assert_ne!(other["GrantId"], first["GrantId"]);
    assert_ne!(grant(&node, &key, &json!({})), grant(&node, &key, &json!({})));
    assert_eq!(node.get(Operation::ListGrants, &json!({"KeyId": key}))["Grants"].as_array().unwrap().len(), 4);
    // A token of ours may be given anywhere; another is refused before anything else.
    let body = |token: &Value| json!({"KeyId": key, "Plaintext": base64("x"), "GrantTokens": [token]});
    assert!(node.ask(bob(), Operation::Encrypt, &body(&first["GrantToken"])).is_ok());
    assert_eq!(node.ask(bob(), Operation::Encrypt, &body(&json!("AAAA"))).unwrap_err().code, ErrorCode::InvalidGrantToken);
}

#[test]
fn a_grantee_passes_on_no_more_than_it_has() {
    let (deployment, node, key) = with_key();
    deployment.set_identities(ACCOUNT, [user("dave", [])]);
    let dave = Principal::User { account: account(ACCOUNT), name: "dave".to_owned() };
    let child = |operations: &[&str], constraint: Option<Value>| {
        let mut body = json!({"KeyId": key, "GranteePrincipal": arn_of(&dave), "Operations": operations});
        if let Some(constraint) = constraint {
            body["Constraints"] = json!({"EncryptionContextEquals": constraint});
        }
        node.ask(bob(), Operation::CreateGrant, &body).map(|_| ()).map_err(|error| error.code)
    };
    assert_eq!(child(&["Encrypt"], None), Err(ErrorCode::AccessDenied));
    let constraint = json!({"EncryptionContextSubset": {"app": "one"}});
    grant(&node, &key, &json!({"Operations": ["Encrypt", "CreateGrant"], "Constraints": constraint}));
    assert_eq!(child(&["Encrypt"], None), Err(ErrorCode::AccessDenied), "less strict");
    assert_eq!(child(&["Encrypt", "Decrypt"], Some(json!({"app": "one"}))), Err(ErrorCode::AccessDenied), "more operations");
    assert_eq!(child(&["Encrypt"], Some(json!({"app": "one"}))), Ok(()));
    assert_eq!(encrypt(&node, dave, &key, &json!({"app": "one"})), Ok(()));
}

#[test]
fn who_may_retire() {
    let (_, node, key) = with_key();
    let retire = |who: Principal, body: Value| node.ask(who, Operation::RetireGrant, &body).map(|_| ()).map_err(|error| error.code);
    let made = grant(&node, &key, &json!({}));
    assert_eq!(retire(bob(), json!({"GrantToken": made["GrantToken"]})), Err(ErrorCode::AccessDenied), "the grantee alone may not");
    // The retiring principal, by token; the grantee that has RetireGrant, by id; the issuer's account by its own policies.
    let made = grant(&node, &key, &json!({"RetiringPrincipal": arn_of(&bob())}));
    let retirable = |who: Principal| node.ask(who.clone(), Operation::ListRetirableGrants, &json!({"RetiringPrincipal": arn_of(&who)}));
    assert_eq!(retirable(alice()).unwrap()["Grants"], json!([]));
    assert_eq!(retire(bob(), json!({"GrantToken": made["GrantToken"], "DryRun": true})), Err(ErrorCode::DryRunOperation));
    assert_eq!(retire(bob(), json!({"GrantToken": made["GrantToken"]})), Ok(()));
    let made = grant(&node, &key, &json!({"Operations": ["Encrypt", "RetireGrant"]}));
    assert_eq!(retire(bob(), json!({"KeyId": arn(&key), "GrantId": made["GrantId"]})), Ok(()));
    let made = grant(&node, &key, &json!({}));
    assert_eq!(retire(carol(), json!({"GrantToken": made["GrantToken"]})), Err(ErrorCode::AccessDenied));
    assert_eq!(retire(alice(), json!({"GrantToken": made["GrantToken"]})), Ok(()));
}

#[test]
fn what_is_no_grant_is_refused() {
    let (_, node, key) = with_key();
    let create = |member: &str, value: Value| {
        let mut body = json!({"KeyId": key, "GranteePrincipal": arn_of(&bob()), "Operations": ["Encrypt"]});
        body[member] = value;
        node.error(Operation::CreateGrant, &body).0
    };
    assert_eq!(create("GranteePrincipal", json!(format!("arn:aws:iam::{ACCOUNT}:user/nobody"))), ErrorCode::InvalidArn);
    assert_eq!(create("RetiringPrincipal", json!("arn:aws:iam::999999999999:root")), ErrorCode::InvalidArn);
    assert_eq!(create("Operations", json!(["Sign"])), ErrorCode::Validation);
    for spec in ["HMAC_256", "RSA_2048"] {
        let usage = if spec == "RSA_2048" { "ENCRYPT_DECRYPT" } else { "GENERATE_VERIFY_MAC" };
        let made = node.get(Operation::CreateKey, &json!({"KeySpec": spec, "KeyUsage": usage}));
        let constraint = json!({"EncryptionContextSubset": {"a": "b"}});
        let body = |more| {
            json!({"KeyId": made["KeyMetadata"]["KeyId"], "GranteePrincipal": arn_of(&bob()), "Operations": ["DescribeKey"],
            "Constraints": more})
        };
        assert_eq!(node.error(Operation::CreateGrant, &body(constraint)).0, ErrorCode::Validation, "{spec}");
        node.get(Operation::CreateGrant, &body(json!({})));
    }
    assert_eq!(create("DryRun", json!(true)), ErrorCode::DryRunOperation);
    node.get(Operation::DisableKey, &json!({"KeyId": key}));
    assert_eq!(create("Name", json!("n")), ErrorCode::Disabled);
}

#[test]
fn pages_of_grants_and_of_one_grantees() {
    let (_, node, key) = with_key();
    for number in 0..7 {
        let grantee = if number % 2 == 0 { bob() } else { alice() };
        grant(&node, &key, &json!({"GranteePrincipal": arn_of(&grantee), "RetiringPrincipal": arn_of(&alice())}));
    }
    let all = |operation: Operation, filter: Value| {
        let (mut ids, mut marker) = (Vec::new(), Value::Null);
        loop {
            let mut body = filter.clone();
            body["Limit"] = json!(2);
            body["Marker"] = marker;
            let page = node.get(operation, &body);
            ids.extend(page["Grants"].as_array().unwrap().iter().map(|grant| grant["GrantId"].as_str().unwrap().to_owned()));
            if page["Truncated"] == false {
                return ids.len();
            }
            marker = page["NextMarker"].clone();
        }
    };
    assert_eq!(all(Operation::ListGrants, json!({"KeyId": key})), 7);
    assert_eq!(all(Operation::ListGrants, json!({"KeyId": key, "GranteePrincipal": arn_of(&bob())})), 4);
    assert_eq!(all(Operation::ListRetirableGrants, json!({"RetiringPrincipal": arn_of(&alice())})), 7);
}

/// As many grants as a key can have: all but one are dave's, who may decrypt with them and nothing else.
#[test]
fn a_key_with_all_the_grants_that_it_can_have_still_decides_and_lists() {
    let (deployment, node, key) = with_key();
    deployment.set_identities(ACCOUNT, [user("dave", [])]);
    let dave = Principal::User { account: account(ACCOUNT), name: "dave".to_owned() };
    let expected = node.service.opened(&key.parse().unwrap()).unwrap().unwrap().expected();
    let mut grant_id = [0; 32];
    for number in 1..GRANTS_PER_KEY_MAX {
        grant_id[..8].copy_from_slice(&number.to_be_bytes());
        deployment.apply(CommandBody::CreateGrant(Box::new(state::CreateGrant {
            once: Once {
                principal: arn_of(&alice()),
                invocation_id: number.to_string(),
                operation: state::Operation::CreateGrant,
                body_sha256: [0; 32],
                authorised: Authorised::default(),
            },
            key: expected,
            grant_id: GrantId::from_bytes(grant_id),
            grantee: NamedPrincipal::User { account: account(ACCOUNT), name: "dave".to_owned() },
            retiring: None,
            operations: [GrantOperation::Decrypt].into_iter().collect(),
            constraint: None,
            name: None,
            issuing_account: account(ACCOUNT),
        })));
    }
    let last = grant(&node, &key, &json!({}));
    let one_more = json!({"KeyId": key, "GranteePrincipal": arn_of(&bob()), "Operations": ["Encrypt"]});
    assert_eq!(node.error(Operation::CreateGrant, &one_more).0, ErrorCode::LimitExceeded);
    // Twice, so that what the first request has kept is used too.
    for _ in 0..2 {
        assert_eq!(encrypt(&node, bob(), &key, &json!({})), Ok(()));
        assert_eq!(encrypt(&node, dave.clone(), &key, &json!({})), Err(ErrorCode::AccessDenied));
    }

    let (mut body, mut listed) = (json!({"KeyId": key, "Limit": 100}), BTreeSet::new());
    loop {
        let page = node.get(Operation::ListGrants, &body);
        listed.extend(page["Grants"].as_array().unwrap().iter().map(|grant| grant["GrantId"].as_str().unwrap().to_owned()));
        if page["Truncated"] == json!(false) {
            break;
        }
        body["Marker"] = page["NextMarker"].clone();
    }
    assert_eq!(listed.len() as u64, GRANTS_PER_KEY_MAX);

    node.get(Operation::RevokeGrant, &json!({"KeyId": key, "GrantId": last["GrantId"]}));
    assert_eq!(encrypt(&node, bob(), &key, &json!({})), Err(ErrorCode::AccessDenied));
    node.get(Operation::CreateGrant, &one_more);
    assert_eq!(encrypt(&node, bob(), &key, &json!({})), Ok(()));
}

#[test]
fn who_may_not_give_grants_is_not_told_who_exists() {
    let (_, node, key) = with_key();
    for grantee in [arn_of(&alice()), format!("arn:aws:iam::{ACCOUNT}:user/nobody")] {
        let body = json!({"KeyId": key, "GranteePrincipal": grantee, "Operations": ["Encrypt"]});
        assert_eq!(node.ask(bob(), Operation::CreateGrant, &body).unwrap_err().code, ErrorCode::AccessDenied, "{grantee}");
    }
}
