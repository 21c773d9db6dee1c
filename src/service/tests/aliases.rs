//! Aliases: the operations, keys named by them, retries.

use claviger_consensus::ProposeError;
use claviger_shapes::{ApiError, ErrorCode, Operation};
use serde_json::{Value, json};

use crate::testing::{ACCOUNT, Deployment, HERE, Node, OTHER_ACCOUNT, alias_arn, alice, arn, base64, carol};

const UNKNOWN: &str = "00000000-0000-4000-8000-000000000000";

fn target(name: &str, key: &str) -> Value {
    json!({"AliasName": name, "TargetKeyId": key})
}

/// The key that DescribeKey finds under a name.
fn described(node: &Node, name: &str) -> String {
    let answer = node.get(Operation::DescribeKey, &json!({"KeyId": name}));
    answer["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
}

#[test]
fn cryptography_and_describe_key_take_aliases_and_answer_the_keys_arn() {
    let node = Deployment::new().node();
    let (key, other) = (node.create_key(true), node.create_key(false));
    node.create_alias("alias/a", &key);
    node.create_alias("alias/b", &arn(&other));
    let metadata = node.get(Operation::DescribeKey, &json!({"KeyId": key}));
    for name in ["alias/a", &alias_arn("alias/a")] {
        assert_eq!(node.get(Operation::DescribeKey, &json!({"KeyId": name})), metadata);
        let encrypted = node.get(Operation::Encrypt, &json!({"KeyId": name, "Plaintext": base64("x")}));
        assert_eq!(encrypted["KeyId"], arn(&key));
        let blob = &encrypted["CiphertextBlob"];
        let opened = node.get(Operation::Decrypt, &json!({"KeyId": name, "CiphertextBlob": blob}));
        assert_eq!((&opened["Plaintext"], &opened["KeyId"]), (&json!(base64("x")), &json!(arn(&key))));
        let wrong = json!({"KeyId": "alias/b", "CiphertextBlob": blob});
        assert_eq!(node.error(Operation::Decrypt, &wrong).0, ErrorCode::IncorrectKey);
        for operation in [Operation::GenerateDataKey, Operation::GenerateDataKeyWithoutPlaintext] {
            assert_eq!(node.get(operation, &json!({"KeyId": name, "KeySpec": "AES_256"}))["KeyId"], arn(&key));
        }
        let body = json!({"CiphertextBlob": blob, "SourceKeyId": name, "DestinationKeyId": "alias/b"});
        let moved = node.get(Operation::ReEncrypt, &body);
        assert_eq!((&moved["SourceKeyId"], &moved["KeyId"]), (&json!(arn(&key)), &json!(arn(&other))));
    }
    // The state is the key's.
    node.get(Operation::DisableKey, &json!({"KeyId": key}));
    let message = format!("{} is disabled.", arn(&key));
    assert_eq!(node.error(Operation::Encrypt, &json!({"KeyId": "alias/a", "Plaintext": base64("x")})), (ErrorCode::Disabled, message));
}

#[test]
fn on_a_hit_no_table_is_read() {
    use std::sync::atomic::Ordering;

    let node = Deployment::new().node();
    let key = node.create_key(false);
    node.create_alias("alias/a", &key);
    let body = json!({"KeyId": "alias/a", "Plaintext": base64("x")});
    node.get(Operation::Encrypt, &body);
    let before = node.region.reads.load(Ordering::SeqCst);
    node.get(Operation::Encrypt, &body);
    assert_eq!(node.region.reads.load(Ordering::SeqCst), before);
}

#[test]
fn an_alias_is_listed_with_its_dates() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let [first, second] = [0, 1].map(|_| node.create_key(false));
    assert_eq!(node.get(Operation::ListAliases, &json!({})), json!({"Aliases": [], "Truncated": false}));
    assert_eq!(node.get(Operation::CreateAlias, &target("alias/a", &first)), Value::Null);
    deployment.clock.advance(5_000);
    assert_eq!(node.get(Operation::UpdateAlias, &target("alias/a", &arn(&second))), Value::Null);
    let entry = json!({
        "AliasName": "alias/a",
        "AliasArn": alias_arn("alias/a"),
        "TargetKeyId": second,
        "CreationDate": 1_700_000_000.0,
        "LastUpdatedDate": 1_700_000_005.0,
    });
    let page = json!({"Aliases": [entry], "Truncated": false});
    assert_eq!(node.get(Operation::ListAliases, &json!({})), page);
    assert_eq!(node.get(Operation::ListAliases, &json!({"KeyId": arn(&second)})), page);
    assert_eq!(node.get(Operation::ListAliases, &json!({"KeyId": first}))["Aliases"], json!([]));
    assert_eq!(node.get(Operation::DeleteAlias, &json!({"AliasName": "alias/a"})), Value::Null);
    assert_eq!(node.get(Operation::ListAliases, &json!({}))["Aliases"], json!([]));
    let not_found = (ErrorCode::NotFound, format!("Alias {} is not found.", alias_arn("alias/a")));
    assert_eq!(node.error(Operation::DescribeKey, &json!({"KeyId": "alias/a"})), not_found);
    assert_eq!(described(&node, &second), second, "the key stays");
}

