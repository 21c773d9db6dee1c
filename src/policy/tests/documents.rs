//! What is a document and what is refused, with its place (rules page, section 10).

use claviger_types::Partition;
use serde_json::{Value as Json, json};

use super::{document, key_policy, parse};
use crate::{Policy, PolicyError, PolicyKind, PolicyPrincipal};

fn key(statement: &Json) -> Result<Policy, PolicyError> {
    parse(&document(&json!([statement])), PolicyKind::Key)
}

fn text(text: &str) -> Result<Policy, PolicyError> {
    Policy::parse(text, PolicyKind::Key, &Partition::default())
}

const MINIMAL: &str = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}}"#;

#[test]
fn size_has_an_error_of_its_own() {
    let padded = |length: usize| format!("{MINIMAL}{}", " ".repeat(length - MINIMAL.len()));
    assert!(text(&padded(32_768)).is_ok());
    assert_eq!(text(&padded(32_769)).unwrap_err(), PolicyError::TooLarge { bytes: 32_769, bytes_max: 32_768 });
    let identity = Policy::parse(&padded(10_241), PolicyKind::Identity, &Partition::default());
    assert_eq!(identity.unwrap_err(), PolicyError::TooLarge { bytes: 10_241, bytes_max: 10_240 });
}

#[test]
fn characters_and_json() {
    assert!(text(&MINIMAL.replace("{\"Eff", "\t\r\n {\"Sid\": \"é ÿ\", \"Eff")).is_ok());
    for bad in ['\u{0}', '\u{b}', '\u{100}', '\u{1f511}', '\u{1f}'] {
        let found = text(&MINIMAL.replace("kms:*", &format!("kms:{bad}"))).unwrap_err();
        assert!(matches!(found, PolicyError::Character { code, .. } if code == u32::from(bad)), "{found}");
    }
    for bad in ["", "{", "[]x", "{\"Statement\":[],}", MINIMAL.replace("\"Action\"", "\"Effect\"").as_str(), &"[".repeat(4000)] {
        assert!(matches!(text(bad), Err(PolicyError::Json { .. })), "{bad}");
    }
    let twice = text(&MINIMAL.replace("\"Resource\"", "\"Effect\"")).unwrap_err().to_string();
    assert!(twice.contains("\"Effect\" occurs twice"), "{twice}");
}

#[test]
fn what_is_accepted() {
    for version in [json!("2012-10-17"), json!("2008-10-17")] {
        let policy = json!({"Version": version, "Id": "x y", "Statement": [{"Sid": "", "Effect": "Allow", "Principal": "*"}, {"Sid": "", "Effect": "Deny", "Principal": "*"}]});
        assert!(parse(&policy, PolicyKind::Key).is_ok());
    }
    assert!(key(&json!({"Sid": "with spaces, é", "Effect": "Deny", "NotPrincipal": {"AWS": "111122223333"}, "NotAction": ["kms:*"], "NotResource": "*"})).is_ok());
    assert!(key(&json!({"Effect": "Allow", "Principal": {"AWS": "*", "Service": ["a", "b"]}, "Condition": {}})).is_ok());
    assert!(key(&json!({"Effect": "Allow", "Principal": "*", "Condition": {"Null": {}, "StringEquals": {"aws:x": []}}})).is_ok());
}

#[test]
fn what_is_refused_is_named() {
    let base = json!({"Sid": "one", "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"});
    let with = |member: &str, value: Json| {
        let mut statement = base.clone();
        statement[member] = value;
        key(&statement).unwrap_err().to_string()
    };
    for (message, expected) in [
        (with("Effect", json!("allow")), "statement 0 (\"one\"), Effect: must be Allow or Deny"),
        (with("Effect", json!(["Allow"])), "statement 0 (\"one\"), Effect: must be Allow or Deny"),
        (with("Sid", json!(1)), "statement 0, Sid: must be a string"),
        (with("Actions", json!("*")), "statement 0 (\"one\"), Actions: is not a member that policies have here"),
        (with("NotAction", json!("*")), "statement 0 (\"one\"), Action: stands beside NotAction"),
        (with("NotPrincipal", json!("*")), "statement 0 (\"one\"), Principal: stands beside NotPrincipal"),
        (with("NotResource", json!("*")), "statement 0 (\"one\"), Resource: stands beside NotResource"),
        (
            with("Action", json!("Decrypt")),
            "statement 0 (\"one\"), Action: must be *, or a service and an action with a colon between them",
        ),
        (with("Action", json!([])), "statement 0 (\"one\"), Action: must not be empty"),
        (with("Action", json!({})), "statement 0 (\"one\"), Action: must be a string or a list of strings"),
        (with("Resource", json!("key/x")), "statement 0 (\"one\"), Resource: \"key/x\" is neither an ARN nor *"),
        (with("Resource", json!("arn:aws:kms:${aws:x")), "statement 0 (\"one\"), Resource: has a ${ without its }"),
        (with("Principal", json!("111122223333")), "statement 0 (\"one\"), Principal: must be \"*\" or an object that names principals"),
        (with("Principal", json!({})), "statement 0 (\"one\"), Principal: must be \"*\" or an object that names principals"),
        (with("Principal", json!({"Org": "x"})), "statement 0 (\"one\"), Principal.Org: must be AWS, Service, Federated or CanonicalUser"),
        (with("Condition", json!([])), "statement 0 (\"one\"), Condition: must be an object"),
        (with("Condition", json!({"StringSame": {}})), "statement 0 (\"one\"), Condition.StringSame: is not a condition operator"),
        (with("Condition", json!({"Bool": {"x": true}})), "statement 0 (\"one\"), Condition.Bool.x: is not a condition key"),
        (with("Condition", json!({"Bool": {"aws:x": "yes"}})), "statement 0 (\"one\"), Condition.Bool.aws:x: must be true or false"),
        (
            with("Condition", json!({"Bool": {"aws:x": null}})),
            "statement 0 (\"one\"), Condition.Bool.aws:x: must be a string, a number or a boolean",
        ),
        (
            with("Condition", json!({"NumericEquals": {"aws:x": "${aws:y}"}})),
            "statement 0 (\"one\"), Condition.NumericEquals.aws:x: must be a number",
        ),
        (
            with("Condition", json!({"ArnLike": {"aws:PrincipalArn": "*"}})),
            "statement 0 (\"one\"), Condition.ArnLike.aws:PrincipalArn: must be an ARN, with all six of its parts",
        ),
        (
            with("Condition", json!({"StringEquals": {"aws:x": "${aws:y, z}"}})),
            "statement 0 (\"one\"), Condition.StringEquals.aws:x: has a variable whose default is not in single quotes",
        ),
    ] {
        assert_eq!(message, expected);
    }
    for (policy, expected) in [
        (json!([]), "policy: must be an object"),
        (json!({"Version": "2012-10-17"}), "policy, Statement: is missing"),
        (json!({"Statement": []}), "policy, Statement: must be a statement or a list of statements"),
        (json!({"Version": "2012-10-18", "Statement": [base]}), "policy, Version: must be 2012-10-17 or 2008-10-17"),
        (json!({"statement": [base], "Statement": [base]}), "policy, statement: is not a member that policies have here"),
        (json!({"Statement": [{"Principal": "*"}]}), "statement 0, Effect: is missing"),
        (json!({"Statement": [{"Effect": "Allow"}]}), "statement 0, Principal: is missing"),
        (json!({"Statement": [base, base]}), "statement 1 (\"one\"), Sid: is the Sid of an earlier statement too"),
    ] {
        assert_eq!(parse(&policy, PolicyKind::Key).unwrap_err().to_string(), expected);
    }
}

