//! ReEncrypt: from one key or context to another, without the plaintext leaving.

use std::sync::Arc;

use claviger_consensus as consensus;
use claviger_crypto::blob::Header;
use claviger_policy::Action;
use claviger_shapes::{ApiError, DryRun, Operation, ReEncryptRequest, ReEncryptResponse};
use claviger_state::{StateClass, UsageOperation};
use claviger_types::KeyRef;

use super::decrypt::Source;
use super::encrypt::encrypt;
use crate::access::{Ask, FOLLOWED_MAX};
use crate::cached_key::CachedKey;
use crate::error::Fault;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn re_encrypt(&self, context: &Context, request: &ReEncryptRequest) -> Result<ReEncryptResponse, ApiError> {
        self.check_grant_tokens(&request.grant_tokens)?;
        let (from, to) = (request.source_encryption_algorithm, request.destination_encryption_algorithm);
        let (source, destination) = self.re_encrypt_keys(context, request)?;
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

    /// Both keys, once the caller may: whether they are the same, for `kms:ReEncryptOnSameKey`, is said beforehand, and the aliases
    /// that name them may move meanwhile.
    fn re_encrypt_keys(&self, context: &Context, request: &ReEncryptRequest) -> Result<(Source, Arc<CachedKey>), ApiError> {
        let (from, to) = (request.source_encryption_algorithm, request.destination_encryption_algorithm);
        let from = Ask::encrypting(Action::ReEncryptFrom, &request.source_encryption_context, from);
        let to = Ask::encrypting(Action::ReEncryptTo, &request.destination_encryption_context, to);
        for _ in 0..FOLLOWED_MAX {
            let is_same = self.is_on_same_key(context, request)?;
            let [from, to] = [from, to].map(|ask| Ask { is_re_encrypt_on_same_key: Some(is_same), ..ask });
            let source = || self.source(context, request.source_key.as_ref(), &request.ciphertext_blob, &from);
            let destination = || self.with_key(context, &request.destination_key, &to, |allowed| Ok(allowed.key));
            // Whose alias it is decides first: else the answer about the source would tell which key the alias names.
            let (source, destination) = if is_alias_of_another(context, &request.destination_key) {
                let destination = destination()?;
                (source()?, destination)
            } else {
                (source()?, destination()?)
            };
            if (source.key.arn.key_id == destination.arn.key_id) == is_same {
                return Ok((source, destination));
            }
        }
        Err(Fault::Contended(FOLLOWED_MAX).into())
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

fn is_alias_of_another(context: &Context, named: &KeyRef) -> bool {
    matches!(named, KeyRef::AliasArn(alias) if alias.account != context.principal.account())
}
