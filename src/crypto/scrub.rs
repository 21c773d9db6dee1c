//! Wiping what a computation on secrets left on the stack.
//!
//! Hashers and ciphers copy their input into block buffers, and Rust moves such structs freely; zeroizing on drop clears
//! the last copy only. So every computation that reads a long-lived secret runs in a frame of its own, and the stack
//! below that frame is overwritten before anything else happens. The work must keep secrets off the heap itself, and
//! return nothing secret by value. `residue.rs` searches the process's memory to show that this holds.

use std::hint::black_box;

/// Deeper than HKDF, HMAC and AES-GCM reach in unoptimised builds.
pub(crate) const SHALLOW_BYTES: usize = 8 * 1024;
/// Deeper than X-Wing reaches: an expanded ML-KEM-768 key pair and its matrix lie on the stack, more than once.
pub(crate) const DEEP_BYTES: usize = 192 * 1024;

/// Deeper than ML-DSA-87 reaches when it expands a seed and signs: matrices and vectors of polynomials, by value.
pub(crate) const DEEPER_BYTES: usize = 384 * 1024;

/// Runs `work`, which hashes or encrypts with secrets, and wipes the 8 KiB of stack that it may have used.
#[inline]
pub fn shallow<R>(work: impl FnOnce() -> R) -> R {
    let result = run(work);
    wipe::<SHALLOW_BYTES>();
    result
}

/// Runs `work`, which uses a key encapsulation, and wipes the 192 KiB of stack that it may have used.
#[inline]
pub fn deep<R>(work: impl FnOnce() -> R) -> R {
    let result = run(work);
    wipe::<DEEP_BYTES>();
    result
}

/// Runs `work`, which expands an ML-DSA key, and wipes the 384 KiB of stack that it may have used.
#[inline]
pub(crate) fn deeper<R>(work: impl FnOnce() -> R) -> R {
    let result = run(work);
    wipe::<DEEPER_BYTES>();
    result
}

/// Never inlined, so that all locals of `work` lie below the frame that calls [`wipe`] next.
#[inline(never)]
fn run<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[inline(never)]
fn wipe<const BYTES: usize>() {
    let mut stack = [0_u8; BYTES];
    // The optimiser must assume that the zeros are read here, so it has to write them.
    black_box(&mut stack);
}
