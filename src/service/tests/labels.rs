//! TagResource, UntagResource, ListResourceTags, UpdateKeyDescription.

use claviger_shapes::{ErrorCode, Operation};
use serde_json::{Value, json};

use crate::testing::{ACCOUNT, Deployment, HERE, Node, OTHER_ACCOUNT, alias_arn, alice, arn};

fn tag(key: &str, value: &str) -> Value {
    json!({"TagKey": key, "TagValue": value})
}

fn tags(node: &Node, key: &str) -> Value {
    let page = node.get(Operation::ListResourceTags, &json!({"KeyId": key}));
    assert_eq!((&page["Truncated"], page.get("NextMarker")), (&json!(false), None));
    page["Tags"].clone()
}

#[test]
fn tags_are_added_replaced_and_taken_away() {
    let node = Deployment::new().node();
    let created = node.get(Operation::CreateKey, &json!({"Tags": [tag("b", "1"), tag("a", "")]}));
    let key = created["KeyMetadata"]["KeyId"].as_str().unwrap();
    assert_eq!(tags(&node, key), json!([tag("a", ""), tag("b", "1")]));
    assert_eq!(node.get(Operation::TagResource, &json!({"KeyId": arn(key), "Tags": [tag("b", "2"), tag("B", "3")]})), Value::Null);
    assert_eq!(tags(&node, &arn(key)), json!([tag("B", "3"), tag("a", ""), tag("b", "2")]));
    assert_eq!(node.get(Operation::UntagResource, &json!({"KeyId": key, "TagKeys": ["a", "B", "other"]})), Value::Null);
    assert_eq!(tags(&node, key), json!([tag("b", "2")]));
    node.get(Operation::TagResource, &json!({"KeyId": key, "Tags": []}));
    node.get(Operation::UntagResource, &json!({"KeyId": key, "TagKeys": []}));
    assert_eq!(tags(&node, key), json!([tag("b", "2")]));
}

#[test]
fn tag_rules() {
    let node = Deployment::new().node();
    let key = node.create_key(false);
    let numbered = |from: usize, to: usize| (from..to).map(|number| tag(&format!("k{number:02}"), "v")).collect::<Vec<_>>();
    node.get(Operation::TagResource, &json!({"KeyId": key, "Tags": numbered(0, 50)}));
    node.get(Operation::TagResource, &json!({"KeyId": key, "Tags": numbered(0, 50)}));
    let message = "A key may have no more than 50 tags.".to_owned();
    let body = json!({"KeyId": key, "Tags": [tag("one more", "")]});
    assert_eq!(node.error(Operation::TagResource, &body), (ErrorCode::LimitExceeded, message));
    for (bad, message) in [
        (json!(numbered(0, 51)), "Too many tags"),
        (json!([tag("a", "1"), tag("a", "1")]), "Duplicate tag keys"),
        (json!([tag("Aws:x", "1")]), "Tags beginning with aws: are reserved"),
    ] {
        let body = json!({"KeyId": key, "Tags": bad});
        assert_eq!(node.error(Operation::TagResource, &body), (ErrorCode::Tag, message.to_owned()));
    }
    let body = json!({"KeyId": key, "TagKeys": ["aws:x"]});
    assert_eq!(node.error(Operation::UntagResource, &body).0, ErrorCode::Tag);
    assert_eq!(tags(&node, &key).as_array().unwrap().len(), 50);
}

#[test]
fn a_description_is_replaced() {
    let node = Deployment::new().node();
    let key = node.create_key(false);
    for text in ["for payroll", "\u{e9}", ""] {
        assert_eq!(node.get(Operation::UpdateKeyDescription, &json!({"KeyId": key, "Description": text})), Value::Null);
        assert_eq!(node.get(Operation::DescribeKey, &json!({"KeyId": key}))["KeyMetadata"]["Description"], text);
    }
}

