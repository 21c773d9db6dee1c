//! GetPublicKey: the public half of an asymmetric key, for use outside.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, ErrorCode, GetPublicKeyRequest, GetPublicKeyResponse};
use claviger_state::StateClass;
use claviger_types::KeyClass;

use crate::access::Ask;
use crate::error::Fault;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn get_public_key(&self, context: &Context, request: &GetPublicKeyRequest) -> Result<GetPublicKeyResponse, ApiError> {
        self.check_grant_tokens(&request.grant_tokens)?;
        let key = self.with_key(context, &request.key, &Ask::new(Action::GetPublicKey), |allowed| Ok(allowed.key))?;
        if key.spec.class() != KeyClass::Asymmetric {
            let message = format!("{} has key spec {}, which has no public key.", key.arn, key.spec);
            return Err(ApiError::new(ErrorCode::UnsupportedOperation, message));
        }
        key.check_state(StateClass::Cryptography)?;
        let public_key = key.current()?.1.public_key_der().ok_or(Fault::OtherMaterial)?.to_vec();
        Ok(GetPublicKeyResponse { key: key.arn.clone(), public_key, key_spec: key.spec, key_usage: key.usage })
    }
}
