//! CreateKey.

use claviger_types::{KeySpec, KeyUsage, Origin};
use serde::{Deserialize, Serialize};

use crate::choice::optional;
use crate::constraint::Checks;
use crate::decode::{Text, from_json};
use crate::unsupported::refuse;
use crate::{ApiError, KeyMetadata, Tags, model, tags};

/// What to make.
#[derive(Debug)]
pub struct CreateKeyRequest {
    /// Empty when none was given.
    pub description: String,
    /// The spec.
    pub key_spec: KeySpec,
    /// The usage.
    pub key_usage: KeyUsage,
    /// Where its material comes from.
    pub origin: Origin,
    /// Whether it may have replicas.
    pub multi_region: bool,
    /// Its tags.
    pub tags: Tags,
    /// The text of the key policy, still to be parsed; `None` for the default policy.
    pub policy: Option<String>,
    /// Whether the policy may lock the caller out of changing it.
    pub bypass_policy_lockout_safety_check: bool,
}

/// What was made.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateKeyResponse {
    /// The new key.
    pub key_metadata: KeyMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    policy: Option<Text<'a>>,
    #[serde(borrow)]
    description: Option<Text<'a>>,
    #[serde(borrow)]
    key_usage: Option<Text<'a>>,
    #[serde(borrow)]
    customer_master_key_spec: Option<Text<'a>>,
    #[serde(borrow)]
    key_spec: Option<Text<'a>>,
    #[serde(borrow)]
    origin: Option<Text<'a>>,
    #[serde(borrow)]
    custom_key_store_id: Option<Text<'a>>,
    bypass_policy_lockout_safety_check: Option<bool>,
    #[serde(borrow)]
    tags: Option<tags::TagListWire<'a>>,
    multi_region: Option<bool>,
    #[serde(borrow)]
    xks_key_id: Option<Text<'a>>,
}

