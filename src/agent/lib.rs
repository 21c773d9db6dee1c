//! The local agent: the AWS KMS API on this machine, for programs that cannot present a client certificate.
//!
//! The way of a request: `proxy` (is it signed, by which access key) → the body, in bounded and zeroized memory → the proof
//! ([`claviger_sigv4`]) → `forward` (which node of the region that the signature names, and which next) → the node's answer,
//! untouched. One endpoint serves all regions. Each access key stands for one identity, whose certificate the nodes see.
//!
//! The agent retries at other nodes of the same region and never in another. A request that comes without an invocation id
//! is given one, so that a write that is sent twice happens once.
//!
//! Deliberately absent: any idea of what an operation does, decisions about who may do what (the nodes'), caching of answers,
//! and listening anywhere but on this machine. Bodies, signatures and secrets are never logged.

mod agent;
pub mod credentials;
mod error;
mod forward;
mod identity;
mod listen;
mod meter;
mod nodes;
mod private_file;
pub mod profile;
mod proxy;
mod reload;
mod respond;
mod settings;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use agent::Agent;
pub use error::AgentError;
pub use listen::{bind_loopback, is_loopback};
pub use settings::{IdentitySettings, Limits, RegionSettings, Settings};
