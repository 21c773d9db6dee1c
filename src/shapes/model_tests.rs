//! Walks AWS's model (`kms-model.json`) and tries every constraint of every member of every implemented operation.
//!
//! The expectations come from the model file alone, so a constraint that the code lacks, or words differently, fails here.

use serde_json::{Map, Value, json};

use crate::{ErrorCode, Operation, Request};

const KEY: &str = "mrk-000102030405060708090a0b0c0d0e0f";
const PRINCIPAL: &str = "arn:aws:iam::111122223333:user/alice";

/// The members that do something. Any other member, set to a value that the model allows, must be refused by name.
fn implemented(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::CreateAlias | Operation::UpdateAlias => &["AliasName", "TargetKeyId"],
        Operation::CreateGrant => {
            &["KeyId", "GranteePrincipal", "RetiringPrincipal", "Operations", "Constraints", "GrantTokens", "Name", "DryRun"]
        }
        Operation::CreateKey => &["Policy", "BypassPolicyLockoutSafetyCheck", "Description", "Tags", "MultiRegion"],
        Operation::Decrypt => &["CiphertextBlob", "EncryptionContext", "GrantTokens", "KeyId"],
        Operation::DeleteAlias => &["AliasName"],
        Operation::DescribeKey => &["KeyId", "GrantTokens"],
        Operation::DisableKey | Operation::EnableKey => &["KeyId"],
        Operation::Encrypt => &["KeyId", "Plaintext", "EncryptionContext", "GrantTokens"],
        Operation::GenerateDataKey | Operation::GenerateDataKeyWithoutPlaintext => {
            &["KeyId", "EncryptionContext", "NumberOfBytes", "KeySpec", "GrantTokens"]
        }
        Operation::GenerateRandom => &["NumberOfBytes"],
        Operation::GetKeyPolicy => &["KeyId", "PolicyName"],
        Operation::ListAliases | Operation::ListKeyPolicies | Operation::ListResourceTags => &["KeyId", "Limit", "Marker"],
        Operation::ListGrants => &["Limit", "Marker", "KeyId", "GrantId", "GranteePrincipal"],
        Operation::ListKeys => &["Limit", "Marker"],
        Operation::ListRetirableGrants => &["Limit", "Marker", "RetiringPrincipal"],
        Operation::PutKeyPolicy => &["KeyId", "PolicyName", "Policy", "BypassPolicyLockoutSafetyCheck"],
        Operation::ReEncrypt => {
            &["CiphertextBlob", "SourceEncryptionContext", "SourceKeyId", "DestinationKeyId", "DestinationEncryptionContext", "GrantTokens"]
        }
        Operation::ReplicateKey => &["KeyId", "ReplicaRegion", "Policy", "BypassPolicyLockoutSafetyCheck", "Description", "Tags"],
        Operation::RetireGrant => &["GrantToken", "KeyId", "GrantId", "DryRun"],
        Operation::RevokeGrant => &["KeyId", "GrantId", "DryRun"],
        Operation::TagResource => &["KeyId", "Tags"],
        Operation::UntagResource => &["KeyId", "TagKeys"],
        Operation::UpdateKeyDescription => &["KeyId", "Description"],
    }
}

