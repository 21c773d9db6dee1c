//! Tests of the whole: the layers as Cargo sees them, the files that ship, and deployments of real processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod at_rest;
mod bench;
mod convergence;
mod harness;
mod layers;
mod lifecycle;
mod tree;
