//! The seeds, made by the encoders that the product has, or by those of other programs.
//!
//! `CLAVIGER_SEEDS=write cargo test -p claviger-fuzz --test fuzz seeds` writes those that are absent and never changes one. After a
//! change of an encoding: delete the seeds of its targets, and make them anew. The seeds of `node_message` and `region_message`
//! are made in the same way by the crates whose messages they are.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use claviger_attestation_testing::{Hypervisor, RecipientPrivateKey};
use claviger_backup::Moment;
use claviger_barrier::{Keyring, RecordPlace};
use claviger_crypto::blob;
use claviger_crypto::wrap::{BatchHeader, seal_batch};
use claviger_crypto::{EncryptionContext, Secret32, SecretBytes};
use claviger_fuzz::corpus;
use claviger_fuzz::targets::{attestations, keys, sealed, signatures, states};
use claviger_state::{Command, CommandBody, MemoryTables, Overlay, Table, apply, read};
use claviger_types::{KeyId, KeySpec, MaterialId, Timestamp, encoding};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose,
    RevokedCertParams, SanType,
};
use serde_json::{Value, json};
use time::OffsetDateTime;

#[path = "../../src/state/random_commands.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared with the tests of `state`, which use all of it")]
mod random_commands;

/// Writes seeds that are absent, or holds them to be there.
struct Seeds {
    target: &'static str,
    write: bool,
}

fn is_writing() -> bool {
    std::env::var("CLAVIGER_SEEDS").is_ok_and(|mode| mode == "write")
}

impl Seeds {
    fn of(target: &'static str) -> Self {
        Self { target, write: is_writing() }
    }

    fn add(&self, name: impl AsRef<str>, make: impl FnOnce() -> Vec<u8>) {
        let name: String = name.as_ref().chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect();
        let path = corpus::seeds_of(self.target).join(name);
        if self.write && !path.exists() {
            std::fs::create_dir_all(corpus::seeds_of(self.target)).unwrap();
            std::fs::write(&path, make()).unwrap();
        }
        assert!(path.exists(), "{} is absent: see docs/testing.md", path.display());
    }

    /// A seed that is there, for others to be made of: what a mutation mends must be one that is known to be good.
    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(corpus::seeds_of(self.target).join(name)).unwrap()
    }

    fn text(&self, name: impl AsRef<str>, text: impl AsRef<str>) {
        self.add(name, || text.as_ref().as_bytes().to_vec());
    }
}

fn behind(line: impl AsRef<str>, bytes: &[u8]) -> Vec<u8> {
    [line.as_ref().as_bytes(), b"\n", bytes].concat()
}

