//! Ids of the deployment's own parts: clusters, their incarnations, nodes and node instances.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A Raft node's id, unique in its region for ever: an id that was used once is never given to another disk.
pub type NodeId = u64;

macro_rules! random_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name([u8; 16]);

        impl $name {
            /// From 16 random bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }
    };
}

random_id! {
    /// Names one region's cluster; made by `claviger init`.
    ClusterId
}
random_id! {
    /// Random, new when a region is created or restored (DESIGN.md section 5.1).
    Incarnation
}
random_id! {
    /// Names one data directory of a node, so that a node id cannot come back on an empty disk.
    NodeInstance
}
