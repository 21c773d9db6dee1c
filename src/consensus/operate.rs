//! What operators do with the nodes of a region: take one out, let one vote or not, have another lead.
//!
//! Any node takes the request; the leader carries it out. What is wanted of a node is recorded through the log before the
//! membership changes (`tend` does that), so a leader that is lost in between leaves nothing half done. What would cost
//! the region its majority is refused before anything is recorded. All of it can be repeated.

use std::time::Duration;

use claviger_state::{CommandBody, NodeRecord, NodeRole, Refusal, read};
use claviger_types::NodeId;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};
use tracing::info;

use crate::Consensus;
use crate::consensus::Inner;
use crate::fault::chain;
use crate::peers::Target;
use crate::seen::{Objection, Seen, Wanted};
use crate::wire::{lane, path};

/// How long an operator waits for the region to have a leader that takes the request.
const WITHIN: Duration = Duration::from_secs(20);
/// How long the leader may take with it, and its answer to come back.
const ASK_WITHIN: Duration = Duration::from_secs(20);
/// How long the leader waits for the membership to follow what was recorded.
const FOLLOW_WITHIN: Duration = Duration::from_secs(10);
/// How long the leader waits for nodes that do not answer, or lag behind, before it refuses.
const ABLE_WITHIN: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(50);

/// What an operator asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MemberChange {
    /// This node leaves the region for ever; its id is not used again.
    Remove(NodeId),
    /// This learner is to vote.
    Promote(NodeId),
    /// This voter is to receive the log and not to vote.
    Demote(NodeId),
    /// This node is to lead, or any other voter than the one that does.
    TransferLead(Option<NodeId>),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operated {
    /// Whether this request changed anything.
    pub changed: bool,
    /// Who leads now, as far as the node knows that carried it out.
    pub leader: Option<NodeId>,
    /// It is recorded, and will be done once this is no more so.
    pub pending: Option<String>,
}

/// Why it was not done. Nothing is recorded then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum OperateError {
    /// No node ever had this id.
    #[error("no node of this region ever had the id {0}")]
    UnknownNode(NodeId),
    /// It makes no sense, or would cost the region its majority.
    #[error("{0}")]
    Refused(String),
    /// There is no leader that could do it, or it did not answer; worth a retry.
    #[error("{0}")]
    Unavailable(String),
}

/// An operator's request on its way to the leader.
#[derive(Serialize, Deserialize)]
pub(crate) struct OperateRequest(pub(crate) MemberChange);

/// What one node answers to it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum OperateAnswer {
    Done(Result<Operated, OperateError>),
    /// Ask again; this node may lead. What was recorded stays so.
    NotLeader {
        leader: Option<NodeId>,
        changed: bool,
    },
}

impl From<OperateError> for OperateAnswer {
    fn from(error: OperateError) -> Self {
        Self::Done(Err(error))
    }
}

impl Consensus {
    /// Carries out an operator's request, wherever the leader is.
    ///
    /// # Errors
    /// See [`OperateError`].
    pub async fn operate(&self, change: MemberChange) -> Result<Operated, OperateError> {
        let inner = &*self.0;
        if inner.peers.is_removed() {
            return Err(OperateError::Refused("this node was removed from its region: ask another".to_owned()));
        }
        let deadline = Instant::now() + WITHIN;
        let (mut changed, mut hint) = (false, None);
        loop {
            let known = inner.leadership.borrow().leader;
            let answer = match hint.take().or(known) {
                None => Err("the region has no leader that this node knows of".to_owned()),
                Some(leader) if leader == inner.config.node_id => Ok(carry_out(inner, change).await),
                Some(leader) => ask(inner, leader, change).await,
            };
            let problem = match answer {
                Ok(OperateAnswer::Done(Ok(done))) => return Ok(Operated { changed: changed || done.changed, ..done }),
                Ok(OperateAnswer::Done(Err(error))) => return Err(error),
                Ok(OperateAnswer::NotLeader { leader, changed: begun }) => {
                    changed |= begun;
                    hint = leader.filter(|leader| known != Some(*leader));
                    "the lead is changing hands".to_owned()
                }
                Err(problem) => problem,
            };
            if Instant::now() >= deadline {
                return Err(OperateError::Unavailable(problem));
            }
            sleep(PAUSE).await;
        }
    }
}

