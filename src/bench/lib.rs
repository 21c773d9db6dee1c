//! The load generator: it makes requests as fast as they are answered, or at a fixed rate, and says what that took.
//!
//! The way of a measurement: `mix` (which operations, in which shares) → `prepare` (keys and ciphertexts, by the product's
//! own API) → `workload` (whole requests as bytes, made once) → `load` (threads of connections, closed or open loop) →
//! `record` (HDR histograms, errors by code) → `report` (table or JSON). `cpu` asks what the servers used meanwhile, and
//! `empty` measures a handler that does nothing, in a process of its own behind the same listener, to compare with.
//!
//! The generator shares the machine with what it measures, so a request costs it one write, one read and no parsing
//! beyond the status line and the length; a share of the answers is read and checked. It is a client like any other: it
//! never links the database, and sees nothing that another client could not.

mod client;
mod connection;
mod cpu;
mod demo;
mod empty;
mod error;
mod load;
mod mix;
mod pace;
mod plan;
mod prepare;
mod record;
mod report;
mod run;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod workload;

pub use client::Patience;
pub use cpu::CpuSource;
pub use demo::Demo;
pub use empty::{EmptyHandlerCommand, serve_empty};
pub use error::BenchError;
pub use mix::Load;
pub use plan::{Plan, Target, parse_duration};
pub use report::Report;
pub use run::run;
