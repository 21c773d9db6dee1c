//! A TCP proxy that does to connections what networks do: it holds bytes back, lets connections overtake one another, breaks them,
//! refuses them, and goes silent in one direction while the other still works.
//!
//! It knows nothing of what it carries: mutual TLS passes through it, so regions and nodes can be set apart without either of them
//! being built differently. Faults are changed while connections live.

mod link;
mod proxies;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use link::Proxy;
pub use proxies::{ChaosError, Proxies, Request, Response};

/// What happens to connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Every byte is late by so much, each way, milliseconds.
    pub delay_ms: u64,
    /// A connection is late by up to so much more, drawn for each: what is sent on one may overtake what was sent before on another.
    pub jitter_ms: u64,
    /// A connection is reset after so many bytes both ways together, or up to twice as many.
    pub reset_after_bytes: Option<u64>,
    /// Connections are reset, and new ones at once.
    pub refuse: bool,
    /// What is sent to the target stays here until this ends; nobody is told.
    pub stall_forward: bool,
    /// So with what comes back.
    pub stall_backward: bool,
}

impl Faults {
    /// Nothing passes, either way, and nobody is told.
    pub const CUT: Self =
        Self { delay_ms: 0, jitter_ms: 0, reset_after_bytes: None, refuse: false, stall_forward: true, stall_backward: true };

    /// A slow line: this round trip, and nothing else.
    pub const fn round_trip(time: Duration) -> Self {
        // A test that waits for longer than 2^64 ms does not end.
        #[expect(clippy::cast_possible_truncation)]
        let delay_ms = (time.as_millis() / 2) as u64;
        Self { delay_ms, jitter_ms: 0, reset_after_bytes: None, refuse: false, stall_forward: false, stall_backward: false }
    }
}
