//! Consensus: a region as its upper layers see it ([`Region`]), and the Raft group behind it.

mod memory;
mod region;

pub use memory::MemoryRegion;
pub use region::{NoObserver, Observer, ProposeError, Region, Unavailable};