/// The smallest body that is accepted.
pub(crate) fn accepted(operation: Operation) -> Map<String, Value> {
    let body = match operation {
        Operation::CreateAlias | Operation::UpdateAlias => json!({"AliasName": "alias/a", "TargetKeyId": KEY}),
        Operation::CreateGrant => json!({"KeyId": KEY, "GranteePrincipal": PRINCIPAL, "Operations": ["Decrypt"]}),
        Operation::CreateKey | Operation::ListAliases | Operation::ListKeys => json!({}),
        Operation::Decrypt => json!({"CiphertextBlob": "AQ=="}),
        Operation::DeleteAlias => json!({"AliasName": "alias/a"}),
        Operation::DescribeKey
        | Operation::DisableKey
        | Operation::EnableKey
        | Operation::GetKeyPolicy
        | Operation::ListGrants
        | Operation::ListKeyPolicies
        | Operation::ListResourceTags => json!({"KeyId": KEY}),
        Operation::Encrypt => json!({"KeyId": KEY, "Plaintext": "AQ=="}),
        Operation::GenerateDataKey | Operation::GenerateDataKeyWithoutPlaintext => json!({"KeyId": KEY, "NumberOfBytes": 32}),
        Operation::GenerateRandom => json!({"NumberOfBytes": 32}),
        Operation::ListRetirableGrants => json!({"RetiringPrincipal": PRINCIPAL}),
        Operation::PutKeyPolicy => json!({"KeyId": KEY, "Policy": "{}"}),
        Operation::ReEncrypt => json!({"CiphertextBlob": "AQ==", "DestinationKeyId": KEY}),
        Operation::ReplicateKey => json!({"KeyId": KEY, "ReplicaRegion": "dc-north-2"}),
        Operation::RetireGrant => json!({"GrantToken": "a"}),
        Operation::RevokeGrant => json!({"KeyId": KEY, "GrantId": "0f".repeat(32)}),
        Operation::TagResource => json!({"KeyId": KEY, "Tags": []}),
        Operation::UntagResource => json!({"KeyId": KEY, "TagKeys": []}),
        Operation::UpdateKeyDescription => json!({"KeyId": KEY, "Description": ""}),
    };
    body.as_object().unwrap().clone()
}

fn model() -> Value {
    serde_json::from_str(include_str!("kms-model.json")).unwrap()
}

fn parse(operation: Operation, body: &Map<String, Value>) -> Result<(), (ErrorCode, String)> {
    let bytes = serde_json::to_vec(body).unwrap();
    Request::parse(operation, &bytes).map(|request| assert_eq!(request.operation(), operation)).map_err(|error| (error.code, error.message))
}

/// A body that is accepted but for `member`.
fn with(operation: Operation, member: &str, value: Value) -> Map<String, Value> {
    let mut body = accepted(operation);
    match (operation, member) {
        (_, "KeySpec") => drop(body.remove("NumberOfBytes")),
        (Operation::RetireGrant, "KeyId" | "GrantId") => body = accepted(Operation::RevokeGrant),
        _ => {}
    }
    body.insert(member.to_owned(), value);
    body
}

/// A value of the shape that the model allows; of an enum the last value, which is seldom the implemented one.
fn sample(model: &Value, name: &str) -> Value {
    let shape = &model["shapes"][name];
    match shape["type"].as_str().unwrap() {
        "string" if shape.get("enum").is_some() => shape["enum"].as_array().unwrap().last().unwrap().clone(),
        "string" if name == "KeyIdType" => json!(KEY),
        "string" if name == "RegionType" => json!("eu-west-1"),
        "string" if name == "AliasNameType" => json!("alias/b"),
        "string" if name == "GrantIdType" => json!("0f".repeat(32)),
        "string" if name == "PolicyNameType" => json!("default"),
        "string" if name == "PrincipalIdType" => json!(PRINCIPAL),
        "string" => json!("a"),
        "integer" => shape["min"].clone(),
        "boolean" => json!(true),
        "blob" => json!("AQ=="),
        "list" => json!([sample(model, shape["member"]["shape"].as_str().unwrap())]),
        "map" => json!({"k": "v"}),
        // It may have one of its members only.
        "structure" if name == "GrantConstraints" => json!({"EncryptionContextSubset": {"k": "v"}}),
        "structure" => Value::Object(members(shape).map(|(member, of)| (member.clone(), sample(model, of))).collect()),
        other => panic!("no sample of {other}"),
    }
}

fn members(shape: &Value) -> impl Iterator<Item = (&String, &str)> {
    shape["members"].as_object().unwrap().iter().map(|(member, of)| (member, of["shape"].as_str().unwrap()))
}

/// A value and what the error message must contain; or, `Err`, what no error message may contain.
struct Case {
    value: Value,
    message: Result<String, String>,
}

fn path_of(prefix: &str, member: &str) -> String {
    let mut chars = member.chars();
    let first = chars.next().unwrap().to_ascii_lowercase();
    format!("{prefix}{first}{}", chars.as_str())
}

