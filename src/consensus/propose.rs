//! Proposals: taken by any node, stamped with log time and proposed by the leader, answered once they are applied there.
//!
//! What is certain not to have been proposed is tried again while there is time. What may have been is tried again only
//! if a second application cannot do harm nor answer otherwise; else its outcome is unknown, and the caller is told so.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claviger_state::{Command, CommandBody, Outcome, Refusal};
use claviger_tls::Crl;
use claviger_types::{NodeId, Timestamp};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, ForwardReason, ForwardToLeader, RaftError};
use tokio::sync::{Semaphore, SemaphorePermit, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use crate::clocks::Clocks;
use crate::config::{COMMAND_BYTES_MAX, ConsensusConfig};
use crate::leadership::Leadership;
use crate::peers::{CallError, Peers, Target};
use crate::raft_types::{Proposed, Raft, TypeConfig};
use crate::wire::{ProposeAnswer, ProposeRequest, lane, path};
use crate::{DuePermit, ProposeError, Unavailable};

/// The pause before the next attempt, unless the leader changes before.
const PAUSE: Duration = Duration::from_millis(20);
/// The unit in which the bytes of waiting proposals are counted.
const QUEUE_UNIT_BYTES: usize = 1024;

/// Where proposals pass.
pub(crate) struct Proposer {
    raft: Raft,
    peers: Arc<Peers>,
    clocks: Arc<Clocks>,
    leadership: watch::Receiver<Leadership>,
    hold: Duration,
    within: Duration,
    count: Semaphore,
    bytes: Semaphore,
}

/// What one attempt came to.
enum Attempt {
    Applied(Outcome),
    /// Certainly not proposed; ask this node next, if any is named.
    NotProposed(Option<NodeId>),
    Overloaded,
    TooLarge,
    /// Perhaps proposed.
    Unknown,
}

impl Proposer {
    pub(crate) fn new(
        raft: Raft,
        peers: Arc<Peers>,
        clocks: Arc<Clocks>,
        leadership: watch::Receiver<Leadership>,
        config: &ConsensusConfig,
    ) -> Self {
        Self {
            raft,
            peers,
            clocks,
            leadership,
            hold: config.timings.hold,
            within: config.timings.propose,
            count: Semaphore::new(config.limits.proposals_max.min(Semaphore::MAX_PERMITS)),
            bytes: Semaphore::new((config.limits.proposal_bytes_max / QUEUE_UNIT_BYTES).min(Semaphore::MAX_PERMITS)),
        }
    }

    /// Proposes a command, wherever the leader is.
    pub(crate) async fn propose(&self, body: CommandBody) -> Result<Outcome, ProposeError> {
        let _place = self.count.try_acquire().map_err(|_| ProposeError::Overloaded)?;
        let begun = Instant::now();
        let repeatable = is_repeatable(&body);
        let mut leadership = self.leadership.clone();
        let mut request = ProposeRequest { body, within_ms: 0 };
        let mut perhaps_proposed = false;
        let mut hint = None;
        loop {
            let left = self.within.saturating_sub(begun.elapsed());
            let known = *leadership.borrow_and_update();
            let attempt = match hint.take().or(known.leader).filter(|_| !left.is_zero()) {
                None => Attempt::NotProposed(None),
                Some(leader) => tokio::select! {
                    attempt = self.attempt(leader, &mut request, left) => attempt,
                    // The answer may never come; the next leader can give it.
                    () = superseded(self.leadership.clone(), known.term), if repeatable => Attempt::Unknown,
                },
            };
            match attempt {
                Attempt::Applied(outcome) => return Ok(outcome),
                Attempt::NotProposed(leader) => hint = leader.filter(|leader| known.leader != Some(*leader)),
                Attempt::Overloaded if !perhaps_proposed => return Err(ProposeError::Overloaded),
                Attempt::TooLarge => return Err(ProposeError::TooLarge),
                Attempt::Overloaded => {}
                Attempt::Unknown if repeatable => perhaps_proposed = true,
                Attempt::Unknown => return Err(ProposeError::Unknown),
            }
            let elapsed = begun.elapsed();
            if perhaps_proposed && elapsed >= self.within {
                return Err(ProposeError::Unknown);
            }
            if !perhaps_proposed && elapsed >= self.hold.min(self.within) {
                return Err(Unavailable.into());
            }
            tokio::select! {
                changed = leadership.changed() => if changed.is_err() {
                    // The engine has gone, and nothing changes any more.
                    return Err(if perhaps_proposed { ProposeError::Unknown } else { Unavailable.into() });
                },
                () = sleep(PAUSE) => {}
            }
        }
    }

    async fn attempt(&self, leader: NodeId, request: &mut ProposeRequest, within: Duration) -> Attempt {
        if leader == *self.raft.node_id() {
            self.propose_here(&request.body, self.clocks.stamp(&request.body), within).await
        } else {
            self.forward(leader, request, within).await
        }
    }

    /// Takes what a follower forwarded: one attempt, no waiting for a leader.
    pub(crate) async fn take_forwarded(&self, request: &ProposeRequest) -> ProposeAnswer {
        let Ok(_place) = self.count.try_acquire() else { return ProposeAnswer::Overloaded };
        let (time, within) = (self.clocks.stamp(&request.body), self.within.min(Duration::from_millis(request.within_ms)));
        match self.propose_here(&request.body, time, within).await {
            Attempt::Applied(outcome) => ProposeAnswer::Applied(outcome),
            Attempt::NotProposed(leader) => ProposeAnswer::NotLeader(leader),
            Attempt::Overloaded => ProposeAnswer::Overloaded,
            Attempt::TooLarge => ProposeAnswer::TooLarge,
            Attempt::Unknown => ProposeAnswer::Unknown,
        }
    }

    /// Proposes due work: once, at this node, and only in the term and for as long as it may.
    pub(crate) async fn propose_due(&self, permit: &DuePermit, body: &CommandBody) -> Result<Outcome, ProposeError> {
        match self.clocks.due_permit() {
            Ok(now) if now.term == permit.term => self.propose_as_leader(body, self.clocks.stamp(body)).await,
            _ => Err(Unavailable.into()),
        }
    }

    /// Proposes once, at this node, which must lead.
    pub(crate) async fn propose_as_leader(&self, body: &CommandBody, time: Timestamp) -> Result<Outcome, ProposeError> {
        let _place = self.count.try_acquire().map_err(|_| ProposeError::Overloaded)?;
        match self.propose_here(body, time, self.within).await {
            Attempt::Applied(outcome) => Ok(outcome),
            Attempt::NotProposed(_) => Err(Unavailable.into()),
            Attempt::Overloaded => Err(ProposeError::Overloaded),
            Attempt::TooLarge => Err(ProposeError::TooLarge),
            Attempt::Unknown => Err(ProposeError::Unknown),
        }
    }

    async fn propose_here(&self, body: &CommandBody, time: Timestamp, within: Duration) -> Attempt {
        if let Err(refusal) = can_be_enforced(body) {
            return Attempt::Applied(Err(refusal));
        }
        let Ok(command) = (Command { time, body: body.clone() }).encode() else { return Attempt::TooLarge };
        let _room = match self.room(command.len()) {
            Ok(room) => room,
            Err(attempt) => return attempt,
        };
        match timeout(within, self.raft.client_write(Proposed(Bytes::from(command)))).await {
            Ok(Ok(response)) => Attempt::Applied(response.data.0),
            Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward)))) => Attempt::NotProposed(next(&forward)),
            Ok(Err(error)) => {
                debug!(%error, "a proposal's outcome is unknown");
                Attempt::Unknown
            }
            Err(_) => Attempt::Unknown,
        }
    }

    async fn forward(&self, leader: NodeId, request: &mut ProposeRequest, within: Duration) -> Attempt {
        let endpoint =
            self.raft.server_metrics().borrow_watched().membership_config.membership().get_node(&leader).map(|node| node.endpoint.clone());
        let Some(endpoint) = endpoint else { return Attempt::NotProposed(None) };
        request.within_ms = u64::try_from(within.as_millis()).unwrap_or(u64::MAX);
        let sealed = match self.peers.seal(request) {
            Ok(sealed) => sealed,
            Err(CallError::Encode(_)) => return Attempt::TooLarge,
            Err(_) => return Attempt::NotProposed(None),
        };
        let _room = match self.room(sealed.len()) {
            Ok(room) => room,
            Err(attempt) => return attempt,
        };
        let answer = self.peers.post(&Target { id: leader, endpoint }, lane::PROPOSE, path::PROPOSE, sealed, within).await;
        match answer {
            Ok(ProposeAnswer::Applied(outcome)) => Attempt::Applied(outcome),
            Ok(ProposeAnswer::NotLeader(leader)) => Attempt::NotProposed(leader),
            Ok(ProposeAnswer::Overloaded) => Attempt::Overloaded,
            Ok(ProposeAnswer::TooLarge) => Attempt::TooLarge,
            Ok(ProposeAnswer::Unknown) => Attempt::Unknown,
            Err(error) if error.may_have_acted() => {
                debug!(leader, %error, "a forwarded proposal's outcome is unknown");
                Attempt::Unknown
            }
            Err(error) => {
                debug!(leader, %error, "a proposal could not be forwarded");
                Attempt::NotProposed(None)
            }
        }
    }

    fn room(&self, bytes: usize) -> Result<SemaphorePermit<'_>, Attempt> {
        if bytes > COMMAND_BYTES_MAX {
            return Err(Attempt::TooLarge);
        }
        let units = u32::try_from(bytes.div_ceil(QUEUE_UNIT_BYTES)).unwrap_or(u32::MAX);
        self.bytes.try_acquire_many(units).map_err(|_| Attempt::Overloaded)
    }
}

