//! The examples of the AWS KMS Developer Guide ("Condition keys for AWS KMS", "ABAC for AWS KMS", "Key policies"): what each lets
//! through, and what it does not. Names and accounts are those of these tests.

use claviger_types::Timestamp;
use serde_json::{Value as Json, json};

use super::{
    Facts, account, decide, decide_request, decide_with, document, foreigner, holds, identity, key_policy, other, own, parse, request,
    session, user,
};
use crate::{Action, Documents, PolicyKind, Request, Value};

/// Whether an identity policy lets alice act on no key.
fn creates(statement: &Json, action: Action, facts: &Facts) -> bool {
    let (alice, policies) = (user("alice"), [identity(&json!([statement]))]);
    let request = Request { resource: "*", ..request(&alice, action, facts) };
    decide_request(&request, &Documents { identity: &policies, ..Documents::NONE }).is_allowed()
}

#[test]
fn bypassing_the_lockout_check() {
    let deny = json!({"Effect": "Deny", "Action": ["kms:CreateKey", "kms:PutKeyPolicy"], "Resource": "*",
        "Condition": {"Bool": {"kms:BypassPolicyLockoutSafetyCheck": true}}});
    let policies = [identity(&json!([{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}, deny]))];
    let documents = Documents { identity: &policies, ..Documents::NONE };
    for bypass in [true, false] {
        let facts = Facts::default().with("kms:BypassPolicyLockoutSafetyCheck", Value::Bool(bypass));
        assert_eq!(decide_with(&user("alice"), Action::CreateKey, &documents, &facts).is_allowed(), !bypass);
    }
}

#[test]
fn caller_account_and_via_service() {
    // The key policy of AWS managed keys.
    let condition = json!({"StringEquals": {"kms:CallerAccount": "111122223333", "kms:ViaService": "ec2.eu-west-1.amazonaws.com"}});
    let facts = |of| Facts::default().with("kms:CallerAccount", Value::Account(of));
    assert!(holds(&condition, &facts(own()).text("kms:ViaService", "ec2.eu-west-1.amazonaws.com")));
    assert!(!holds(&condition, &facts(other()).text("kms:ViaService", "ec2.eu-west-1.amazonaws.com")));
    // Asked for directly there is no ViaService, and nothing matches it.
    assert!(!holds(&condition, &facts(own())));
    assert!(!holds(&condition, &facts(account("011122223333")).text("kms:ViaService", "ec2.eu-west-1.amazonaws.com")));
    let only_via = json!([
        {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*",
         "Condition": {"StringNotEquals": {"kms:ViaService": ["lambda.eu-west-1.amazonaws.com"]}}},
    ]);
    let policy = key_policy(&only_via);
    let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
    assert!(!decide(&user("alice"), Action::Decrypt, &documents).is_allowed());
    let via = Facts::default().text("kms:ViaService", "lambda.eu-west-1.amazonaws.com");
    assert!(decide_with(&user("alice"), Action::Decrypt, &documents, &via).is_allowed());
}

#[test]
fn specs_usages_and_origins() {
    let statement = |operator: &str, key: &str, value: &str| json!({"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*", "Condition": {operator: {key: value}}});
    for (key, allowed, refused) in [
        ("kms:KeySpec", "RSA_4096", "SYMMETRIC_DEFAULT"),
        ("kms:CustomerMasterKeySpec", "RSA_4096", "RSA_2048"),
        ("kms:KeyUsage", "ENCRYPT_DECRYPT", "SIGN_VERIFY"),
        ("kms:KeyOrigin", "AWS_KMS", "EXTERNAL"),
        ("kms:DataKeyPairSpec", "ECC_NIST_P256", "RSA_2048"),
        ("kms:EncryptionAlgorithm", "RSAES_OAEP_SHA_256", "RSAES_OAEP_SHA_1"),
        ("kms:SigningAlgorithm", "RSASSA_PSS_SHA_512", "RSASSA_PSS_SHA_256"),
        ("kms:MacAlgorithm", "HMAC_SHA_512", "HMAC_SHA_256"),
        ("kms:MessageType", "RAW", "DIGEST"),
        ("kms:WrappingAlgorithm", "RSAES_OAEP_SHA_256", "RSAES_PKCS1_V1_5"),
        ("kms:WrappingKeySpec", "RSA_4096", "RSA_2048"),
        ("kms:ExpirationModel", "KEY_MATERIAL_EXPIRES", "KEY_MATERIAL_DOES_NOT_EXPIRE"),
        ("kms:KeyAgreementAlgorithm", "ECDH", "OTHER"),
    ] {
        let may = |value| creates(&statement("StringEquals", key, allowed), Action::CreateKey, &Facts::default().text(key, value));
        assert!(may(allowed) && !may(refused), "{key}");
    }
    let may =
        |value| creates(&statement("StringLike", "kms:KeySpec", "ECC_*"), Action::CreateKey, &Facts::default().text("kms:KeySpec", value));
    assert!(may("ECC_SECG_P256K1") && !may("RSA_2048"));
}

