//! What keeps an agent from starting, and what goes wrong with its files.

use std::io;
use std::path::PathBuf;

use claviger_sigv4::AccessKeyError;
use claviger_tls::{ApiClientError, TlsError};

/// Why something of the agent failed. Never quotes a secret.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// A certificate, key or CA file.
    #[error("the certificate of identity {identity}")]
    Certificate {
        /// The identity.
        identity: String,
        /// Why.
        source: Box<TlsError>,
    },
    /// A node's URL.
    #[error("a node of {region}")]
    Node {
        /// The region.
        region: String,
        /// Why.
        source: Box<ApiClientError>,
    },
    /// A file that could not be read or written.
    #[error("{} cannot be {what}", path.display())]
    File {
        /// What was tried: "read", "written".
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file of secrets that other users may read.
    #[error("{} can be read by other users (mode {mode:04o}); run: chmod 600 {}", path.display(), path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A line of the credentials file that is none.
    #[error("{}:{line}: expected <access key id> <secret> <identity> <unix seconds>", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// A line of the credentials file with an access key of another form.
    #[error("{}:{line}", path.display())]
    AccessKey {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why.
        source: AccessKeyError,
    },
    /// The credentials file is full.
    #[error("{} has {max} access keys, which is the most it may have; delete some", path.display())]
    TooMany {
        /// The file.
        path: PathBuf,
        /// The most.
        max: usize,
    },
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
    /// A file that would be overwritten was not made by the agent.
    #[error("{} exists and was not made by `claviger agent profile`: move it away, or choose another --out", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
}

/// An error with everything that led to it, in one line.
pub(crate) fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
