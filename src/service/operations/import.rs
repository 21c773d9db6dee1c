//! GetParametersForImport, ImportKeyMaterial, DeleteImportedKeyMaterial.
//!
//! An import token is the wrapping key itself with what it is for, sealed by the barrier for its key: nothing is stored, any node of
//! the region takes it, and it opens in no other region.

use std::sync::Arc;

use claviger_barrier::RecordContext;
use claviger_consensus as consensus;
use claviger_crypto::import::{self, WrappingKey, wrapping_is_allowed};
use claviger_crypto::{CryptoError, SecretBytes};
use claviger_policy::Action;
use claviger_shapes::{
    ApiError, DeleteImportedKeyMaterialRequest, ErrorCode, GetParametersForImportRequest, GetParametersForImportResponse,
    ImportKeyMaterialRequest, ImportedResponse, Operation,
};
use claviger_state::{self as state, CommandBody, Once, Outcome, Response, StateClass};
use claviger_types::limits::IMPORT_TOKEN_VALIDITY;
use claviger_types::{KeyArn, KeyId, Origin, Sealed, Timestamp, WrappingAlgorithm, WrappingKeySpec};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::access::{Allowed, Ask, Parameters};
use crate::cached_key::CachedKey;
use crate::error::{Fault, Subject, other_origin};
use crate::{Context, Service};

/// Schema version of a token's contents.
const TOKEN_SCHEMA: u8 = 1;