#[test]
fn encryption_context() {
    let facts =
        || Facts::default().text("kms:EncryptionContext:AppName", "ExampleApp").many("kms:EncryptionContextKeys", &["AppName", "Dept"]);
    assert!(holds(&json!({"StringEquals": {"kms:EncryptionContext:AppName": "ExampleApp"}}), &facts()));
    assert!(!holds(&json!({"StringEquals": {"kms:EncryptionContext:AppName": "exampleapp"}}), &facts()));
    assert!(holds(&json!({"StringLike": {"kms:EncryptionContext:AppName": "Example*"}}), &facts()));
    // Both pairs, in one condition.
    let pairs =
        json!({"StringEquals": {"kms:EncryptionContext:AppName": "ExampleApp", "kms:EncryptionContext:FilePath": "/var/opt/secrets/"}});
    assert!(!holds(&pairs, &facts()));
    assert!(holds(&pairs, &facts().text("kms:EncryptionContext:FilePath", "/var/opt/secrets/")));
    // One of the keys; only these keys; some key at all.
    assert!(holds(&json!({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "AppName"}}), &facts()));
    assert!(!holds(&json!({"ForAnyValue:StringEquals": {"kms:EncryptionContextKeys": "appname"}}), &facts()));
    let only = json!({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["AppName", "Dept", "Purpose"]}});
    assert!(holds(&only, &facts()));
    assert!(!holds(&only, &facts().many("kms:EncryptionContextKeys", &["AppName", "Other"])));
    let required = json!({"Null": {"kms:EncryptionContextKeys": false}});
    assert!(holds(&required, &facts()) && !holds(&required, &Facts::default()));
    // ForAllValues alone lets a request without a context through; together with Null it does not.
    assert!(holds(&only, &Facts::default()));
    let both = json!({"ForAllValues:StringEquals": {"kms:EncryptionContextKeys": ["AppName", "Dept"]}, "Null": {"kms:EncryptionContextKeys": false}});
    assert!(holds(&both, &facts()) && !holds(&both, &Facts::default()));
}

#[test]
fn grants() {
    let resource = json!({"Bool": {"kms:GrantIsForAWSResource": true}});
    let facts = |is| Facts::default().with("kms:GrantIsForAWSResource", Value::Bool(is));
    assert!(holds(&resource, &facts(true)) && !holds(&resource, &facts(false)) && !holds(&resource, &Facts::default()));
    let operations = json!({"ForAllValues:StringEquals": {"kms:GrantOperations": ["Encrypt", "Decrypt"]}});
    let asked = |list: &[&str]| Facts::default().many("kms:GrantOperations", list);
    assert!(holds(&operations, &asked(&["Encrypt"])) && holds(&operations, &asked(&["Decrypt", "Encrypt"])));
    assert!(!holds(&operations, &asked(&["Encrypt", "CreateGrant"])));
    let kind = json!({"StringEquals": {"kms:GrantConstraintType": "EncryptionContextEquals"}});
    assert!(holds(&kind, &Facts::default().text("kms:GrantConstraintType", "EncryptionContextEquals")));
    assert!(!holds(&kind, &Facts::default()));
    let grantee = json!({"StringEquals": {"kms:GranteePrincipal": "arn:aws:iam::111122223333:role/LimitedAdminRole"}});
    assert!(holds(&grantee, &Facts::default().text("kms:GranteePrincipal", "arn:aws:iam::111122223333:role/LimitedAdminRole")));
    let retiring = json!({"ArnLike": {"kms:RetiringPrincipal": "arn:aws:iam::111122223333:role/*"}});
    assert!(holds(&retiring, &Facts::default().text("kms:RetiringPrincipal", "arn:aws:iam::111122223333:role/x")));
    assert!(!holds(&retiring, &Facts::default().text("kms:RetiringPrincipal", "arn:aws:iam::444455556666:role/x")));
}

