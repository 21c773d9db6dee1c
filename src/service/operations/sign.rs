//! Sign and Verify.

use std::sync::Arc;

use claviger_consensus as consensus;
use claviger_crypto::{OpenMaterial, signing};
use claviger_policy::Action;
use claviger_shapes::{ApiError, ErrorCode, Operation, SignRequest, SignResponse, VerifyRequest, VerifyResponse};
use claviger_state::{StateClass, UsageOperation};
use claviger_types::KeyUsage;

use crate::access::{Ask, Parameters};
use crate::cached_key::CachedKey;
use crate::error::{Fault, not_computed};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn sign(&self, context: &Context, request: SignRequest) -> Result<SignResponse, ApiError> {
        let key = self.signing_key(context, &request, Action::Sign, Operation::Sign)?;
        request.dry_run.check()?;
        let (algorithm, message_type, message) = (request.signing_algorithm, request.message_type, request.message);
        let signed = key.compute(move |material| match material {
            OpenMaterial::Signing(material) => material.sign(algorithm, message_type, &message).map_err(not_computed),
            _ => Err(Fault::OtherMaterial.into()),
        });
        let signature = signed.await?;
        self.usages.note(&key, UsageOperation::Sign, context);
        Ok(SignResponse { key: key.arn.clone(), signature, signing_algorithm: algorithm })
    }

    pub(crate) async fn verify(&self, context: &Context, request: VerifyRequest) -> Result<VerifyResponse, ApiError> {
        let VerifyRequest { signed, signature } = request;
        let key = self.signing_key(context, &signed, Action::Verify, Operation::Verify)?;
        signed.dry_run.check()?;
        let (algorithm, message_type, message) = (signed.signing_algorithm, signed.message_type, signed.message);
        let verified = key.compute(move |material| match material {
            OpenMaterial::Signing(material) => material.verify(algorithm, message_type, &message, &signature).map_err(not_computed),
            _ => Err(Fault::OtherMaterial.into()),
        });
        if !verified.await? {
            return Err(ApiError::new(ErrorCode::KmsInvalidSignature, ""));
        }
        self.usages.note(&key, UsageOperation::Verify, context);
        Ok(VerifyResponse { key: key.arn.clone(), signature_valid: true, signing_algorithm: algorithm })
    }

    /// The key, once all that can be refused without it being used has been.
    fn signing_key(
        &self,
        context: &Context,
        request: &SignRequest,
        action: Action,
        operation: Operation,
    ) -> Result<Arc<CachedKey>, ApiError> {
        self.check_grant_tokens(&request.grant_tokens)?;
        let parameters = Parameters::Signing { algorithm: request.signing_algorithm, message_type: request.message_type };
        let key = self.with_key(context, &request.key, &Ask { parameters, ..Ask::new(action) }, |allowed| Ok(allowed.key))?;
        key.check_usage(KeyUsage::SignVerify, operation)?;
        let algorithms = key.spec.signing_algorithms();
        key.check_algorithm(algorithms.contains(&request.signing_algorithm), request.signing_algorithm.as_str())?;
        signing::check(key.spec, request.signing_algorithm, request.message_type, request.message.len()).map_err(not_computed)?;
        key.check_state(StateClass::Cryptography)?;
        Ok(key)
    }
}