/// What an import token holds.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct Token {
    #[zeroize(skip)]
    valid_to: Timestamp,
    #[zeroize(skip)]
    algorithm: WrappingAlgorithm,
    #[zeroize(skip)]
    spec: WrappingKeySpec,
    /// The wrapping key, DER.
    private_key: Vec<u8>,
}

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn get_parameters_for_import(
        &self,
        context: &Context,
        request: GetParametersForImportRequest,
    ) -> Result<GetParametersForImportResponse, ApiError> {
        let (algorithm, spec) = (request.wrapping_algorithm, request.wrapping_key_spec);
        let key = {
            let ask = Ask { parameters: Parameters::Wrapping(algorithm, spec), ..Ask::new(Action::GetParametersForImport) };
            self.allowed(context, &request.key, &ask)?.key
        };
        check_external(&key)?;
        if !wrapping_is_allowed(key.spec, algorithm, spec) {
            let message = format!("WrappingAlgorithm {algorithm} with a {spec} key cannot wrap key material of spec {}.", key.spec);
            return Err(ApiError::validation(message));
        }
        key.check_state(StateClass::ImportParameters)?;
        let made = consensus::blocking(move || WrappingKey::generate(spec)).await.map_err(|_| Fault::Blocking)?;
        let wrapping = made.map_err(Fault::from)?;
        let parameters_valid_to = self.region.log_time().map_err(Fault::from)?.plus(IMPORT_TOKEN_VALIDITY);
        let token = Token { valid_to: parameters_valid_to, algorithm, spec, private_key: wrapping.to_der().to_vec() };
        let import_token = self.seal_token(&key.arn.key_id, &token)?;
        let public_key = wrapping.public_key_der().to_vec();
        Ok(GetParametersForImportResponse { key: key.arn.clone(), import_token, public_key, parameters_valid_to })
    }

    pub(crate) async fn import_key_material(
        &self,
        context: &Context,
        request: ImportKeyMaterialRequest,
    ) -> Result<ImportedResponse, ApiError> {
        let ask = Ask { parameters: Parameters::Material { valid_to: request.valid_to }, ..Ask::new(Action::ImportKeyMaterial) };
        let material = if self.recall(&self.once(context, state::Operation::ImportKeyMaterial))?.is_some() {
            None
        } else {
            let key = self.allowed(context, &request.key, &ask)?.key;
            check_external(&key)?;
            key.check_state(StateClass::Import)?;
            Some(self.unwrapped(&key, &request).await?)
        };
        let command = |once| {
            let Allowed { key, authorised } = self.allowed(context, &request.key, &ask)?;
            key.check_state(StateClass::Import)?;
            let record = self.record(&key.arn)?;
            let material = self.seal_material(&record, material.as_ref().ok_or(Fault::Answer)?)?;
            if request.key_material_id.is_some_and(|id| id != material.id) {
                return Err(ApiError::new(
                    ErrorCode::IncorrectKeyMaterial,
                    format!("The key material is not the one that {} expects.", key.arn),
                ));
            }
            Ok(CommandBody::ImportKeyMaterial(Box::new(state::ImportKeyMaterial {
                once: Once { authorised, ..once },
                key: key.expected(),
                material,
                import_type: request.import_type,
                expires_at: request.valid_to,
                description: request.key_material_description.clone(),
            })))
        };
        let outcome = self.write(context, Operation::ImportKeyMaterial, state::Operation::ImportKeyMaterial, command).await?;
        imported(self.named_key(context, &request.key)?, outcome)
    }

    pub(crate) async fn delete_imported_key_material(
        &self,
        context: &Context,
        request: DeleteImportedKeyMaterialRequest,
    ) -> Result<ImportedResponse, ApiError> {
        let command = |once| {
            let Allowed { key, authorised } = self.allowed(context, &request.key, &Ask::new(Action::DeleteImportedKeyMaterial))?;
            check_external(&key)?;
            key.check_state(StateClass::DeleteImport)?;
            Ok(CommandBody::DeleteImportedKeyMaterial(state::DeleteImportedKeyMaterial {
                once: Once { authorised, ..once },
                key: key.expected(),
                material_id: request.key_material_id,
            }))
        };
        let written = state::Operation::DeleteImportedKeyMaterial;
        let outcome = self.write(context, Operation::DeleteImportedKeyMaterial, written, command).await?;
        imported(self.named_key(context, &request.key)?, outcome)
    }

    /// The material in clear, in the one form that it has here.
    async fn unwrapped(&self, key: &Arc<CachedKey>, request: &ImportKeyMaterialRequest) -> Result<SecretBytes, ApiError> {
        let token = self.open_token(&key.arn.key_id, &request.import_token)?;
        if token.valid_to < self.region.log_time().map_err(Fault::from)? {
            return Err(ApiError::new(ErrorCode::ExpiredImportToken, "The import token has expired: get new parameters for import."));
        }
        let (spec, wrapped) = (key.spec, request.encrypted_key_material.clone());
        let unwrapped = consensus::blocking(move || {
            let wrapping = WrappingKey::from_der(token.spec, &token.private_key).map_err(Fault::from)?;
            let plaintext = wrapping.unwrap(token.algorithm, &wrapped).map_err(|_| ApiError::invalid_ciphertext())?;
            import::parse(spec, &plaintext).map_err(|error| match error {
                CryptoError::Material { reason, .. } => {
                    let message = format!("The key material is no material of a key of spec {spec}: {reason}.");
                    ApiError::new(ErrorCode::IncorrectKeyMaterial, message)
                }
                error => Fault::from(error).into(),
            })
        });
        unwrapped.await.map_err(|_| Fault::Blocking)?
    }

    fn seal_token(&self, key_id: &KeyId, token: &Token) -> Result<Vec<u8>, Fault> {
        let contents = Zeroizing::new(claviger_types::encoding::encode(TOKEN_SCHEMA, token).map_err(|_| Fault::Answer)?);
        Ok(self.barrier.seal(token_place(&key_id.to_row()), &contents)?.as_bytes().to_vec())
    }

    fn open_token(&self, key_id: &KeyId, token: &[u8]) -> Result<Token, ApiError> {
        let invalid = || ApiError::new(ErrorCode::InvalidImportToken, "The import token is not one of this key in this region.");
        let contents = self.barrier.unseal(token_place(&key_id.to_row()), &Sealed::from_bytes(token.to_vec())).map_err(|_| invalid())?;
        claviger_types::encoding::decode(TOKEN_SCHEMA, &contents).map_err(|_| invalid())
    }
}

/// Tokens are in no table; the name keeps them apart from what is.
const fn token_place(row: &[u8]) -> RecordContext<'_> {
    RecordContext { table: "import-token", row, material_id: None, schema: TOKEN_SCHEMA }
}

fn check_external(key: &CachedKey) -> Result<(), ApiError> {
    if key.origin == Origin::External { Ok(()) } else { Err(other_origin(&key.arn, key.origin)) }
}

fn imported(key: KeyArn, outcome: Outcome) -> Result<ImportedResponse, ApiError> {
    match outcome {
        Ok(Response::Material { id }) => Ok(ImportedResponse { key, key_material_id: id }),
        Ok(_) => Err(Fault::Answer.into()),
        Err(refusal) => Err(Subject::Key(&key).refused(refusal)),
    }
}