#[test]
fn aliases() {
    let requested = json!({"StringLike": {"kms:RequestAlias": "alias/*ProjectA*"}});
    assert!(holds(&requested, &Facts::default().text("kms:RequestAlias", "alias/us-ProjectA-1")));
    // The key has the alias, but the request named it by its id.
    assert!(!holds(&requested, &Facts::default().many("kms:ResourceAliases", &["alias/ProjectA"])));
    let any = json!({"ForAnyValue:StringLike": {"kms:ResourceAliases": "alias/ProjectA*"}});
    let facts = |list: &[&str]| Facts::default().many("kms:ResourceAliases", list);
    assert!(holds(&any, &facts(&["alias/test", "alias/ProjectA-1"])) && !holds(&any, &facts(&["alias/test"])) && !holds(&any, &facts(&[])));
    let all = json!({"ForAllValues:StringEquals": {"kms:ResourceAliases": ["alias/ExampleAlias", "alias/test"]}});
    assert!(holds(&all, &facts(&["alias/test"])) && !holds(&all, &facts(&["alias/test", "alias/x"])));
}

#[test]
fn multi_region() {
    let facts = |is, kind| Facts::default().with("kms:MultiRegion", Value::Bool(is)).text("kms:MultiRegionKeyType", kind);
    assert!(holds(&json!({"Bool": {"kms:MultiRegion": "true"}}), &facts(true, "PRIMARY")));
    assert!(!holds(&json!({"Bool": {"kms:MultiRegion": "true"}}), &facts(false, "")));
    assert!(holds(&json!({"StringEquals": {"kms:MultiRegionKeyType": "REPLICA"}}), &facts(true, "REPLICA")));
    assert!(!holds(&json!({"StringEquals": {"kms:MultiRegionKeyType": "REPLICA"}}), &facts(true, "PRIMARY")));
    let region = |key: &str, value| holds(&json!({"StringEquals": {key: ["us-east-1", "eu-west-1"]}}), &Facts::default().text(key, value));
    for key in ["kms:ReplicaRegion", "kms:PrimaryRegion", "aws:RequestedRegion"] {
        assert!(region(key, "eu-west-1") && !region(key, "eu-west-3"));
    }
}