/// A revocation list that is in the log is enforced by every node, or stops it. Whoever proposes one has read it; a member
/// that forwards one that cannot be read, or is not what the command says of it, must not stop the others.
fn can_be_enforced(body: &CommandBody) -> Result<(), Refusal> {
    let CommandBody::PublishCrl(publish) = body else { return Ok(()) };
    let refuse = |reason: &str| Err(Refusal::BadCrl(reason.to_owned()));
    match Crl::parse(&publish.der) {
        Err(error) => refuse(&error.to_string()),
        Ok(list)
            if (list.number(), list.this_update(), list.next_update()) != (publish.number, publish.this_update, publish.next_update) =>
        {
            refuse("its number or its dates are not those that were read from it")
        }
        Ok(_) => Ok(()),
    }
}

/// Until a later term has a leader.
async fn superseded(mut leadership: watch::Receiver<Leadership>, term: u64) {
    if leadership.wait_for(|now| now.term > term && now.leader.is_some()).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Whom to ask next. A leader without a quorum's word, which a new one is too, and one that is handing over name nobody
/// who could take a proposal now.
fn next(forward: &ForwardToLeader<TypeConfig>) -> Option<NodeId> {
    match forward.reason {
        ForwardReason::NotLeader => forward.leader_id,
        ForwardReason::LeadershipTransfer | ForwardReason::LeaseExpired => None,
    }
}

/// Whether applying the command twice does and answers the same as once: it carries an invocation, or is so by nature.
const fn is_repeatable(body: &CommandBody) -> bool {
    match body {
        CommandBody::CreateKey(_)
        | CommandBody::SetKeyEnabled(_)
        | CommandBody::ReplicateKey(_)
        | CommandBody::CreateAlias(_)
        | CommandBody::UpdateAlias(_)
        | CommandBody::DeleteAlias(_)
        | CommandBody::TagResource(_)
        | CommandBody::UntagResource(_)
        | CommandBody::UpdateKeyDescription(_)
        | CommandBody::PutKeyPolicy(_)
        | CommandBody::CreateGrant(_)
        | CommandBody::RetireGrant(_)
        | CommandBody::RevokeGrant(_)
        | CommandBody::ScheduleKeyDeletion(_)
        | CommandBody::CancelKeyDeletion(_)
        | CommandBody::SetKeyRotation(_)
        | CommandBody::RotateKeyOnDemand(_)
        | CommandBody::ImportKeyMaterial(_)
        | CommandBody::DeleteImportedKeyMaterial(_)
        | CommandBody::RecordUsages(_)
        | CommandBody::Tick
        | CommandBody::AcceptClock
        | CommandBody::RegisterNode(_)
        | CommandBody::LapseReservation { .. }
        | CommandBody::AdmitKeys(_)
        | CommandBody::DetachMember(_)
        | CommandBody::ReceiveStatuses(_)
        | CommandBody::StatusesDelivered { .. }
        | CommandBody::PublishCrl(_)
        | CommandBody::RemoveNode { .. }
        | CommandBody::SetNodeRole { .. } => true,
        // The second time it says that it is founded, that nothing changed, that nothing is newer.
        CommandBody::FoundRegion(_)
        | CommandBody::AddPeer(_)
        | CommandBody::Reserve(_)
        | CommandBody::ReceiveDocuments(_)
        | CommandBody::ApplyIdentities(_)
        | CommandBody::CarryOutDue(_)
        | CommandBody::SetPrincipalDenied(_)
        | CommandBody::ResetKeyPolicy(_) => false,
    }
}
