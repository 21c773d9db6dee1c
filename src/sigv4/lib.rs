//! AWS Signature Version 4, verified in the one narrow shape that the API needs.
//!
//! The shape: `POST /` without a query string, signed in the `Authorization` header, the body hashed, and `host`,
//! `x-amz-date` and every other `x-amz-*` header among the signed ones; for KMS with an `x-amz-target`, for STS without one.
//! Query-string authentication, chunked and unsigned bodies, other services and SigV4A are refused, not half supported.
//!
//! Two steps, so that the secret can be looked up and the body read between them: [`Claim::parse`] takes what the headers say
//! and refuses what is malformed, expired or scoped to something else; [`Claim::verify`] proves it.
//!
//! Deliberately absent: I/O, clocks and randomness (all arrive as arguments), signing, and any idea of where access keys are
//! kept or what they may do.

mod access_key;
mod authorization;
mod canonical;
mod claim;
mod date;
mod error;
mod service;
mod signing_key;
#[cfg(test)]
mod tests_aws_suite;
#[cfg(test)]
mod tests_signers;

pub use access_key::{AccessKeyError, AccessKeyId, SecretAccessKey};
pub use claim::{Claim, Head};
pub use error::{SignatureError, SignatureErrorCode};
pub use service::Service;
