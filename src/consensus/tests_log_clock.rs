//! Log time against injected clocks and instants: what it follows, what it does not, and what no set of clocks can do to it.

use proptest::prelude::*;

use super::*;

const START: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// `START` and `millis`.
fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(START.as_millis().saturating_add_signed(millis))
}

fn minus(time: Timestamp, by: Duration) -> Timestamp {
    Timestamp::from_millis(time.as_millis() - u64::try_from(by.as_millis()).unwrap())
}

fn voters(own: Timestamp, known: &[Timestamp], count: usize) -> Voters {
    Voters { own, count, known: known.to_vec() }
}

/// A region's only voter.
fn alone(clock: Timestamp) -> Voters {
    voters(clock, &[clock], 1)
}

/// A node that was started at an instant with this log time.
fn started(now: Instant, log_time: Timestamp) -> LogClock {
    let mut log = LogClock::default();
    log.raise(now, log_time);
    log
}

#[test]
fn the_median_is_of_a_majority_and_the_lower_one_of_two() {
    let agreed = |known: &[i64], count| voters(START, &known.iter().map(|millis| at(*millis)).collect::<Vec<_>>(), count).agreed();
    assert_eq!(agreed(&[3, 1, 2], 3), Some(at(2)));
    assert_eq!(agreed(&[9, 1], 3), Some(at(1)));
    assert_eq!(agreed(&[4, 3, 2, 1], 5), Some(at(2)));
    assert_eq!(agreed(&[1], 1), Some(at(1)));
    assert_eq!(agreed(&[1], 2), None);
    assert_eq!(agreed(&[1, 2], 4), None);
    assert_eq!(agreed(&[1, 2], 5), None);
    assert_eq!(agreed(&[], 0), None);
}

#[test]
fn a_reading_is_of_the_middle_of_its_round_trip_and_counts_for_some_seconds() {
    let asked = Instant::now();
    let reading = Reading::between(asked, asked + SECOND, START);
    assert_eq!(reading.shows(asked + SECOND), Some(at(500)));
    assert_eq!(reading.shows(asked + SECOND / 2 + READING_AGE_MAX), Some(at(5000)));
    assert_eq!(reading.shows(asked + SECOND / 2 + READING_AGE_MAX + Duration::from_millis(1)), None);
}

#[test]
fn there_is_no_log_time_before_the_first_command() {
    let (now, mut log) = (Instant::now(), LogClock::default());
    log.steer(now, &alone(START));
    assert_eq!((log.time(now), log.due(now, &alone(START))), (None, Err(NoDueWork::NotFounded)));
    log.raise(now, START);
    assert_eq!(log.time(now + SECOND), Some(at(1000)));
}

#[test]
fn without_a_majority_it_goes_on_and_nothing_is_due() {
    let (now, few) = (Instant::now(), voters(START.plus(YEAR), &[START.plus(YEAR)], 3));
    let mut log = started(now, START);
    log.steer(now, &few);
    assert_eq!(log.time(now + 10 * SECOND), Some(at(10_000)));
    assert_eq!(log.due(now, &few), Err(NoDueWork::NoMajority { known: 1, voters: 3 }));
}

#[test]
fn it_follows_a_majority_forwards_at_once_and_lets_one_that_is_behind_catch_up() {
    let now = Instant::now();
    let all = |clock: Timestamp| voters(clock, &[clock; 3], 3);
    let mut log = started(now, START);
    // All of them were off.
    log.steer(now, &all(START.plus(YEAR)));
    assert_eq!(log.time(now), Some(START.plus(YEAR)));
    let mut log = started(now, START);
    log.steer(now, &all(minus(START, HOUR)));
    assert_eq!(log.time(now + 10 * SECOND), Some(at(5000)), "half speed");
    // What is due is due by both.
    assert_eq!(log.due(now + 10 * SECOND, &all(minus(START, HOUR))), Ok(minus(START, HOUR)));
    // Caught up after two hours; looking in between changes nothing.
    log.steer(now + HOUR, &all(START));
    assert_eq!(log.time(now + HOUR), Some(START.plus(HOUR / 2)));
    let (then, clock) = (now + 2 * HOUR + 2 * SECOND, START.plus(HOUR + 2 * SECOND));
    log.steer(then, &all(clock));
    assert_eq!((log.time(then), log.time(then + SECOND)), (Some(clock), Some(clock.plus(SECOND))));
}

