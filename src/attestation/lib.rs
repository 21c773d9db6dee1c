//! Attestation documents of AWS Nitro enclaves and of NitroTPM, verified; and the envelope in which an answer goes to the one that
//! such a document names, so that nobody else can read it.
//!
//! [`TrustRoots::verify`] takes a document apart (`cose`, `document`), has its certificates lead to a root that an operator has
//! named (`chain`), checks its age and its signature, and gives an [`Attestation`]: what policies may ask about, and the public
//! key for which [`Attestation::envelop`] makes a CMS message (`envelope`). The source of all rules but the limits' margins is AWS's
//! "Nitro Enclaves Attestation Process" (aws-nitro-enclaves-nsm-api, docs/attestation_process.md) and, for NitroTPM, "Validate a
//! NitroTPM Attestation Document" of the EC2 User Guide.
//!
//! *Architecture invariants.* No I/O, no clock, nothing async, nothing logged. What is in a document is read by its one shape: what
//! it does not have is refused, nothing is skipped, so nothing nests deeper than the shape does and nothing is allocated for a length
//! that the bytes merely claim.

mod attestation;
mod chain;
mod cose;
mod der;
mod document;
mod envelope;
mod error;
mod recipient_key;
#[cfg(test)]
mod tests;

pub use attestation::Attestation;
pub use chain::TrustRoots;
pub use error::{AttestationError, EnvelopeError, TrustRootsError};
