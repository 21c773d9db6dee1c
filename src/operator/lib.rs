//! What the command line does against a deployment: the private CAs and their certificates (`pki`), and the calls of the
//! admin API with their rendering (`admin`, `render`), and the identities that operators keep in a file (`iam`).
//!
//! Library functions only: the root package adds the command line. Nothing here runs on a node, prints, or exits.

pub mod admin;
mod demo;
mod error;
pub mod iam;
pub mod pki;
pub mod render;

pub use demo::{Demo, DemoOperator};
pub use error::{AdminClientError, DemoError, PkiError};
