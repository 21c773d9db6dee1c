//! Replication: carrying documents and statuses between regions (DESIGN.md section 5).
//!
//! The *shipper* runs on the node that leads its region, one task per peer, and drains the dirty set: documents with the
//! materials that the peer has not named, wrapped for it, and statuses for the primaries that wait for them. The
//! *receiver* is a router on every node's peer listener: it verifies, opens, recomputes every material id, seals under
//! its own barrier and proposes one command per batch.
//!
//! *Architecture invariants.* This crate moves bytes. Whether a document is taken, who becomes active and what is dirty
//! is decided in `protocol` and `state`, inside `apply`; who may have a replica here, by a [`ReplicaAuthority`]. Nothing is kept here but what may be lost at any moment: what
//! was sent lately, which endpoint answered last. Every message is idempotent, so all of them may be repeated, reordered
//! or dropped. Secrets are in the clear only between the two barriers, in `Secret32`.

mod authority;
mod backoff;
mod caller;
mod config;
mod core;
mod error;
mod message;
mod numbers;
mod peers;
mod receiver;
mod replicator;
mod reread;
mod reservations;
mod sealing;
mod shipper;
mod transport;

#[cfg(test)]
mod tests;

pub use authority::{AuthorityFuture, NotAuthorised, ReplicaAuthority};
pub use config::ReplicationConfig;
pub use error::ReplicationError;
pub use message::{DENIAL_CHARS_MAX, PeerHello, RegionLife, ReplicaDenial, ReplicaReservation, ReservationRefusal};
pub use peers::{NewPeer, PeerLag};
pub use replicator::Replicator;
pub use reread::PeerMessage;
pub use sealing::{crypto_keys, stored_keys};
pub use transport::{Answer, Transport, TransportError};
