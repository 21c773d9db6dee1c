//! Decrypt: opens a ciphertext under the key and material that it names, or under the RSA key that the request does. ReEncrypt
//! begins the same way.

use std::sync::Arc;

use claviger_consensus as consensus;
use claviger_crypto::blob::Header;
use claviger_crypto::{CryptoError, OpenMaterial};
use claviger_policy::Action;
use claviger_shapes::{ApiError, DecryptRequest, DecryptResponse, DryRun, EncryptionContext, Operation};
use claviger_state::{StateClass, UsageOperation};
use claviger_types::{EncryptionAlgorithm, KeyRef, MaterialId};
use zeroize::Zeroizing;

use crate::access::{Ask, Subject};
use crate::cached_key::CachedKey;
use crate::error::Fault;
use crate::recipient::Answer;
use crate::{Context, Service};

/// What a ciphertext says of itself, unless it cannot be one.
pub(super) struct Source {
    pub(super) key: Arc<CachedKey>,
    header: Option<Header>,
}

impl Source {
    /// The plaintext and, of a symmetric key, the material. The key is known to be usable: what is wrong with a ciphertext is told last.
    pub(super) async fn decrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        encryption_context: &EncryptionContext,
        ciphertext: &[u8],
    ) -> Result<(Zeroizing<Vec<u8>>, Option<MaterialId>), ApiError> {
        if algorithm == EncryptionAlgorithm::SymmetricDefault {
            let header = self.header.as_ref().ok_or_else(ApiError::invalid_ciphertext)?;
            if header.key_id != self.key.arn.key_id {
                return Err(ApiError::incorrect_key());
            }
            return Ok((self.key.decrypt(header, encryption_context, ciphertext)?, Some(header.material_id)));
        }
        let (key, ciphertext) = (Arc::clone(&self.key), ciphertext.to_vec());
        let opened = consensus::blocking(move || match key.current() {
            Ok((_, OpenMaterial::Encryption(material))) => material.decrypt(algorithm, &ciphertext).map_err(|error| match error {
                CryptoError::InvalidCiphertext => ApiError::invalid_ciphertext(),
                error => Fault::from(error).into(),
            }),
            Ok(_) => Err(Fault::OtherMaterial.into()),
            Err(unavailable) => Err(unavailable),
        });
        Ok((opened.await.map_err(|_| Fault::Blocking)??, None))
    }
}

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn decrypt(&self, context: &Context, request: &DecryptRequest) -> Result<DecryptResponse, ApiError> {
        let recipient = self.attested(request.recipient.as_ref()).await?;
        self.check_grant_tokens(&request.grant_tokens)?;
        let source = {
            let ask = Ask::encrypting(Action::Decrypt, &request.encryption_context, request.encryption_algorithm);
            let ask = Ask { attestation: recipient.attestation(), ..ask };
            self.source(context, request.key.as_ref(), &request.ciphertext_blob, &ask)?
        };
        source.key.check_encryption(request.encryption_algorithm, &request.encryption_context, Operation::Decrypt)?;
        source.key.check_state(StateClass::Cryptography)?;
        if request.dry_run == DryRun::IgnoringCiphertext {
            return Err(ApiError::dry_run());
        }
        let opened = source.decrypt(request.encryption_algorithm, &request.encryption_context, &request.ciphertext_blob);
        let (plaintext, key_material_id) = opened.await?;
        request.dry_run.check()?;
        self.usages.note(&source.key, UsageOperation::Decrypt, context);
        let key_material_id = key_material_id.filter(|_| !recipient.is_recipient());
        let Answer { plaintext, ciphertext_for_recipient } = recipient.answer(plaintext).await?;
        Ok(DecryptResponse {
            key: source.key.arn.clone(),
            plaintext,
            ciphertext_for_recipient,
            encryption_algorithm: request.encryption_algorithm,
            key_material_id,
        })
    }

    /// The key that the request names, or else the one that the ciphertext does, once what is asked of it is allowed.
    ///
    /// A key that only the ciphertext names is unknown here, or another account's and closed, with one and the same answer.
    pub(super) fn source(&self, context: &Context, named: Option<&KeyRef>, blob: &[u8], ask: &Ask<'_>) -> Result<Source, ApiError> {
        let header = Header::parse(blob).ok();
        if let Some(named) = named {
            return Ok(Source { key: self.with_key(context, named, ask, |allowed| Ok(allowed.key))?, header });
        }
        let key_id = header.ok_or_else(ApiError::invalid_ciphertext)?.key_id;
        let key = self.decided(&key_id, |key| {
            let key = key.ok_or_else(ApiError::ciphertext_inaccessible)?;
            let is_own = key.arn.account == context.principal.account();
            self.authorise(context, &Subject::key(&key), ask).map_err(|refused| if is_own { refused } else { refused.concealed() })?;
            Ok(key)
        })?;
        Ok(Source { key, header })
    }
}
