//! What a leader knows of its group, what operators want of each node, and the next change that brings the one to the other.
//!
//! Pure decisions over a picture of one moment: `tend` looks and acts. No change is decided that would leave the group
//! without a majority that answers and has caught up.

use std::time::Duration;

use claviger_state::{NodeRecord, NodeRole};
use claviger_types::NodeId;

use crate::raft_types::LogId;

/// A node this close to the leader's end of the log has caught up.
const CAUGHT_UP_ENTRIES: u64 = 100;

/// What operators want of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    Voter,
    Learner,
    /// Not to be a member.
    Gone,
}

impl Wanted {
    /// A member has a record, since it was registered before it was let in; one without would be new.
    pub(crate) fn of(record: Option<&NodeRecord>) -> Self {
        match record {
            Some(NodeRecord { removed_at: Some(_), .. }) => Self::Gone,
            Some(NodeRecord { role: NodeRole::Learner, .. }) => Self::Learner,
            Some(NodeRecord { role: NodeRole::Voter, .. }) | None => Self::Voter,
        }
    }
}

/// A member of the group.
#[derive(Clone, Debug)]
pub(crate) struct SeenMember {
    pub(crate) id: NodeId,
    pub(crate) is_voter: bool,
    pub(crate) wanted: Wanted,
    /// Entries of the leader's log that it is not known to hold.
    pub(crate) lag_entries: Option<u64>,
    /// Since when nothing was heard of it.
    pub(crate) silent: Option<Duration>,
}

/// The group as its leader sees it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The leader.
    pub(crate) me: NodeId,
    /// Names the membership.
    pub(crate) membership: Option<LogId>,
    /// The membership is committed, and what was wanted when it was made has been applied here.
    pub(crate) is_settled: bool,
    pub(crate) is_joint: bool,
    /// A node that is silent for longer is not there.
    pub(crate) silence_max: Duration,
    pub(crate) members: Vec<SeenMember>,
}

/// One change of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Leave a joint membership.
    Settle,
    /// Let this voter lead, since this node is to vote no more.
    HandOver(NodeId),
    /// Make this learner a voter.
    Promote(NodeId),
    /// Make this voter a learner.
    Demote(NodeId),
    /// Take this voter out.
    RemoveVoter(NodeId),
    /// Take this learner out.
    RemoveLearner(NodeId),
}

/// Why something must not be done, or not now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Objection {
    /// It makes no sense as things stand.
    Never(String),
    /// Nodes do not answer or lag behind; that may pass.
    NotNow(String),
}

impl Objection {
    pub(crate) fn reason(self) -> String {
        match self {
            Self::Never(reason) | Self::NotNow(reason) => reason,
        }
    }
}

impl Seen {
    pub(crate) fn member(&self, id: NodeId) -> Option<&SeenMember> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Whether a node is what is wanted, for good.
    pub(crate) fn is(&self, id: NodeId, wanted: Wanted) -> bool {
        let now = match self.member(id) {
            Some(member) if member.is_voter => Wanted::Voter,
            Some(_) => Wanted::Learner,
            None => Wanted::Gone,
        };
        self.is_settled && !self.is_joint && now == wanted
    }

    /// The next change, one at a time.
    pub(crate) fn next_step(&self) -> Option<Step> {
        if !self.is_settled {
            return None;
        }
        if self.is_joint {
            return Some(Step::Settle);
        }
        self.members.iter().find_map(|member| {
            let id = member.id;
            match (member.wanted, member.is_voter) {
                (Wanted::Voter, true) | (Wanted::Learner, false) => None,
                (Wanted::Gone, false) => Some(Step::RemoveLearner(id)),
                // A learner that is not heard of stays one: as a voter it would only be missed.
                (Wanted::Voter, false) => self.is_able(member).is_ok().then_some(Step::Promote(id)),
                (Wanted::Gone | Wanted::Learner, true) if self.may_lose(id).is_err() => None,
                (_, true) if id == self.me => self.successor().ok().map(Step::HandOver),
                (Wanted::Gone, true) => Some(Step::RemoveVoter(id)),
                (Wanted::Learner, true) => Some(Step::Demote(id)),
            }
        })
    }