#[test]
fn numbers_and_times() {
    let window = json!({"NumericGreaterThanEquals": {"kms:ScheduleKeyDeletionPendingWindowInDays": "21"}});
    let asked = |days| Facts::default().with("kms:ScheduleKeyDeletionPendingWindowInDays", Value::Number(days));
    assert!(holds(&window, &asked(30)) && holds(&window, &asked(21)) && !holds(&window, &asked(7)));
    let period = json!({"NumericLessThanEquals": {"kms:RotationPeriodInDays": "180"}});
    assert!(holds(&period, &Facts::default().with("kms:RotationPeriodInDays", Value::Number(90))));
    assert!(!holds(&period, &Facts::default().with("kms:RotationPeriodInDays", Value::Number(365))));
    let valid_to = json!({"NumericLessThanEquals": {"kms:ValidTo": "1767225599.0"}});
    assert!(holds(&valid_to, &Facts::default().with("kms:ValidTo", Value::Time(Timestamp::from_millis(1_767_225_599_000)))));
    assert!(!holds(&valid_to, &Facts::default().with("kms:ValidTo", Value::Time(Timestamp::from_millis(1_767_225_600_000)))));
    let until = json!({"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}});
    assert!(holds(&until, &Facts::default().with("aws:CurrentTime", Value::Time(Timestamp::from_millis(1_767_225_599_000)))));
    assert!(!holds(&until, &Facts::default().with("aws:CurrentTime", Value::Time(Timestamp::from_millis(1_767_225_600_000)))));
}

#[test]
fn re_encrypting_on_the_same_key_and_attestation() {
    let same = json!({"Bool": {"kms:ReEncryptOnSameKey": true}});
    assert!(holds(&same, &Facts::default().with("kms:ReEncryptOnSameKey", Value::Bool(true))));
    assert!(!holds(&same, &Facts::default().with("kms:ReEncryptOnSameKey", Value::Bool(false))));
    let image = json!({"StringEqualsIgnoreCase": {"kms:RecipientAttestation:ImageSha384": "9fedcba8abcdef7abcdef6abcdef5"}});
    assert!(holds(&image, &Facts::default().text("kms:RecipientAttestation:ImageSha384", "9FEDCBA8abcdef7abcdef6abcdef5")));
    assert!(!holds(&image, &Facts::default()));
}

#[test]
fn tags() {
    let abac = json!({"StringEquals": {"aws:ResourceTag/project": "${aws:PrincipalTag/project}"}});
    let facts = |own, key| Facts::default().text("aws:PrincipalTag/project", own).text("aws:ResourceTag/project", key);
    assert!(holds(&abac, &facts("alpha", "alpha")) && !holds(&abac, &facts("alpha", "beta")));
    assert!(!holds(&abac, &Facts::default().text("aws:PrincipalTag/project", "alpha")));
    let create = json!({"Effect": "Allow", "Action": "kms:CreateKey", "Resource": "*", "Condition": {
        "StringEquals": {"aws:RequestTag/project": "alpha"}, "ForAllValues:StringEquals": {"aws:TagKeys": ["project", "owner"]}}});
    let asked = |keys: &[&str]| Facts::default().text("aws:RequestTag/project", "alpha").many("aws:TagKeys", keys);
    assert!(creates(&create, Action::CreateKey, &asked(&["project"])));
    assert!(!creates(&create, Action::CreateKey, &asked(&["project", "secret"])));
    assert!(!creates(&create, Action::CreateKey, &Facts::default().many("aws:TagKeys", &[])));
}

#[test]
fn an_organisation_and_a_network() {
    let policy = key_policy(&json!([{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:Decrypt", "Resource": "*",
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-xxxxxxxxxxx"}}}]));
    let own_policies = [identity(&json!([{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}]))];
    let documents = Documents { key_policy: Some(&policy), identity: &own_policies, ..Documents::NONE };
    let of = |org| Facts::default().text("aws:PrincipalOrgID", org);
    assert!(decide_with(&foreigner("carol"), Action::Decrypt, &documents, &of("o-xxxxxxxxxxx")).is_allowed());
    assert!(!decide_with(&foreigner("carol"), Action::Decrypt, &documents, &of("o-other")).is_allowed());
    assert!(!decide(&foreigner("carol"), Action::Decrypt, &documents).is_allowed());
    let outside = json!([
        {"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": "*", "Action": "kms:*", "Resource": "*", "Condition": {
            "NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "203.0.113.0/24"]}, "Bool": {"aws:ViaAWSService": "false"}}},
    ]);
    let policy = key_policy(&outside);
    let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
    let from = |address: &str| {
        Facts::default().with("aws:SourceIp", Value::Ip(address.parse().unwrap())).with("aws:ViaAWSService", Value::Bool(false))
    };
    assert!(decide_with(&user("alice"), Action::Decrypt, &documents, &from("203.0.113.9")).is_allowed());
    assert!(!decide_with(&user("alice"), Action::Decrypt, &documents, &from("198.51.100.1")).is_allowed());
}

/// The console's default policy: administrators, users, attachment of persistent resources.
#[test]
fn the_console_s_default_policy() {
    let policy = key_policy(&json!([
        {"Sid": "Enable IAM User Permissions", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"},
        {"Sid": "Allow access for Key Administrators", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:user/admin"},
         "Action": ["kms:Create*", "kms:Describe*", "kms:Enable*", "kms:List*", "kms:Put*", "kms:Update*", "kms:Revoke*", "kms:Disable*",
                    "kms:Get*", "kms:Delete*", "kms:TagResource", "kms:UntagResource", "kms:ScheduleKeyDeletion", "kms:CancelKeyDeletion",
                    "kms:RotateKeyOnDemand"], "Resource": "*"},
        {"Sid": "Allow use of the key", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/app"},
         "Action": ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"], "Resource": "*"},
        {"Sid": "Allow attachment of persistent resources", "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:role/app"},
         "Action": ["kms:CreateGrant", "kms:ListGrants", "kms:RevokeGrant"], "Resource": "*", "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}}},
    ]));
    let documents = Documents { key_policy: Some(&policy), ..Documents::NONE };
    let may = |caller: &_, action| decide(caller, action, &documents).is_allowed();
    let (admin, app) = (user("admin"), session("app", "one"));
    for action in [Action::PutKeyPolicy, Action::ScheduleKeyDeletion, Action::DisableKey, Action::CreateGrant, Action::DescribeKey] {
        assert!(may(&admin, action), "{action}");
    }
    for action in [Action::Encrypt, Action::Decrypt, Action::GenerateDataKey, Action::ReEncryptFrom] {
        assert!(!may(&admin, action) && may(&app, action), "{action}");
    }
    assert!(!may(&app, Action::PutKeyPolicy) && !may(&app, Action::CreateGrant));
    let for_a_service = Facts::default().with("kms:GrantIsForAWSResource", Value::Bool(true));
    assert!(decide_with(&app, Action::CreateGrant, &documents, &for_a_service).is_allowed());
    let own_policies = [identity(&json!([{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": "*"}]))];
    assert!(!may(&user("eve"), Action::Decrypt));
    assert!(decide(&user("eve"), Action::Decrypt, &Documents { identity: &own_policies, ..documents }).is_allowed());
}

#[test]
fn the_guide_s_refused_condition_is_refused() {
    let statement = json!([{"Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*",
        "Condition": {"ForAllValues:StringLike": {"kms:EncryptionContext:Department": "*"}}}]);
    assert!(parse(&document(&statement), PolicyKind::Key).is_err());
}
