//! Walks AWS's model (`kms-model.json`) and tries every constraint of every member of every implemented operation.
//!
//! The expectations come from the model file alone, so a constraint that the code lacks, or words differently, fails here.

use claviger_types::KeySpec;
use serde_json::{Map, Value, json};

use crate::{ErrorCode, Operation, Request, unsupported_operation};

const KEY: &str = "mrk-000102030405060708090a0b0c0d0e0f";
const PRINCIPAL: &str = "arn:aws:iam::111122223333:user/alice";

/// The members that are refused, whatever they say.
fn refused(operation: Operation) -> &'static [&'static str] {
    match operation {
        Operation::CreateKey => &["CustomKeyStoreId", "XksKeyId"],
        Operation::GenerateRandom => &["CustomKeyStoreId"],
        _ => &[],
    }
}

/// Values that the model has and Claviger has not.
const REFUSED_VALUES: &[&str] = &["SM2", "SM2PKE", "SM2DSA", "AWS_CLOUDHSM", "EXTERNAL_KEY_STORE", "RSAES_PKCS1_V1_5"];

/// The smallest body that is accepted.
pub(crate) fn accepted(operation: Operation) -> Map<String, Value> {
    let body = match operation {
        Operation::CreateAlias | Operation::UpdateAlias => json!({"AliasName": "alias/a", "TargetKeyId": KEY}),
        Operation::CreateGrant => json!({"KeyId": KEY, "GranteePrincipal": PRINCIPAL, "Operations": ["Decrypt"]}),
        Operation::CreateKey | Operation::ListAliases | Operation::ListKeys => json!({}),
        Operation::Decrypt => json!({"CiphertextBlob": "AQ=="}),
        Operation::DeleteAlias => json!({"AliasName": "alias/a"}),
        Operation::CancelKeyDeletion
        | Operation::DeleteImportedKeyMaterial
        | Operation::DescribeKey
        | Operation::DisableKey
        | Operation::DisableKeyRotation
        | Operation::EnableKeyRotation
        | Operation::GetKeyLastUsage
        | Operation::GetKeyRotationStatus
        | Operation::GetPublicKey
        | Operation::ListKeyRotations
        | Operation::RotateKeyOnDemand
        | Operation::ScheduleKeyDeletion
        | Operation::EnableKey
        | Operation::GetKeyPolicy
        | Operation::ListGrants
        | Operation::ListKeyPolicies
        | Operation::ListResourceTags => json!({"KeyId": KEY}),
        Operation::Encrypt => json!({"KeyId": KEY, "Plaintext": "AQ=="}),
        Operation::GenerateDataKey | Operation::GenerateDataKeyWithoutPlaintext => json!({"KeyId": KEY, "NumberOfBytes": 32}),
        Operation::GenerateRandom => json!({"NumberOfBytes": 32}),
        Operation::DeriveSharedSecret => json!({"KeyId": KEY, "KeyAgreementAlgorithm": "ECDH", "PublicKey": "AQ=="}),
        Operation::GenerateDataKeyPair | Operation::GenerateDataKeyPairWithoutPlaintext => {
            json!({"KeyId": KEY, "KeyPairSpec": "ECC_NIST_P256"})
        }
        Operation::GenerateMac => json!({"KeyId": KEY, "Message": "AQ==", "MacAlgorithm": "HMAC_SHA_256"}),
        Operation::VerifyMac => json!({"KeyId": KEY, "Message": "AQ==", "MacAlgorithm": "HMAC_SHA_256", "Mac": "AQ=="}),
        Operation::Sign => json!({"KeyId": KEY, "Message": "AQ==", "SigningAlgorithm": "ECDSA_SHA_256"}),
        Operation::Verify => json!({"KeyId": KEY, "Message": "AQ==", "SigningAlgorithm": "ECDSA_SHA_256", "Signature": "AQ=="}),
        Operation::GetParametersForImport => {
            json!({"KeyId": KEY, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"})
        }
        Operation::ImportKeyMaterial => {
            json!({"KeyId": KEY, "ImportToken": "AQ==", "EncryptedKeyMaterial": "AQ==", "ValidTo": 1_700_000_000})
        }
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
        (Operation::GenerateDataKey | Operation::GenerateDataKeyWithoutPlaintext, "KeySpec") => drop(body.remove("NumberOfBytes")),
        (Operation::RetireGrant, "KeyId" | "GrantId") => body = accepted(Operation::RevokeGrant),
        (Operation::ImportKeyMaterial, "KeyMaterialId") => drop(body.insert("ImportType".into(), json!("EXISTING_KEY_MATERIAL"))),
        (Operation::ImportKeyMaterial, "ExpirationModel") if value == "KEY_MATERIAL_DOES_NOT_EXPIRE" => drop(body.remove("ValidTo")),
        (Operation::Decrypt | Operation::ReEncrypt, "DryRunModifiers") => drop(body.insert("DryRun".into(), json!(true))),
        (Operation::CreateKey, "KeyUsage" | "KeySpec" | "CustomerMasterKeySpec") => {
            // A usage and a spec that fit.
            let (spec, usage) = fitting(value.as_str().unwrap_or_default());
            body.insert("KeySpec".into(), json!(spec));
            body.insert("KeyUsage".into(), json!(usage));
            if member == "CustomerMasterKeySpec" {
                body.remove("KeySpec");
            }
        }
        _ => {}
    }
    match (operation, member) {
        (Operation::Decrypt, "DryRunModifiers") => drop(body.insert("KeyId".into(), json!(KEY))),
        (Operation::ReEncrypt, "DryRunModifiers") => drop(body.insert("SourceKeyId".into(), json!(KEY))),
        _ => {}
    }
    body.insert(member.to_owned(), value);
    body
}

/// A spec and a usage that go together, one of them this one if it is any.
fn fitting(text: &str) -> (&str, &str) {
    if let Some(spec) = KeySpec::ALL.iter().find(|spec| spec.as_str() == text) {
        return (spec.as_str(), spec.usages()[0].as_str());
    }
    let fits = |spec: &&KeySpec| spec.usages().iter().any(|usage| usage.as_str() == text);
    KeySpec::ALL.iter().find(fits).map_or(("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT"), |spec| (spec.as_str(), text))
}

/// A value of the shape that the model allows; of an enum the last value that is not refused.
fn sample(model: &Value, name: &str) -> Value {
    let shape = &model["shapes"][name];
    match shape["type"].as_str().unwrap() {
        "string" if shape.get("enum").is_some() => {
            let supported = |value: &&Value| !REFUSED_VALUES.contains(&value.as_str().unwrap());
            shape["enum"].as_array().unwrap().iter().rfind(supported).unwrap().clone()
        }
        "string" if name == "BackingKeyIdType" => json!("0f".repeat(32)),
        "timestamp" => json!(1_700_000_000.25),
        "integer" if name == "PendingWindowInDaysType" => json!(7),
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
        "boolean" | "map" | "timestamp" => {}
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

/// An operation that AWS's model has is done, or refused for a reason; and nothing else is done.
#[test]
fn every_operation_of_the_model_is_named() {
    let model = model();
    let names: Vec<_> = model["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(names.len(), 54);
    for name in &names {
        assert!(Operation::from_name(name).is_some() != unsupported_operation(name).is_some(), "{name}");
    }
    assert!(Operation::ALL.iter().all(|operation| names.contains(&operation.as_str())));
}

#[test]
fn a_member_does_something_or_is_refused_by_name() {
    each_operation(|model, operation, input| {
        for (member, shape) in members(input) {
            let answer = parse(operation, &with(operation, member, sample(model, shape)));
            if !refused(operation).contains(&member.as_str()) {
                assert_eq!(answer, Ok(()), "{operation} {member}");
                continue;
            }
            let Err((code, message)) = answer else { panic!("{operation} ignores {member}") };
            assert_eq!(code, ErrorCode::UnsupportedOperation, "{operation} {member}: {message}");
            assert!(message.starts_with(member.as_str()), "{operation} {member}: {message}");
        }
    });
}

/// Every value of every enum is taken or refused by name, and those that are refused are these.
#[test]
fn a_value_is_taken_or_refused_by_name() {
    each_operation(|model, operation, input| {
        for (member, shape) in members(input) {
            let shape = &model["shapes"][shape];
            for value in shape.get("enum").and_then(Value::as_array).into_iter().flatten() {
                let text = value.as_str().unwrap();
                match parse(operation, &with(operation, member, value.clone())) {
                    Ok(()) => assert!(!REFUSED_VALUES.contains(&text), "{operation} {member} {text}"),
                    Err((code, message)) => {
                        assert_eq!(code, ErrorCode::UnsupportedOperation, "{operation} {member}: {message}");
                        assert!(REFUSED_VALUES.contains(&text) && message.contains(text), "{operation} {member}: {message}");
                    }
                }
            }
        }
    });
}

#[test]
fn dry_runs_may_ignore_a_ciphertext_and_then_need_a_key() {
    for (operation, key) in [(Operation::Decrypt, "KeyId"), (Operation::ReEncrypt, "SourceKeyId")] {
        let mut body = with(operation, "DryRunModifiers", json!(["IGNORE_CIPHERTEXT"]));
        body.remove("CiphertextBlob");
        assert_eq!(parse(operation, &body), Ok(()), "{operation}");
        body.remove(key);
        let null = null_at(&path_of("", key));
        assert_eq!(parse(operation, &body), Err((ErrorCode::Validation, format!("1 validation error detected: {null}"))));
        body.insert("DryRun".into(), json!(false));
        assert!(parse(operation, &body).is_err());
        body.remove("DryRunModifiers");
        let null = null_at("ciphertextBlob");
        assert_eq!(parse(operation, &body), Err((ErrorCode::Validation, format!("1 validation error detected: {null}"))));
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
            Request::DeriveSharedSecret(request) => request.grant_tokens,
            Request::GenerateDataKeyPair(request) | Request::GenerateDataKeyPairWithoutPlaintext(request) => request.grant_tokens,
            Request::GenerateMac(request) => request.grant_tokens,
            Request::VerifyMac(request) => request.authenticated.grant_tokens,
            Request::GetPublicKey(request) => request.grant_tokens,
            Request::Sign(request) => request.grant_tokens,
            Request::Verify(request) => request.signed.grant_tokens,
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
                    "timestamp" => value.is_number(),
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
