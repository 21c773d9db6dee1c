//! Every operator, as the tables of the IAM User Guide have it ("Condition operators", "Multivalued context keys").

use claviger_types::Timestamp;
use serde_json::json;

use super::{Facts, holds};
use crate::Value;

#[test]
fn strings() {
    let facts = || Facts::default().text("kms:ViaService", "ec2.eu-west-1.amazonaws.com");
    let check = |operator: &str, value: &str| holds(&json!({operator: {"kms:ViaService": value}}), &facts());
    for (operator, value, expected) in [
        ("StringEquals", "ec2.eu-west-1.amazonaws.com", true),
        ("StringEquals", "EC2.eu-west-1.amazonaws.com", false),
        ("StringEquals", "ec2.*", false),
        ("StringNotEquals", "ec2.eu-west-1.amazonaws.com", false),
        ("StringNotEquals", "s3.eu-west-1.amazonaws.com", true),
        ("StringEqualsIgnoreCase", "EC2.EU-west-1.amazonaws.com", true),
        ("StringNotEqualsIgnoreCase", "EC2.EU-west-1.amazonaws.com", false),
        ("StringLike", "ec2.*.amazonaws.com", true),
        ("StringLike", "ec?.eu-west-?.amazonaws.com", true),
        ("StringLike", "EC2.*", false),
        ("StringLike", "*", true),
        ("StringLike", "s3.*", false),
        ("StringNotLike", "ec2.*", false),
        ("StringNotLike", "s3.*", true),
        ("StringLike", "ec2.${*}", false),
    ] {
        assert_eq!(check(operator, value), expected, "{operator} {value}");
    }
}

#[test]
fn numbers() {
    let facts = || Facts::default().with("kms:ScheduleKeyDeletionPendingWindowInDays", Value::Number(10));
    for (operator, value, expected) in [
        ("NumericEquals", "10", true),
        ("NumericEquals", "10.0", true),
        ("NumericNotEquals", "10", false),
        ("NumericLessThan", "10", false),
        ("NumericLessThan", "11", true),
        ("NumericLessThanEquals", "10", true),
        ("NumericGreaterThan", "10", false),
        ("NumericGreaterThan", "9", true),
        ("NumericGreaterThanEquals", "10", true),
    ] {
        assert_eq!(
            holds(&json!({operator: {"kms:ScheduleKeyDeletionPendingWindowInDays": value}}), &facts()),
            expected,
            "{operator} {value}"
        );
    }
    // JSON's numbers are their texts.
    assert!(holds(&json!({"NumericEquals": {"kms:ScheduleKeyDeletionPendingWindowInDays": 10}}), &facts()));
    // What is no number equals none.
    let text = || Facts::default().text("kms:RotationPeriodInDays", "soon");
    assert!(!holds(&json!({"NumericLessThan": {"kms:RotationPeriodInDays": 10}}), &text()));
    assert!(holds(&json!({"NumericNotEquals": {"kms:RotationPeriodInDays": 10}}), &text()));
}

#[test]
fn dates() {
    // 2020-04-01T00:00:00Z.
    let facts = || {
        let at = Timestamp::from_millis(1_585_699_200_000);
        Facts::default().with("aws:CurrentTime", Value::Time(at)).with("aws:EpochTime", Value::Time(at))
    };
    for (operator, value, expected) in [
        ("DateEquals", "2020-04-01T00:00:00Z", true),
        ("DateEquals", "2020-04", true),
        ("DateEquals", "1585699200", true),
        ("DateNotEquals", "2020-04-01", false),
        ("DateLessThan", "2020-04-01T00:00:01Z", true),
        ("DateLessThan", "2020-04-01", false),
        ("DateLessThanEquals", "2020-04-01", true),
        ("DateGreaterThan", "2020-03-31T23:59:59Z", true),
        ("DateGreaterThan", "2020-04-01T01:00:00+01:00", false),
        ("DateGreaterThanEquals", "2020", true),
    ] {
        for key in ["aws:CurrentTime", "aws:EpochTime"] {
            assert_eq!(holds(&json!({operator: {key: value}}), &facts()), expected, "{operator} {key} {value}");
        }
    }
    assert!(holds(&json!({"NumericLessThan": {"aws:EpochTime": 1_585_699_201}}), &facts()));
}

