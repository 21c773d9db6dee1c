//! Identities as operators keep them: a file that says what an account is to have ([`IamFile`]), the difference to what a region
//! has ([`plan`]), and the doing, region by region ([`Region`]).
//!
//! A plan is a pure function of what there is and what is wanted. Regions share nothing here: each is read, planned and changed
//! for itself, and one that fails keeps no other waiting.

mod drift;
mod file;
mod plan;
mod region;

pub use drift::{Drift, drift};
pub use file::{IamError, IamFile};
pub use plan::{AccountPlan, Change, commands, plan};
pub use region::{ApplyFailed, Held, HeldAccount, Region, regions};
