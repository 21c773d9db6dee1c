//! Why nothing can be measured. What goes wrong with single requests is a number in the report and not an error.

use std::path::PathBuf;

use claviger_tls::TlsError;

/// Why nothing can be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// An operation that the generator does not know.
    #[error("{0:?} is no operation that can be measured; there are: {1}")]
    UnknownOperation(String, String),
    /// A mix that does not parse.
    #[error("{0:?} is no mix: write it as encrypt=70,decrypt=30, with weights that sum to at most {max} once reduced", max = crate::mix::CYCLE_MAX)]
    Mix(String),
    /// A duration that does not parse.
    #[error("{0:?} is no duration: write it as 500ms, 8s or 5m")]
    Duration(String),
    /// `demo.json` cannot be read.
    #[error("{} cannot be read", path.display())]
    DemoRead {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// `demo.json` is not what the demo writes.
    #[error("{} is not a file that `claviger demo` wrote", path.display())]
    DemoParse {
        /// The file.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
    /// The demo has no such region or identity.
    #[error("the demo has no {what} {name:?}; it has: {found}")]
    DemoLacks {
        /// "region" or "identity".
        what: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        found: String,
    },
    /// More nodes than there are, or none.
    #[error("--nodes takes 1 to {0}, as many as there are")]
    Nodes(usize),
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The deployment refused what the measurement needs.
    #[error("{operation} was refused while the measurement was prepared: {code}")]
    Prepare {
        /// The operation.
        operation: &'static str,
        /// The last answer, or how the connection failed.
        code: String,
    },
    /// The deployment answered with something else than the API's shapes.
    #[error("the answer to {0} is not what the API answers")]
    Answer(&'static str),
    /// The empty handler's process cannot be started, or says nothing.
    #[error("the empty handler to compare with does not start")]
    EmptyHandler(#[source] std::io::Error),
    /// A thread of the generator cannot be started.
    #[error("a thread of the generator cannot be started")]
    Thread(#[source] std::io::Error),
}
