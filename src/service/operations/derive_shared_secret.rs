//! DeriveSharedSecret: the x coordinate that the key and a peer's public key have in common.

use claviger_consensus as consensus;
use claviger_crypto::OpenMaterial;
use claviger_policy::Action;
use claviger_shapes::{ApiError, DeriveSharedSecretRequest, DeriveSharedSecretResponse, Operation};
use claviger_state::{StateClass, UsageOperation};
use claviger_types::KeyUsage;

use crate::access::{Ask, Parameters};
use crate::error::{Fault, not_computed};
use crate::recipient::Answer;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn derive_shared_secret(
        &self,
        context: &Context,
        request: DeriveSharedSecretRequest,
    ) -> Result<DeriveSharedSecretResponse, ApiError> {
        let recipient = self.attested(request.recipient.as_ref()).await?;
        self.check_grant_tokens(&request.grant_tokens)?;
        let key_agreement_algorithm = request.key_agreement_algorithm;
        let key = {
            let (parameters, attestation) = (Parameters::Agreement(key_agreement_algorithm), recipient.attestation());
            let ask = Ask { parameters, attestation, ..Ask::new(Action::DeriveSharedSecret) };
            self.with_key(context, &request.key, &ask, |allowed| Ok(allowed.key))?
        };
        key.check_usage(KeyUsage::KeyAgreement, Operation::DeriveSharedSecret)?;
        key.check_state(StateClass::Cryptography)?;
        request.dry_run.check()?;
        let public_key = request.public_key;
        let derived = key.compute(move |material| match material {
            OpenMaterial::Agreement(material) => material.derive(&public_key).map_err(not_computed),
            _ => Err(Fault::OtherMaterial.into()),
        });
        let shared_secret = derived.await?;
        self.usages.note(&key, UsageOperation::DeriveSharedSecret, context);
        let Answer { plaintext: shared_secret, ciphertext_for_recipient } = recipient.answer(shared_secret).await?;
        Ok(DeriveSharedSecretResponse {
            key: key.arn.clone(),
            shared_secret,
            ciphertext_for_recipient,
            key_agreement_algorithm,
            key_origin: key.origin,
        })
    }
}
