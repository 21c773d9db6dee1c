//! The use cases of the API, one file per operation, each in the same order: resolve, authorise, check, propose or
//! compute, answer.
//!
//! A [`Service`] is one node's view of its region. What it reads, it reads behind the read gate; what it changes, it
//! proposes to the log, with everything random made and everything secret sealed before. Business rules that concurrent
//! requests could race are the state machine's, not repeated here for effect but for a better answer. [`KeyCache`] keeps
//! opened keys and is told of every change before the gate can pass a reader by it.
//!
//! *Architecture invariants.* Nothing here knows HTTP, JSON, RocksDB or Raft; no lock is held across an await; no secret
//! is kept but in the cache; who may do what is decided by
//! `claviger_policy`, which `access` alone asks, and which error a client sees in `error`.

mod access;
mod cache;
mod cached_key;
mod caller;
mod context;
mod error;
mod grant_token;
mod key_policy;
mod marker;
mod metadata;
mod operations;
mod recipient;
mod replica_authority;
mod reservations;
mod scheduler;
mod service;
mod usages;
mod write;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use access::{SimulatedCheck, SimulatedFacts, SimulatedGrant, Simulation, SimulationError};
pub use cache::{CacheLimits, KeyCache};
/// What a [`Service`] serves, under a name for the edge, which sees nothing else of consensus.
pub use claviger_consensus::Region as ServedRegion;
pub use context::{Context, Invocation};
pub use reservations::{ReplicaReservations, ReservationError, ReservationFuture, ReservationRequest};
pub use service::{Service, ServiceConfig};
