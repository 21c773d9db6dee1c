//! [`Attestation`]: what a verified document says.

use std::time::Duration;

use claviger_types::Timestamp;

use crate::cose::CoseSign1;
use crate::document::{Document, Registers};
use crate::recipient_key::RecipientKey;
use crate::{AttestationError, EnvelopeError, TrustRoots, envelope};

/// The model's maximum of `AttestationDocument`.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 262_144;

/// How old a document may be. AWS's pages name no age ("Verifying the root of trust" checks the certificates' dates alone, which leave it
/// about three hours); this is as long as a signature of SigV4 is good for.
pub(crate) const AGE_MAX: Duration = Duration::from_secs(5 * 60);

/// How far the hypervisor's clock may be ahead of ours: as far as the clocks of a region's nodes may be apart before it stops
/// doing things by time (docs/operations.md, clocks).
pub(crate) const AHEAD_MAX: Duration = Duration::from_secs(5);

/// What a document says that has been verified, and whom an answer is for.
pub struct Attestation {
    module_id: Box<str>,
    pcrs: Option<Registers>,
    nitrotpm_pcrs: Option<Registers>,
    recipient: RecipientKey,
}

impl TrustRoots {
    /// Verifies a document at this time, and reads it.
    ///
    /// Takes about a millisecond, and some 35 with a bundle made to mislead, at which webpki's limit ends the search for a root.
    ///
    /// # Errors
    /// The first thing that is wrong with it; what is quick to see comes first.
    pub fn verify(&self, document: &[u8], now: Timestamp) -> Result<Attestation, AttestationError> {
        if document.len() > DOCUMENT_BYTES_MAX {
            return Err(AttestationError::TooLong(document.len()));
        }
        let signed = CoseSign1::parse(document)?;
        let document = Document::parse(signed.payload)?;
        check_age(document.timestamp, now)?;
        let recipient = RecipientKey::parse(document.public_key.ok_or(AttestationError::NoPublicKey)?)?;
        let signer = self.public_key(document.certificate, &document.cabundle, now)?;
        signed.verify(&signer)?;
        Ok(Attestation { module_id: document.module_id.into(), pcrs: document.pcrs, nitrotpm_pcrs: document.nitrotpm_pcrs, recipient })
    }
}

fn check_age(made: Timestamp, now: Timestamp) -> Result<(), AttestationError> {
    let (age, ahead) = (now.since(made), made.since(now));
    let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if age > AGE_MAX {
        return Err(AttestationError::TooOld { age_millis: millis(age) });
    }
    if ahead > AHEAD_MAX {
        return Err(AttestationError::FromTheFuture { ahead_millis: millis(ahead) });
    }
    Ok(())
}

impl Attestation {
    /// The enclave or instance, as the hypervisor names it.
    pub fn module_id(&self) -> &str {
        &self.module_id
    }

    /// The value of `kms:RecipientAttestation:<name>`, in lower-case hexadecimal: `ImageSha384` (an enclave's register 0), `PCR<n>` of
    /// an enclave, `NitroTPMPCR<n>` of an instance. None if the document has none such. The name's case means nothing.
    pub fn condition_value(&self, name: &str) -> Option<String> {
        let nitrotpm = || Some((&self.nitrotpm_pcrs, register_index(name, "NitroTPMPCR")?));
        let enclave = || Some((&self.pcrs, register_index(name, "PCR")?));
        let (registers, index) = if name.eq_ignore_ascii_case("ImageSha384") { (&self.pcrs, 0) } else { enclave().or_else(nitrotpm)? };
        registers.as_ref()?.get(&index).map(hex::encode)
    }

    /// A CMS message (DER) that the document's public key opens and nothing else.
    ///
    /// # Errors
    /// When the random generator or a cipher fails.
    pub fn envelop(&self, plaintext: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
        envelope::seal(&self.recipient, plaintext)
    }
}

/// The `n` of `prefix<n>`, in the one way to write it.
fn register_index(name: &str, prefix: &str) -> Option<u8> {
    let (start, digits) = name.split_at_checked(prefix.len())?;
    let index: u8 = digits.parse().ok()?;
    (start.eq_ignore_ascii_case(prefix) && index.to_string() == digits).then_some(index)
}
