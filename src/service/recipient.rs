//! Recipient: whom an answer is for if not the caller, proven by an attestation document; the answer goes to it in an envelope.
//!
//! A document is verified before anything is authorised, for conditions ask what it says. That and sealing an envelope take long
//! enough to be done on the blocking pool. A request that has no recipient passes by all of it.

use std::sync::Arc;

use claviger_attestation::{Attestation, TrustRoots};
use claviger_consensus as consensus;
use claviger_shapes::{ApiError, ErrorCode, Recipient};
use zeroize::Zeroizing;

use crate::Service;
use crate::error::Fault;

/// What was verified of a request's Recipient, if it has one.
#[derive(Default)]
pub(crate) struct Attested(Option<Arc<Attestation>>);

/// A secret as the caller is to get it. No `Debug`.
pub(crate) struct Answer {
    /// The secret itself, for the caller.
    pub(crate) plaintext: Option<Zeroizing<Vec<u8>>>,
    /// The secret in a CMS envelope, for the recipient.
    pub(crate) ciphertext_for_recipient: Option<Vec<u8>>,
}

impl<R: consensus::Region> Service<R> {
    /// This service with roots to which the attestation documents of recipients must lead. Without any, it has no recipients.
    #[must_use]
    pub fn with_attestation_roots(self, roots: Option<TrustRoots>) -> Self {
        Self { attestation_roots: roots.map(Arc::new), ..self }
    }

    /// Verifies the document of a request's Recipient, in log time. Call after [`Service::gate`].
    pub(crate) async fn attested(&self, recipient: Option<&Recipient>) -> Result<Attested, ApiError> {
        let Some(recipient) = recipient else { return Ok(Attested::default()) };
        let Some(roots) = self.attestation_roots.as_ref().map(Arc::clone) else { return Err(not_configured()) };
        let now = self.region.log_time().map_err(Fault::from)?;
        let document = recipient.attestation_document.clone();
        let verified = consensus::blocking(move || roots.verify(&document, now)).await.map_err(|_| Fault::Blocking)?;
        let attestation =
            verified.map_err(|why| ApiError::validation(format!("The attestation document of Recipient is refused: {why}.")))?;
        tracing::debug!(module_id = attestation.module_id(), "a recipient is attested");
        Ok(Attested(Some(Arc::new(attestation))))
    }
}

fn not_configured() -> ApiError {
    let message = "Recipient is not supported by this node: it has no root that an attestation document could lead to. An operator sets \
                   trust_roots in [attestation] of the node's configuration.";
    ApiError::new(ErrorCode::UnsupportedOperation, message)
}

impl Attested {
    /// What conditions ask about.
    pub(crate) fn attestation(&self) -> Option<&Attestation> {
        self.0.as_deref()
    }

    /// Whether the answer is for somebody else than the caller.
    pub(crate) const fn is_recipient(&self) -> bool {
        self.0.is_some()
    }

    /// Has `plaintext` go to the recipient if there is one, and else to the caller.
    pub(crate) async fn answer(self, plaintext: Zeroizing<Vec<u8>>) -> Result<Answer, ApiError> {
        let Some(attestation) = self.0 else { return Ok(Answer { plaintext: Some(plaintext), ciphertext_for_recipient: None }) };
        let sealed = consensus::blocking(move || attestation.envelop(&plaintext)).await.map_err(|_| Fault::Blocking)?;
        Ok(Answer { plaintext: None, ciphertext_for_recipient: Some(sealed.map_err(Fault::from)?) })
    }
}