#[test]
fn refusals_of_the_operations() {
    let node = Deployment::new().node();
    let key = node.create_key(false);
    node.create_alias("alias/a", &key);
    let exists = format!("An alias with the name {} already exists", alias_arn("alias/a"));
    assert_eq!(node.error(Operation::CreateAlias, &target("alias/a", &key)), (ErrorCode::AlreadyExists, exists));
    let no_key = (ErrorCode::NotFound, format!("Key '{}' does not exist", arn(UNKNOWN)));
    for operation in [Operation::CreateAlias, Operation::UpdateAlias] {
        assert_eq!(node.error(operation, &target("alias/a", UNKNOWN)), no_key);
        let aliases = "Aliases must refer to keys. Not aliases";
        assert_eq!(node.error(operation, &target("alias/b", "alias/a")), (ErrorCode::Validation, aliases.to_owned()));
        assert_eq!(node.error(operation, &target("alias/b", "arn:x")), (ErrorCode::NotFound, "Invalid arn arn:x".to_owned()));
        assert_eq!(node.error(operation, &target("b", &key)).0, ErrorCode::Validation);
    }
    assert_eq!(node.error(Operation::CreateAlias, &target("alias/aws/s3", &key)).0, ErrorCode::InvalidAliasName);
    for name in ["alias/b", "alias/A", "alias/aws/s3"] {
        let no_alias = (ErrorCode::NotFound, format!("Alias {} is not found.", alias_arn(name)));
        assert_eq!(node.error(Operation::UpdateAlias, &target(name, &key)), no_alias);
        assert_eq!(node.error(Operation::DeleteAlias, &json!({"AliasName": name})), no_alias);
    }
}

#[test]
fn a_key_has_fifty_aliases() {
    let node = Deployment::new().node();
    let [full, other] = [0, 1].map(|_| node.create_key(false));
    (0..50).for_each(|number| node.create_alias(&format!("alias/{number}"), &full));
    node.create_alias("alias/other", &other);
    let message = "Aliases per key quota for this account in this region is 50, current usage is 50.".to_owned();
    for (operation, name) in [(Operation::CreateAlias, "alias/more"), (Operation::UpdateAlias, "alias/other")] {
        assert_eq!(node.error(operation, &target(name, &full)), (ErrorCode::LimitExceeded, message.clone()));
    }
    node.get(Operation::UpdateAlias, &target("alias/7", &full));
}

