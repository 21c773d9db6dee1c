//! The one error of this crate. Its texts are for logs and operators; what a client sees is decided at the edge.

use std::io;

/// Why a cryptographic operation did not happen.
#[derive(Debug, thiserror::Error)]
pub enum CryptoError {
    /// The kernel gave no memory for secrets.
    #[error("no memory for {bytes} bytes of secrets")]
    SecretMemory {
        /// How much was asked for.
        bytes: usize,
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
    /// Memory for secrets could not be locked or kept out of core images. Secrets are never put into other memory.
    #[error(
        "cannot lock {bytes} more bytes of memory for secrets: {needed_bytes} bytes are needed in all, and RLIMIT_MEMLOCK is \
         {limit_bytes} bytes; raise it (LimitMEMLOCK= in systemd, `ulimit -l`, which counts KiB, or CAP_IPC_LOCK)"
    )]
    SecretMemoryLock {
        /// How much was to be locked.
        bytes: usize,
        /// That and what has been locked before.
        needed_bytes: usize,
        /// RLIMIT_MEMLOCK, after it was raised as far as allowed.
        limit_bytes: u64,
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
    /// The process could not be protected against core dumps and tracing.
    #[error("cannot set {what}")]
    Harden {
        /// The limit or attribute.
        what: &'static str,
        /// What the kernel answered.
        #[source]
        source: io::Error,
    },
    /// The random generator failed.
    #[error("the random generator failed")]
    Random,
    /// A secret does not have the 32 bytes it must have.
    #[error("a secret of {0} bytes, expected 32")]
    SecretLength(usize),
    /// HKDF was asked for more than it can give.
    #[error("key derivation failed")]
    KeyDerivation,
    /// An encryption context is larger than `limits::ENCRYPTION_CONTEXT_BYTES_MAX` when serialised.
    #[error("the encryption context is too large")]
    ContextTooLarge,
    /// A plaintext is larger than `limits::PLAINTEXT_BYTES_MAX`.
    #[error("a plaintext of {0} bytes is too large")]
    PlaintextTooLarge(usize),
    /// Sealing failed inside the cipher.
    #[error("sealing failed")]
    Seal,
    /// A blob is malformed, was changed, or belongs to another key, material or context. Which of them is never said.
    #[error("the ciphertext does not open")]
    InvalidCiphertext,
    /// Bytes that should be a region's key are not.
    #[error("not a region's key: {0}")]
    RegionKey(&'static str),
    /// A region's private key could not sign.
    #[error("signing failed")]
    Sign,
    /// A batch, or a part of it, has a size that it may not have.
    #[error("a wrapped batch is malformed: {0}")]
    BatchShape(&'static str),
    /// A batch names other regions, clusters, incarnations or another key version than the receiver expects.
    #[error("a wrapped batch is not from or for whom it was expected")]
    BatchRoute,
    /// One of the two signatures of a batch does not verify.
    #[error("the {0} signature of a wrapped batch does not verify")]
    BatchSignature(&'static str),
    /// A correctly signed batch does not open with the recipient's key.
    #[error("a wrapped batch does not open")]
    BatchOpen,
}