#[test]
fn identity_policies_name_resources_and_no_principals() {
    let identity = |statement: Json| parse(&document(&statement), PolicyKind::Identity).map_err(|error| error.to_string());
    assert!(identity(json!({"Effect": "Allow", "Action": "kms:*", "Resource": "*"})).is_ok());
    for (statement, expected) in [
        (json!({"Effect": "Allow", "Resource": "*"}), "statement 0, Action: is missing"),
        (json!({"Effect": "Allow", "Action": "*"}), "statement 0, Resource: is missing"),
        (
            json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}),
            "statement 0, Principal: is not allowed in an identity policy",
        ),
        (
            json!({"Effect": "Allow", "Action": "*", "Resource": "*", "NotPrincipal": "*"}),
            "statement 0, NotPrincipal: is not allowed in an identity policy",
        ),
    ] {
        assert_eq!(identity(statement).unwrap_err(), expected);
    }
}

#[test]
fn for_all_values_of_a_single_value_is_refused_in_an_allow() {
    for name in ["kms:EncryptionContext:Dept", "aws:RequestTag/team", "AWS:requesttag/team"] {
        let statement = |effect: &str| json!({"Effect": effect, "Principal": "*", "Action": "*", "Resource": "*", "Condition": {"ForAllValues:StringEquals": {name: "x"}}});
        assert!(matches!(key(&statement("Allow")), Err(PolicyError::OverlyPermissiveCondition { key, .. }) if key == name));
        assert!(key(&statement("Deny")).is_ok());
    }
}

#[test]
fn principals_are_exposed_and_malformed_ones_are_an_error_of_their_own() {
    let policy = key_policy(&json!([
        {"Effect": "Allow", "Principal": {"AWS": ["111122223333", "arn:aws:iam::111122223333:user/alice", "*", "AIDACKCEVSQ6C2EXAMPLE"], "Service": "x"}},
        {"Effect": "Deny", "NotPrincipal": {"AWS": "arn:aws:iam::111122223333:role/app"}},
    ]));
    let found: Vec<String> = policy
        .principals()
        .map(|principal| match principal {
            PolicyPrincipal::Named(named) => named.to_string(),
            PolicyPrincipal::Deleted(id) => id.to_owned(),
        })
        .collect();
    assert_eq!(found, ["111122223333:root", "111122223333:user/alice", "AIDACKCEVSQ6C2EXAMPLE", "111122223333:role/app"]);
    for bad in [
        "arn:aws:iam::111122223333:group/staff",
        "arn:aws:iam::111122223333:user/*",
        "arn:aws-cn:iam::111122223333:root",
        "1111",
        "alice",
        "AIDA",
    ] {
        let error = key(&json!({"Effect": "Allow", "Principal": {"AWS": bad}})).unwrap_err();
        assert!(matches!(&error, PolicyError::Principal { principal, .. } if principal == bad), "{error}");
    }
}

#[test]
fn a_weight_grows_with_the_document() {
    let of = |count: usize| {
        let values: Vec<String> = (0..count).map(|n| format!("value-{n}*")).collect();
        key_policy(
            &json!([{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*", "Condition": {"StringLike": {"aws:x": values}}}]),
        )
        .weight_bytes()
    };
    assert!(of(0) < of(1) && of(1) + 99 * 8 < of(100) && of(100) < 100_000);
}
