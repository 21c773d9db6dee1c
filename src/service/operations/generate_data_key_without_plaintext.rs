//! GenerateDataKeyWithoutPlaintext: a random key, encrypted only.

use claviger_consensus as consensus;
use claviger_shapes::{ApiError, DataKeyRequest, GenerateDataKeyWithoutPlaintextResponse, Operation};

use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn generate_data_key_without_plaintext(
        &self,
        context: &Context,
        request: &DataKeyRequest,
    ) -> Result<GenerateDataKeyWithoutPlaintextResponse, ApiError> {
        let data_key = self.data_key(context, request, Operation::GenerateDataKeyWithoutPlaintext, None)?;
        Ok(GenerateDataKeyWithoutPlaintextResponse {
            ciphertext_blob: data_key.ciphertext_blob,
            key: data_key.arn,
            key_material_id: data_key.material_id,
        })
    }
}