impl CreateKeyRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.text("policy", wire.policy.as_ref(), &model::POLICY);
        checks.text("description", wire.description.as_ref(), &model::DESCRIPTION);
        checks.text("keyUsage", wire.key_usage.as_ref(), &model::KEY_USAGE);
        checks.text("customerMasterKeySpec", wire.customer_master_key_spec.as_ref(), &model::CUSTOMER_MASTER_KEY_SPEC);
        checks.text("keySpec", wire.key_spec.as_ref(), &model::KEY_SPEC);
        checks.text("origin", wire.origin.as_ref(), &model::ORIGIN);
        checks.text("customKeyStoreId", wire.custom_key_store_id.as_ref(), &model::CUSTOM_KEY_STORE_ID);
        tags::check(&mut checks, wire.tags.as_ref());
        checks.text("xksKeyId", wire.xks_key_id.as_ref(), &model::XKS_KEY_ID);
        checks.finish()?;
        if wire.key_spec.is_some() && wire.customer_master_key_spec.is_some() {
            return Err(ApiError::validation(
                "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.",
            ));
        }
        let deprecated = optional("CustomerMasterKeySpec", wire.customer_master_key_spec.as_ref())?;
        let key_spec = optional("KeySpec", wire.key_spec.as_ref())?.or(deprecated).unwrap_or(KeySpec::SymmetricDefault);
        let key_usage = match optional("KeyUsage", wire.key_usage.as_ref())? {
            None if key_spec == KeySpec::SymmetricDefault => KeyUsage::EncryptDecrypt,
            None => {
                return Err(ApiError::validation(
                    "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
                ));
            }
            Some(usage) if key_spec.usages().contains(&usage) => usage,
            Some(usage) => return Err(ApiError::validation(format!("KeyUsage {usage} is not compatible with KeySpec {key_spec}"))),
        };
        refuse("CustomKeyStoreId", wire.custom_key_store_id.as_ref())?;
        refuse("XksKeyId", wire.xks_key_id.as_ref())?;
        Ok(Self {
            description: wire.description.map(|text| text.0.into_owned()).unwrap_or_default(),
            key_spec,
            key_usage,
            origin: optional("Origin", wire.origin.as_ref())?.unwrap_or(Origin::AwsKms),
            multi_region: wire.multi_region.unwrap_or(false),
            tags: tags::parse(wire.tags)?,
            policy: wire.policy.map(|text| text.0.into_owned()),
            bypass_policy_lockout_safety_check: wire.bypass_policy_lockout_safety_check.unwrap_or(false),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(body: &serde_json::Value) -> Result<CreateKeyRequest, String> {
        CreateKeyRequest::parse(body.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    fn tags(pairs: impl IntoIterator<Item = (String, &'static str)>) -> serde_json::Value {
        json!({"Tags": pairs.into_iter().map(|(key, value)| json!({"TagKey": key, "TagValue": value})).collect::<Vec<_>>()})
    }

    #[test]
    fn defaults_and_everything_that_is_implemented() {
        let request = parse(&json!({})).unwrap();
        assert!(request.description.is_empty() && request.tags.is_empty() && !request.multi_region);
        assert!(request.policy.is_none() && !request.bypass_policy_lockout_safety_check);
        let request = parse(&json!({"Policy": "{}", "BypassPolicyLockoutSafetyCheck": true})).unwrap();
        assert_eq!((request.policy.as_deref(), request.bypass_policy_lockout_safety_check), (Some("{}"), true));
        let request = parse(&json!({
            "Description": "d", "KeyUsage": "ENCRYPT_DECRYPT", "KeySpec": "SYMMETRIC_DEFAULT", "Origin": "AWS_KMS", "MultiRegion": true,
            "BypassPolicyLockoutSafetyCheck": false, "Tags": [{"TagKey": "k", "TagValue": ""}], "Policy": null, "Unknown": 1,
        }))
        .unwrap();
        assert_eq!(request.description, "d");
        assert!(request.multi_region);
        assert_eq!(request.tags, Tags::from([("k".to_owned(), String::new())]));
        assert!(parse(&json!({"CustomerMasterKeySpec": "SYMMETRIC_DEFAULT"})).is_ok());
    }

    #[test]
    fn usages_fit_their_specs() {
        let of = |body| parse(&body).map(|request| (request.key_spec, request.key_usage));
        let missing = "ValidationException: You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.";
        assert_eq!(of(json!({"KeySpec": "RSA_2048"})).unwrap_err(), missing);
        assert_eq!(
            of(json!({"KeySpec": "RSA_2048", "KeyUsage": "KEY_AGREEMENT"})).unwrap_err(),
            "ValidationException: KeyUsage KEY_AGREEMENT is not compatible with KeySpec RSA_2048"
        );
        assert!(of(json!({"KeyUsage": "SIGN_VERIFY"})).is_err());
        for &spec in KeySpec::ALL {
            for &usage in spec.usages() {
                assert_eq!(of(json!({"KeySpec": spec.as_str(), "KeyUsage": usage.as_str()})), Ok((spec, usage)));
            }
        }
        let unsupported = "UnsupportedOperationException: KeySpec SM2 is not supported: AWS has it in the China Regions only.";
        assert_eq!(of(json!({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"})).unwrap_err(), unsupported);
        let unsupported = "UnsupportedOperationException: Origin AWS_CLOUDHSM is not supported: there are no custom key stores.";
        assert_eq!(of(json!({"Origin": "AWS_CLOUDHSM"})).unwrap_err(), unsupported);
        assert_eq!(parse(&json!({"Origin": "EXTERNAL"})).unwrap().origin, Origin::External);
    }

    #[test]
    fn both_names_of_the_spec() {
        let error = parse(&json!({"CustomerMasterKeySpec": "SYMMETRIC_DEFAULT", "KeySpec": "SYMMETRIC_DEFAULT"})).err().unwrap();
        assert!(error.starts_with("ValidationException: You cannot specify KeySpec and CustomerMasterKeySpec"), "{error}");
    }

    #[test]
    fn tag_rules() {
        let numbered = |count: usize| tags((0..count).map(|n| (format!("k{n}"), "")));
        assert_eq!(parse(&numbered(50)).unwrap().tags.len(), 50);
        assert_eq!(parse(&numbered(51)).err().unwrap(), "TagException: Too many tags");
        assert_eq!(parse(&json!({"Tags": vec![json!({}); 51]})).err().unwrap(), "TagException: Too many tags");
        assert_eq!(parse(&tags([("a".into(), "1"), ("a".into(), "2")])).err().unwrap(), "TagException: Duplicate tag keys");
        assert!(parse(&tags([("a".into(), "1"), ("A".into(), "2")])).is_ok(), "keys are case-sensitive");
        assert_eq!(parse(&tags([("AwS:x".into(), "1")])).err().unwrap(), "TagException: Tags beginning with aws: are reserved");
        assert_eq!(
            parse(&json!({"Tags": [{"TagKey": "", "TagValue": "v"}, null, {"TagValue": "v".repeat(257)}]})).err().unwrap(),
            format!(
                "ValidationException: 4 validation errors detected: Value '' at 'tags.1.member.tagKey' failed to satisfy constraint: Member \
                 must have length greater than or equal to 1; Value null at 'tags.2.member' failed to satisfy constraint: Member must not \
                 be null; Value null at 'tags.3.member.tagKey' failed to satisfy constraint: Member must not be null; Value '{}' at \
                 'tags.3.member.tagValue' failed to satisfy constraint: Member must have length less than or equal to 256",
                "v".repeat(257)
            )
        );
    }
}
