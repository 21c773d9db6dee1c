//! CreateGrant.

use claviger_types::limits::{GRANT_CONSTRAINT_PAIRS_MAX, GRANT_CONSTRAINT_VALUE_CHARS_MAX};
use claviger_types::{GrantConstraint, GrantId, GrantOperation, GrantOperations, KeyRef};
use serde::{Deserialize, Serialize};

use super::{GrantTokensWire, encryption_context, grant_tokens};
use crate::constraint::{Checks, present};
use crate::decode::{Context, List, Object, Text, from_json};
use crate::key_ref::{self, Forms};
use crate::{ApiError, EncryptionContext, GrantTokens, PrincipalRef, encode, model};

/// Who is to use which key, for what.
#[derive(Debug)]
pub struct CreateGrantRequest {
    /// The key: an id or an ARN, never an alias.
    pub key: KeyRef,
    /// Who may use it.
    pub grantee_principal: PrincipalRef,
    /// Who may retire the grant.
    pub retiring_principal: Option<PrincipalRef>,
    /// What the grantee may do; not empty. Whether the key can do it is not known here.
    pub operations: GrantOperations,
    /// With which encryption contexts.
    pub constraint: Option<GrantConstraint>,
    /// Tokens of grants that may not be known here yet.
    pub grant_tokens: GrantTokens,
    /// A second request with the same name and parameters makes no second grant.
    pub name: Option<String>,
    /// Whether only to say what would happen.
    pub dry_run: bool,
}

/// The grant.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct CreateGrantResponse {
    /// Makes the grant known where it is not yet.
    pub grant_token: String,
    /// Names the grant.
    #[serde(serialize_with = "encode::text")]
    pub grant_id: GrantId,
}

/// Operations as they stand in the request.
type OperationsWire<'a> = List<Option<Text<'a>>, { model::GRANT_OPERATIONS_MAX }>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Wire<'a> {
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    grantee_principal: Option<Text<'a>>,
    #[serde(borrow)]
    retiring_principal: Option<Text<'a>>,
    #[serde(borrow)]
    operations: Option<OperationsWire<'a>>,
    constraints: Option<Object<ConstraintsWire>>,
    #[serde(borrow)]
    grant_tokens: Option<GrantTokensWire<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    dry_run: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConstraintsWire {
    encryption_context_subset: Option<Context>,
    encryption_context_equals: Option<Context>,
}

impl CreateGrantRequest {
    pub(crate) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let wire: Wire<'_> = from_json(body)?;
        let mut checks = Checks::default();
        checks.required("keyId", wire.key_id.as_ref());
        checks.text("keyId", wire.key_id.as_ref(), &model::KEY_ID);
        checks.required("granteePrincipal", wire.grantee_principal.as_ref());
        checks.text("granteePrincipal", wire.grantee_principal.as_ref(), &model::PRINCIPAL_ID);
        checks.text("retiringPrincipal", wire.retiring_principal.as_ref(), &model::PRINCIPAL_ID);
        checks.required("operations", wire.operations.as_ref());
        checks.texts("operations", wire.operations.as_ref(), &model::GRANT_OPERATION);
        checks.texts("grantTokens", wire.grant_tokens.as_ref(), &model::GRANT_TOKEN);
        checks.text("name", wire.name.as_ref(), &model::GRANT_NAME);
        checks.finish()?;
        let operations = operations(present(wire.operations)?)?;
        let constraint = wire.constraints.map_or(Ok(None), |Object(constraints)| constraint(constraints))?;
        let key = key_ref::parse(&present(wire.key_id)?, Forms::Management)?;
        Ok(Self {
            key,
            grantee_principal: PrincipalRef::parse(present(wire.grantee_principal)?)?,
            retiring_principal: wire.retiring_principal.map(PrincipalRef::parse).transpose()?,
            operations,
            constraint,
            grant_tokens: grant_tokens(wire.grant_tokens)?,
            name: wire.name.map(|text| text.0.into_owned()),
            dry_run: wire.dry_run.unwrap_or(false),
        })
    }
}

/// The operations, at least one. The model's constraint has accepted every name.
fn operations(list: OperationsWire<'_>) -> Result<GrantOperations, ApiError> {
    let named = |Text(name): Text<'_>| GrantOperation::ALL.iter().copied().find(|operation| operation.as_str() == name);
    let operations =
        list.into_items().into_iter().map(|item| present(present(item).map(named)?)).collect::<Result<GrantOperations, _>>()?;
    if operations.is_empty() {
        return Err(ApiError::validation("Operations must name at least one operation."));
    }
    Ok(operations)
}

/// At most one constraint; the rules that the model does not state.
fn constraint(wire: ConstraintsWire) -> Result<Option<GrantConstraint>, ApiError> {
    let constraint = match (wire.encryption_context_equals, wire.encryption_context_subset) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            return Err(ApiError::validation(
                "You cannot specify EncryptionContextEquals and EncryptionContextSubset in the same grant constraint.",
            ));
        }
        (Some(pairs), None) => GrantConstraint::EncryptionContextEquals(pairs_of(pairs)?),
        (None, Some(pairs)) => GrantConstraint::EncryptionContextSubset(pairs_of(pairs)?),
    };
    Ok(Some(constraint))
}

