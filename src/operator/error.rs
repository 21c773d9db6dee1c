//! What can go wrong: with the files of a PKI, with finding a deployment, and with a call of the admin API.

use std::io;
use std::path::PathBuf;

use claviger_shapes::admin::AdminError;
use claviger_tls::ApiClientError;
use claviger_types::Region;

/// Why a PKI command did not do what was asked. Nothing that existed was changed.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("{}: {what}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// There is no PKI here.
    #[error("{} holds no PKI ({missing} is missing); create one with `claviger pki init`", dir.display())]
    NotInitialised {
        /// The directory.
        dir: PathBuf,
        /// The first file that is missing.
        missing: &'static str,
    },
    /// The PKI is another deployment's.
    #[error("{} is the PKI of trust domain {found}, not {wanted}; choose another directory", dir.display())]
    OtherTrustDomain {
        /// The directory.
        dir: PathBuf,
        /// The trust domain recorded there.
        found: String,
        /// The one asked for.
        wanted: String,
    },
    /// The private key can be read by other users of the machine.
    #[error("{} can be read by other users (mode {mode:04o}); run: chmod 600 {}", path.display(), path.display())]
    KeyExposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file that was to be created is there, and is something else.
    #[error("{} exists and is not what was asked for ({difference}); move it away or choose another path", path.display())]
    Different {
        /// The file.
        path: PathBuf,
        /// How it differs.
        difference: &'static str,
    },
    /// A file's content is damaged or of another kind.
    #[error("{} is not a usable {what}; restore it from a copy, or move it away", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
    },
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The certificate could not be made.
    #[error("the certificate could not be made")]
    Issue(#[source] rcgen::Error),
    /// The system gives no random bytes.
    #[error("the system's random generator failed")]
    Random,
}

/// Why a call of the admin API failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminClientError {
    /// The node refused, and said why.
    #[error("{target} refused: {error}")]
    Refused {
        /// The URL or the socket's path.
        target: String,
        /// What it said.
        error: AdminError,
    },
    /// There is nobody to ask.
    #[error("no node is named")]
    NoNode,
    /// A node is of another region than the operator says.
    #[error("{target} is of region {found}, not of {named}")]
    OtherRegion {
        /// The URL.
        target: String,
        /// The region that was named with it.
        named: Region,
        /// The region that it says it is of.
        found: Region,
    },
    /// What was read page by page did not come to a whole.
    #[error("{target} gave pages that do not fit together, or what they show changes all the time; run it again")]
    Pages {
        /// The URL or the socket's path.
        target: String,
    },
    /// There was no answer of the admin API.
    #[error(transparent)]
    Call(#[from] ApiClientError),
}

/// Why a deployment is not found by its `demo.json`.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// The file cannot be read.
    #[error("{} cannot be read; it is there while `claviger demo --keep-running` runs", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{} is not what `claviger demo` writes", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Which region is meant is not clear.
    #[error("name one of its regions with --region: {0}")]
    Region(String),
}
