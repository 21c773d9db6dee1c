//! Consensus: a region as its upper layers see it ([`Region`]), and the Raft group behind it ([`Consensus`]).
//!
//! openraft decides; this crate carries its messages between nodes, its log and its state to [`claviger_storage`], and
//! commands from any node to the leader. Nobody outside sees an openraft type. What a command means is `state`'s affair,
//! and what a key is nobody's here.

mod applied;
mod blocking;
mod callers;
mod clock_status;
mod clock_watch;
mod clocks;
mod config;
mod consensus;
mod due;
mod erasure;
mod error;
mod fault;
mod gate;
mod join;
mod leadership;
mod log;
mod log_clock;
mod machine;
mod membership;
mod memory;
mod network;
mod operate;
mod peers;
mod propose;
mod raft_types;
mod read_rounds;
mod region;
mod reread;
mod restore;
mod runtime;
mod seen;
mod server;
mod snapshot;
mod survey;
mod tend;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests_admission;
#[cfg(test)]
mod tests_clocks;
#[cfg(test)]
mod tests_cluster;
#[cfg(test)]
mod tests_conformance;
#[cfg(test)]
mod tests_erasure;
#[cfg(test)]
mod tests_members;
#[cfg(test)]
mod tests_restore;
mod touch;
mod wire;

pub use blocking::{blocking, in_place};
pub use clock_status::{AcceptClockError, ClockAcceptance, ClockStatus, VoterClock};
pub use config::{COMMAND_BYTES_MAX, ConsensusConfig, Limits, Timings};
pub use consensus::{Consensus, Readiness};
pub use due::{DuePermit, DueWatch, NoDueWork};
pub use error::{ConsensusError, JoinError};
pub use join::join_request;
pub use leadership::{Leadership, MemberStatus, Role, Status};
pub use memory::MemoryRegion;
pub use operate::{MemberChange, OperateError, Operated};
pub use region::{NoObserver, Observer, ObserverError, ProposeError, Region, Unavailable};
pub use reread::NodeMessage;
pub use restore::{StateView, begin_with};
pub use survey::{NodeReport, Surveyed};
