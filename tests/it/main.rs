//! Tests of the whole: the layers as Cargo sees them, the files that ship, and deployments of real processes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod at_rest;
mod backup;
mod bench;
mod clocks;
mod convergence;
mod harness;
mod layers;
mod lifecycle;
mod load;
mod members;
mod tree;