    /// Whether the group can do without this voter: others are to vote, and a majority of those that are left can.
    pub(crate) fn may_lose(&self, id: NodeId) -> Result<(), Objection> {
        let left: Vec<&SeenMember> = self.members.iter().filter(|member| member.is_voter && member.id != id).collect();
        if !left.iter().any(|member| member.wanted == Wanted::Voter) {
            return Err(Objection::Never(format!("node {id} is the last voter; let another node join first")));
        }
        let unable: Vec<String> = left.iter().filter_map(|member| self.is_able(member).err()).collect();
        if 2 * (left.len() - unable.len()) > left.len() {
            return Ok(());
        }
        let able = left.len() - unable.len();
        Err(Objection::NotNow(format!(
            "only {able} of the {} voters that would be left can vote now ({}), so the region would stop",
            left.len(),
            unable.join(", ")
        )))
    }

    /// The best voter to lead next.
    pub(crate) fn successor(&self) -> Result<NodeId, Objection> {
        let others: Vec<&SeenMember> =
            self.members.iter().filter(|member| member.is_voter && member.wanted == Wanted::Voter && member.id != self.me).collect();
        if others.is_empty() {
            return Err(Objection::Never("there is no other voter that could lead".to_owned()));
        }
        let able = others.iter().filter(|member| self.is_able(member).is_ok());
        if let Some(best) = able.min_by_key(|member| member.lag_entries) {
            return Ok(best.id);
        }
        let unable: Vec<String> = others.iter().filter_map(|member| self.is_able(member).err()).collect();
        Err(Objection::NotNow(format!("no other voter could lead now ({})", unable.join(", "))))
    }

    /// Whether this voter can lead next.
    pub(crate) fn may_lead(&self, id: NodeId) -> Result<(), Objection> {
        match self.member(id) {
            None => Err(Objection::Never(format!("node {id} is not a member of the region"))),
            Some(member) if !member.is_voter || member.wanted != Wanted::Voter => {
                Err(Objection::Never(format!("node {id} does not vote, so it cannot lead; promote it first")))
            }
            Some(member) => self.is_able(member).map_err(Objection::NotNow),
        }
    }

