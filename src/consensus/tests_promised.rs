//! The decision alone: memberships and votes against words.

use std::collections::{BTreeMap, BTreeSet};

use openraft::Membership;
use proptest::prelude::*;

use super::*;
use crate::raft_types::Member;

const ME: NodeId = 1;
const TERM: u64 = 7;

fn leader_id(term: u64, node_id: NodeId) -> LeaderId {
    LeaderId { term, node_id }
}

fn promise(term: u64, node: NodeId) -> Promise {
    Promise { term, node }
}

fn word(of: NodeId, term: u64, node: NodeId) -> Word {
    Word { of, promise: promise(term, node) }
}

/// A membership at this index of the log, of one set of voters or of two.
fn membership(index: u64, voters: &[&[NodeId]], learners: &[NodeId]) -> StoredMembership {
    let sets: Vec<BTreeSet<NodeId>> = voters.iter().map(|set| set.iter().copied().collect()).collect();
    let nodes: BTreeMap<NodeId, Member> = sets.iter().flatten().chain(learners).map(|id| (*id, Member::default())).collect();
    StoredMembership::new(Some(LogId::new(leader_id(1, ME), index)), Membership::new(sets, nodes).unwrap())
}

/// An engine that leads in the term, with an entry of it committed at index 20.
struct Engine {
    leads: bool,
    vote: Vote,
    effective: StoredMembership,
    settled: StoredMembership,
    committed: Option<LogId>,
}

impl Engine {
    fn of(voters: &[NodeId]) -> Self {
        let membership = membership(3, &[voters], &[9]);
        let committed = Some(LogId::new(leader_id(TERM, ME), 20));
        Self { leads: true, vote: Vote::new_committed(TERM, ME), effective: membership.clone(), settled: membership, committed }
    }

    fn answers(&self, words: &[Word]) -> Option<u64> {
        let Self { leads, vote, effective, settled, committed } = self;
        Held { me: ME, leads: *leads, vote, effective, settled, committed: committed.as_ref() }.index_at_once(words)
    }
}

#[test]
fn a_promise_only_grows() {
    let promised = Promised::default();
    assert_eq!(promised.now(), promise(0, 0));
    for (vote, then) in [
        (Vote::new(3, 2), promise(3, 2)),
        (Vote::new(2, 9), promise(3, 2)),
        (Vote::new_committed(3, 2), promise(3, 2)),
        (Vote::new(3, 3), promise(3, 3)),
        (Vote::new_committed(3, 2), promise(3, 3)),
        (Vote::new(4, 1), promise(4, 1)),
    ] {
        promised.clone().raise(&vote);
        assert_eq!(promised.now(), then, "{vote}");
    }
}

#[test]
fn a_majority_that_has_promised_this_term_is_enough_and_nothing_less() {
    let kept = |id| word(id, TERM, ME);
    assert_eq!(Engine::of(&[1]).answers(&[]), Some(20));
    for (voters, words, at_once) in [
        (&[1, 2, 3][..], vec![], false),
        (&[1, 2, 3], vec![kept(2)], true),
        (&[1, 2, 3], vec![kept(1)], false),
        (&[1, 2, 3], vec![kept(9)], false),
        (&[1, 2, 3], vec![word(2, TERM + 1, 2)], false),
        (&[1, 2, 3], vec![word(2, TERM + 1, ME)], false),
        (&[1, 2, 3], vec![word(2, TERM - 1, ME)], false),
        (&[1, 2, 3], vec![word(2, TERM, 3)], false),
        (&[1, 2, 3], vec![word(2, TERM + 1, 2), kept(3)], true),
        (&[1, 2], vec![], false),
        (&[1, 2], vec![kept(2)], true),
        (&[1, 2, 3, 4], vec![kept(2)], false),
        (&[1, 2, 3, 4], vec![kept(2), kept(3)], true),
        (&[1, 2, 3, 4, 5], vec![kept(2)], false),
        (&[1, 2, 3, 4, 5], vec![kept(2), kept(2)], false),
        (&[1, 2, 3, 4, 5], vec![kept(2), kept(5)], true),
        // A leader that does not vote counts for nothing.
        (&[2, 3, 4], vec![kept(2)], false),
        (&[2, 3, 4], vec![kept(2), kept(4)], true),
    ] {
        assert_eq!(Engine::of(voters).answers(&words).is_some(), at_once, "{voters:?} {words:?}");
    }
}

#[test]
fn only_an_established_leader_of_a_settled_membership_that_has_committed_in_its_term_answers() {
    let words = [word(2, TERM, ME), word(3, TERM, ME)];
    let good = || Engine::of(&[1, 2, 3]);
    assert_eq!(good().answers(&words), Some(20));
    let joint = membership(5, &[&[1, 2, 3], &[1, 2, 4]], &[]);
    for (what, engine) in [
        ("not leading", Engine { leads: false, ..good() }),
        ("a candidate", Engine { vote: Vote::new(TERM, ME), ..good() }),
        ("another's vote", Engine { vote: Vote::new_committed(TERM, 2), ..good() }),
        ("nothing committed", Engine { committed: None, ..good() }),
        ("an earlier term's entry", Engine { committed: Some(LogId::new(leader_id(TERM - 1, ME), 20)), ..good() }),
        ("another leader's entry", Engine { committed: Some(LogId::new(leader_id(TERM, 3), 20)), ..good() }),
        ("a joint membership", Engine { effective: joint.clone(), settled: joint, ..good() }),
        ("one that is not settled", Engine { effective: membership(5, &[&[1, 2, 3]], &[]), ..good() }),
    ] {
        assert_eq!(engine.answers(&words), None, "{what}");
    }
}

proptest! {
    /// The claim of the module: while a majority has promised something higher, no set of true words makes a leader answer.
    #[test]
    fn no_leader_answers_once_a_majority_has_promised_more(
        size in 1..8_u64,
        promises in proptest::collection::vec((TERM - 1..TERM + 3, 1..4_u64), 8),
        heard in proptest::collection::vec(any::<bool>(), 8),
    ) {
        let voters: Vec<NodeId> = (1..=size).collect();
        // The leader's own promise is where its engine is.
        let promised = |id: NodeId| {
            let (term, node) = if id == ME { (TERM, ME) } else { promises[usize::try_from(id).unwrap()] };
            promise(term, node)
        };
        let words: Vec<Word> = voters.iter().filter(|id| heard[usize::try_from(**id).unwrap()])
            .map(|id| Word { of: *id, promise: promised(*id) }).collect();
        let above = voters.iter().filter(|id| promised(**id) > promise(TERM, ME)).count();
        if Engine::of(&voters).answers(&words).is_some() {
            prop_assert!(2 * above < voters.len());
        }
    }
}
