//! ReEncrypt: from one key or context to another, without the plaintext leaving.

use claviger_consensus as consensus;
use claviger_crypto::blob::Header;
use claviger_policy::Action;
use claviger_shapes::{ApiError, DryRun, Operation, ReEncryptRequest, ReEncryptResponse};
use claviger_state::{StateClass, UsageOperation};

use super::encrypt::encrypt;
use crate::access::Ask;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn re_encrypt(&self, context: &Context, request: &ReEncryptRequest) -> Result<ReEncryptResponse, ApiError> {
        self.check_grant_tokens(&request.grant_tokens)?;
        let (from, to) = (request.source_encryption_algorithm, request.destination_encryption_algorithm);
        let (source, destination) = {
            let same = Some(self.is_on_same_key(context, request)?);
            let asked = Ask::encrypting(Action::ReEncryptFrom, &request.source_encryption_context, from);
            let source_ask = Ask { is_re_encrypt_on_same_key: same, ..asked };
            let asked = Ask::encrypting(Action::ReEncryptTo, &request.destination_encryption_context, to);
            let destination_ask = Ask { is_re_encrypt_on_same_key: same, ..asked };
            let source = self.source(context, request.source_key.as_ref(), &request.ciphertext_blob, &source_ask)?;
            (source, self.with_key(context, &request.destination_key, &destination_ask, |allowed| Ok(allowed.key))?)
        };
        source.key.check_encryption(from, &request.source_encryption_context, Operation::ReEncrypt)?;
        destination.check_encryption(to, &request.destination_encryption_context, Operation::ReEncrypt)?;
        source.key.check_state(StateClass::Cryptography)?;
        destination.check_state(StateClass::Cryptography)?;
        if request.dry_run == DryRun::IgnoringCiphertext {
            return Err(ApiError::dry_run());
        }
        let opened = source.decrypt(from, &request.source_encryption_context, &request.ciphertext_blob);
        let (plaintext, source_key_material_id) = opened.await?;
        request.dry_run.check()?;
        let (ciphertext_blob, destination_key_material_id) =
            encrypt(&destination, to, &request.destination_encryption_context, &plaintext)?;
        self.usages.note(&source.key, UsageOperation::ReEncrypt, context);
        self.usages.note(&destination, UsageOperation::ReEncrypt, context);
        Ok(ReEncryptResponse {
            ciphertext_blob,
            source_key: source.key.arn.clone(),
            key: destination.arn.clone(),
            source_encryption_algorithm: from,
            destination_encryption_algorithm: to,
            source_key_material_id,
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