/// Every way to break the shape `name` and to stay just inside it, at `path`.
fn cases(model: &Value, name: &str, path: &str) -> Vec<Case> {
    let shape = &model["shapes"][name];
    let kind = shape["type"].as_str().unwrap();
    let bound = |which: &str| shape.get(which).map(|bound| usize::try_from(bound.as_u64().unwrap()).unwrap());
    let blob = |length: usize| json!(base64::Engine::encode(&base64::engine::general_purpose::STANDARD, vec![7; length]));
    let shown = |value: &Value| match value {
        // A long value is cut.
        Value::String(text) if kind == "string" => format!("Value '{}'", &text[..text.floor_char_boundary(512)]),
        Value::Number(number) => format!("Value '{number}'"),
        _ => "Value".to_owned(),
    };
    let broken = |value: Value, constraint: String| {
        let shown = if kind == "list" { String::new() } else { shown(&value) };
        Case { message: Ok(format!("{shown} at '{path}' failed to satisfy constraint: {constraint}")), value }
    };
    let fine = |value: Value| Case { value, message: Err(format!("at '{path}' failed")) };
    let mut cases = Vec::new();
    match kind {
        "string" => {
            if let Some(min) = bound("min").filter(|&min| min > 0) {
                cases.push(broken(json!(""), format!("Member must have length greater than or equal to {min}")));
            }
            if let Some(max) = bound("max") {
                cases.push(broken(json!("\u{e9}".repeat(max + 1)), format!("Member must have length less than or equal to {max}")));
                if shape.get("pattern").is_none() {
                    cases.push(fine(json!("\u{e9}".repeat(max))));
                }
            }
            if let Some(pattern) = shape.get("pattern") {
                cases.push(broken(
                    json!("a\u{100}"),
                    format!("Member must satisfy regular expression pattern: {}", pattern.as_str().unwrap()),
                ));
            }
            if let Some(values) = shape.get("enum") {
                let values: Vec<_> = values.as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect();
                for bad in ["", "NOT_A_VALUE", &values[0].to_lowercase()] {
                    cases.push(broken(json!(bad), format!("Member must satisfy enum value set: [{}]", values.join(", "))));
                }
                cases.extend(values.iter().map(|value| fine(json!(value))));
            }
        }
        "integer" => {
            let (min, max) = (bound("min").unwrap(), bound("max").unwrap());
            for low in [i64::try_from(min).unwrap() - 1, -5] {
                cases.push(broken(json!(low), format!("Member must have value greater than or equal to {min}")));
            }
            cases.push(broken(json!(max + 1), format!("Member must have value less than or equal to {max}")));
            cases.extend([fine(json!(min)), fine(json!(max))]);
        }
        "blob" => {
            let (min, max) = (bound("min").unwrap(), bound("max").unwrap());
            cases.push(broken(json!(""), format!("Member must have length greater than or equal to {min}")));
            cases.push(broken(blob(max + 1), format!("Member must have length less than or equal to {max}")));
            cases.extend([fine(blob(min)), fine(blob(max))]);
        }
        "list" => {
            let of = shape["member"]["shape"].as_str().unwrap();
            if let Some(max) = bound("max") {
                cases.push(broken(json!(vec![sample(model, of); max + 1]), format!("Member must have length less than or equal to {max}")));
                cases.push(fine(json!(vec![sample(model, of); max])));
            }
            // The second item is the broken one: paths count from 1.
            let item_path = format!("{path}.2.member");
            cases.push(Case { value: json!([sample(model, of), null]), message: Ok(null_at(&item_path)) });
            cases.extend(
                self::cases(model, of, &item_path).into_iter().map(|case| Case { value: json!([sample(model, of), case.value]), ..case }),
            );
        }
        "structure" => {
            let whole = sample(model, name);
            for required in shape["required"].as_array().into_iter().flatten() {
                let required = required.as_str().unwrap();
                let mut value = whole.clone();
                value[required] = Value::Null;
                cases.push(Case { value, message: Ok(null_at(&path_of(&format!("{path}."), required))) });
            }
            for (member, of) in members(shape) {
                for case in self::cases(model, of, &path_of(&format!("{path}."), member)) {
                    let mut value = whole.clone();
                    value[member] = case.value;
                    cases.push(Case { value, ..case });
                }
            }
        }
        "boolean" | "map" => {}
        other => panic!("no cases of {other}"),
    }
    cases
}

