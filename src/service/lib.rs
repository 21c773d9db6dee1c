//! The use cases of the API, one file per operation: resolve, authorise, check, propose or compute.

mod context;

pub use context::{Context, Invocation};