#[test]
fn a_leader_whose_own_clock_is_off_proposes_nothing_due_and_its_log_time_is_right() {
    let now = Instant::now();
    for own in [START.plus(YEAR), minus(START, YEAR), START.plus(Duration::from_millis(5001)), minus(START, Duration::from_millis(5001))] {
        let mut log = started(now, START);
        let seen = voters(own, &[own, START, START], 3);
        log.steer(now, &seen);
        assert_eq!(log.time(now), Some(START));
        assert_eq!(log.due(now, &seen), Err(NoDueWork::OwnClock { offset_millis: own.millis_ahead_of(START) }));
    }
    let close = voters(at(5000), &[at(5000), START, START], 3);
    assert_eq!(started(now, START).due(now, &close), Ok(START));
}

#[test]
fn the_only_voters_jump_is_not_followed_until_it_is_accepted() {
    let now = Instant::now();
    for jump in [5001, i64::try_from(YEAR.as_millis()).unwrap()] {
        let mut log = started(now, START);
        log.steer(now, &alone(START));
        let then = now + 10 * SECOND;
        let clock = at(10_000 + jump);
        for _ in 0..3 {
            log.steer(then, &alone(clock));
        }
        assert_eq!(log.time(then + SECOND), Some(at(11_000)), "it goes on as before");
        assert_eq!(log.due(then, &alone(clock)), Err(NoDueWork::ClockJumped { offset_millis: jump }));
        // Set right, it is believed again; or it is accepted.
        let mut right = log.clone();
        right.steer(then, &alone(at(10_100)));
        assert_eq!((right.time(then), right.due(then, &alone(at(10_100)))), (Some(at(10_100)), Ok(at(10_100))));
        log.accept(then, clock);
        assert_eq!((log.time(then + SECOND), log.due(then, &alone(clock))), (Some(clock.plus(SECOND)), Ok(clock)));
    }
    // A clock that is corrected as clocks are is followed.
    let mut log = started(now, START);
    log.steer(now, &alone(START));
    log.steer(now, &alone(at(5000)));
    assert_eq!(log.time(now), Some(at(5000)));
}

#[test]
fn the_only_voters_jump_backwards_is_not_followed_either_and_accepted_means_waiting() {
    let now = Instant::now();
    let mut log = started(now, START);
    log.steer(now, &alone(START));
    let behind = minus(START, HOUR);
    log.steer(now, &alone(behind));
    assert_eq!(log.time(now + SECOND), Some(at(1000)));
    assert_eq!(log.due(now, &alone(behind)), Err(NoDueWork::ClockJumped { offset_millis: -3_600_000 }));
    log.accept(now, behind);
    log.steer(now, &alone(behind));
    assert_eq!((log.time(now + 2 * SECOND), log.due(now, &alone(behind))), (Some(at(1000)), Ok(behind)));
}

#[test]
fn a_region_of_one_may_have_been_off_for_a_day() {
    let now = Instant::now();
    let day = 24 * HOUR;
    let mut log = started(now, START);
    log.steer(now, &alone(START.plus(day)));
    assert_eq!(log.time(now), Some(START.plus(day)));
    // Once only: from then on it has been with the clock.
    log.steer(now, &alone(START.plus(day + 10 * SECOND)));
    assert_eq!(log.time(now), Some(START.plus(day)));

    let too_long = START.plus(day + SECOND);
    let mut log = started(now, START);
    log.steer(now, &alone(too_long));
    assert_eq!((log.time(now), log.due(now, &alone(too_long)).is_err()), (Some(START), true));
    // A machine whose clock begins at the epoch until somebody tells it the time: that is its first meeting.
    let mut log = started(now, START);
    log.steer(now, &alone(Timestamp::default()));
    log.steer(now + SECOND, &alone(START.plus(HOUR)));
    assert_eq!(log.time(now + SECOND), Some(START.plus(HOUR)));
}

