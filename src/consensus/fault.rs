//! Faults of this node's disk or state on their way to openraft, which stops the node on any of them.

use std::error::Error;
use std::fmt::Write;
use std::io;

/// Logs a fault with all its sources and gives openraft the same text.
pub(crate) fn fault(doing: &'static str, error: &(dyn Error + 'static)) -> io::Error {
    let text = format!("cannot {doing}: {}", chain(error));
    tracing::error!(fault = %text, "this node's consensus stops");
    io::Error::other(text)
}

/// An error with all its sources in one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Writing into a string does not fail.
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}
