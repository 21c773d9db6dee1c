//! The simulation: whole regions in one process under turmoil, with everything that a seed decides, faults and all
//! (docs/testing.md).
//!
//! `CLAVIGER_SIM_SEED=n` runs that one seed and prints what happens; `CLAVIGER_SIM_SEEDS=n` runs so many, from
//! `CLAVIGER_SIM_FIRST` on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod client;
mod edge;
mod faults;
mod history;
mod host;
mod invariants;
#[path = "../../src/claviger/late_router.rs"]
mod late_router;
mod linearizability;
mod network;
mod plan;
mod planted;
#[path = "../../src/claviger/reservations.rs"]
mod reservations;
mod rng;
mod run;
mod seeds;
mod trace;
mod world;
