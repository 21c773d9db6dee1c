//! Grant tokens: `base64(key id row ‖ grant id[32] ‖ HMAC-SHA256(derived key, key id row ‖ grant id)[32])`.
//!
//! On AWS a token makes a grant known where it has not arrived yet. Here every grant is known to every node of its region once
//! CreateGrant has answered, so a token names a grant, for RetireGrant, and gives no right. One that is not ours is refused
//! wherever it is given. All tokens of one grant are equal.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger_consensus as consensus;
use claviger_crypto::kdf;
use claviger_shapes::ApiError;
use claviger_types::{GrantId, KeyId};
use subtle::ConstantTimeEq;

use crate::Service;
use crate::error::Fault;

const TAG_BYTES: usize = 32;

impl<R: consensus::Region> Service<R> {
    /// A grant's token.
    pub(crate) fn grant_token(&self, key_id: KeyId, grant_id: GrantId) -> Result<String, Fault> {
        let named = [key_id.to_row().as_slice(), grant_id.as_bytes()].concat();
        let tag = self.grant_tag(&named)?;
        Ok(STANDARD.encode([named.as_slice(), &tag].concat()))
    }

    /// The grant that a token names, which may be gone.
    pub(crate) fn open_grant_token(&self, token: &str) -> Result<(KeyId, GrantId), ApiError> {
        let mut bytes = STANDARD.decode(token).map_err(|_| ApiError::invalid_grant_token())?;
        let given = bytes.split_off(bytes.len().saturating_sub(TAG_BYTES));
        if !bool::from(self.grant_tag(&bytes)?.ct_eq(&given)) {
            return Err(ApiError::invalid_grant_token());
        }
        named(&bytes).ok_or_else(ApiError::invalid_grant_token)
    }

    /// Refuses tokens that no grant of this region ever had.
    pub(crate) fn check_grant_tokens(&self, tokens: &[String]) -> Result<(), ApiError> {
        tokens.iter().try_for_each(|token| self.open_grant_token(token).map(|_| ()))
    }

    fn grant_tag(&self, named: &[u8]) -> Result<[u8; TAG_BYTES], Fault> {
        let key = self.barrier.derive("grant token v1")?;
        Ok(kdf::hmac_sha256(&key, &[named])?)
    }
}

fn named(bytes: &[u8]) -> Option<(KeyId, GrantId)> {
    let (key, grant) = bytes.split_at_checked(KeyId::ROW_BYTES)?;
    Some((KeyId::from_row(key).ok()?, GrantId::from_bytes(grant.try_into().ok()?)))
}
