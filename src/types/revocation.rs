//! Whether the certificate behind a connection is still honoured: set where revocations are learnt of, asked wherever a
//! request must not go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set once, when the certificate of a live connection is revoked or its CA is no longer trusted. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct RevocationFlag(Arc<AtomicBool>);

impl RevocationFlag {
    /// From now on the certificate is not honoured.
    pub fn set(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether the certificate is not honoured any more.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
