//! ReEncrypt: from one key or context to another, without the plaintext leaving.

use claviger_consensus as consensus;
use claviger_shapes::{ApiError, ReEncryptRequest, ReEncryptResponse};

use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn re_encrypt(&self, context: &Context, request: &ReEncryptRequest) -> Result<ReEncryptResponse, ApiError> {
        let source = self.source(context, request.source_key.as_ref(), &request.ciphertext_blob, "kms:ReEncryptFrom")?;
        let destination = self.with_key(context, &request.destination_key, "kms:ReEncryptTo", |arn| self.key(arn))?;
        source.key.check_enabled()?;
        destination.check_enabled()?;
        let header = source.header()?;
        let plaintext = source.key.decrypt(header, &request.source_encryption_context, &request.ciphertext_blob)?;
        let (ciphertext_blob, destination_key_material_id) = destination.encrypt(&request.destination_encryption_context, &plaintext)?;
        Ok(ReEncryptResponse {
            ciphertext_blob,
            source_key: source.key.arn.clone(),
            key: destination.arn.clone(),
            source_encryption_algorithm: request.source_encryption_algorithm,
            destination_encryption_algorithm: request.destination_encryption_algorithm,
            source_key_material_id: header.material_id,
            destination_key_material_id,
        })
    }
}