fn null_at(path: &str) -> String {
    format!("Value null at '{path}' failed to satisfy constraint: Member must not be null")
}

fn each_operation(mut check: impl FnMut(&Value, Operation, &Value)) {
    let model = model();
    assert_eq!(model["operations"].as_object().unwrap().len(), Operation::ALL.len());
    for &operation in Operation::ALL {
        let shape = model["operations"][operation.as_str()].as_str().unwrap();
        check(&model, operation, &model["shapes"][shape]);
    }
}

#[test]
fn every_constraint_of_every_member() {
    let mut tried = 0;
    each_operation(|model, operation, input| {
        assert_eq!(parse(operation, &accepted(operation)), Ok(()), "{operation}");
        for (member, shape) in members(input) {
            for case in cases(model, shape, &path_of("", member)) {
                let body = with(operation, member, case.value);
                let answer = parse(operation, &body);
                tried += 1;
                match (&case.message, &answer) {
                    (Ok(expected), Err((ErrorCode::Validation, message))) => {
                        assert!(message.contains(expected.as_str()), "{operation}: {message:.300} lacks {expected:.300}");
                        assert!(message.contains("validation error"), "{operation}: {message:.300}");
                    }
                    (Ok(expected), other) => panic!("{operation} {member}: {other:?} for {expected:.300}"),
                    (Err(forbidden), Err((_, message))) => assert!(!message.contains(forbidden.as_str()), "{operation}: {message:.300}"),
                    (Err(_), Ok(())) => {}
                }
            }
        }
    });
    assert!(tried > 250, "only {tried} cases: does the walk still see the model?");
}

#[test]
fn one_failure_is_worded_exactly() {
    let mut body = accepted(Operation::GenerateRandom);
    body.insert("NumberOfBytes".into(), json!(1025));
    let message = "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have value less than or equal to 1024";
    assert_eq!(parse(Operation::GenerateRandom, &body), Err((ErrorCode::Validation, message.into())));
}

#[test]
fn required_members() {
    each_operation(|_, operation, input| {
        for required in input["required"].as_array().into_iter().flatten() {
            let required = required.as_str().unwrap();
            let mut body = accepted(operation);
            let expected = Err((ErrorCode::Validation, format!("1 validation error detected: {}", null_at(&path_of("", required)))));
            body.insert(required.to_owned(), Value::Null);
            assert_eq!(parse(operation, &body), expected, "{operation}");
            body.remove(required);
            assert_eq!(parse(operation, &body), expected, "{operation}");
        }
    });
}

#[test]
fn a_member_is_implemented_or_refused_by_name() {
    each_operation(|model, operation, input| {
        for name in implemented(operation) {
            assert!(input["members"].get(name).is_some(), "{operation} has no {name}");
        }
        for (member, shape) in members(input) {
            let answer = parse(operation, &with(operation, member, sample(model, shape)));
            if implemented(operation).contains(&member.as_str()) {
                assert_eq!(answer, Ok(()), "{operation} {member}");
                continue;
            }
            let Err((code, message)) = answer else { panic!("{operation} ignores {member}") };
            assert_eq!(code, ErrorCode::UnsupportedOperation, "{operation} {member}: {message}");
            assert!(message.starts_with(member.as_str()), "{operation} {member}: {message}");
        }
    });
}

#[test]
fn defaults_of_what_is_not_implemented_are_accepted() {
    for (operation, member, value) in [
        (Operation::CreateKey, "KeySpec", json!("SYMMETRIC_DEFAULT")),
        (Operation::CreateKey, "CustomerMasterKeySpec", json!("SYMMETRIC_DEFAULT")),
        (Operation::CreateKey, "KeyUsage", json!("ENCRYPT_DECRYPT")),
        (Operation::CreateKey, "Origin", json!("AWS_KMS")),
        (Operation::CreateKey, "BypassPolicyLockoutSafetyCheck", json!(false)),
        (Operation::Encrypt, "DryRun", json!(false)),
        (Operation::Encrypt, "GrantTokens", json!([])),
        (Operation::Encrypt, "EncryptionAlgorithm", json!("SYMMETRIC_DEFAULT")),
        (Operation::Decrypt, "DryRunModifiers", json!([])),
        (Operation::ReEncrypt, "SourceEncryptionAlgorithm", json!("SYMMETRIC_DEFAULT")),
        (Operation::GenerateRandom, "CustomKeyStoreId", json!(null)),
    ] {
        assert_eq!(parse(operation, &with(operation, member, value)), Ok(()), "{operation} {member}");
    }
}

