//! What access control needs to know of each operation (rules page, sections 5 and 10): one row each.

use crate::Operation;

/// One operation's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    /// The IAM actions that a request needs: one, but for ReEncrypt the source's and the destination's. What particular members
    /// need on top of it (CreateKey with Tags: kms:TagResource) is not here.
    pub actions: &'static [&'static str],
    /// Whether a principal may ask it of another account's key.
    pub is_cross_account: bool,
    /// How a request names the key.
    pub key: KeyNaming,
}

/// How a request names the key that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyNaming {
    /// There is no key, or only the one behind an alias: no key policy is asked about what the request names.
    Unnamed,
    /// By id or ARN.
    IdOrArn,
    /// By id or ARN, if at all: ListAliases for one key, RetireGrant without a token.
    OptionalIdOrArn,
    /// By id, ARN, alias or alias ARN.
    AnyForm,
    /// By any form, if at all, since the ciphertext also names a key.
    OptionalAnyForm,
}

/// Asked by the key's own account alone.
const fn own(action: &'static [&'static str], key: KeyNaming) -> Access {
    Access { actions: action, is_cross_account: false, key }
}

/// Asked by any account that the key's policy lets in.
const fn cross(action: &'static [&'static str], key: KeyNaming) -> Access {
    Access { actions: action, is_cross_account: true, key }
}

