//! GenerateMac and VerifyMac.

use std::sync::Arc;

use claviger_consensus as consensus;
use claviger_crypto::OpenMaterial;
use claviger_policy::Action;
use claviger_shapes::{ApiError, ErrorCode, GenerateMacRequest, GenerateMacResponse, Operation, VerifyMacRequest, VerifyMacResponse};
use claviger_state::{StateClass, UsageOperation};
use claviger_types::KeyUsage;

use crate::access::{Ask, Parameters};
use crate::cached_key::CachedKey;
use crate::error::{Fault, not_computed};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn generate_mac(&self, context: &Context, request: &GenerateMacRequest) -> Result<GenerateMacResponse, ApiError> {
        let key = self.mac_key(context, request, Action::GenerateMac, Operation::GenerateMac)?;
        request.dry_run.check()?;
        let (_, OpenMaterial::Mac(material)) = key.current()? else { return Err(Fault::OtherMaterial.into()) };
        let mac = material.generate(request.mac_algorithm, &request.message).map_err(not_computed)?;
        self.usages.note(&key, UsageOperation::GenerateMac, context);
        Ok(GenerateMacResponse { mac, mac_algorithm: request.mac_algorithm, key: key.arn.clone() })
    }

    pub(crate) fn verify_mac(&self, context: &Context, request: &VerifyMacRequest) -> Result<VerifyMacResponse, ApiError> {
        let VerifyMacRequest { authenticated, mac } = request;
        let key = self.mac_key(context, authenticated, Action::VerifyMac, Operation::VerifyMac)?;
        authenticated.dry_run.check()?;
        let (_, OpenMaterial::Mac(material)) = key.current()? else { return Err(Fault::OtherMaterial.into()) };
        if !material.verify(authenticated.mac_algorithm, &authenticated.message, mac).map_err(not_computed)? {
            return Err(ApiError::new(ErrorCode::KmsInvalidMac, ""));
        }
        self.usages.note(&key, UsageOperation::VerifyMac, context);
        Ok(VerifyMacResponse { key: key.arn.clone(), mac_valid: true, mac_algorithm: authenticated.mac_algorithm })
    }

    /// The key, once all that can be refused without it being used has been.
    fn mac_key(
        &self,
        context: &Context,
        request: &GenerateMacRequest,
        action: Action,
        operation: Operation,
    ) -> Result<Arc<CachedKey>, ApiError> {
        self.check_grant_tokens(&request.grant_tokens)?;
        let ask = Ask { parameters: Parameters::Mac(request.mac_algorithm), ..Ask::new(action) };
        let key = self.with_key(context, &request.key, &ask, |allowed| Ok(allowed.key))?;
        key.check_usage(KeyUsage::GenerateVerifyMac, operation)?;
        key.check_algorithm(key.spec.mac_algorithm() == Some(request.mac_algorithm), request.mac_algorithm.as_str())?;
        key.check_state(StateClass::Cryptography)?;
        Ok(key)
    }
}
