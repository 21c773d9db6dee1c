//! GenerateDataKey: a random key, in clear and encrypted.

use claviger_attestation::Attestation;
use claviger_consensus as consensus;
use claviger_crypto::random;
use claviger_policy::Action;
use claviger_shapes::{ApiError, DataKeyRequest, GenerateDataKeyResponse, Operation};
use claviger_state::{StateClass, UsageOperation};
use claviger_types::{EncryptionAlgorithm, KeyArn, MaterialId};
use zeroize::Zeroizing;

use crate::access::Ask;
use crate::error::Fault;
use crate::recipient::Answer;
use crate::{Context, Service};

/// A data key in both forms.
pub(super) struct DataKey {
    pub(super) plaintext: Zeroizing<Vec<u8>>,
    pub(super) ciphertext_blob: Vec<u8>,
    pub(super) arn: KeyArn,
    pub(super) material_id: MaterialId,
}

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn generate_data_key(&self, context: &Context, request: &DataKeyRequest) -> Result<GenerateDataKeyResponse, ApiError> {
        let recipient = self.attested(request.recipient.as_ref()).await?;
        let made = self.data_key(context, request, Operation::GenerateDataKey, recipient.attestation())?;
        let DataKey { plaintext, ciphertext_blob, arn, material_id } = made;
        let key_material_id = Some(material_id).filter(|_| !recipient.is_recipient());
        let Answer { plaintext, ciphertext_for_recipient } = recipient.answer(plaintext).await?;
        Ok(GenerateDataKeyResponse { ciphertext_blob, plaintext, key: arn, ciphertext_for_recipient, key_material_id })
    }

    /// What both data key operations do before one of them forgets the plaintext.
    pub(super) fn data_key(
        &self,
        context: &Context,
        request: &DataKeyRequest,
        operation: Operation,
        attestation: Option<&Attestation>,
    ) -> Result<DataKey, ApiError> {
        let (action, usage) = match operation {
            Operation::GenerateDataKey => (Action::GenerateDataKey, UsageOperation::GenerateDataKey),
            _ => (Action::GenerateDataKeyWithoutPlaintext, UsageOperation::GenerateDataKeyWithoutPlaintext),
        };
        self.check_grant_tokens(&request.grant_tokens)?;
        // There is no member for the algorithm: it is the only one that such keys have.
        let ask = Ask::encrypting(action, &request.encryption_context, EncryptionAlgorithm::SymmetricDefault);
        let ask = Ask { attestation, ..ask };
        let key = self.with_key(context, &request.key, &ask, |allowed| Ok(allowed.key))?;
        key.check_encryption(EncryptionAlgorithm::SymmetricDefault, &request.encryption_context, operation)?;
        key.check_state(StateClass::Cryptography)?;
        request.dry_run.check()?;
        let mut plaintext = Zeroizing::new(vec![0; request.number_of_bytes]);
        random::fill(&mut plaintext).map_err(Fault::from)?;
        let (ciphertext_blob, material_id) = key.encrypt(&request.encryption_context, &plaintext)?;
        self.usages.note(&key, usage, context);
        Ok(DataKey { plaintext, ciphertext_blob, arn: key.arn.clone(), material_id })
    }
}