#[test]
fn grant_tokens_arrive_wherever_the_model_has_them() {
    each_operation(|_, operation, input| {
        if input["members"].get("GrantTokens").is_none() {
            return;
        }
        let body = Value::Object(with(operation, "GrantTokens", json!(["b", "a"]))).to_string();
        let tokens = match Request::parse(operation, body.as_bytes()).unwrap() {
            Request::CreateGrant(request) => request.grant_tokens,
            Request::Decrypt(request) => request.grant_tokens,
            Request::DescribeKey(request) => request.grant_tokens,
            Request::Encrypt(request) => request.grant_tokens,
            Request::GenerateDataKey(request) | Request::GenerateDataKeyWithoutPlaintext(request) => request.grant_tokens,
            Request::ReEncrypt(request) => request.grant_tokens,
            other => panic!("{other:?} drops them"),
        };
        assert_eq!(tokens, ["b", "a"], "{operation}");
    });
}

#[test]
fn patterns_take_what_the_model_takes() {
    let parses = |operation, member: &str, value: &str| match parse(operation, &with(operation, member, json!(value))) {
        Err((ErrorCode::Validation, message)) => !message.contains("regular expression"),
        _ => true,
    };
    for (operation, member, good, bad) in [
        (Operation::CreateGrant, "Name", "aZ09:/_-", "a.b"),
        (Operation::CreateGrant, "Name", "a", "a b"),
        (Operation::CreateGrant, "GranteePrincipal", "aZ09_+=,.@:/-", "a*"),
        (Operation::CreateGrant, "RetiringPrincipal", "a", "a\n"),
        (Operation::GetKeyPolicy, "PolicyName", "aZ09_", "a-b"),
        (Operation::PutKeyPolicy, "Policy", "\t\n\r ~\u{ff}", "\u{0}"),
    ] {
        assert!(parses(operation, member, good), "{operation} {member} {good}");
        assert!(!parses(operation, member, bad), "{operation} {member} {bad}");
    }
}

#[test]
fn wrong_types_do_not_decode() {
    let candidates = [json!("a"), json!(1), json!(1.5), json!(true), json!([]), json!([1]), json!({}), json!({"k": 1})];
    each_operation(|model, operation, input| {
        for (member, shape) in members(input) {
            let kind = model["shapes"][shape]["type"].as_str().unwrap();
            for value in &candidates {
                let right = match kind {
                    "string" => value.is_string(),
                    // "a" is a string, and not base64.
                    "blob" => false,
                    "integer" => value.is_i64(),
                    "boolean" => value.is_boolean(),
                    "list" => value == &json!([]),
                    "map" | "structure" => value.is_object(),
                    other => panic!("{other}"),
                };
                if !right {
                    let answer = parse(operation, &with(operation, member, value.clone()));
                    assert!(matches!(answer, Err((ErrorCode::Serialization, _))), "{operation} {member} {value}: {answer:?}");
                }
            }
        }
        for body in ["", "[]", "null", "7", "{", "{\"KeyId\":\"a\"} x"] {
            assert_eq!(Request::parse(operation, body.as_bytes()).err().unwrap().code, ErrorCode::Serialization, "{operation} {body}");
        }
    });
}

proptest::proptest! {
    #[test]
    fn no_body_makes_it_panic(body: Vec<u8>, text: String, number: i64) {
        for &operation in Operation::ALL {
            let _ = Request::parse(operation, &body);
            for member in ["KeyId", "Plaintext", "CiphertextBlob", "NumberOfBytes", "Limit", "Tags", "EncryptionContext"] {
                let _ = parse(operation, &with(operation, member, json!(text)));
                let _ = parse(operation, &with(operation, member, json!(number)));
                let _ = parse(operation, &with(operation, member, json!({ text.as_str(): text })));
            }
        }
    }
}
