//! CreateKey: a new key of the caller's account, with its first material unless that is to be imported.

use claviger_barrier::RecordPlace;
use claviger_consensus as consensus;
use claviger_crypto::{Secret32, SecretBytes, material, material_id, random};
use claviger_policy::Action;
use claviger_shapes::{ApiError, CreateKeyRequest, CreateKeyResponse, Operation};
use claviger_state::{self as state, CommandBody, KeyRecord, Once, Response, SealedMaterial};
use claviger_types::{AccountId, KeyClass, KeyId, KeySpec, Origin};

use crate::access::{Ask, NewKey};
use crate::error::{Fault, Subject};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn create_key(&self, context: &Context, request: CreateKeyRequest) -> Result<CreateKeyResponse, ApiError> {
        let account = context.principal.account();
        let kind = NewKey {
            spec: request.key_spec,
            usage: request.key_usage,
            origin: request.origin,
            is_multi_region: request.multi_region,
            is_replica: false,
        };
        let bypass = request.bypass_policy_lockout_safety_check;
        let asked = Ask { new_key: Some(kind), bypasses_lockout_check: Some(bypass), ..Ask::new(Action::CreateKey) };
        // Who may not create keys makes nobody compute one.
        let is_new = self.recall(&self.once(context, state::Operation::CreateKey))?.is_none();
        if is_new {
            self.allowed_here(context, &asked.with_tags(&request.tags))?;
        }
        let material = if is_new && request.origin == Origin::AwsKms { Some(generated(request.key_spec).await?) } else { None };
        let command = |once| {
            let ask = asked.with_tags(&request.tags);
            let authorised = self.allowed_here(context, &ask)?;
            if !request.tags.is_empty() {
                self.allowed_here(context, &Ask { action: Action::TagResource, ..ask })?;
            }
            let key_id = new_key_id(request.multi_region)?;
            if let Some(text) = &request.policy {
                let arn = self.arn(account, key_id).to_string();
                self.check_new_policy(context, text, None, &arn, bypass, Some((kind, &request.tags)))?;
            }
            let once = Once { authorised, ..once };
            Ok(CommandBody::CreateKey(Box::new(self.new_key(account, once, key_id, &request, material.as_ref())?)))
        };
        match self.write(context, Operation::CreateKey, state::Operation::CreateKey, command).await? {
            Ok(Response::Key { document, regional }) => Ok(CreateKeyResponse { key_metadata: self.metadata(&document, &regional) }),
            Ok(_) => Err(Fault::Answer.into()),
            Err(refusal) => Err(Subject::NewKey.refused(refusal)),
        }
    }

    /// Seals all that is secret: nothing in clear leaves this function.
    fn new_key(
        &self,
        account: AccountId,
        once: Once,
        key_id: KeyId,
        request: &CreateKeyRequest,
        material: Option<&SecretBytes>,
    ) -> Result<state::CreateKey, Fault> {
        let id_secret = Secret32::random()?;
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
            id_secret: self.barrier.seal(RecordPlace::id_secret(&key_id).context(), id_secret.expose())?,
            material: material.map(|material| self.sealed(&id_secret, key_id, material)).transpose()?,
        })
    }

    /// A fresh material for a symmetric key, sealed.
    pub(crate) fn new_material(&self, record: &KeyRecord) -> Result<SealedMaterial, Fault> {
        self.seal_material(record, &material::generate(record.document.spec)?)
    }

    /// A material of a key, sealed under the id that it has with this key.
    pub(crate) fn seal_material(&self, record: &KeyRecord, material: &SecretBytes) -> Result<SealedMaterial, Fault> {
        let key_id = record.document.key_id;
        let id_secret = self.barrier.unseal32(RecordPlace::id_secret(&key_id).context(), &record.id_secret)?;
        self.sealed(&id_secret, key_id, material)
    }

    fn sealed(&self, id_secret: &Secret32, key_id: KeyId, material: &SecretBytes) -> Result<SealedMaterial, Fault> {
        let id = material_id::of_canonical(id_secret, key_id, material)?;
        Ok(SealedMaterial { id, sealed: self.barrier.seal(RecordPlace::material(&key_id, &id).context(), material.expose())? })
    }
}

/// The first material of a key. RSA takes long, so key pairs are made where that holds nobody up.
async fn generated(spec: KeySpec) -> Result<SecretBytes, Fault> {
    if spec.class() != KeyClass::Asymmetric {
        return Ok(material::generate(spec)?);
    }
    Ok(consensus::blocking(move || material::generate(spec)).await.map_err(|_| Fault::Blocking)??)
}

fn new_key_id(multi_region: bool) -> Result<KeyId, Fault> {
    let random = random::bytes()?;
    Ok(if multi_region { KeyId::multi_region(random) } else { KeyId::single_region(random) })
}