    /// Whether a member answers and has caught up; if not, in which way.
    pub(crate) fn is_able(&self, member: &SeenMember) -> Result<(), String> {
        let id = member.id;
        if id == self.me {
            return Ok(());
        }
        match (member.silent, member.lag_entries) {
            (None, _) => Err(format!("node {id} has not been heard of yet")),
            (Some(silent), _) if silent >= self.silence_max => Err(format!("node {id} has not answered for {:.1} s", silent.as_secs_f64())),
            (_, None) => Err(format!("it is not known what node {id} holds")),
            (_, Some(lag)) if lag > CAUGHT_UP_ENTRIES => Err(format!("node {id} lacks {lag} entries of the log")),
            (Some(_), Some(_)) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: NodeId, is_voter: bool, wanted: Wanted) -> SeenMember {
        SeenMember { id, is_voter, wanted, lag_entries: Some(1), silent: Some(Duration::from_millis(50)) }
    }

    fn voter(id: NodeId) -> SeenMember {
        member(id, true, Wanted::Voter)
    }

    fn learner(id: NodeId) -> SeenMember {
        member(id, false, Wanted::Voter)
    }

    fn dead(mut of: SeenMember) -> SeenMember {
        of.silent = Some(Duration::from_secs(5));
        of
    }

    /// Node 1 leads.
    fn seen(others: impl IntoIterator<Item = SeenMember>) -> Seen {
        let silence_max = Duration::from_secs(1);
        // A leader hears nothing of itself.
        let me = SeenMember { silent: None, lag_entries: None, ..voter(1) };
        let members = [me].into_iter().chain(others).collect();
        Seen { me: 1, membership: None, is_settled: true, is_joint: false, silence_max, members }
    }

    #[test]
    fn only_a_learner_that_has_caught_up_and_is_alive_is_promoted() {
        assert_eq!(seen([learner(2)]).next_step(), Some(Step::Promote(2)));
        let behind = SeenMember { lag_entries: Some(500), ..learner(2) };
        assert_eq!(seen([behind.clone(), learner(3)]).next_step(), Some(Step::Promote(3)));
        assert_eq!(seen([]).next_step(), None);
        for (not_yet, why) in [
            (behind, "node 2 lacks 500 entries"),
            (SeenMember { lag_entries: None, ..learner(2) }, "not known what node 2 holds"),
            (SeenMember { silent: None, ..learner(2) }, "not been heard of"),
            (dead(learner(2)), "has not answered for 5.0 s"),
        ] {
            let seen = seen([not_yet.clone()]);
            assert_eq!(seen.next_step(), None, "{why}");
            assert!(seen.is_able(&not_yet).unwrap_err().contains(why), "{:?}", seen.is_able(&not_yet));
        }
    }

    #[test]
    fn what_is_not_wanted_to_vote_is_not_promoted() {
        assert_eq!(seen([member(2, false, Wanted::Learner)]).next_step(), None);
    }

    #[test]
    fn one_change_at_a_time_and_a_joint_membership_is_left_first() {
        let changing = Seen { is_settled: false, ..seen([learner(2)]) };
        assert_eq!(changing.next_step(), None);
        let joint = Seen { is_joint: true, ..seen([learner(2)]) };
        assert_eq!(joint.next_step(), Some(Step::Settle));
    }

    #[test]
    fn what_is_wanted_is_done_once_the_rest_can_do_without() {
        assert_eq!(seen([voter(2), member(3, true, Wanted::Gone)]).next_step(), Some(Step::RemoveVoter(3)));
        assert_eq!(seen([voter(2), member(3, true, Wanted::Learner)]).next_step(), Some(Step::Demote(3)));
        assert_eq!(seen([member(3, false, Wanted::Gone)]).next_step(), Some(Step::RemoveLearner(3)));
        assert_eq!(seen([voter(2), dead(member(3, true, Wanted::Gone))]).next_step(), Some(Step::RemoveVoter(3)));
        // Of the two that would be left one is dead: two of three can vote, one of two cannot.
        assert_eq!(seen([dead(voter(2)), member(3, true, Wanted::Gone)]).next_step(), None);
        // The leader that is to go hands over first, and waits for somebody to hand over to.
        let mut leaving = seen([voter(2), voter(3)]);
        leaving.members[0].wanted = Wanted::Gone;
        assert!(matches!(leaving.next_step(), Some(Step::HandOver(2 | 3))));
        leaving.members[1..].iter_mut().for_each(|member| member.silent = None);
        assert_eq!(leaving.next_step(), None);
    }

    #[test]
    fn the_last_voter_stays() {
        let only = seen([learner(2)]);
        assert!(matches!(only.may_lose(1), Err(Objection::Never(reason)) if reason.contains("last voter")));
        // Neither may all be taken one after the other while the first is under way.
        let leaving = seen([member(2, true, Wanted::Gone)]);
        assert!(matches!(leaving.may_lose(1), Err(Objection::Never(_))));
        leaving.may_lose(2).unwrap();
        let two = seen([dead(voter(2))]);
        two.may_lose(2).unwrap();
        assert!(matches!(two.may_lose(1), Err(Objection::NotNow(reason)) if reason.contains("only 0 of the 1")));
    }

    #[test]
    fn the_best_of_those_that_can_leads_next() {
        let behind = SeenMember { lag_entries: Some(40), ..voter(2) };
        assert_eq!(seen([behind.clone(), voter(3)]).successor(), Ok(3));
        assert_eq!(seen([behind, dead(voter(3))]).successor(), Ok(2));
        assert!(matches!(seen([dead(voter(2))]).successor(), Err(Objection::NotNow(_))));
        assert!(matches!(seen([learner(2), member(3, true, Wanted::Learner)]).successor(), Err(Objection::Never(_))));
        let others = seen([voter(2), dead(voter(3)), learner(4)]);
        others.may_lead(2).unwrap();
        assert!(matches!(others.may_lead(3), Err(Objection::NotNow(_))));
        assert!(matches!(others.may_lead(4), Err(Objection::Never(reason)) if reason.contains("promote it first")));
        assert!(matches!(others.may_lead(9), Err(Objection::Never(reason)) if reason.contains("not a member")));
    }
}
