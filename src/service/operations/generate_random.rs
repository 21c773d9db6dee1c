//! GenerateRandom: random bytes.

use claviger_consensus as consensus;
use claviger_crypto::random;
use claviger_policy::Action;
use claviger_shapes::{ApiError, GenerateRandomRequest, GenerateRandomResponse};
use zeroize::Zeroizing;

use crate::access::Ask;
use crate::error::Fault;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn generate_random(&self, context: &Context, request: &GenerateRandomRequest) -> Result<GenerateRandomResponse, ApiError> {
        self.check_recipient(request.recipient.as_ref())?;
        self.allowed_here(context, &Ask::new(Action::GenerateRandom))?;
        let mut plaintext = Zeroizing::new(vec![0; request.number_of_bytes]);
        random::fill(&mut plaintext).map_err(Fault::from)?;
        Ok(GenerateRandomResponse { plaintext: Some(plaintext), ciphertext_for_recipient: None })
    }
}