#[test]
fn seeds_of_keys() {
    let seeds = Seeds::of("blob");
    let (key, material_id) = (KeyId::multi_region([0x11; 16]), MaterialId::from_bytes([0x22; 32]));
    let seal = |plaintext: &[u8]| blob::seal(&keys::secret(7), key, material_id, &keys::context(), plaintext).unwrap();
    seeds.add("ok-empty", || seal(b""));
    seeds.add("ok-text", || seal(b"forty-two"));
    seeds.add("ok-4096", || seal(&[1; 4096]));
    seeds.add("bad-cut", || seeds.read("ok-empty")[..100].to_vec());
    seeds.add("bad-version", || [&[2], &seeds.read("ok-text")[1..]].concat());
    let elsewhere = EncryptionContext::new(&BTreeMap::new()).unwrap();
    seeds.add("bad-context", || blob::seal(&keys::secret(7), key, material_id, &elsewhere, b"x").unwrap());
    seeds.add("bad-material", || blob::seal(&keys::secret(8), key, material_id, &keys::context(), b"x").unwrap());

    let seeds = Seeds::of("private_key");
    for vector in keys::vectors() {
        let spec = vector["spec"].as_str().unwrap();
        for (name, digits) in vector["encodings"].as_object().unwrap() {
            seeds.add(format!("ok-{spec}-{name}"), || behind(spec, &keys::from_hex(digits)));
        }
    }
    for (spec, bytes) in [(KeySpec::SymmetricDefault, 32), (KeySpec::Hmac224, 28), (KeySpec::Hmac512, 128)] {
        seeds.add(format!("ok-{spec}"), || behind(spec.as_str(), &vec![1; bytes]));
        seeds.add(format!("bad-{spec}-long"), || behind(spec.as_str(), &vec![1; bytes + 101]));
    }
    for refused in keys::vectors_refused() {
        let (spec, what) = (refused["spec"].as_str().unwrap(), refused["what"].as_str().unwrap());
        seeds.add(format!("bad-{spec}-{what}"), || behind(spec, &keys::from_hex(&refused["bytes"])));
    }

    let (public, signature) = (Seeds::of("public_key"), Seeds::of("signature"));
    for vector in keys::vectors() {
        let spec = vector["spec"].as_str().unwrap();
        if let Some(peer) = vector["peer"].as_object() {
            let judged = if spec == "ECC_SECG_P256K1" { "bad" } else { "ok" };
            public.add(format!("{judged}-{spec}"), || behind(spec, &keys::from_hex(&peer["public_key"])));
            public.add(format!("bad-{spec}-for-another-curve"), || {
                let other = if spec == "ECC_NIST_P256" { "ECC_NIST_P384" } else { "ECC_NIST_P256" };
                behind(other, &keys::from_hex(&peer["public_key"]))
            });
        }
        for (algorithm, digits) in vector["signatures"].as_object().unwrap() {
            let line = format!("{spec} {algorithm}");
            signature.add(format!("ok-{line}"), || behind(&line, &keys::from_hex(digits)));
        }
    }
    signature.add("bad-another-algorithm", || behind("ECC_NIST_P256 ECDSA_SHA_512", &[0x30, 6, 2, 1, 1, 2, 1, 1]));
    signature.add("bad-numbers", || behind("ECC_NIST_P256 ECDSA_SHA_256", &[0x30, 6, 2, 1, 1, 2, 1, 1]));
}

#[test]
fn seeds_of_wrapped_secrets() {
    let seeds = Seeds::of("wrapped_material");
    let rsa = keys::vectors().iter().find(|vector| vector["spec"] == "RSA_2048").unwrap();
    for (algorithm, digits) in rsa["ciphertexts"].as_object().unwrap() {
        seeds.add(format!("ok-{algorithm}"), || behind(algorithm, &keys::from_hex(digits)));
    }
    for hash in ["SHA_1", "SHA_256"] {
        seeds.add(format!("ok-RSA-AES-KEY-WRAP-{hash}"), || {
            use aws_lc_rs::key_wrap::{AES_256, AesKek, KeyWrapPadded};
            use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
            let public = PublicEncryptingKey::from_der(keys::wrapping_key().public_key_der()).unwrap();
            let oaep = if hash == "SHA_1" { &OAEP_SHA1_MGF1SHA1 } else { &OAEP_SHA256_MGF1SHA256 };
            let mut wrapped = vec![0; 256];
            OaepPublicEncryptingKey::new(public).unwrap().encrypt(oaep, &[3; 32], &mut wrapped, None).unwrap();
            let mut buffer = [0; 64];
            let material = AesKek::new(&AES_256, &[3; 32]).unwrap().wrap_with_padding(&[4; 32], &mut buffer).unwrap();
            behind(format!("RSA_AES_KEY_WRAP_{hash}"), &[&wrapped, &*material].concat())
        });
    }
    seeds.add("bad-short", || behind("RSA_AES_KEY_WRAP_SHA_256", &[1; 255]));
    seeds.add("bad-noise", || behind("RSAES_OAEP_SHA_256", &[1; 256]));

    let seeds = Seeds::of("region_batch");
    let header = BatchHeader { route: keys::route(), number: 7 };
    let seal = |header: &BatchHeader, secrets: &[usize]| {
        let secrets: Vec<SecretBytes> = secrets.iter().map(|&bytes| SecretBytes::copy_of(&vec![6; bytes]).unwrap()).collect();
        let recipient = keys::region_keys(2).public();
        let batch = seal_batch(&keys::region_keys(1), &recipient, header, b"documents", &secrets).unwrap();
        encoding::encode(keys::BATCH_SCHEMA, &batch).unwrap()
    };
    seeds.add("ok-no-secret", || seal(&header, &[]));
    seeds.add("ok-secret", || seal(&header, &[32]));
    seeds.add("ok-secrets", || seal(&header, &[32, 1200, 64]));
    let mut elsewhere = header.clone();
    elsewhere.route.target_region = "dc-south-1".parse().unwrap();
    seeds.add("bad-route", || seal(&elsewhere, &[32]));
}