async fn ask(inner: &Inner, leader: NodeId, change: MemberChange) -> Result<OperateAnswer, String> {
    let endpoint = inner.endpoint_of(leader).ok_or_else(|| format!("this node does not know where node {leader} is"))?;
    let to = Target { id: leader, endpoint };
    let failed = |error| format!("the leader, node {leader}, did not answer: {}", chain(&error));
    let sealed = inner.peers.seal(&OperateRequest(change)).map_err(failed)?;
    inner.peers.post(&to, lane::PROPOSE, path::OPERATE, sealed, ASK_WITHIN).await.map_err(failed)
}

/// On the leader. One request at a time: each is judged by what the one before has left.
pub(crate) async fn carry_out(inner: &Inner, change: MemberChange) -> OperateAnswer {
    let _one_at_a_time = inner.operating.lock().await;
    if inner.gate.read().await.is_err() {
        return match inner.leadership.borrow().is_leader {
            true => OperateError::Unavailable("no majority of the region's nodes answers".to_owned()).into(),
            false => not_leader(inner, false),
        };
    }
    info!(?change, "an operator asks");
    match change {
        MemberChange::Remove(id) => reach(inner, id, Wanted::Gone).await,
        MemberChange::Promote(id) => reach(inner, id, Wanted::Voter).await,
        MemberChange::Demote(id) => reach(inner, id, Wanted::Learner).await,
        MemberChange::TransferLead(to) => transfer(inner, to).await,
    }
}

fn not_leader(inner: &Inner, changed: bool) -> OperateAnswer {
    OperateAnswer::NotLeader { leader: inner.leadership.borrow().leader.filter(|leader| *leader != inner.config.node_id), changed }
}

fn done(inner: &Inner, changed: bool, pending: Option<String>) -> OperateAnswer {
    OperateAnswer::Done(Ok(Operated { changed, leader: inner.leadership.borrow().leader, pending }))
}

/// Records what is wanted of a node, unless that would do harm, and waits until the membership has followed.
async fn reach(inner: &Inner, id: NodeId, wanted: Wanted) -> OperateAnswer {
    let begun = Instant::now();
    let mut changed = false;
    loop {
        if !inner.leadership.borrow().is_leader {
            return not_leader(inner, changed);
        }
        let (record, mut seen) = match look(inner, id) {
            Ok(found) => found,
            Err(error) => return error.into(),
        };
        // Who was lost a moment ago must not be counted on: only who was heard since the request came is.
        seen.silence_max = seen.silence_max.min(begun.elapsed());
        let is_recorded = Wanted::of(Some(&record)) == wanted;
        if is_recorded {
            if seen.is(id, wanted) {
                return done(inner, changed, None);
            }
            if begun.elapsed() >= FOLLOW_WITHIN {
                return done(inner, changed, Some(pending(&seen, id, wanted)));
            }
        } else {
            match allowed(&seen, &record, id, wanted) {
                Ok(None) => match record_wish(inner, id, wanted).await {
                    Ok(()) => changed = true,
                    Err(error) => return error.into(),
                },
                // The next leader carries it out.
                Ok(Some(successor)) => {
                    inner.group.hand_over(successor).await;
                }
                Err(Objection::NotNow(_)) if begun.elapsed() < ABLE_WITHIN => {}
                Err(Objection::NotNow(reason) | Objection::Never(reason)) => return OperateError::Refused(reason).into(),
            }
        }
        inner.group.hurry.notify_one();
        sleep(PAUSE).await;
    }
}