/// Each operation with a body that names `key`, and its action.
fn naming(key: &str) -> [(Operation, Value, &'static str); 4] {
    [
        (Operation::TagResource, json!({"KeyId": key, "Tags": []}), "kms:TagResource"),
        (Operation::UntagResource, json!({"KeyId": key, "TagKeys": []}), "kms:UntagResource"),
        (Operation::ListResourceTags, json!({"KeyId": key}), "kms:ListResourceTags"),
        (Operation::UpdateKeyDescription, json!({"KeyId": key, "Description": ""}), "kms:UpdateKeyDescription"),
    ]
}

#[test]
fn a_disabled_key_can_be_labelled() {
    let node = Deployment::new().node();
    let key = node.create_key(false);
    node.get(Operation::DisableKey, &json!({"KeyId": key}));
    for (operation, body, _) in naming(&key) {
        node.get(operation, &body);
    }
}

#[test]
fn a_retry_happens_once() {
    let deployment = Deployment::new();
    let (one, two) = (deployment.node(), deployment.node());
    let key = one.create_key(false);
    let ask = |node: &Node, operation, body: &Value, id| node.ask_once(alice(), operation, body, Some((id, 1))).unwrap();
    let (add, remove) = (json!({"KeyId": key, "Tags": [tag("a", "1")]}), json!({"KeyId": key, "TagKeys": ["a"]}));
    ask(&one, Operation::TagResource, &add, "add");
    one.get(Operation::UntagResource, &remove);
    ask(&two, Operation::TagResource, &add, "add");
    assert_eq!(tags(&one, &key), json!([]));
    ask(&one, Operation::UntagResource, &remove, "remove");
    one.get(Operation::TagResource, &add);
    ask(&two, Operation::UntagResource, &remove, "remove");
    assert_eq!(tags(&one, &key), json!([tag("a", "1")]));
    let describe = json!({"KeyId": key, "Description": "old"});
    ask(&one, Operation::UpdateKeyDescription, &describe, "describe");
    one.get(Operation::UpdateKeyDescription, &json!({"KeyId": key, "Description": "new"}));
    ask(&two, Operation::UpdateKeyDescription, &describe, "describe");
    assert_eq!(one.get(Operation::DescribeKey, &json!({"KeyId": key}))["KeyMetadata"]["Description"], "new");
}

#[test]
fn two_changes_at_once_both_take_effect() {
    let deployment = Deployment::new();
    let (node, other) = (deployment.node(), deployment.node());
    let key = node.create_key(false);
    let body = json!({"KeyId": key, "Tags": [tag("theirs", "1")]});
    node.region.before_propose(move || drop(other.get(Operation::TagResource, &body)));
    node.get(Operation::TagResource, &json!({"KeyId": key, "Tags": [tag("ours", "2")]}));
    assert_eq!(tags(&node, &key), json!([tag("ours", "2"), tag("theirs", "1")]));
}

#[test]
fn keys_are_named_by_id_or_arn_alone() {
    let node = Deployment::new().node();
    let key = node.create_key(false);
    node.create_alias("alias/a", &key);
    for (operation, body, _) in naming("alias/a") {
        assert_eq!(node.error(operation, &body), (ErrorCode::NotFound, "Invalid keyId 'alias/a'".to_owned()), "{operation}");
    }
    let alias = alias_arn("alias/a");
    for (operation, body, _) in naming(&alias) {
        assert_eq!(node.error(operation, &body), (ErrorCode::InvalidArn, format!("Invalid arn {alias}")), "{operation}");
    }
    let unknown = "00000000-0000-4000-8000-000000000000";
    for (operation, body, _) in naming(unknown) {
        let message = format!("Key '{}' does not exist", arn(unknown));
        assert_eq!(node.error(operation, &body), (ErrorCode::NotFound, message), "{operation}");
    }
    let foreign = format!("arn:aws:kms:{HERE}:{OTHER_ACCOUNT}:key/{key}");
    for (operation, body, action) in naming(&foreign) {
        let (code, message) = node.error(operation, &body);
        assert_eq!(code, ErrorCode::AccessDenied, "{operation}");
        let words = format!("User: arn:aws:iam::{ACCOUNT}:user/alice is not authorized to perform: {action} on resource: {foreign}");
        assert!(message.starts_with(&words), "{message}");
    }
}
