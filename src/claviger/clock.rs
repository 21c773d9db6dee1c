//! `claviger clock` on both sides: what the admin API says of the region's clocks, and the command that asks it.

use claviger_consensus::{AcceptClockError, Consensus, ProposeError};
use claviger_operator::{admin, render};
use claviger_shapes::admin::clock::{self as shapes, AcceptClock, AcceptClockResult};
use claviger_shapes::admin::{AdminError, AdminErrorCode};

use crate::cli::ClockCommand;
use crate::client_commands::{format, node};
use crate::print;

/// `claviger clock …`
///
/// # Errors
/// When the node does not answer, or refuses.
pub(crate) async fn run(command: &ClockCommand) -> anyhow::Result<()> {
    match command {
        ClockCommand::Status(target) => print(&render::clock::status(&admin::clock::status(&node(target).await?).await?, format(target))),
        ClockCommand::Accept { target, dry_run } => {
            let request = AcceptClock { dry_run: *dry_run };
            print(&render::clock::accept_result(&admin::clock::accept(&node(target).await?, &request).await?, format(target)))
        }
    }
}

/// What the leader knows of the clocks.
///
/// # Errors
/// When there is no leader.
pub(crate) async fn status(consensus: &Consensus) -> Result<shapes::ClockStatus, AdminError> {
    let status = consensus.clock_status().await.map_err(|error| AdminError::new(AdminErrorCode::Unavailable, error.to_string()))?;
    let voter = |voter| {
        let offset = status.offset_millis(voter);
        shapes::VoterClock { node: voter.id, offset_seconds: offset.map(as_seconds) }
    };
    Ok(shapes::ClockStatus {
        leader: status.leader,
        log_time_millis: status.log_time.as_millis(),
        median_millis: status.median.map(|median| median.as_millis()),
        due_work_allowed: status.due_work.is_ok(),
        due_work_refused_because: status.due_work.err().map(|reason| reason.to_string()),
        voters: status.voters.iter().map(voter).collect(),
    })
}

/// Accepts this node's clock, if its region has no other voter.
///
/// # Errors
/// When this node does not lead, or the command was not applied.
pub(crate) async fn accept(consensus: &Consensus, request: &AcceptClock) -> Result<AcceptClockResult, AdminError> {
    let accepted = consensus.accept_clock(request.dry_run).await.map_err(refused)?;
    Ok(AcceptClockResult {
        clock_millis: accepted.clock.as_millis(),
        log_time_millis: accepted.log_time.as_millis(),
        had_jumped: accepted.had_jumped,
        changed: accepted.had_jumped && !request.dry_run,
    })
}

fn refused(error: AcceptClockError) -> AdminError {
    let code = match &error {
        AcceptClockError::NotLeader(_) => AdminErrorCode::Conflict,
        AcceptClockError::Propose(ProposeError::TooLarge) | AcceptClockError::Refused(_) => AdminErrorCode::Internal,
        AcceptClockError::Propose(_) => AdminErrorCode::Unavailable,
    };
    AdminError::new(code, format!("{:#}", anyhow::Error::new(error)))
}

#[expect(clippy::cast_precision_loss, reason = "for people; an offset this large is no less wrong for being rounded")]
fn as_seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}