/// A request as an SDK makes it, signed by AWS's own crate, in the form that the target reads.
fn signed(service: &str, body: &[u8]) -> String {
    let identity = Credentials::new(signatures::ACCESS_KEY_ID, signatures::SECRET_ACCESS_KEY, None, None, "test").into();
    let headers: &[(&str, &str)] = match service {
        "sts" => &[("host", "127.0.0.1:8300"), ("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
        _ => &[("host", "127.0.0.1:8300"), ("x-amz-target", "TrentService.Encrypt"), ("content-type", "application/x-amz-json-1.1")],
    };
    let params = SigningParams::builder()
        .identity(&identity)
        .region("eu-west-1")
        .name(service)
        .time(SystemTime::UNIX_EPOCH + Duration::from_secs(signatures::SIGNED_AT_S))
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let signable = SignableRequest::new("POST", "http://127.0.0.1:8300/", headers.iter().copied(), SignableBody::Bytes(body)).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();
    let mut request = http::Request::builder().method("POST").uri("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(()).unwrap();
    instructions.apply_to_request_http1x(&mut request);
    let headers = request.headers().iter().map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap())).collect::<String>();
    format!("POST /\n{headers}\n{}", String::from_utf8_lossy(body))
}

#[test]
fn seeds_of_requests() {
    let seeds = Seeds::of("sigv4");
    seeds.text("ok-kms", signed("kms", b"{}"));
    seeds.text("ok-sts", signed("sts", b"Action=GetCallerIdentity&Version=2011-06-15"));
    seeds.text("bad-service", signed("s3", b""));
    seeds.text("bad-body", signed("kms", b"{}") + " ");
    seeds.text("bad-date", signed("kms", b"{}").replace("20150830T", "20150831T"));
    seeds.text("bad-query", signed("kms", b"{}").replace("POST /", "POST /?X-Amz-Signature=00"));

    let seeds = Seeds::of("sts_form");
    seeds.text("ok-plain", "Action=GetCallerIdentity&Version=2011-06-15");
    seeds.text("ok-escaped", "Version=2011%2D06-15&x=%41+b&Action=Get%43allerIdentity");
    seeds.text("bad-action", "Action=AssumeRole&Version=2011-06-15");
    seeds.text("bad-escape", "Action=%4&Version=%zz");
    seeds.text("bad-twice", "Action=GetCallerIdentity&Action=GetCallerIdentity&Version=2011-06-15");

    let seeds = Seeds::of("kms_request");
    let bodies = request_bodies();
    assert!(claviger_shapes::Operation::ALL.iter().all(|operation| bodies.contains_key(operation.as_str())), "an operation has no seed");
    for (operation, body) in bodies {
        seeds.text(format!("ok-{operation}"), format!("{operation}\n{body}"));
    }
    seeds.text("ok-escapes", "Encrypt\n{\"KeyId\":\"alias\\/x\",\"Plaintext\":\"\\u002b\\u002Fab\"}");
    seeds.text("bad-type", "Encrypt\n{\"KeyId\":7,\"Plaintext\":\"AA==\"}");
    seeds.text("bad-missing", "Encrypt\n{\"KeyId\":\"alias/x\"}");
    seeds.text("bad-json", "Decrypt\n{\"CiphertextBlob\":\"AA==\"");
    seeds.text("bad-depth", format!("CreateKey\n{{\"Tags\":{}", "[".repeat(200)));
    seeds.text("bad-base64", "Decrypt\n{\"CiphertextBlob\":\"A=A=\"}");
}

/// A body of each operation with most of its members.
fn request_bodies() -> BTreeMap<&'static str, Value> {
    let key = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    let (context, tokens) = (json!({"purpose": "fuzz", "a": ""}), json!(["token"]));
    let grantee = "arn:aws:iam::111122223333:user/alice";
    let grant_id = "0f".repeat(32);
    let material_id = "ab".repeat(32);
    BTreeMap::from([
        ("CancelKeyDeletion", json!({"KeyId": key})),
        ("CreateAlias", json!({"AliasName": "alias/x", "TargetKeyId": key})),
        (
            "CreateGrant",
            json!({
                "KeyId": key, "GranteePrincipal": grantee, "RetiringPrincipal": grantee, "Operations": ["Decrypt", "CreateGrant"],
                "Constraints": {"EncryptionContextSubset": context}, "GrantTokens": tokens, "Name": "n", "DryRun": false,
            }),
        ),
        (
            "CreateKey",
            json!({
                "Policy": "{}", "Description": "d", "KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT", "Origin": "AWS_KMS",
                "BypassPolicyLockoutSafetyCheck": true, "Tags": [{"TagKey": "a", "TagValue": "b"}], "MultiRegion": true,
            }),
        ),
        (
            "Decrypt",
            json!({
                "CiphertextBlob": "AQIDBA==", "EncryptionContext": context, "GrantTokens": tokens, "KeyId": key,
                "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            }),
        ),
        ("DeleteAlias", json!({"AliasName": "alias/x"})),
        ("DeleteImportedKeyMaterial", json!({"KeyId": key, "KeyMaterialId": material_id})),
        ("DeriveSharedSecret", json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": "AQIDBA==", "GrantTokens": tokens})),
        ("DescribeKey", json!({"KeyId": "alias/x", "GrantTokens": tokens})),
        ("DisableKey", json!({"KeyId": key})),
        ("DisableKeyRotation", json!({"KeyId": key})),
        ("EnableKey", json!({"KeyId": key})),
        ("EnableKeyRotation", json!({"KeyId": key, "RotationPeriodInDays": 180})),
        (
            "Encrypt",
            json!({"KeyId": key, "Plaintext": "AQIDBA==", "EncryptionContext": context, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"}),
        ),
        ("GenerateDataKey", json!({"KeyId": key, "EncryptionContext": context, "NumberOfBytes": 64, "GrantTokens": tokens})),
        ("GenerateDataKeyPair", json!({"KeyId": key, "EncryptionContext": context, "KeyPairSpec": "ECC_NIST_P256"})),
        ("GenerateDataKeyPairWithoutPlaintext", json!({"KeyId": key, "KeyPairSpec": "RSA_2048", "DryRun": true})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("GenerateMac", json!({"Message": "AQIDBA==", "KeyId": key, "MacAlgorithm": "HMAC_SHA_256"})),
        ("GenerateRandom", json!({"NumberOfBytes": 32})),
        ("GetKeyLastUsage", json!({"KeyId": key})),
        ("GetKeyPolicy", json!({"KeyId": key, "PolicyName": "default"})),
        ("GetKeyRotationStatus", json!({"KeyId": key})),
        ("GetParametersForImport", json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"})),
        ("GetPublicKey", json!({"KeyId": key, "GrantTokens": tokens})),
        (
            "ImportKeyMaterial",
            json!({
                "KeyId": key, "ImportToken": "AQIDBA==", "EncryptedKeyMaterial": "AQIDBA==", "ValidTo": 1_700_000_000.5,
                "ExpirationModel": "KEY_MATERIAL_EXPIRES",
            }),
        ),
        ("ListAliases", json!({"KeyId": key, "Limit": 10, "Marker": "m"})),
        ("ListGrants", json!({"KeyId": key, "Limit": 10, "GranteePrincipal": grantee})),
        ("ListKeyPolicies", json!({"KeyId": key, "Limit": 10})),
        ("ListKeyRotations", json!({"KeyId": key, "Limit": 10})),
        ("ListKeys", json!({"Limit": 10, "Marker": "m"})),
        ("ListResourceTags", json!({"KeyId": key, "Limit": 10})),
        ("ListRetirableGrants", json!({"RetiringPrincipal": grantee, "Limit": 10})),
        ("PutKeyPolicy", json!({"KeyId": key, "PolicyName": "default", "Policy": "{}", "BypassPolicyLockoutSafetyCheck": false})),
        (
            "ReEncrypt",
            json!({
                "CiphertextBlob": "AQIDBA==", "SourceEncryptionContext": context, "SourceKeyId": key, "DestinationKeyId": key,
                "DestinationEncryptionContext": context,
            }),
        ),
        (
            "ReplicateKey",
            json!({"KeyId": key, "ReplicaRegion": "us-east-1", "Description": "d", "Tags": [{"TagKey": "a", "TagValue": ""}]}),
        ),
        ("RetireGrant", json!({"KeyId": key, "GrantId": grant_id})),
        ("RevokeGrant", json!({"KeyId": key, "GrantId": grant_id})),
        ("RotateKeyOnDemand", json!({"KeyId": key})),
        ("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})),
        ("Sign", json!({"KeyId": key, "Message": "AQIDBA==", "MessageType": "RAW", "SigningAlgorithm": "ECDSA_SHA_256"})),
        ("TagResource", json!({"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        ("UntagResource", json!({"KeyId": key, "TagKeys": ["a", "b"]})),
        ("UpdateAlias", json!({"AliasName": "alias/x", "TargetKeyId": key})),
        ("UpdateKeyDescription", json!({"KeyId": key, "Description": "d"})),
        (
            "Verify",
            json!({"KeyId": key, "Message": "AQIDBA==", "MessageType": "DIGEST", "Signature": "AQIDBA==", "SigningAlgorithm": "ECDSA_SHA_256"}),
        ),
        ("VerifyMac", json!({"Message": "AQIDBA==", "KeyId": key, "MacAlgorithm": "HMAC_SHA_256", "Mac": "AQIDBA=="})),
    ])
}

#[test]
fn seeds_of_policies_and_names() {
    let seeds = Seeds::of("policy");
    let document = |statement: Value| json!({"Version": "2012-10-17", "Id": "fuzz", "Statement": statement}).to_string();
    let statement = |rest: Value| {
        let mut statement = json!({"Sid": "s", "Effect": "Allow", "Principal": "*", "Action": "kms:*", "Resource": "*"});
        for (member, value) in rest.as_object().unwrap() {
            statement[member] = value.clone();
        }
        statement
    };
    let root = "arn:aws:iam::111122223333:root";
    seeds.text("ok-default", document(json!([statement(json!({"Principal": {"AWS": root}}))])));
    seeds.text("ok-old", json!({"Version": "2008-10-17", "Statement": statement(json!({}))}).to_string());
    let principals = json!({"AWS": ["111122223333", "arn:aws:iam::111122223333:role/app", "arn:aws:sts::111122223333:assumed-role/app/1"]});
    seeds.text(
        "ok-deny",
        document(json!([statement(json!({})), statement(json!({"Sid": "d", "Effect": "Deny", "Principal": principals}))])),
    );
    let not = json!([{"Effect": "Deny", "NotPrincipal": {"AWS": root}, "NotAction": ["kms:De*", "kms:?ncrypt"], "Resource": "*"}]);
    seeds.text("ok-not", document(not));
    let identity = json!([{"Effect": "Allow", "Action": ["kms:Decrypt"], "NotResource": ["arn:aws:kms:*:111122223333:key/*", "arn:aws:kms:eu-?-1:*:alias/${aws:username}*"]}]);
    seeds.text("ok-identity", document(identity));
    let conditions = json!({
        "StringEquals": {"kms:CallerAccount": ["111122223333"], "kms:KeyOrigin": "AWS_KMS"},
        "StringNotLikeIfExists": {"kms:EncryptionContext:long": ["*b", "a*${aws:PrincipalArn}?"]},
        "ForAllValues:StringLike": {"kms:EncryptionContextKeys": ["purpose", "l*"]},
        "ForAnyValue:StringEqualsIgnoreCase": {"kms:EncryptionContextKeys": "PURPOSE"},
        "ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/*"},
        "NumericLessThanEquals": {"kms:RotationPeriodInDays": "365"},
        "DateGreaterThan": {"kms:ValidTo": "2023-01-01T00:00:00Z"},
        "IpAddress": {"aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"]},
        "Bool": {"kms:MultiRegion": "true"},
        "Null": {"kms:ViaService": "true"},
    });
    seeds.text("ok-conditions", document(json!([statement(json!({"Condition": conditions}))])));
    let heavy = json!({"StringLike": {"kms:EncryptionContext:long": vec![format!("*{}b", "a?".repeat(100)); 2]}});
    seeds.text("ok-heavy", document(json!([statement(json!({"Condition": heavy}))])));
    seeds.text("bad-unknown", document(json!([statement(json!({"Effects": "Allow"}))])));
    seeds.text("bad-operator", document(json!([statement(json!({"Condition": {"StringAlmost": {"a:b": "c"}}}))])));
    seeds.text("bad-variable", document(json!([statement(json!({"Condition": {"StringLike": {"kms:KeyOrigin": "${"}}}))])));
    seeds.text("bad-depth", "[".repeat(300));

    let seeds = Seeds::of("name");
    let key = "1234abcd-12ab-34cd-56ef-1234567890ab";
    for (kind, text) in [
        ("account", "111122223333"),
        ("alias", "alias/app/key_1-x"),
        ("alias-arn", "arn:aws:kms:eu-west-1:111122223333:alias/app/key"),
        ("grant", &"0f".repeat(32)),
        ("key", key),
        ("key-arn", &format!("arn:aws:kms:on-prem-berlin-1:111122223333:key/{key}")),
        ("mrk", "mrk-000102030405060708090a0b0c0d0e0f"),
        ("mrk-upper-case", "mrk-000102030405060708090a0b0F0d0e0f"),
        ("region", "on-prem-berlin-1"),
        ("role", "arn:aws:iam::111122223333:role/app"),
        ("root", "arn:aws:iam::111122223333:root"),
        ("session", "arn:aws:sts::111122223333:assumed-role/app/1"),
        ("user", "arn:aws:iam::111122223333:user/alice+1@example.org"),
        ("trust-domain", "kms.example"),
        ("spiffe-user", "spiffe://kms.example/111122223333/user/alice"),
        ("spiffe-session", "spiffe://kms.example/111122223333/role/app/1"),
        ("spiffe-carrier", "spiffe://kms.example/carrier/agent-1"),
        ("spiffe-node", "spiffe://kms.example/region/eu-west-1/node/3"),
    ] {
        seeds.text(format!("ok-{kind}"), text);
    }
    seeds.text("bad-node-0", "spiffe://kms.example/region/eu-west-1/node/0");
    seeds.text("bad-arn", "arn:aws:kms:eu-west-1:111122223333:key/x");
    seeds.text("bad-alias", "alias/a b");
}

#[test]
fn seeds_of_certificates() {
    let ca = || {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let seeds = Seeds::of("certificate");
    let certificate = |uris: &[&str]| {
        let mut params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
        params.subject_alt_names.extend(uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())));
        params.signed_by(&KeyPair::generate().unwrap(), &ca()).unwrap().der().to_vec()
    };
    seeds.add("ok-user", || certificate(&["spiffe://test.example/111122223333/user/alice"]));
    seeds.add("ok-node", || certificate(&["spiffe://test.example/region/eu-west-1/node/3"]));
    seeds.add("ok-operator", || certificate(&["spiffe://test.example/operator/ops"]));
    seeds.add("bad-none", || certificate(&[]));
    seeds.add("bad-two", || certificate(&["spiffe://test.example/carrier/a", "spiffe://test.example/carrier/b"]));
    seeds.add("bad-domain", || certificate(&["spiffe://other.example/carrier/a"]));

    let seeds = Seeds::of("revocation_list");
    let list = |revoked: u64| {
        let now = OffsetDateTime::from_unix_timestamp(1_700_000_000).unwrap();
        let revoked = (1..=revoked).map(|serial| RevokedCertParams {
            serial_number: (serial << 40).into(),
            revocation_time: now,
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: now,
            next_update: now + time::Duration::days(7),
            crl_number: 300.into(),
            issuing_distribution_point: None,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&ca()).unwrap()
    };
    seeds.add("ok-none", || list(0).der().to_vec());
    seeds.add("ok-some", || list(5).der().to_vec());
    seeds.add("ok-pem", || list(2).pem().unwrap().into_bytes());
    seeds.add("bad-cut", || list(2).der()[..200].to_vec());
    seeds.text("bad-pem", "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n");
}

/// What an enum's variant is called.
fn variant(body: &CommandBody) -> String {
    format!("{body:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// Random commands that make sense, the same each time.
fn random_steps() -> impl Iterator<Item = random_commands::Step> {
    let mut runner = TestRunner::deterministic();
    std::iter::repeat_with(move || random_commands::steps(60).new_tree(&mut runner).unwrap().current()).flatten()
}

#[test]
fn seeds_of_commands_and_records() {
    let path = corpus::directory().join("region.log");
    if is_writing() && !path.exists() {
        let (mut tables, mut log) = (MemoryTables::default(), Vec::new());
        for (index, step) in (1..).zip(random_steps().take(600)) {
            let command = step.command(&tables);
            let mut overlay = Overlay::new(&tables);
            apply(&mut overlay, index, &command).unwrap();
            let writes = overlay.into_writes();
            tables.commit(writes);
            let encoded = command.encode().unwrap();
            log.extend_from_slice(&u32::try_from(encoded.len()).unwrap().to_be_bytes());
            log.extend_from_slice(&encoded);
        }
        std::fs::write(&path, log).unwrap();
    }
    let (tables, index) = states::region();
    let now = read::log_time(tables).unwrap();

    let seeds = Seeds::of("command");
    if seeds.write {
        let mut made: BTreeMap<String, u32> = BTreeMap::new();
        for step in random_steps().skip(600).take(4_000) {
            let command = step.command(tables);
            let command = Command { time: command.time.max(now), ..command };
            let mut overlay = Overlay::new(tables);
            let carried_out = apply(&mut overlay, index + 1, &command).unwrap().outcome.is_ok();
            let name = format!("ok-{}-{}", variant(&command.body), if carried_out { "done" } else { "refused" });
            let count = made.entry(name.clone()).or_default();
            if *count < if carried_out { 2 } else { 1 } {
                *count += 1;
                seeds.add(format!("{name}-{count}"), || command.encode().unwrap());
            }
        }
    }
    let kinds: std::collections::BTreeSet<String> = corpus::seeds("command")
        .iter()
        .filter_map(|seed| Command::decode(&seed.bytes).ok())
        .map(|command| variant(&command.body))
        .collect();
    // All but the founding of a second region and what only `claviger key reset-policy` and its like propose.
    assert!(kinds.len() >= 35, "{} kinds of commands: {kinds:?}", kinds.len());
    seeds.add("bad-version", || vec![Command::SCHEMA - 1, 0, 1]);
    seeds.add("bad-variant", || vec![Command::SCHEMA, 0, 250]);
    seeds.add("bad-trailing", || {
        let tick = Command { time: Timestamp::from_millis(5), body: CommandBody::Tick };
        [tick.encode().unwrap(), vec![0]].concat()
    });

    let seeds = Seeds::of("record");
    let mut made: BTreeMap<Table, u32> = BTreeMap::new();
    for (table, row, record) in states::region_rows() {
        let count = made.entry(table).or_default();
        if *count < 2 {
            *count += 1;
            seeds.add(format!("ok-{}-{count}", table.name()), || states::row_seed(table, &row, &record));
        }
    }
    assert!(made.len() >= 22, "rows of {} tables", made.len());
    seeds.add("bad-row", || states::row_seed(Table::Keys, b"short", &[4, 0]));
    seeds.add("bad-table", || behind("no-table", &[0, 0]));
}

#[test]
fn seeds_of_sealed_things() {
    let seeds = Seeds::of("sealed_record");
    seeds.add("ok-keyring", || {
        let mut keyring = Keyring::generate().unwrap();
        keyring.start_term().unwrap();
        behind("keyring", keyring.seal(&sealed::root_key()).unwrap().as_bytes())
    });
    let seal = |place: &RecordPlace, plaintext: &[u8]| sealed::barrier().seal(place.context(), plaintext).unwrap();
    for (kind, bytes) in [("material", 32), ("id-secret", 32), ("region-keys", 97)] {
        seeds.add(format!("ok-{kind}"), || behind(kind, seal(&sealed::place(kind).unwrap(), &vec![8; bytes]).as_bytes()));
    }
    seeds.add("ok-material-long", || behind("material", seal(&sealed::place("material").unwrap(), &[8; 1200]).as_bytes()));
    seeds.add("bad-place", || behind("id-secret", &seeds.read("ok-material")["material\n".len()..]));
    seeds.add("bad-root-key", || {
        let other = claviger_barrier::RootKey::from_secret(Secret32::random().unwrap());
        behind("keyring", Keyring::generate().unwrap().seal(&other).unwrap().as_bytes())
    });

    let seeds = Seeds::of("backup");
    let make = || {
        let barrier = sealed::barrier();
        let private = barrier.seal(RecordPlace::region_keys().context(), &keys::region_keys(1).to_secret_bytes()).unwrap();
        let CommandBody::FoundRegion(mut found) = random_commands::found() else { panic!("it founds a region") };
        found.keyring = sealed::sealed_keyring();
        found.region_keys.private = private;
        let command = Command { time: Timestamp::from_millis(1_700_000_000_000), body: CommandBody::FoundRegion(found) };
        let mut tables = MemoryTables::default();
        let mut overlay = Overlay::new(&tables);
        apply(&mut overlay, 1, &command).unwrap().outcome.unwrap();
        let writes = overlay.into_writes();
        tables.commit(writes);
        let moment = Moment { applied_index: 1, created_at: Timestamp::from_millis(1_700_000_000_001), program: "0.1.0" };
        let mut out = Vec::new();
        claviger_backup::create(&tables, &barrier, moment, &mut out).unwrap();
        out
    };
    seeds.add("ok-region", make);
    seeds.add("bad-cut", || {
        let mut cut = seeds.read("ok-region");
        cut.truncate(cut.len() - 40);
        cut
    });
    seeds.add("bad-magic", || [b"claviger Backup\n".as_slice(), &seeds.read("ok-region")[16..]].concat());
}

#[test]
fn seeds_of_attestation_documents() {
    let seeds = Seeds::of("attestation");
    let root = corpus::directory().join("attestation-root.pem");
    // Documents are of one root: all are made anew, or none.
    if !seeds.write || root.exists() {
        return;
    }
    let hypervisor = Hypervisor::new(attestations::MADE);
    std::fs::write(root, hypervisor.root_pem()).unwrap();
    let key = RecipientPrivateKey::generate().public_der();
    let registers: &[(u8, &[u8])] = &[(0, &[1; 48]), (1, &[2; 48]), (16, &[0; 48])];
    let fields = hypervisor.fields(attestations::MADE, registers, &key);
    let document = hypervisor.document(&fields);
    seeds.add("bad-cut", || document[..document.len() / 2].to_vec());
    seeds.add("bad-signature", || [&document[..document.len() - 1], &[document[document.len() - 1] ^ 1]].concat());
    let late = Timestamp::from_millis(attestations::MADE.as_millis() - 3_600_000);
    seeds.add("bad-old", || hypervisor.document(&hypervisor.fields(late, registers, &key)));
    seeds.add("bad-no-key", || hypervisor.document(&fields.iter().filter(|(name, _)| *name != "public_key").cloned().collect()));
    seeds.add("bad-twice", || hypervisor.document(&[fields.clone(), fields.clone()].concat()));
    seeds.add("bad-other-root", || {
        let other = Hypervisor::new(attestations::MADE);
        other.document(&other.fields(attestations::MADE, registers, &key))
    });
    seeds.add("ok-enclave", || document);
    seeds.add("ok-few-registers", || hypervisor.document(&hypervisor.fields(attestations::MADE, &[(4, &[9; 32])], &key)));
}
