//! The one error of this crate. Its texts are for logs and operators; what a client sees is decided at the edge.

use std::io;

use claviger_types::{EncryptionAlgorithm, KeySpec, KeyUsage, MessageType, SigningAlgorithm};

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
    /// A secret is longer than `limits::MATERIAL_BYTES_MAX`.
    #[error("a secret of {0} bytes is too long")]
    SecretTooLong(usize),
    /// Bytes are no material of the spec they were taken for.
    #[error("not a material of {spec}: {reason}")]
    Material {
        /// The spec.
        spec: KeySpec,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// Keys of a spec are not for a usage.
    #[error("keys of {spec} are not for {usage}")]
    Usage {
        /// The spec.
        spec: KeySpec,
        /// The usage.
        usage: KeyUsage,
    },
    /// aws-lc could not make a key pair.
    #[error("no key of {0} could be generated")]
    KeyGeneration(KeySpec),
    /// Keys of a spec do not have an algorithm.
    #[error("{algorithm} is no algorithm of {spec}")]
    Algorithm {
        /// The spec.
        spec: KeySpec,
        /// The algorithm, in AWS's words.
        algorithm: &'static str,
    },
    /// An algorithm does not sign messages of a type.
    #[error("{algorithm} does not take messages of type {message_type}")]
    MessageType {
        /// The algorithm.
        algorithm: SigningAlgorithm,
        /// The type.
        message_type: MessageType,
    },
    /// A digest is not as long as the algorithm's hash. The text is AWS's.
    #[error("Digest is invalid length for algorithm {algorithm}.")]
    DigestLength {
        /// The algorithm.
        algorithm: SigningAlgorithm,
    },
    /// An external mu does not have 64 bytes.
    #[error("an external mu of {0} bytes, expected 64")]
    MuLength(usize),
    /// A plaintext is larger than RSAES-OAEP can take with a key. The text is AWS's.
    #[error("Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {bytes_max} bytes.")]
    RsaPlaintextTooLarge {
        /// The algorithm.
        algorithm: EncryptionAlgorithm,
        /// The key's spec.
        spec: KeySpec,
        /// What it can take.
        bytes_max: usize,
    },
    /// Bytes are no public key with which a key can agree on a secret. Which of the reasons it is, is never said.
    #[error("not a public key on the key's curve, as SubjectPublicKeyInfo in DER")]
    PeerKey,
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
    /// A private key could not sign.
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
