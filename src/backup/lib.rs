//! A backup: a region's tables in one sealed file.
//!
//! ```text
//!  0 "claviger backup\n" | 16 format u8 = 1 | 17 u32 length and header (in clear: whose, of when, the sealed keyring)
//!    frames: u8 1 for the last, else 0 | u32 length | up to 1 MiB of the contents, sealed, and a tag (every frame but the last is full)
//!    footer: SHA-256 of the manifest[32] | u64 rows | SHA-256 of all bytes before this hash[32]
//! contents, across frames: u8 1, u8 length and name of a table | u8 2, u32 length and row, u32 length and record | … |
//!    u8 3, u32 length and manifest
//! ```
//!
//! Numbers are big-endian. The contents are one stream of the barrier, bound to the SHA-256 of everything before the first
//! frame: a file that was changed, cut, extended or put together from others does not open. The hash at the end needs no
//! key, so that whoever stores backups can tell a damaged one; it proves nothing against somebody who means harm.
//! Secrets in the tables are sealed by the barrier already; the outer seal keeps metadata from whoever finds the file.
//!
//! *Architecture invariants.* This crate knows tables as rows and records, and no database: it writes to a
//! [`std::io::Write`] and reads from a [`std::io::Read`]. Everything that is read from a file has a limit. What becomes of
//! the rows is the caller's affair.

mod contents;
mod create;
mod error;
mod frames;
mod hashing;
mod header;
mod manifest;
mod read;
mod secrets;
#[cfg(test)]
mod tests;

pub use create::{Moment, create};
pub use error::BackupError;
pub use frames::Footer;
pub use header::Header;
pub use manifest::{Manifest, TableSum};
pub use read::{Archive, OpenArchive};

/// Contents of one frame.
pub const FRAME_BYTES: usize = 1 << 20;
/// What the barrier calls the stream.
const PURPOSE: &str = "backup";
