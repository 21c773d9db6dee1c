//! A voice that does not repeat itself: one line per peer in ten seconds, with how many were held back.

use std::time::Duration;

use claviger_types::Region;
use tokio::time::Instant;

const SILENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Quiet {
    last: Option<Instant>,
    suppressed: u64,
}

impl Quiet {
    pub(super) fn warn(&mut self, peer: &Region, text: &str) {
        let now = Instant::now();
        if self.last.is_some_and(|last| now < last + SILENCE) {
            self.suppressed += 1;
            return;
        }
        tracing::warn!(%peer, suppressed = self.suppressed, "replication: {text}");
        (self.last, self.suppressed) = (Some(now), 0);
    }
}
