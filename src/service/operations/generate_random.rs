//! GenerateRandom: random bytes. Every principal may ask. No state is read here; that the caller is still a principal is
//! state as well, so it waits at the gate like everything else.

use claviger_consensus as consensus;
use claviger_crypto::random;
use claviger_shapes::{ApiError, GenerateRandomRequest, GenerateRandomResponse};
use zeroize::Zeroizing;

use crate::Service;
use crate::error::Fault;

impl<R: consensus::Region> Service<R> {
    pub(crate) fn generate_random(request: &GenerateRandomRequest) -> Result<GenerateRandomResponse, ApiError> {
        let mut plaintext = Zeroizing::new(vec![0; request.number_of_bytes]);
        random::fill(&mut plaintext).map_err(Fault::from)?;
        Ok(GenerateRandomResponse { plaintext })
    }
}
