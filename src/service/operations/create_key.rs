//! CreateKey: a new key of the caller's account, with its first material.

use claviger_barrier::RecordPlace;
use claviger_consensus as consensus;
use claviger_crypto::{Secret32, material_id, random};
use claviger_shapes::{ApiError, CreateKeyRequest, CreateKeyResponse, Operation};
use claviger_state::{self as state, CommandBody, Once, Response, SealedMaterial};
use claviger_types::KeyId;

use crate::error::{Fault, Subject};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn create_key(&self, context: &Context, request: CreateKeyRequest) -> Result<CreateKeyResponse, ApiError> {
        let once = self.once(context, state::Operation::CreateKey);
        let outcome = match self.recall(&once)? {
            Some(outcome) => outcome,
            // Every principal may create keys in its own account, and a new key cannot have changed since.
            None => {
                let command = self.new_key(context, once, request)?;
                self.propose(Operation::CreateKey, CommandBody::CreateKey(Box::new(command))).await?
            }
        };
        match outcome {
            Ok(Response::Key { document, regional }) => Ok(CreateKeyResponse { key_metadata: self.metadata(&document, &regional) }),
            Ok(_) => Err(Fault::Answer.into()),
            Err(refusal) => Err(Subject::NewKey.refused(refusal)),
        }
    }

    /// Makes all that is random and seals all that is secret: nothing in clear leaves this function.
    fn new_key(&self, context: &Context, once: Once, request: CreateKeyRequest) -> Result<state::CreateKey, Fault> {
        let random = random::bytes()?;
        let key_id = if request.multi_region { KeyId::multi_region(random) } else { KeyId::single_region(random) };
        let (id_secret, material) = (Secret32::random()?, Secret32::random()?);
        let id = material_id::compute(&id_secret, key_id, &material)?;
        let seal = |place: &RecordPlace, secret: &Secret32| self.barrier.seal(place.context(), secret.expose());
        Ok(state::CreateKey {
            once,
            key_id,
            account: context.principal.account(),
            spec: request.key_spec,
            usage: request.key_usage,
            origin: request.origin,
            description: request.description,
            tags: request.tags,
            policy: None,
            id_secret: seal(&RecordPlace::id_secret(&key_id), &id_secret)?,
            material: SealedMaterial { id, sealed: seal(&RecordPlace::material(&key_id, &id), &material)? },
        })
    }
}