/// One pair at least: a subset of none would pass for a constraint, where a policy asks for one, and constrain nothing.
fn pairs_of(context: Context) -> Result<EncryptionContext, ApiError> {
    let pairs = encryption_context(Some(context))?;
    if !(1..=GRANT_CONSTRAINT_PAIRS_MAX).contains(&pairs.len()) {
        let message = format!("A grant constraint must have 1 to {GRANT_CONSTRAINT_PAIRS_MAX} encryption context pairs.");
        return Err(ApiError::validation(message));
    }
    if pairs.values().any(|value| value.chars().count() > GRANT_CONSTRAINT_VALUE_CHARS_MAX) {
        let message = format!("A value in a grant constraint must not be longer than {GRANT_CONSTRAINT_VALUE_CHARS_MAX} characters.");
        return Err(ApiError::validation(message));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use claviger_types::Partition;
    use serde_json::{Value, json};

    use super::*;

    const GRANTEE: &str = "arn:aws:iam::111122223333:role/app";

    /// A request with these members changed.
    fn parse(members: Value) -> Result<CreateGrantRequest, String> {
        let mut body = json!({"KeyId": "mrk-000102030405060708090a0b0c0d0e0f", "GranteePrincipal": GRANTEE, "Operations": ["Decrypt"]});
        let Value::Object(members) = members else { panic!("not members") };
        members.into_iter().for_each(|(member, value)| body[member] = value);
        CreateGrantRequest::parse(body.to_string().as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_least_and_the_most() {
        let request = parse(json!({"Constraints": null, "GrantTokens": null, "Name": null, "DryRun": null, "Unknown": {}})).unwrap();
        assert_eq!(request.operations, GrantOperations::from([GrantOperation::Decrypt]));
        assert!(request.retiring_principal.is_none() && request.constraint.is_none() && request.name.is_none() && !request.dry_run);
        let request = parse(json!({
            "RetiringPrincipal": "111122223333", "Operations": ["Encrypt", "Decrypt", "Encrypt"], "GrantTokens": ["t"], "Name": "n:1",
            "Constraints": {"EncryptionContextSubset": {"k": "v"}, "EncryptionContextEquals": null}, "DryRun": true,
        }))
        .unwrap();
        let partition = Partition::default();
        assert_eq!(request.grantee_principal.within(&partition).unwrap().arn(&partition), GRANTEE);
        assert_eq!(request.retiring_principal.unwrap().within(&partition).unwrap().arn(&partition), "arn:aws:iam::111122223333:root");
        assert_eq!(request.operations, GrantOperations::from([GrantOperation::Decrypt, GrantOperation::Encrypt]));
        assert_eq!(request.constraint, Some(GrantConstraint::EncryptionContextSubset([("k".to_owned(), "v".to_owned())].into())));
        assert_eq!((request.grant_tokens, request.name.as_deref(), request.dry_run), (vec!["t".to_owned()], Some("n:1"), true));
        assert!(parse(json!({"Constraints": {}})).unwrap().constraint.is_none());
    }

    #[test]
    fn constraints() {
        let of = |constraints: Value| parse(json!({ "Constraints": constraints })).map(|request| request.constraint);
        let numbered = |count: usize| (0..count).map(|n| (n.to_string(), json!("v"))).collect::<serde_json::Map<_, _>>();
        assert_eq!(of(json!({"EncryptionContextEquals": numbered(8)})).unwrap().unwrap().pairs().len(), 8);
        let count = Err("ValidationException: A grant constraint must have 1 to 8 encryption context pairs.".to_owned());
        assert_eq!(of(json!({"EncryptionContextEquals": numbered(9)})), count);
        assert_eq!(of(json!({"EncryptionContextSubset": {}})), count);
        assert!(of(json!({"EncryptionContextSubset": {"k": "\u{e9}".repeat(384)}})).is_ok());
        let error = of(json!({"EncryptionContextSubset": {"k": "v".repeat(385)}})).unwrap_err();
        assert_eq!(error, "ValidationException: A value in a grant constraint must not be longer than 384 characters.");
        let error = of(json!({"EncryptionContextSubset": {"k".repeat(9000): "v", "z": "v"}})).unwrap_err();
        assert_eq!(error, "ValidationException: EncryptionContext must not be larger than 8192 bytes.");
        let error = of(json!({"EncryptionContextSubset": {"k": "v"}, "EncryptionContextEquals": {"k": "v"}})).unwrap_err();
        assert!(
            error.starts_with("ValidationException: You cannot specify EncryptionContextEquals and EncryptionContextSubset"),
            "{error}"
        );
    }

    #[test]
    fn operations_and_principals_that_are_none() {
        assert_eq!(parse(json!({"Operations": []})).unwrap_err(), "ValidationException: Operations must name at least one operation.");
        let error = parse(json!({"Operations": ["Decrypt", "CreateKey"]})).unwrap_err();
        let begins = "ValidationException: 1 validation error detected: Value 'CreateKey' at 'operations.2.member' failed to satisfy \
                      constraint: Member must satisfy enum value set: [Decrypt, Encrypt, ";
        assert!(error.starts_with(begins), "{error}");
        for member in ["GranteePrincipal", "RetiringPrincipal"] {
            let error = parse(json!({ member: "arn:aws:iam::111122223333:group/g" })).unwrap_err();
            assert!(error.starts_with("InvalidArnException: ARN does not refer to a valid principal: "), "{error}");
        }
        assert_eq!(parse(json!({"KeyId": "alias/a"})).unwrap_err(), "NotFoundException: Invalid keyId 'alias/a'");
    }

    #[test]
    fn the_model_and_the_type_name_the_same_operations() {
        let names: Vec<_> = GrantOperation::ALL.iter().map(|operation| operation.as_str()).collect();
        assert_eq!(names, model::GRANT_OPERATION.values);
    }

    #[test]
    fn the_answer() {
        let response = CreateGrantResponse { grant_token: "AQ==".to_owned(), grant_id: GrantId::from_bytes([0x0f; 32]) };
        assert_eq!(serde_json::to_value(&response).unwrap(), json!({"GrantToken": "AQ==", "GrantId": "0f".repeat(32)}));
    }
}
