//! GenerateRandom: random bytes.

use claviger_consensus as consensus;
use claviger_crypto::random;
use claviger_policy::Action;
use claviger_shapes::{ApiError, GenerateRandomRequest, GenerateRandomResponse};
use zeroize::Zeroizing;

use crate::access::Ask;
use crate::error::Fault;
use crate::recipient::Answer;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn generate_random(
        &self,
        context: &Context,
        request: &GenerateRandomRequest,
    ) -> Result<GenerateRandomResponse, ApiError> {
        let recipient = self.attested(request.recipient.as_ref()).await?;
        self.allowed_here(context, &Ask { attestation: recipient.attestation(), ..Ask::new(Action::GenerateRandom) })?;
        let mut plaintext = Zeroizing::new(vec![0; request.number_of_bytes]);
        random::fill(&mut plaintext).map_err(Fault::from)?;
        let Answer { plaintext, ciphertext_for_recipient } = recipient.answer(plaintext).await?;
        Ok(GenerateRandomResponse { plaintext, ciphertext_for_recipient })
    }
}
