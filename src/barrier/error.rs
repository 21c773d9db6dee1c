//! The one error of this crate.

use std::io;
use std::path::PathBuf;

use claviger_crypto::CryptoError;

/// Why something could not be sealed, opened, or brought by a provider.
#[derive(Debug, thiserror::Error)]
pub enum BarrierError {
    /// Random bytes, locked memory or key derivation failed.
    #[error("a cryptographic operation failed")]
    Crypto(#[from] CryptoError),
    /// The cipher refused to seal.
    #[error("sealing failed")]
    Seal,
    /// A plaintext that no record may have.
    #[error("a record of {0} bytes is too large to be sealed")]
    TooLarge(usize),
    /// Sealed bytes are shorter than any sealed value.
    #[error("sealed bytes are cut short: {0} bytes")]
    Truncated(usize),
    /// Sealed bytes of a format that this build does not read.
    #[error("sealed bytes of format {0}, this build reads 1")]
    Version(u8),
    /// A record sealed under a term that the keyring does not have.
    #[error("no key for term {0} in the keyring")]
    UnknownTerm(u32),
    /// A record was changed, or belongs to another place, schema, material or barrier.
    #[error("a sealed record of table {table} does not open in its place")]
    Record {
        /// The table in which it was found.
        table: String,
    },
    /// A piece of a stream was changed, or is not the next one, or the stream is another one.
    #[error("piece {piece} of the sealed stream does not open in its place")]
    Stream {
        /// Its number, from 0.
        piece: u64,
    },
    /// A piece was given after the last.
    #[error("the sealed stream has ended")]
    StreamEnded,
    /// The keyring was changed or is sealed with another root key.
    #[error("the keyring does not open with this root key")]
    WrongRootKey,
    /// The keyring opened and its contents make no sense.
    #[error("the opened keyring is malformed: {0}")]
    Keyring(&'static str),
    /// No more terms fit.
    #[error("the keyring holds as many terms as it can")]
    TermsExhausted,
    /// The root key's file could not be read or written.
    #[error("cannot {action} the root key file {}", path.display())]
    RootKeyFile {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system answered.
        #[source]
        source: io::Error,
    },
    /// The root key's file exists already, and overwriting it could make a region unreadable for ever.
    #[error("the root key file {} exists already and is never overwritten; move it away if it is truly not needed", path.display())]
    RootKeyExists {
        /// The file.
        path: PathBuf,
    },
    /// Others than the owner may use the root key's file.
    #[error("the root key file {path} has mode {mode:04o}, so others than its owner may use it: run `chmod 600 {path}`", path = path.display())]
    RootKeyMode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is something else.
    #[error("{} is no root key file: {reason}", path.display())]
    RootKeyFormat {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: &'static str,
    },
}
