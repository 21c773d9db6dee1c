//! Clocks seen from outside: the gauges of a leader, and log lines when something about a clock changes.

use std::collections::{BTreeMap, BTreeSet};

use claviger_types::NodeId;
use tracing::{info, warn};

use crate::NoDueWork;
use crate::clock_status::ClockStatus;
use crate::due::seconds;
use crate::log_clock::APART_MAX;

/// What was shown last. Its gauges say that nothing is known once it is dropped: the node leads no more.
#[derive(Default)]
pub(crate) struct ClockWatch {
    /// Each voter, and whether its clock is far from log time.
    voters: BTreeMap<NodeId, bool>,
    /// What was said last of due work.
    said: Option<Result<(), NoDueWork>>,
}

impl ClockWatch {
    pub(crate) fn look(&mut self, status: Option<ClockStatus>) {
        let Some(status) = status else { return };
        let voting: BTreeSet<NodeId> = status.voters.iter().map(|voter| voter.id).collect();
        self.voters.retain(|id, _| {
            let votes = voting.contains(id);
            if !votes {
                gauge_offset(*id, f64::NAN);
            }
            votes
        });
        for voter in &status.voters {
            let offset = status.offset_millis(voter);
            gauge_offset(voter.id, offset.map_or(f64::NAN, as_seconds));
            let was_far = self.voters.entry(voter.id).or_default();
            let Some(offset) = offset else { continue };
            let is_far = u128::from(offset.unsigned_abs()) > APART_MAX.as_millis();
            if is_far != *was_far {
                *was_far = is_far;
                if is_far {
                    warn!(node = voter.id, offset_s = seconds(offset), "this node's clock is far from log time");
                } else {
                    info!(node = voter.id, offset_s = seconds(offset), "this node's clock goes with log time again");
                }
            }
        }
        gauge_due_work(status.due_work.is_ok());
        self.say(status.due_work);
    }

    fn say(&mut self, due_work: Result<(), NoDueWork>) {
        let is_news = match (&self.said, &due_work) {
            (Some(Err(said)), Err(now)) => !said.is_like(now),
            (Some(Ok(())), Ok(())) | (None, Ok(())) => false,
            _ => true,
        };
        if is_news {
            match &due_work {
                Ok(()) => info!("work that falls due is proposed again"),
                Err(reason) => warn!(%reason, "no work that falls due is proposed"),
            }
        }
        self.said = Some(due_work);
    }
}

impl Drop for ClockWatch {
    fn drop(&mut self) {
        self.voters.keys().for_each(|id| gauge_offset(*id, f64::NAN));
        gauge_due_work(false);
    }
}

fn gauge_offset(id: NodeId, offset_s: f64) {
    metrics::gauge!("claviger_clock_offset_seconds", "node" => id.to_string()).set(offset_s);
}

fn gauge_due_work(is_allowed: bool) {
    metrics::gauge!("claviger_due_work_allowed").set(f64::from(u8::from(is_allowed)));
}

#[expect(clippy::cast_precision_loss, reason = "gauges are doubles; an offset this large is no less wrong for being rounded")]
fn as_seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}
