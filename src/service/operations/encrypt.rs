//! Encrypt: up to 4096 bytes under the key's current material.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, EncryptRequest, EncryptResponse};

use crate::access::Ask;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn encrypt(&self, context: &Context, request: &EncryptRequest) -> Result<EncryptResponse, ApiError> {
        self.check_grant_tokens(&request.grant_tokens)?;
        let ask = Ask::encrypting(Action::Encrypt, &request.encryption_context, request.encryption_algorithm);
        let key = self.with_key(context, &request.key, &ask, |allowed| Ok(allowed.key))?;
        key.check_enabled()?;
        let (ciphertext_blob, _) = key.encrypt(&request.encryption_context, &request.plaintext)?;
        Ok(EncryptResponse { ciphertext_blob, key: key.arn.clone(), encryption_algorithm: request.encryption_algorithm })
    }
}