#[test]
fn booleans_bytes_and_existence() {
    let facts = || Facts::default().with("kms:MultiRegion", Value::Bool(true)).text("kms:RecipientAttestation:PCR0", "key");
    assert!(holds(&json!({"Bool": {"kms:MultiRegion": "true"}}), &facts()));
    assert!(holds(&json!({"Bool": {"kms:MultiRegion": true}}), &facts()));
    assert!(!holds(&json!({"Bool": {"kms:MultiRegion": "false"}}), &facts()));
    assert!(holds(&json!({"StringEquals": {"kms:MultiRegion": "true"}}), &facts()));
    assert!(holds(&json!({"BinaryEquals": {"kms:RecipientAttestation:PCR0": "a2V5"}}), &facts()));
    assert!(!holds(&json!({"BinaryEquals": {"kms:RecipientAttestation:PCR0": "a2V6"}}), &facts()));
    assert!(holds(&json!({"Null": {"kms:MultiRegion": "false", "kms:ViaService": "true"}}), &facts()));
    assert!(!holds(&json!({"Null": {"kms:MultiRegion": "true"}}), &facts()));
    assert!(!holds(&json!({"Null": {"kms:ViaService": false}}), &facts()));
    // An empty set is none.
    assert!(holds(&json!({"Null": {"aws:TagKeys": true}}), &facts().many("aws:TagKeys", &[])));
}

#[test]
fn addresses() {
    let check = |operator: &str, value: &str, address: &str| {
        let facts = Facts::default().with("aws:SourceIp", Value::Ip(address.parse().unwrap()));
        holds(&json!({operator: {"aws:SourceIp": value}}), &facts)
    };
    assert!(check("IpAddress", "203.0.113.0/24", "203.0.113.9"));
    assert!(!check("IpAddress", "203.0.113.0/24", "203.0.114.9"));
    assert!(!check("NotIpAddress", "203.0.113.0/24", "203.0.113.9"));
    assert!(check("NotIpAddress", "203.0.113.0/24", "2001:db8::1"));
    assert!(check("IpAddress", "2001:db8::/32", "2001:db8::1"));
    assert!(check("IpAddress", "203.0.113.9", "::ffff:203.0.113.9"));
    assert!(check("StringEquals", "203.0.113.9", "203.0.113.9"));
}

#[test]
fn arns_compare_part_by_part() {
    let facts = || Facts::default().text("aws:PrincipalArn", "arn:aws:iam::111122223333:role/team/app");
    for operator in ["ArnLike", "ArnEquals"] {
        for (value, expected) in [
            ("arn:aws:iam::111122223333:role/team/app", true),
            ("arn:aws:iam::111122223333:role/*", true),
            ("arn:*:iam::*:role/t?am/*", true),
            ("arn:aws:iam::1111*:*", true),
            // A wildcard does not reach over a colon.
            ("arn:aws:*:role/team/app:*:*", false),
            ("arn:aws:iam:*:*:*:*", false),
            ("arn:aws:iam::111122223333:user/*", false),
        ] {
            let not = operator.replace("Arn", "ArnNot");
            assert_eq!(holds(&json!({operator: {"aws:PrincipalArn": value}}), &facts()), expected, "{operator} {value}");
            assert_eq!(holds(&json!({not: {"aws:PrincipalArn": value}}), &facts()), !expected, "{operator} {value}");
        }
    }
}

#[test]
fn values_are_alternatives_and_keys_and_operators_are_all_needed() {
    let facts = || Facts::default().text("kms:KeySpec", "RSA_2048").text("kms:KeyUsage", "SIGN_VERIFY");
    assert!(holds(&json!({"StringEquals": {"kms:KeySpec": ["ECC_NIST_P256", "RSA_2048"]}}), &facts()));
    // NOR, so not satisfied by being different from one of them.
    assert!(!holds(&json!({"StringNotEquals": {"kms:KeySpec": ["ECC_NIST_P256", "RSA_2048"]}}), &facts()));
    assert!(holds(&json!({"StringNotEquals": {"kms:KeySpec": ["ECC_NIST_P256", "RSA_4096"]}}), &facts()));
    assert!(!holds(&json!({"StringEquals": {"kms:KeySpec": "RSA_2048", "kms:KeyUsage": "ENCRYPT_DECRYPT"}}), &facts()));
    assert!(!holds(&json!({"StringEquals": {"kms:KeySpec": "RSA_2048"}, "StringLike": {"kms:KeyUsage": "ENC*"}}), &facts()));
    assert!(holds(&json!({"StringEquals": {"kms:KeySpec": "RSA_2048"}, "StringLike": {"kms:KeyUsage": "SIGN*"}}), &facts()));
    // No value is matched by nothing.
    assert!(!holds(&json!({"StringEquals": {"kms:KeySpec": []}}), &facts()));
    assert!(holds(&json!({"StringNotEquals": {"kms:KeySpec": []}}), &facts()));
}