impl Operation {
    /// Its row.
    pub const fn access(self) -> Access {
        use KeyNaming::{AnyForm, IdOrArn, OptionalAnyForm, OptionalIdOrArn, Unnamed};
        match self {
            Self::CancelKeyDeletion => own(&["kms:CancelKeyDeletion"], IdOrArn),
            Self::CreateAlias => own(&["kms:CreateAlias"], IdOrArn),
            Self::CreateGrant => cross(&["kms:CreateGrant"], IdOrArn),
            Self::CreateKey => own(&["kms:CreateKey"], Unnamed),
            Self::Decrypt => cross(&["kms:Decrypt"], OptionalAnyForm),
            Self::DeleteAlias => own(&["kms:DeleteAlias"], Unnamed),
            Self::DeleteImportedKeyMaterial => own(&["kms:DeleteImportedKeyMaterial"], IdOrArn),
            Self::DeriveSharedSecret => cross(&["kms:DeriveSharedSecret"], AnyForm),
            Self::DescribeKey => cross(&["kms:DescribeKey"], AnyForm),
            Self::DisableKey => own(&["kms:DisableKey"], IdOrArn),
            Self::DisableKeyRotation => own(&["kms:DisableKeyRotation"], IdOrArn),
            Self::EnableKey => own(&["kms:EnableKey"], IdOrArn),
            Self::EnableKeyRotation => own(&["kms:EnableKeyRotation"], IdOrArn),
            Self::Encrypt => cross(&["kms:Encrypt"], AnyForm),
            Self::GenerateDataKey => cross(&["kms:GenerateDataKey"], AnyForm),
            Self::GenerateDataKeyPair => cross(&["kms:GenerateDataKeyPair"], AnyForm),
            Self::GenerateDataKeyPairWithoutPlaintext => cross(&["kms:GenerateDataKeyPairWithoutPlaintext"], AnyForm),
            Self::GenerateDataKeyWithoutPlaintext => cross(&["kms:GenerateDataKeyWithoutPlaintext"], AnyForm),
            Self::GenerateMac => cross(&["kms:GenerateMac"], AnyForm),
            Self::GenerateRandom => own(&["kms:GenerateRandom"], Unnamed),
            Self::GetKeyLastUsage => own(&["kms:GetKeyLastUsage"], IdOrArn),
            Self::GetKeyPolicy => own(&["kms:GetKeyPolicy"], IdOrArn),
            Self::GetKeyRotationStatus => cross(&["kms:GetKeyRotationStatus"], IdOrArn),
            Self::GetParametersForImport => own(&["kms:GetParametersForImport"], IdOrArn),
            Self::GetPublicKey => cross(&["kms:GetPublicKey"], AnyForm),
            Self::ImportKeyMaterial => own(&["kms:ImportKeyMaterial"], IdOrArn),
            Self::ListAliases => own(&["kms:ListAliases"], OptionalIdOrArn),
            Self::ListGrants => cross(&["kms:ListGrants"], IdOrArn),
            Self::ListKeyPolicies => own(&["kms:ListKeyPolicies"], IdOrArn),
            Self::ListKeyRotations => own(&["kms:ListKeyRotations"], IdOrArn),
            Self::ListKeys => own(&["kms:ListKeys"], Unnamed),
            Self::ListResourceTags => own(&["kms:ListResourceTags"], IdOrArn),
            Self::ListRetirableGrants => own(&["kms:ListRetirableGrants"], Unnamed),
            Self::PutKeyPolicy => own(&["kms:PutKeyPolicy"], IdOrArn),
            Self::ReEncrypt => cross(&["kms:ReEncryptFrom", "kms:ReEncryptTo"], AnyForm),
            Self::ReplicateKey => own(&["kms:ReplicateKey"], IdOrArn),
            Self::RetireGrant => cross(&["kms:RetireGrant"], OptionalIdOrArn),
            Self::RevokeGrant => cross(&["kms:RevokeGrant"], IdOrArn),
            Self::RotateKeyOnDemand => own(&["kms:RotateKeyOnDemand"], IdOrArn),
            Self::ScheduleKeyDeletion => own(&["kms:ScheduleKeyDeletion"], IdOrArn),
            Self::Sign => cross(&["kms:Sign"], AnyForm),
            Self::TagResource => own(&["kms:TagResource"], IdOrArn),
            Self::UntagResource => own(&["kms:UntagResource"], IdOrArn),
            Self::UpdateAlias => own(&["kms:UpdateAlias"], IdOrArn),
            Self::UpdateKeyDescription => own(&["kms:UpdateKeyDescription"], IdOrArn),
            Self::Verify => cross(&["kms:Verify"], AnyForm),
            Self::VerifyMac => cross(&["kms:VerifyMac"], AnyForm),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::Request;

    #[test]
    fn the_action_is_the_operations_name_but_for_reencrypt() {
        for operation in Operation::ALL {
            let actions = operation.access().actions;
            match operation {
                Operation::ReEncrypt => assert_eq!(actions, ["kms:ReEncryptFrom", "kms:ReEncryptTo"]),
                _ => assert_eq!(actions, [format!("kms:{operation}")]),
            }
        }
    }

    /// The list of the rules page, section 10, of what is implemented.
    #[test]
    fn these_may_be_cross_account_and_no_others() {
        let cross: Vec<_> = Operation::ALL.iter().filter(|operation| operation.access().is_cross_account).map(|o| o.as_str()).collect();
        assert_eq!(
            cross,
            [
                "CreateGrant",
                "Decrypt",
                "DeriveSharedSecret",
                "DescribeKey",
                "Encrypt",
                "GenerateDataKey",
                "GenerateDataKeyPair",
                "GenerateDataKeyPairWithoutPlaintext",
                "GenerateDataKeyWithoutPlaintext",
                "GenerateMac",
                "GetKeyRotationStatus",
                "GetPublicKey",
                "ListGrants",
                "ReEncrypt",
                "RetireGrant",
                "RevokeGrant",
                "Sign",
                "Verify",
                "VerifyMac",
            ]
        );
    }

    /// The table says of keys what the shapes do.
    #[test]
    fn the_forms_of_keys_are_those_that_parse() {
        let model: Value = serde_json::from_str(include_str!("kms-model.json")).unwrap();
        for &operation in Operation::ALL {
            let input = &model["shapes"][model["operations"][operation.as_str()].as_str().unwrap()];
            let member = ["KeyId", "TargetKeyId", "DestinationKeyId"].into_iter().find(|member| input["members"].get(member).is_some());
            let key = operation.access().key;
            let Some(member) = member else {
                assert_eq!(key, KeyNaming::Unnamed, "{operation}");
                continue;
            };
            let is_required = input["required"].as_array().is_some_and(|required| required.contains(&json!(member)));
            assert_eq!(is_required, matches!(key, KeyNaming::IdOrArn | KeyNaming::AnyForm), "{operation}");
            let mut body = crate::model_tests::accepted(operation);
            if operation == Operation::RetireGrant {
                body.remove("GrantToken");
                body.insert("GrantId".into(), json!("0f".repeat(32)));
            }
            body.insert(member.into(), json!("alias/a"));
            let takes_aliases = Request::parse(operation, json!(body).to_string().as_bytes()).is_ok();
            assert_eq!(takes_aliases, matches!(key, KeyNaming::AnyForm | KeyNaming::OptionalAnyForm), "{operation}");
        }
    }
}