#[test]
fn what_the_leader_says_counts_and_what_is_applied_counts_more() {
    let now = Instant::now();
    let mut log = started(now, START);
    log.hear(now, START.plus(HOUR));
    log.raise(now, START);
    assert_eq!(log.time(now + SECOND), Some(START.plus(HOUR + SECOND)));
    log.raise(now, START.plus(2 * HOUR));
    assert_eq!(log.time(now), Some(START.plus(2 * HOUR)));
    // A node that has followed a leader has not been off.
    let mut log = started(now, START);
    log.hear(now, START);
    log.steer(now, &alone(START.plus(HOUR)));
    assert_eq!(log.time(now), Some(START));
}

/// One look at the clocks.
#[derive(Clone, Debug)]
struct Look {
    after: Duration,
    /// Which of the good voters are known.
    good: Vec<bool>,
    /// What each known bad one shows.
    bad: Vec<u64>,
}

/// Voters whose good clocks are off by at most some seconds, a log time among theirs, and looks at which fewer than half of the
/// known clocks are bad.
fn histories() -> impl Strategy<Value = (Vec<i64>, u64, i64, Vec<Look>)> {
    let offsets = prop::collection::vec(-4000_i64..4000, 1..6);
    offsets.prop_flat_map(|offsets| {
        let (least, most) = (*offsets.iter().min().unwrap(), *offsets.iter().max().unwrap());
        let look = (0_u64..5000, prop::collection::vec(any::<bool>(), offsets.len()), prop::collection::vec(any::<u64>(), 0..4));
        let look = look.prop_map(|(after, good, bad)| Look { after: Duration::from_millis(after), good, bad });
        (Just(offsets), 0_u64..5, least..=most, prop::collection::vec(look, 1..40))
    })
}

proptest! {
    /// Log time never runs backwards and stays between the good clocks, whatever fewer than half of the known ones show.
    #[test]
    fn fewer_than_half_bad_clocks_cannot_move_log_time((offsets, bad_voters, first, looks) in histories()) {
        let count = offsets.len() + usize::try_from(bad_voters).unwrap();
        let start = Instant::now();
        let (mut now, mut elapsed) = (start, 0_i64);
        let mut log = started(now, at(first));
        let (least, most) = (*offsets.iter().min().unwrap(), *offsets.iter().max().unwrap());
        let mut last = at(first);
        for look in looks {
            let good: Vec<_> = offsets.iter().zip(&look.good).filter(|(_, is_known)| **is_known).map(|(offset, _)| at(elapsed + offset)).collect();
            // A good clock that is alone is compared with its past, which is another rule.
            let bad = look.bad.iter().take(usize::try_from(bad_voters).unwrap().min(good.len().saturating_sub(1)));
            let known: Vec<_> = good.into_iter().chain(bad.map(|clock| Timestamp::from_millis(*clock))).collect();
            log.steer(now, &voters(known.first().copied().unwrap_or_default(), &known, count.max(2)));
            for step in [Duration::ZERO, look.after / 3, look.after] {
                let time = log.time(now + step).unwrap();
                prop_assert!(time >= last, "{time} after {last}");
                last = time;
                let passed = elapsed + i64::try_from(step.as_millis()).unwrap();
                // A millisecond is what rounding may take.
                prop_assert!(time >= at(passed + least - 1) && time <= at(passed + most + 1), "{time} at {passed}");
            }
            now += look.after;
            elapsed += i64::try_from(look.after.as_millis()).unwrap();
        }
    }
}