#[test]
fn a_missing_key() {
    let none = || Facts::default();
    for (operator, value, negated) in [
        ("StringEquals", "x", false),
        ("StringNotEquals", "x", true),
        ("StringEqualsIgnoreCase", "x", false),
        ("StringNotEqualsIgnoreCase", "x", true),
        ("StringLike", "*", false),
        ("StringNotLike", "*", true),
        ("NumericEquals", "1", false),
        ("NumericNotEquals", "1", true),
        ("NumericLessThan", "1", false),
        ("NumericLessThanEquals", "1", false),
        ("NumericGreaterThan", "1", false),
        ("NumericGreaterThanEquals", "1", false),
        ("DateEquals", "2020", false),
        ("DateNotEquals", "2020", true),
        ("DateLessThan", "2020", false),
        ("DateLessThanEquals", "2020", false),
        ("DateGreaterThan", "2020", false),
        ("DateGreaterThanEquals", "2020", false),
        ("Bool", "true", false),
        ("BinaryEquals", "YQ==", false),
        ("IpAddress", "0.0.0.0/0", false),
        ("NotIpAddress", "0.0.0.0/0", true),
        ("ArnEquals", "arn:*:*:*:*:*", false),
        ("ArnLike", "arn:*:*:*:*:*", false),
        ("ArnNotEquals", "arn:*:*:*:*:*", true),
        ("ArnNotLike", "arn:*:*:*:*:*", true),
    ] {
        let check = |operator: &str| holds(&json!({operator: {"aws:Missing": value}}), &none());
        assert_eq!(check(operator), negated, "{operator}");
        assert!(check(&format!("{operator}IfExists")), "{operator}IfExists");
        for suffix in ["", "IfExists"] {
            assert!(check(&format!("ForAllValues:{operator}{suffix}")), "ForAllValues:{operator}{suffix}");
            assert!(!check(&format!("ForAnyValue:{operator}{suffix}")), "ForAnyValue:{operator}{suffix}");
        }
    }
}

#[test]
fn if_exists_still_compares_what_exists() {
    let facts = || Facts::default().text("kms:KeySpec", "RSA_2048");
    assert!(holds(&json!({"StringEqualsIfExists": {"kms:KeySpec": "RSA_2048"}}), &facts()));
    assert!(!holds(&json!({"StringEqualsIfExists": {"kms:KeySpec": "RSA_4096"}}), &facts()));
    assert!(!holds(&json!({"StringNotEqualsIfExists": {"kms:KeySpec": "RSA_2048"}}), &facts()));
}

#[test]
fn sets() {
    let check = |operator: &str, values: &[&str], request: &[&str]| {
        holds(&json!({operator: {"aws:TagKeys": values}}), &Facts::default().many("aws:TagKeys", request))
    };
    let allowed = ["environment", "costcenter"];
    for (request, all, any, all_not, any_not) in [
        (&["environment", "costcenter"][..], true, true, false, false),
        (&["environment"], true, true, false, false),
        (&["environment", "owner"], false, true, false, true),
        (&["owner"], false, false, true, true),
        (&[], true, false, true, false),
    ] {
        assert_eq!(check("ForAllValues:StringEquals", &allowed, request), all, "{request:?}");
        assert_eq!(check("ForAnyValue:StringEquals", &allowed, request), any, "{request:?}");
        assert_eq!(check("ForAllValues:StringNotEquals", &allowed, request), all_not, "{request:?}");
        assert_eq!(check("ForAnyValue:StringNotEquals", &allowed, request), any_not, "{request:?}");
    }
    // A key of one value is a set of one.
    let one = || Facts::default().text("kms:KeySpec", "RSA_2048");
    assert!(holds(&json!({"ForAnyValue:StringLike": {"kms:KeySpec": "RSA_*"}}), &one()));
    assert!(!holds(&json!({"ForAllValues:StringLike": {"kms:KeySpec": "ECC_*"}}), &one()));
    // Without a qualifier: one that matches, and with a negated operator none.
    assert!(check("StringEquals", &allowed, &["environment", "owner"]));
    assert!(!check("StringNotEquals", &allowed, &["environment", "owner"]));
}

#[test]
fn names_of_keys_compare_without_case() {
    let facts = || Facts::default().text("kms:EncryptionContext:Dept", "IT").text("aws:ResourceTag/Team", "blue");
    assert!(holds(&json!({"StringEquals": {"KMS:encryptioncontext:dept": "IT"}}), &facts()));
    assert!(holds(&json!({"StringEquals": {"AWS:resourcetag/TEAM": "blue"}}), &facts()));
    assert!(!holds(&json!({"StringEquals": {"aws:ResourceTag/Team": "Blue"}}), &facts()));
}
