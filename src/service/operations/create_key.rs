//! CreateKey: a new key of the caller's account, with its first material.

use claviger_barrier::RecordPlace;
use claviger_consensus as consensus;
use claviger_crypto::{Secret32, material_id, random};
use claviger_policy::Action;
use claviger_shapes::{ApiError, CreateKeyRequest, CreateKeyResponse, Operation};
use claviger_state::{self as state, CommandBody, Once, Response, SealedMaterial};
use claviger_types::{AccountId, KeyId};

use crate::access::{Ask, NewKey};
use crate::error::{Fault, Subject};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn create_key(&self, context: &Context, request: CreateKeyRequest) -> Result<CreateKeyResponse, ApiError> {
        let account = context.principal.account();
        let command = |once| {
            let kind = NewKey {
                spec: request.key_spec,
                usage: request.key_usage,
                origin: request.origin,
                is_multi_region: request.multi_region,
                is_replica: false,
            };
            let bypass = request.bypass_policy_lockout_safety_check;
            let ask =
                Ask { new_key: Some(kind), bypasses_lockout_check: Some(bypass), ..Ask::new(Action::CreateKey) }.with_tags(&request.tags);
            let authorised = self.allowed_here(context, &ask)?;
            if !request.tags.is_empty() {
                self.allowed_here(context, &Ask { action: Action::TagResource, ..ask })?;
            }
            let key_id = new_key_id(request.multi_region)?;
            if let Some(text) = &request.policy {
                let arn = self.arn(account, key_id).to_string();
                self.check_new_policy(context, text, None, &arn, bypass, Some(kind))?;
            }
            let once = Once { authorised, ..once };
            Ok(CommandBody::CreateKey(Box::new(self.new_key(account, once, key_id, &request)?)))
        };
        match self.write(context, Operation::CreateKey, state::Operation::CreateKey, command).await? {
            Ok(Response::Key { document, regional }) => Ok(CreateKeyResponse { key_metadata: self.metadata(&document, &regional) }),
            Ok(_) => Err(Fault::Answer.into()),
            Err(refusal) => Err(Subject::NewKey.refused(refusal)),
        }
    }

    /// Makes all that is secret, and seals it: nothing in clear leaves this function.
    fn new_key(&self, account: AccountId, once: Once, key_id: KeyId, request: &CreateKeyRequest) -> Result<state::CreateKey, Fault> {
        let (id_secret, material) = (Secret32::random()?, Secret32::random()?);
        let id = material_id::compute(&id_secret, key_id, &material)?;
        let seal = |place: &RecordPlace, secret: &Secret32| self.barrier.seal(place.context(), secret.expose());
        Ok(state::CreateKey {
            once,
            key_id,
            account,
            spec: request.key_spec,
            usage: request.key_usage,
            origin: request.origin,
            description: request.description.clone(),
            tags: request.tags.clone(),
            policy: request.policy.clone(),
            id_secret: seal(&RecordPlace::id_secret(&key_id), &id_secret)?,
            material: SealedMaterial { id, sealed: seal(&RecordPlace::material(&key_id, &id), &material)? },
        })
    }
}

fn new_key_id(multi_region: bool) -> Result<KeyId, Fault> {
    let random = random::bytes()?;
    Ok(if multi_region { KeyId::multi_region(random) } else { KeyId::single_region(random) })
}
