//! ReEncrypt: from one key or context to another, without the plaintext leaving.

use claviger_consensus as consensus;
use claviger_crypto::blob::Header;
use claviger_policy::Action;
use claviger_shapes::{ApiError, ReEncryptRequest, ReEncryptResponse};

use crate::access::Ask;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn re_encrypt(&self, context: &Context, request: &ReEncryptRequest) -> Result<ReEncryptResponse, ApiError> {
        self.check_grant_tokens(&request.grant_tokens)?;
        let same = Some(self.is_on_same_key(context, request)?);
        let from = Ask {
            is_re_encrypt_on_same_key: same,
            ..Ask::encrypting(Action::ReEncryptFrom, &request.source_encryption_context, request.source_encryption_algorithm)
        };
        let to = Ask {
            is_re_encrypt_on_same_key: same,
            ..Ask::encrypting(Action::ReEncryptTo, &request.destination_encryption_context, request.destination_encryption_algorithm)
        };
        let source = self.source(context, request.source_key.as_ref(), &request.ciphertext_blob, &from)?;
        let destination = self.with_key(context, &request.destination_key, &to, |allowed| Ok(allowed.key))?;
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

    /// For `kms:ReEncryptOnSameKey`. It authorises nothing and tells nobody.
    fn is_on_same_key(&self, context: &Context, request: &ReEncryptRequest) -> Result<bool, ApiError> {
        let source = match &request.source_key {
            Some(named) => self.key_id_behind(context, named)?,
            None => Header::parse(&request.ciphertext_blob).ok().map(|header| header.key_id),
        };
        Ok(source.is_some() && source == self.key_id_behind(context, &request.destination_key)?)
    }
}
