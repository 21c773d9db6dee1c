//! How long to leave an unreachable peer alone: doubling pauses with jitter, so that regions that lost each other do not
//! come back in step.

use std::time::Duration;

use claviger_types::jitter;

/// Doubling pauses between two bounds.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) const fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, failures: 0 }
    }

    /// The next pause: between half of its nominal length and all of it.
    pub(crate) fn next(&mut self) -> Duration {
        let nominal = self.min.saturating_mul(1_u32 << self.failures.min(20)).min(self.max);
        self.failures = self.failures.saturating_add(1);
        let [random, ..] = jitter::next().to_le_bytes();
        nominal / 2 + (nominal / 2) * u32::from(random) / 255
    }

    pub(crate) const fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_to_its_bound_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(2));
        for nominal in [100, 200, 400, 800, 1600, 2000, 2000] {
            let pause = backoff.next();
            assert!(pause >= Duration::from_millis(nominal) / 2 && pause <= Duration::from_millis(nominal), "{pause:?} {nominal}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(100));
    }
}
