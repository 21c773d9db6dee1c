//! GenerateDataKeyPair and GenerateDataKeyPairWithoutPlaintext: a key pair for use outside, its private key encrypted under a
//! symmetric key.

use claviger_attestation::Attestation;
use claviger_consensus as consensus;
use claviger_crypto::material;
use claviger_policy::Action;
use claviger_shapes::{ApiError, DataKeyPairRequest, GenerateDataKeyPairResponse, GenerateDataKeyPairWithoutPlaintextResponse, Operation};
use claviger_state::{StateClass, UsageOperation};
use claviger_types::EncryptionAlgorithm;
use zeroize::Zeroizing;

use crate::access::{Ask, Parameters};
use crate::error::Fault;
use crate::recipient::Answer;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn generate_data_key_pair(
        &self,
        context: &Context,
        request: &DataKeyPairRequest,
    ) -> Result<GenerateDataKeyPairResponse, ApiError> {
        let recipient = self.attested(request.recipient.as_ref()).await?;
        let (plaintext, pair) = self.data_key_pair(context, request, Operation::GenerateDataKeyPair, recipient.attestation()).await?;
        let Answer { plaintext: private_key_plaintext, ciphertext_for_recipient } = recipient.answer(plaintext).await?;
        Ok(GenerateDataKeyPairResponse {
            private_key_ciphertext_blob: pair.private_key_ciphertext_blob,
            private_key_plaintext,
            public_key: pair.public_key,
            key: pair.key,
            key_pair_spec: pair.key_pair_spec,
            ciphertext_for_recipient,
            key_material_id: pair.key_material_id,
        })
    }

    pub(crate) async fn generate_data_key_pair_without_plaintext(
        &self,
        context: &Context,
        request: &DataKeyPairRequest,
    ) -> Result<GenerateDataKeyPairWithoutPlaintextResponse, ApiError> {
        Ok(self.data_key_pair(context, request, Operation::GenerateDataKeyPairWithoutPlaintext, None).await?.1)
    }

    async fn data_key_pair(
        &self,
        context: &Context,
        request: &DataKeyPairRequest,
        operation: Operation,
        attestation: Option<&Attestation>,
    ) -> Result<(Zeroizing<Vec<u8>>, GenerateDataKeyPairWithoutPlaintextResponse), ApiError> {
        let (action, usage) = match operation {
            Operation::GenerateDataKeyPair => (Action::GenerateDataKeyPair, UsageOperation::GenerateDataKeyPair),
            _ => (Action::GenerateDataKeyPairWithoutPlaintext, UsageOperation::GenerateDataKeyPairWithoutPlaintext),
        };
        self.check_grant_tokens(&request.grant_tokens)?;
        let key = {
            let algorithm = EncryptionAlgorithm::SymmetricDefault;
            let asked = Ask::encrypting(action, &request.encryption_context, algorithm);
            let ask = Ask { parameters: Parameters::KeyPair(request.key_pair_spec), attestation, ..asked };
            let key = self.with_key(context, &request.key, &ask, |allowed| Ok(allowed.key))?;
            key.check_encryption(algorithm, &request.encryption_context, operation)?;
            key
        };
        key.check_state(StateClass::Cryptography)?;
        request.dry_run.check()?;
        let spec = request.key_pair_spec.key_spec();
        let made = consensus::blocking(move || {
            let private_key = material::generate(spec)?;
            let public_key = material::public_key_der(spec, &private_key)?;
            Ok::<_, Fault>((private_key, public_key.ok_or(Fault::OtherMaterial)?))
        });
        let (private_key, public_key) = made.await.map_err(|_| Fault::Blocking)??;
        let (private_key_ciphertext_blob, key_material_id) = key.encrypt(&request.encryption_context, private_key.expose())?;
        self.usages.note(&key, usage, context);
        let pair = GenerateDataKeyPairWithoutPlaintextResponse {
            private_key_ciphertext_blob,
            public_key,
            key: key.arn.clone(),
            key_pair_spec: request.key_pair_spec,
            key_material_id,
        };
        Ok((Zeroizing::new(private_key.expose().to_vec()), pair))
    }
}
