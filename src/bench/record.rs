//! What was measured: latencies as HDR histograms, failures by code. Each thread has its own; they are added at the end.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::client::Called;

/// Latencies are kept to three digits from a microsecond to ten minutes.
const LOWEST_NS: u64 = 1000;
const HIGHEST_NS: u64 = 600_000_000_000;
const DIGITS: u8 = 3;
/// Different codes of one measurement; the API has some thirty.
const CODES_MAX: usize = 64;
/// Where the rest is counted.
const OTHER: &str = "Other";

/// A count for each code.
pub(crate) type Codes = BTreeMap<String, u64>;

/// An empty histogram of latencies.
#[allow(clippy::expect_used, reason = "the bounds are constants that a test has seen to be valid")]
pub(crate) fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(LOWEST_NS, HIGHEST_NS, DIGITS).expect("the bounds are valid")
}

/// What one kind of request came to.
#[derive(Clone)]
pub(crate) struct Tally {
    /// Of requests that were answered, retries and their pauses included; of those that never were, how long they waited.
    pub(crate) latencies: Histogram<u64>,
    /// Begun in the measured time, and sent.
    pub(crate) requests: u64,
    /// To be begun in the measured time, and never sent.
    pub(crate) unsent: u64,
    /// Succeeded before the measured time was over.
    pub(crate) in_time: u64,
    /// Failed at first and succeeded by a retry.
    pub(crate) mended: u64,
    /// Attempts that failed, the mended ones included.
    pub(crate) failed_attempts: Codes,
    /// Requests that failed for good.
    pub(crate) errors: Codes,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { latencies: latencies(), requests: 0, unsent: 0, in_time: 0, mended: 0, failed_attempts: Codes::new(), errors: Codes::new() }
    }

    /// Counts a request that was made.
    pub(crate) fn record(&mut self, called: &Called, took: Duration, in_time: bool) {
        self.requests += 1;
        if called.ok {
            record(&mut self.latencies, took);
            self.in_time += u64::from(in_time);
            self.mended += u64::from(!called.failed.is_empty());
        } else {
            count(&mut self.errors, called.failed.last().map_or(OTHER, |code| code));
        }
        called.failed.iter().for_each(|code| count(&mut self.failed_attempts, code));
    }

    /// Counts a request that should have been made and was not, for want of a connection that was free.
    pub(crate) fn record_unsent(&mut self, waited: Duration) {
        self.unsent += 1;
        record(&mut self.latencies, waited);
        count(&mut self.errors, "NotSent");
    }

    pub(crate) fn add(&mut self, other: &Self) {
        // Both have the same bounds, so nothing is out of range.
        let _ = self.latencies.add(&other.latencies);
        self.requests += other.requests;
        self.unsent += other.unsent;
        self.in_time += other.in_time;
        self.mended += other.mended;
        for (mine, others) in [(&mut self.failed_attempts, &other.failed_attempts), (&mut self.errors, &other.errors)] {
            others.iter().for_each(|(code, number)| *mine.entry(code.clone()).or_default() += number);
        }
    }
}

/// Notes a latency; what is out of range counts as the nearest bound.
pub(crate) fn record(latencies: &mut Histogram<u64>, took: Duration) {
    latencies.saturating_record(u64::try_from(took.as_nanos()).unwrap_or(HIGHEST_NS).clamp(LOWEST_NS, HIGHEST_NS));
}

fn count(codes: &mut Codes, code: &str) {
    if let Some(number) = codes.get_mut(code) {
        *number += 1;
    } else {
        let code = if codes.len() < CODES_MAX { code } else { OTHER };
        *codes.entry(code.to_owned()).or_default() += 1;
    }
}

/// A latency in milliseconds, for people and JSON.
#[allow(clippy::cast_precision_loss, reason = "at most ten minutes in nanoseconds, of which three digits are meant")]
pub(crate) fn quantile_ms(latencies: &Histogram<u64>, quantile: f64) -> f64 {
    latencies.value_at_quantile(quantile) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(failed: &[&'static str], ok: bool) -> Called {
        Called { failed: failed.iter().map(|code| (*code).into()).collect(), ok }
    }

    #[test]
    fn what_becomes_of_a_request_is_counted_once() {
        let mut tally = Tally::new();
        tally.record(&called(&[], true), Duration::from_millis(2), true);
        tally.record(&called(&["ConnectionClosed", "NotConnected"], true), Duration::from_millis(900), false);
        tally.record(&called(&["DisabledException"], false), Duration::from_millis(1), true);
        tally.record_unsent(Duration::from_secs(3));
        let mut sum = Tally::new();
        sum.add(&tally);
        sum.add(&tally);
        assert_eq!((sum.requests, sum.unsent, sum.in_time, sum.mended), (6, 2, 2, 2));
        assert_eq!(sum.errors, Codes::from([("DisabledException".to_owned(), 2), ("NotSent".to_owned(), 2)]));
        let attempts = ["ConnectionClosed", "DisabledException", "NotConnected"].map(|code| (code.to_owned(), 2));
        assert_eq!(sum.failed_attempts, Codes::from(attempts));
        assert_eq!(sum.latencies.len(), 6, "a refusal's time says nothing of a success's");
        assert!((quantile_ms(&sum.latencies, 0.0) - 2.0).abs() < 0.01);
        assert!((quantile_ms(&sum.latencies, 1.0) - 3000.0).abs() < 5.0);
    }

    #[test]
    fn quantiles_are_exact_to_three_digits_and_never_out_of_range() {
        let mut all = latencies();
        (1..=1000).for_each(|ms| record(&mut all, Duration::from_millis(ms)));
        for (quantile, ms) in [(0.5, 500.0), (0.99, 990.0), (0.999, 999.0), (1.0, 1000.0)] {
            let found = quantile_ms(&all, quantile);
            assert!((found / ms - 1.0).abs() < 0.001, "{quantile}: {found}");
        }
        record(&mut all, Duration::ZERO);
        record(&mut all, Duration::from_secs(100_000));
        assert_eq!(all.len(), 1002);
        assert!((quantile_ms(&all, 1.0) / 600_000.0 - 1.0).abs() < 0.001);
    }

    #[test]
    fn codes_do_not_grow_without_bound() {
        let mut codes = Codes::new();
        (0..1000).for_each(|n| count(&mut codes, &n.to_string()));
        assert_eq!((codes.len(), codes[OTHER]), (CODES_MAX + 1, 1000 - CODES_MAX as u64));
    }
}
