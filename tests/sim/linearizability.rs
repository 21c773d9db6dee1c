//! Whether what clients saw of one register can be put into an order in which each call takes effect at one moment between
//! its beginning and its end (Wing and Gong, 1993, with the memory of states seen that Lowe added, 2017).
//!
//! A register is absent or has a value. A write without an answer may be put anywhere after its beginning, or left out.

use std::collections::HashSet;

/// A register's value; none while it is absent.
pub(crate) type State = Option<usize>;

/// What a call does or shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// What was absent comes into being with this value.
    Make(usize),
    /// What is there gets this value.
    Set(usize),
    /// What is there goes.
    Unmake,
    /// It was this.
    Show(State),
    /// It was there.
    ShowPresent,
}

impl Step {
    /// The state after it; none when it cannot happen in this one.
    fn after(self, state: State) -> Option<State> {
        match self {
            Self::Make(value) => state.is_none().then_some(Some(value)),
            Self::Set(value) => state.is_some().then_some(Some(value)),
            Self::Unmake => state.is_some().then_some(None),
            Self::Show(shown) => (state == shown).then_some(state),
            Self::ShowPresent => state.is_some().then_some(state),
        }
    }
}

/// A call with its moments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) step: Step,
    pub(crate) begun: u64,
    /// `u64::MAX` when it was never answered: it may have happened or not.
    pub(crate) ended: u64,
}

/// Whether the events, sorted by beginning, have an order that begins with nothing there. On failure says which event ends
/// first of those that no order gets past.
pub(crate) fn check(events: &[Event]) -> Result<(), usize> {
    let left = events.iter().filter(|event| event.ended != u64::MAX).count();
    let mut search = Search { events, placed: vec![false; events.len()], left, seen: HashSet::new(), stuck: 0 };
    if search.find(None) { Ok(()) } else { Err(search.stuck) }
}

struct Search<'a> {
    events: &'a [Event],
    placed: Vec<bool>,
    /// Answered events that are not placed.
    left: usize,
    /// Sets of placed events with the state they lead to: no way leads on from these.
    seen: HashSet<(Vec<bool>, State)>,
    /// The furthest that an order came: the event that ended first of those it could not place.
    stuck: usize,
}

impl Search<'_> {
    fn find(&mut self, state: State) -> bool {
        if self.left == 0 {
            return true;
        }
        if !self.seen.insert((self.placed.clone(), state)) {
            return false;
        }
        // Whatever is placed next must have begun before the first of the others was answered.
        let waiting = || self.events.iter().enumerate().filter(|(index, _)| !self.placed[*index]);
        let horizon = waiting().map(|(_, event)| event.ended).min().unwrap_or(u64::MAX);
        let next: Vec<usize> = waiting().take_while(|(_, event)| event.begun < horizon).map(|(index, _)| index).collect();
        for index in next {
            let event = self.events[index];
            let Some(after) = event.step.after(state) else { continue };
            let answered = usize::from(event.ended != u64::MAX);
            self.placed[index] = true;
            self.left -= answered;
            if self.find(after) {
                return true;
            }
            self.placed[index] = false;
            self.left += answered;
        }
        let first = self.events.iter().enumerate().filter(|(index, _)| !self.placed[*index]).min_by_key(|(_, event)| event.ended);
        self.stuck = self.stuck.max(first.map_or(0, |(index, _)| index));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    const fn event(step: Step, begun: u64, ended: u64) -> Event {
        Event { step, begun, ended }
    }

    const NEVER: u64 = u64::MAX;
    const OFF: usize = 0;
    const ON: usize = 1;

    #[test]
    fn a_read_must_show_what_was_acknowledged_before_it() {
        let made = event(Step::Make(ON), 0, 1);
        let disabled = event(Step::Set(OFF), 2, 5);
        let read = |value, begun, ended| event(Step::Show(Some(value)), begun, ended);
        assert!(check(&[made, disabled, read(ON, 3, 4)]).is_ok());
        assert!(check(&[made, disabled, read(OFF, 3, 4)]).is_ok());
        assert_eq!(check(&[made, disabled, read(ON, 6, 7)]), Err(2));
        // Two reads one after the other, the second of which goes back.
        assert!(check(&[made, disabled, read(ON, 3, 4), read(OFF, 6, 7)]).is_ok());
        let wide = event(Step::Set(OFF), 2, 20);
        assert!(check(&[made, wide, read(OFF, 3, 4), read(ON, 6, 7)]).is_err());
        assert!(check(&[made, event(Step::Show(None), 2, 3)]).is_err());
    }

    #[test]
    fn an_unknown_write_may_come_late_or_never_but_not_twice() {
        let made = event(Step::Make(ON), 0, 1);
        let unknown = event(Step::Set(OFF), 2, NEVER);
        let read = |value, begun| event(Step::Show(Some(value)), begun, begun + 1);
        assert!(check(&[made, unknown, read(ON, 4)]).is_ok());
        assert!(check(&[made, unknown, read(ON, 4), read(OFF, 6), read(OFF, 8)]).is_ok());
        assert!(check(&[made, unknown, read(OFF, 4), read(ON, 6)]).is_err());
        let enabled = event(Step::Set(ON), 5, 6);
        assert!(check(&[made, unknown, read(OFF, 3), enabled, read(ON, 7), read(OFF, 9)]).is_err());
    }

    /// Tries every order of the answered events with every choice of the others.
    fn brute_force(events: &[Event], placed: &mut Vec<usize>, state: State) -> bool {
        let left: Vec<usize> = (0..events.len()).filter(|index| !placed.contains(index)).collect();
        if left.iter().all(|index| events[*index].ended == NEVER) {
            return true;
        }
        left.iter().any(|&index| {
            // Nothing that is still to come may have ended before this begins.
            let in_time = left.iter().all(|other| events[*other].ended > events[index].begun || *other == index);
            let Some(after) = events[index].step.after(state).filter(|_| in_time) else { return false };
            placed.push(index);
            let found = brute_force(events, placed, after);
            placed.pop();
            found
        })
    }

    #[test]
    fn agrees_with_trying_every_order() {
        let mut rng = Rng::new(1, "linearizability");
        let (mut good, mut bad) = (0, 0);
        for _ in 0..20_000 {
            let steps = [
                Step::Set(OFF),
                Step::Set(ON),
                Step::Show(Some(OFF)),
                Step::Show(Some(ON)),
                Step::Show(None),
                Step::ShowPresent,
                Step::Unmake,
                Step::Make(OFF),
            ];
            let mut events = vec![event(Step::Make(ON), 0, rng.between(1, 6))];
            for _ in 0..rng.between(1, 6) {
                let (step, begun) = (*rng.pick(&steps), rng.between(0, 12));
                let writes = matches!(step, Step::Set(_) | Step::Make(_) | Step::Unmake);
                let ended = if writes && rng.percent(30) { NEVER } else { begun + rng.between(1, 6) };
                events.push(event(step, begun, ended));
            }
            events.sort_by_key(|event| event.begun);
            let expected = brute_force(&events, &mut Vec::new(), None);
            assert_eq!(check(&events).is_ok(), expected, "{events:?}");
            *(if expected { &mut good } else { &mut bad }) += 1;
        }
        assert!(good > 1000 && bad > 1000, "{good} {bad}");
    }
}
