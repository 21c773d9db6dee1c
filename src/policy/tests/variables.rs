//! Policy variables (IAM User Guide, "Variables and tags").

use serde_json::json;

use super::{Facts, decide_with, document, holds, identity, parse, user};
use crate::{Action, Documents, PolicyKind};

fn facts() -> Facts {
    Facts::default().text("aws:username", "alice").text("aws:PrincipalTag/team", "blue").text("aws:ResourceTag/team", "blue")
}

#[test]
fn a_variable_is_its_value() {
    let same = json!({"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}});
    assert!(holds(&same, &facts()));
    assert!(!holds(&same, &facts().text("aws:PrincipalTag/team", "red")));
    assert!(holds(
        &json!({"StringEqualsIgnoreCase": {"aws:ResourceTag/team": "${AWS:principaltag/TEAM}"}}),
        &facts().text("aws:PrincipalTag/team", "BLUE")
    ));
    let part = json!({"StringLike": {"kms:RequestAlias": "alias/${aws:username}/*"}});
    assert!(holds(&part, &facts().text("kms:RequestAlias", "alias/alice/x")));
    assert!(!holds(&part, &facts().text("kms:RequestAlias", "alias/bob/x")));
    let folded = json!({"StringEqualsIgnoreCase": {"kms:RequestAlias": "alias/${aws:username}*"}});
    assert!(holds(&folded, &facts().text("kms:RequestAlias", "ALIAS/Alice*")));
    assert!(!holds(&folded, &facts().text("kms:RequestAlias", "alias/alice-x")));
}

#[test]
fn a_value_brings_no_wildcards() {
    let part = json!({"StringLike": {"kms:RequestAlias": "alias/${aws:PrincipalTag/team}/*"}});
    let facts = || Facts::default().text("aws:PrincipalTag/team", "*").text("kms:RequestAlias", "alias/red/x");
    assert!(!holds(&part, &facts()));
    assert!(holds(&part, &facts().text("kms:RequestAlias", "alias/*/x")));
    let whole = json!({"StringLike": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}});
    assert!(!holds(&whole, &facts().text("aws:ResourceTag/team", "red")));
}

#[test]
fn a_missing_value_matches_nothing_unless_there_is_a_default() {
    let none = || Facts::default().text("aws:ResourceTag/team", "blue");
    assert!(!holds(&json!({"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}}), &none()));
    assert!(holds(&json!({"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team, 'blue'}"}}), &none()));
    assert!(holds(&json!({"StringEquals": {"aws:ResourceTag/team": ["${aws:PrincipalTag/team}", "blue"]}}), &none()));
    // An Allow is not had by a value that is not there, and a Deny is not escaped by one.
    let differs = json!({"StringNotEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}});
    assert!(!holds(&differs, &none()));
    let policies = [identity(&json!([
        {"Effect": "Allow", "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "kms:*", "Resource": "*", "Condition": differs},
    ]))];
    let documents = Documents { identity: &policies, ..Documents::NONE };
    assert!(!decide_with(&user("alice"), Action::Decrypt, &documents, &none()).is_allowed());
    assert!(decide_with(&user("alice"), Action::Decrypt, &documents, &facts()).is_allowed());
}

#[test]
fn a_key_of_many_values_is_no_variable() {
    let facts = Facts::default().many("aws:TagKeys", &["blue"]).text("aws:ResourceTag/team", "blue");
    assert!(!holds(&json!({"StringEquals": {"aws:ResourceTag/team": "${aws:TagKeys}"}}), &facts));
}

#[test]
fn the_three_characters_can_be_meant() {
    let facts = |text| Facts::default().text("kms:ViaService", text);
    let escaped = json!({"StringLike": {"kms:ViaService": "${*}${?}${$}{x}*"}});
    assert!(holds(&escaped, &facts("*?${x}!")));
    assert!(!holds(&escaped, &facts("ab${x}!")));
}

#[test]
fn variables_in_resources() {
    let policies = [identity(&json!([{
        "Effect": "Allow", "Action": "kms:*", "Resource": "arn:aws:kms:*:111122223333:key/${aws:PrincipalTag/key}",
    }]))];
    let documents = Documents { identity: &policies, ..Documents::NONE };
    let may = |facts: &Facts| decide_with(&user("alice"), Action::Decrypt, &documents, facts).is_allowed();
    assert!(may(&Facts::default().text("aws:PrincipalTag/key", "1234abcd-12ab-34cd-56ef-1234567890ab")));
    assert!(!may(&Facts::default().text("aws:PrincipalTag/key", "*")));
    assert!(!may(&Facts::default()));
    let excepted = [identity(&json!([
        {"Effect": "Allow", "Action": "kms:*", "NotResource": "arn:aws:kms:*:*:key/${aws:PrincipalTag/key}"},
    ]))];
    let documents = Documents { identity: &excepted, ..Documents::NONE };
    assert!(!decide_with(&user("alice"), Action::Decrypt, &documents, &Facts::default()).is_allowed());
    let other = Facts::default().text("aws:PrincipalTag/key", "x");
    assert!(decide_with(&user("alice"), Action::Decrypt, &documents, &other).is_allowed());
}

#[test]
fn the_older_language_has_none() {
    for version in [json!({"Version": "2008-10-17"}), json!({})] {
        let mut text = document(&json!([{
            "Effect": "Allow", "Action": "kms:*", "Resource": "*",
            "Condition": {"StringEquals": {"kms:ViaService": "${aws:username}"}},
        }]));
        text.as_object_mut().unwrap().remove("Version");
        text.as_object_mut().unwrap().extend(version.as_object().unwrap().clone());
        let policy = crate::Attached { name: "old".into(), policy: parse(&text, PolicyKind::Identity).unwrap().into() };
        let policies = [policy];
        let documents = Documents { identity: &policies, ..Documents::NONE };
        let may = |text| decide_with(&user("alice"), Action::Decrypt, &documents, &facts().text("kms:ViaService", text)).is_allowed();
        assert!(may("${aws:username}") && !may("alice"));
    }
}

#[test]
fn a_trace_shows_values_as_they_could_be_written() {
    let values = json!(["a*?", "${*}${$}x", "b${aws:username, 'y'}*${?}"]);
    for (operator, expected) in
        [("StringLike", ["a*?", "${*}$x", "b${aws:username, 'y'}*${?}"]), ("StringEquals", ["a*?", "*$x", "b${aws:username, 'y'}*?"])]
    {
        let policies =
            [identity(&json!([{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {operator: {"aws:x": values}}}]))];
        let (alice, facts) = (user("alice"), facts());
        let documents = Documents { identity: &policies, ..Documents::NONE };
        let trace = crate::explain(&super::request(&alice, Action::Decrypt, &facts), &documents, &claviger_types::Partition::default());
        assert_eq!(trace.documents[0].statements[0].conditions[0].policy_values, expected);
    }
}
