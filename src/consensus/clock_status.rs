//! The region's clocks as operators see them, and their word that a clock which jumped is right.

use std::time::Duration;

use claviger_state::{CommandBody, Refusal};
use claviger_types::{NodeId, Timestamp};
use serde::{Deserialize, Serialize};
use tracing::{debug, info};

use crate::peers::Target;
use crate::wire::{ClocksRequest, lane, path};
use crate::{Consensus, NoDueWork, ProposeError, Unavailable};

/// How long the leader may take to answer a follower that is asked.
const ASK_WITHIN: Duration = Duration::from_secs(2);

/// The clocks of a region, as its leader knows them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockStatus {
    /// The leader.
    pub leader: NodeId,
    /// The region's log time.
    pub log_time: Timestamp,
    /// What a majority of the voters' clocks agree on; `None` when not enough of them are known.
    pub median: Option<Timestamp>,
    /// Each voter.
    pub voters: Vec<VoterClock>,
    /// Whether the leader may propose due work, and why not.
    pub due_work: Result<(), NoDueWork>,
}

/// A voter's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoterClock {
    /// The voter.
    pub id: NodeId,
    /// What its clock shows; `None` when it has not said for some seconds.
    pub clock: Option<Timestamp>,
}

impl ClockStatus {
    /// How far a voter's clock is ahead of log time, milliseconds; negative when it is behind.
    pub fn offset_millis(&self, voter: &VoterClock) -> Option<i64> {
        voter.clock.map(|clock| clock.millis_ahead_of(self.log_time))
    }
}

/// A clock that is, or is not, accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockAcceptance {
    /// What the node's clock showed.
    pub clock: Timestamp,
    /// What log time was then.
    pub log_time: Timestamp,
    /// Whether the clock had jumped, so that there was something to accept. Never in a region of several voters, where a
    /// majority's clocks decide.
    pub had_jumped: bool,
}

/// Why a clock was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum AcceptClockError {
    /// The leader's clock is the one to accept.
    #[error("this node does not lead its region; the leader is {}", .0.map_or_else(|| "unknown".to_owned(), |id| format!("node {id}")))]
    NotLeader(Option<NodeId>),
    /// The command has no outcome.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// The region has not been founded.
    #[error("refused")]
    Refused(#[source] Refusal),
}

impl Consensus {
    /// The region's clocks, from its leader.
    ///
    /// # Errors
    /// When there is no leader that this node can reach.
    pub async fn clock_status(&self) -> Result<ClockStatus, Unavailable> {
        let inner = &*self.0;
        if let Some(status) = inner.clocks.status() {
            return Ok(status);
        }
        let leader = inner.leadership.borrow().leader.filter(|leader| *leader != inner.config.node_id).ok_or(Unavailable)?;
        let member = self.status().voters.into_iter().find(|member| member.id == leader).ok_or(Unavailable)?;
        let target = Target { id: leader, endpoint: member.endpoint };
        let sealed = inner.peers.seal(&ClocksRequest).map_err(|_| Unavailable)?;
        inner.peers.post(&target, lane::CONTROL, path::CLOCKS, sealed, ASK_WITHIN).await.map_err(|error| {
            debug!(leader, %error, "the leader does not say what the clocks show");
            Unavailable
        })
    }

    /// `claviger clock accept`: the clock of the region's only voter is right, however it came to show what it does. Log
    /// time goes on from it if it is ahead, and waits for it at half speed if it is behind. With `dry_run` it only says what
    /// there is to accept.
    ///
    /// # Errors
    /// When this node does not lead, or the region does not take the command.
    pub async fn accept_clock(&self, dry_run: bool) -> Result<ClockAcceptance, AcceptClockError> {
        let inner = &*self.0;
        let jump = inner.clocks.jump().map_err(|_| AcceptClockError::NotLeader(inner.leadership.borrow().leader))?;
        if jump.has_jumped && !dry_run {
            inner.proposer.propose_as_leader(&CommandBody::AcceptClock, jump.clock).await?.map_err(AcceptClockError::Refused)?;
            inner.clocks.accept(&jump);
            info!(log_time = %jump.log_time, clock = %jump.clock, "an operator has accepted this node's clock");
        }
        Ok(ClockAcceptance { clock: jump.clock, log_time: jump.log_time, had_jumped: jump.has_jumped })
    }
}
