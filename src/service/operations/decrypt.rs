//! Decrypt: opens a ciphertext under the key and material that it names. ReEncrypt begins the same way.

use std::sync::Arc;

use claviger_consensus as consensus;
use claviger_crypto::blob::Header;
use claviger_policy::Action;
use claviger_shapes::{ApiError, DecryptRequest, DecryptResponse};
use claviger_types::KeyRef;

use crate::access::{Ask, Subject};
use crate::cached_key::CachedKey;
use crate::{Context, Service};

/// What a ciphertext says of itself, unless it cannot be one.
pub(super) struct Source {
    pub(super) key: Arc<CachedKey>,
    header: Option<Header>,
}

impl Source {
    /// The header, once the key is known to be usable: what is wrong with a ciphertext is told last.
    pub(super) fn header(&self) -> Result<&Header, ApiError> {
        let header = self.header.as_ref().ok_or_else(ApiError::invalid_ciphertext)?;
        if header.key_id != self.key.arn.key_id {
            return Err(ApiError::incorrect_key());
        }
        Ok(header)
    }
}

impl<R: consensus::Region> Service<R> {
    pub(crate) fn decrypt(&self, context: &Context, request: &DecryptRequest) -> Result<DecryptResponse, ApiError> {
        self.check_grant_tokens(&request.grant_tokens)?;
        let ask = Ask::encrypting(Action::Decrypt, &request.encryption_context, request.encryption_algorithm);
        let source = self.source(context, request.key.as_ref(), &request.ciphertext_blob, &ask)?;
        source.key.check_enabled()?;
        let header = source.header()?;
        let plaintext = source.key.decrypt(header, &request.encryption_context, &request.ciphertext_blob)?;
        Ok(DecryptResponse {
            key: source.key.arn.clone(),
            plaintext,
            encryption_algorithm: request.encryption_algorithm,
            key_material_id: header.material_id,
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
        let key = self.opened(&key_id)?.ok_or_else(ApiError::ciphertext_inaccessible)?;
        let is_own = key.arn.account == context.principal.account();
        self.authorise(context, &Subject::key(&key), ask).map_err(|refused| if is_own { refused } else { refused.concealed() })?;
        Ok(Source { key, header })
    }
}
