//! Encrypt: up to 4096 bytes under the key's current material; with RSA as much as OAEP takes.

use claviger_consensus as consensus;
use claviger_crypto::OpenMaterial;
use claviger_policy::Action;
use claviger_shapes::{ApiError, EncryptRequest, EncryptResponse, Operation};
use claviger_state::{StateClass, UsageOperation};
use claviger_types::EncryptionAlgorithm;

use crate::access::Ask;
use crate::cached_key::CachedKey;
use crate::error::{Fault, not_computed};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn encrypt(&self, context: &Context, request: &EncryptRequest) -> Result<EncryptResponse, ApiError> {
        self.check_grant_tokens(&request.grant_tokens)?;
        let ask = Ask::encrypting(Action::Encrypt, &request.encryption_context, request.encryption_algorithm);
        let key = self.with_key(context, &request.key, &ask, |allowed| Ok(allowed.key))?;
        key.check_encryption(request.encryption_algorithm, &request.encryption_context, Operation::Encrypt)?;
        key.check_state(StateClass::Cryptography)?;
        request.dry_run.check()?;
        let ciphertext_blob = encrypt(&key, request.encryption_algorithm, &request.encryption_context, &request.plaintext)?.0;
        self.usages.note(&key, UsageOperation::Encrypt, context);
        Ok(EncryptResponse { ciphertext_blob, key: key.arn.clone(), encryption_algorithm: request.encryption_algorithm })
    }
}

/// The ciphertext and, of a symmetric key, the material. ReEncrypt ends the same way.
pub(super) fn encrypt(
    key: &CachedKey,
    algorithm: EncryptionAlgorithm,
    encryption_context: &claviger_shapes::EncryptionContext,
    plaintext: &[u8],
) -> Result<(Vec<u8>, Option<claviger_types::MaterialId>), ApiError> {
    if algorithm == EncryptionAlgorithm::SymmetricDefault {
        return key.encrypt(encryption_context, plaintext).map(|(blob, material_id)| (blob, Some(material_id)));
    }
    let (_, OpenMaterial::Encryption(material)) = key.current()? else { return Err(Fault::OtherMaterial.into()) };
    Ok((material.encrypt(algorithm, plaintext).map_err(not_computed)?, None))
}
