//! Attestation documents: CBOR in COSE, X.509 chains and a public key, from whoever asks for an answer that only an enclave opens.

use std::sync::LazyLock;

use claviger_attestation::TrustRoots;
use claviger_types::Timestamp;

use crate::corpus;

/// When the documents among the seeds were made.
pub const MADE: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// What their hypervisor calls its enclave.
const MODULE: &str = "i-0123456789abcdef0-enc0123456789abcdef";

/// The root of the hypervisor that has signed the seeds.
static ROOTS: LazyLock<TrustRoots> = LazyLock::new(|| {
    let pem = std::fs::read(corpus::directory().join("attestation-root.pem")).expect("the root is there");
    TrustRoots::from_pem(&pem).expect("it is one")
});

/// A document. One that is verified says what the hypervisor signed, and has a key that an answer can be sealed for.
pub fn attestation(input: &[u8]) -> bool {
    let Ok(attestation) = ROOTS.verify(input, MADE) else { return false };
    assert_eq!(attestation.module_id(), MODULE);
    let envelope = attestation.envelop(b"secret").expect("an answer can be sealed");
    assert!(!envelope.windows(6).any(|window| window == b"secret"));
    true
}
