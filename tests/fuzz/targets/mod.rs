//! The targets, by what they read.

pub mod attestations;
pub mod certificates;
pub mod keys;
pub mod names;
pub mod peers;
pub mod policies;
pub mod requests;
pub mod sealed;
pub mod signatures;
pub mod states;