#[test]
fn names_are_an_accounts_own() {
    let deployment = Deployment::new();
    let node = deployment.node();
    let own = node.create_key(false);
    let foreign = node.ask(carol(), Operation::CreateKey, &json!({})).unwrap()["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    node.create_alias("alias/a", &own);
    node.ask(carol(), Operation::CreateAlias, &target("alias/a", &foreign)).unwrap();
    assert_eq!(described(&node, "alias/a"), own);
    let hers = node.ask(carol(), Operation::DescribeKey, &json!({"KeyId": "alias/a"})).unwrap();
    assert_eq!(hers["KeyMetadata"]["Arn"], foreign);
    assert_eq!(node.get(Operation::ListAliases, &json!({}))["Aliases"].as_array().unwrap().len(), 1);

    // Another account's is refused in words that do not tell what it names.
    let foreign_alias = format!("arn:aws:kms:{HERE}:{OTHER_ACCOUNT}:alias/a");
    let denied = |action: &str, resource: &str| {
        let message = format!(
            "User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: {action} on resource: {resource} because no \
             resource-based policy allows the {action} action"
        );
        (ErrorCode::AccessDenied, message)
    };
    for alias in [&foreign_alias, &format!("{foreign_alias}-of-nothing")] {
        assert_eq!(node.error(Operation::DescribeKey, &json!({ "KeyId": alias })), denied("kms:DescribeKey", alias));
    }
    for (operation, action) in [(Operation::CreateAlias, "kms:CreateAlias"), (Operation::UpdateAlias, "kms:UpdateAlias")] {
        assert_eq!(node.error(operation, &target("alias/a", &foreign)), denied(action, &foreign));
    }
    assert_eq!(node.error(Operation::ListAliases, &json!({"KeyId": foreign})), denied("kms:ListAliases", &foreign));
}

#[test]
fn a_retry_happens_once() {
    let deployment = Deployment::new();
    let (one, two) = (deployment.node(), deployment.node());
    let [first, second] = [0, 1].map(|_| one.create_key(false));
    let ask = |node: &Node, operation, body: &Value, id| node.ask_once(alice(), operation, body, Some((id, 1)));
    let create = target("alias/a", &first);
    ask(&one, Operation::CreateAlias, &create, "create").unwrap();
    ask(&two, Operation::CreateAlias, &create, "create").unwrap();
    let update = target("alias/a", &second);
    ask(&one, Operation::UpdateAlias, &update, "update").unwrap();
    one.get(Operation::UpdateAlias, &target("alias/a", &first));
    ask(&two, Operation::UpdateAlias, &update, "update").unwrap();
    assert_eq!(described(&one, "alias/a"), first, "the retry did not undo what came later");
    let delete = json!({"AliasName": "alias/a"});
    ask(&one, Operation::DeleteAlias, &delete, "delete").unwrap();
    ask(&two, Operation::DeleteAlias, &delete, "delete").unwrap();
    one.create_alias("alias/a", &second);
    ask(&two, Operation::DeleteAlias, &delete, "delete").unwrap();
    assert_eq!(described(&one, "alias/a"), second);
    // A refusal is remembered as well.
    let taken = |node: &Node| ask(node, Operation::CreateAlias, &create, "taken").unwrap_err().code;
    assert_eq!(taken(&one), ErrorCode::AlreadyExists);
    one.get(Operation::DeleteAlias, &delete);
    assert_eq!(taken(&two), ErrorCode::AlreadyExists);
}

#[test]
fn a_retry_after_a_lost_answer_takes_effect_once() {
    let node = Deployment::new().node();
    let key = node.create_key(false);
    for (operation, body) in [(Operation::CreateAlias, target("alias/a", &key)), (Operation::DeleteAlias, json!({"AliasName": "alias/a"}))]
    {
        *node.region.fail_propose.lock() = Some((ProposeError::Unknown, true));
        let ask = || node.ask_once(alice(), operation, &body, Some((operation.as_str(), 1)));
        assert_eq!(ask().unwrap_err().code, ErrorCode::KmsInternal, "SDKs retry it");
        assert_eq!(ask(), Ok(Value::Null));
    }
}

/// The second try looks when the first has just committed: what it sees then is its own doing.
#[test]
fn a_retry_that_its_own_first_try_overtakes_gets_the_first_tries_answer() {
    let deployment = Deployment::new();
    let (first, second) = (deployment.node(), deployment.node());
    first.create_alias("alias/a", &first.create_key(false));
    let delete = |node: &Node| -> Result<Value, ApiError> {
        node.ask_once(alice(), Operation::DeleteAlias, &json!({"AliasName": "alias/a"}), Some(("id", 1)))
    };
    // The first look of the second try is for what it was answered before.
    second.region.after_tables(move || drop(delete(&first).unwrap()));
    assert_eq!(delete(&second), Ok(Value::Null));
}

#[test]
fn a_change_between_authorisation_and_apply_is_authorised_again() {
    let deployment = Deployment::new();
    let (node, other) = (deployment.node(), deployment.node());
    let [first, second, third] = [0, 1, 2].map(|_| node.create_key(false));
    node.create_alias("alias/a", &first);
    // The alias moves to another key than the one that was authorised, then the key is relabelled.
    let (to, key) = (second.clone(), json!({"KeyId": third, "Description": "x"}));
    node.region.before_propose(move || {
        other.get(Operation::UpdateAlias, &target("alias/a", &to));
        other.get(Operation::UpdateKeyDescription, &key);
    });
    node.get(Operation::UpdateAlias, &target("alias/a", &third));
    assert_eq!(described(&node, "alias/a"), third);
    assert_eq!(node.get(Operation::ListAliases, &json!({"KeyId": second}))["Aliases"], json!([]));
    // The second look finds that the alias is gone.
    let other = deployment.node();
    node.region.before_propose(move || drop(other.get(Operation::DeleteAlias, &json!({"AliasName": "alias/a"}))));
    let not_found = (ErrorCode::NotFound, format!("Alias {} is not found.", alias_arn("alias/a")));
    assert_eq!(node.error(Operation::UpdateAlias, &target("alias/a", &first)), not_found);
}
