//! CreateGrant: lets a principal use a key, in this region, until the grant is retired or revoked. Once it has answered, every node
//! of the region honours it: its token adds nothing.

use claviger_consensus as consensus;
use claviger_crypto::random;
use claviger_policy::Action;
use claviger_shapes::{ApiError, CreateGrantRequest, CreateGrantResponse, Operation};
use claviger_state::{self as state, CommandBody, Once, Response, StateClass};
use claviger_types::{GrantId, GrantOperation, GrantOperations, KeyClass, KeySpec, KeyUsage, NamedPrincipal};

use crate::access::{Allowed, Ask, NewGrant};
use crate::error::{Fault, Subject};
use crate::{Context, Service, key_policy};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn create_grant(&self, context: &Context, request: CreateGrantRequest) -> Result<CreateGrantResponse, ApiError> {
        self.check_grant_tokens(&request.grant_tokens)?;
        let partition = &self.config.partition;
        let grantee = request.grantee_principal.within(partition)?;
        let retiring = request.retiring_principal.map(|named| named.within(partition)).transpose()?;
        let (grantee_arn, retiring_arn) = (grantee.arn(partition), retiring.as_ref().map(|named| named.arn(partition)));
        let (operations, constraint) = (&request.operations, request.constraint.as_ref());
        let new = NewGrant { grantee: &grantee_arn, retiring: retiring_arn.as_deref(), operations, constraint };
        let ask =
            Ask { new_grant: Some(new), encryption_context: constraint.map(|c| c.pairs()), ..Ask::new(Action::CreateGrant) }.of_grants();
        let command = |once| {
            let Allowed { key, authorised } = self.allowed(context, &request.key, &ask)?;
            // Who may not give grants is not told who exists.
            [Some(&grantee), retiring.as_ref()].into_iter().flatten().try_for_each(|named| self.check_exists(named))?;
            check_operations(key.spec, key.usage, operations)?;
            if constraint.is_some() && key.spec != KeySpec::SymmetricDefault {
                return Err(ApiError::validation(format!("Grant constraints are not valid for keys of spec {}.", key.spec)));
            }
            key.check_state(StateClass::CreateGrant)?;
            if request.dry_run {
                return Err(ApiError::dry_run());
            }
            Ok(CommandBody::CreateGrant(Box::new(state::CreateGrant {
                once: Once { authorised, ..once },
                key: key.expected(),
                grant_id: GrantId::from_bytes(random::bytes().map_err(Fault::from)?),
                grantee: grantee.clone(),
                retiring: retiring.clone(),
                operations: operations.clone(),
                constraint: constraint.cloned(),
                name: request.name.clone(),
                issuing_account: context.principal.account(),
            })))
        };
        let outcome = self.write(context, Operation::CreateGrant, state::Operation::CreateGrant, command).await?;
        let arn = self.named_key(context, &request.key)?;
        match outcome {
            Ok(Response::Grant { grant_id }) => Ok(CreateGrantResponse { grant_token: self.grant_token(arn.key_id, grant_id)?, grant_id }),
            Ok(_) => Err(Fault::Answer.into()),
            Err(refusal) => Err(Subject::Key(&arn).refused(refusal)),
        }
    }

    /// AWS gives no grant to a principal that does not exist.
    fn check_exists(&self, named: &NamedPrincipal) -> Result<(), ApiError> {
        if key_policy::exists(&self.region.tables(), named).map_err(Fault::from)? {
            return Ok(());
        }
        Err(ApiError::invalid_principal(&named.arn(&self.config.partition)))
    }
}

/// Refuses operations that keys of this kind do not have.
fn check_operations(spec: KeySpec, usage: KeyUsage, operations: &GrantOperations) -> Result<(), ApiError> {
    let has = |wanted| usage == wanted;
    let is_symmetric = spec == KeySpec::SymmetricDefault;
    let fits = |operation: &&GrantOperation| match operation {
        GrantOperation::CreateGrant | GrantOperation::RetireGrant | GrantOperation::DescribeKey => true,
        GrantOperation::Encrypt | GrantOperation::Decrypt | GrantOperation::ReEncryptFrom | GrantOperation::ReEncryptTo => {
            has(KeyUsage::EncryptDecrypt)
        }
        GrantOperation::GenerateDataKey
        | GrantOperation::GenerateDataKeyWithoutPlaintext
        | GrantOperation::GenerateDataKeyPair
        | GrantOperation::GenerateDataKeyPairWithoutPlaintext => is_symmetric,
        GrantOperation::Sign | GrantOperation::Verify => has(KeyUsage::SignVerify),
        GrantOperation::GenerateMac | GrantOperation::VerifyMac => has(KeyUsage::GenerateVerifyMac),
        GrantOperation::DeriveSharedSecret => has(KeyUsage::KeyAgreement),
        GrantOperation::GetPublicKey => spec.class() == KeyClass::Asymmetric,
    };
    match operations.iter().find(|operation| !fits(operation)) {
        Some(operation) => {
            Err(ApiError::validation(format!("The grant operation {operation} is not valid for keys of spec {spec} and usage {usage}.")))
        }
        None => Ok(()),
    }
}