fn look(inner: &Inner, id: NodeId) -> Result<(NodeRecord, Seen), OperateError> {
    let failed = |error| OperateError::Unavailable(chain(&error));
    let record = read::node(&*inner.state, id).map_err(failed)?.ok_or(OperateError::UnknownNode(id))?;
    Ok((record, inner.group.look().map_err(failed)?))
}

/// Whether this may be recorded; the leader hands over to the named voter before it stops voting itself.
fn allowed(seen: &Seen, record: &NodeRecord, id: NodeId, wanted: Wanted) -> Result<Option<NodeId>, Objection> {
    if record.removed_at.is_some() {
        return Err(Objection::Never(Refusal::NodeRemoved.to_string()));
    }
    let Some(member) = seen.member(id) else {
        return match wanted {
            Wanted::Gone => Ok(None),
            Wanted::Voter | Wanted::Learner => Err(Objection::Never(format!("node {id} is no member yet: run `claviger join` on it"))),
        };
    };
    if wanted == Wanted::Voter || !member.is_voter {
        return Ok(None);
    }
    seen.may_lose(id)?;
    if id == seen.me { seen.successor().map(Some) } else { Ok(None) }
}

async fn record_wish(inner: &Inner, id: NodeId, wanted: Wanted) -> Result<(), OperateError> {
    let command = match wanted {
        Wanted::Gone => CommandBody::RemoveNode { id },
        Wanted::Voter => CommandBody::SetNodeRole { id, role: NodeRole::Voter },
        Wanted::Learner => CommandBody::SetNodeRole { id, role: NodeRole::Learner },
    };
    match inner.proposer.propose(command).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(refusal)) => Err(OperateError::Refused(refusal.to_string())),
        Err(error) => Err(OperateError::Unavailable(error.to_string())),
    }
}

/// Why the membership has not followed yet.
fn pending(seen: &Seen, id: NodeId, wanted: Wanted) -> String {
    if !seen.is_settled || seen.is_joint {
        return "another change of the membership is under way".to_owned();
    }
    let objection = match (wanted, seen.member(id)) {
        (Wanted::Voter, Some(member)) => seen.is_able(member).err(),
        (Wanted::Voter, None) => Some(format!("node {id} is no member yet")),
        (Wanted::Gone | Wanted::Learner, _) => seen.may_lose(id).err().map(Objection::reason),
    };
    objection.unwrap_or_else(|| "the leader has not come to it yet".to_owned())
}

async fn transfer(inner: &Inner, to: Option<NodeId>) -> OperateAnswer {
    let me = inner.config.node_id;
    if to == Some(me) {
        return done(inner, false, None);
    }
    if let Some(error) = to.and_then(|to| look(inner, to).err()) {
        return error.into();
    }
    let begun = Instant::now();
    let next = loop {
        let mut seen = match inner.group.look() {
            Ok(seen) => seen,
            Err(error) => return OperateError::Unavailable(chain(&error)).into(),
        };
        seen.silence_max = seen.silence_max.min(begun.elapsed());
        match to.map_or_else(|| seen.successor(), |to| seen.may_lead(to).map(|()| to)) {
            Ok(next) => break next,
            Err(Objection::NotNow(_)) if begun.elapsed() < ABLE_WITHIN => sleep(PAUSE).await,
            Err(Objection::NotNow(reason) | Objection::Never(reason)) => return OperateError::Refused(reason).into(),
        }
    };
    if !inner.group.hand_over(next).await {
        return OperateError::Unavailable(format!("node {next} did not take over in time")).into();
    }
    let mut leadership = inner.leadership.clone();
    let led = timeout(FOLLOW_WITHIN, leadership.wait_for(|now| now.leader.is_some())).await;
    let leader = led.ok().and_then(Result::ok).and_then(|now| now.leader);
    match to {
        // Another has won the election; it is asked next.
        Some(to) if leader != Some(to) => OperateAnswer::NotLeader { leader, changed: true },
        _ => OperateAnswer::Done(Ok(Operated { changed: true, leader, pending: None })),
    }
}
