//! What consensus says of nodes, as operators are shown it.

use claviger_consensus as consensus;
use claviger_consensus::{OperateError, Operated, Readiness, Role, Surveyed};
use claviger_shapes::admin::{
    AdminError, AdminErrorCode, Disk, Member, MembersChanged, Membership, Node, NodeReport, NodeRole, NodeState, Peer, RegionNode,
    RegionStatus, Status,
};
use claviger_state::{NodeRecord, StateError, Tables, read};
use claviger_types::{NodeId, Region};

/// The tables of this node do not read.
pub(super) fn unreadable(error: StateError) -> AdminError {
    AdminError::new(AdminErrorCode::Internal, format!("{:#}", anyhow::Error::new(error)))
}

/// Ids of nodes that were removed.
pub(super) fn removed(tables: &impl Tables) -> Result<Vec<u64>, AdminError> {
    Ok(removed_of(&read::nodes(tables).map_err(unreadable)?))
}

fn removed_of(known: &[(NodeId, NodeRecord)]) -> Vec<u64> {
    known.iter().filter(|(_, record)| record.removed_at.is_some()).map(|(id, _)| *id).collect()
}

/// What a node says of itself.
fn report_of(report: &consensus::NodeReport) -> NodeReport {
    let status = &report.status;
    NodeReport {
        node: status.node_id,
        state: match &report.readiness {
            Readiness::Ready if report.has_opened => NodeState::Serving,
            Readiness::Ready => NodeState::Sealed,
            Readiness::Recovering => NodeState::Recovering,
            Readiness::NoLeader => NodeState::NoLeader,
            Readiness::Stopped(_) => NodeState::Stopped,
            Readiness::Removed => NodeState::Removed,
        },
        role: match status.role {
            Role::Leader => NodeRole::Leader,
            Role::Follower => NodeRole::Follower,
            Role::Candidate => NodeRole::Candidate,
            Role::Learner => NodeRole::Learner,
            Role::Stopped => NodeRole::Stopped,
        },
        leader: status.leader,
        term: status.term,
        last_log: status.last_log_index.unwrap_or_default(),
        committed: status.committed_index.unwrap_or_default(),
        applied: status.applied_index.unwrap_or_default(),
        snapshot: status.snapshot_index,
        purged: status.purged_index,
        disk: report.disk.map(|disk| Disk { used_bytes: disk.used_bytes, free_bytes: disk.free_bytes }),
        uptime_seconds: report.uptime_seconds,
        version: report.version.clone(),
    }
}

/// One node's view.
pub(super) fn status(region: &Region, report: consensus::NodeReport, removed: Vec<u64>, peers: Vec<Peer>) -> Status {
    let shown = report_of(&report);
    let members = |members: Vec<consensus::MemberStatus>| {
        members.into_iter().map(|member| Member { id: member.id, endpoint: member.endpoint, lag_entries: member.lag_entries }).collect()
    };
    Status {
        region: region.clone(),
        ready: shown.state == NodeState::Serving,
        report: shown,
        voters: members(report.status.voters),
        learners: members(report.status.learners),
        removed,
        peers,
    }
}

/// The members as the leader knows them, or as the node that answers does when no leader has answered.
pub(super) fn region_status(
    region: &Region,
    own: &consensus::Status,
    surveyed: &[Surveyed],
    known: &[(NodeId, NodeRecord)],
    peers: Vec<Peer>,
) -> RegionStatus {
    let reported = surveyed.iter().filter_map(|node| node.report.as_ref().ok());
    let leads = reported.map(|report| &report.status).filter(|status| status.role == Role::Leader).max_by_key(|status| status.term);
    let leader = leads.map(|status| status.node_id);
    let view = leads.unwrap_or(own).clone();
    let voters = view.voters.len();
    let members = view.voters.into_iter().map(|member| (Membership::Voter, member));
    let members = members.chain(view.learners.into_iter().map(|member| (Membership::Learner, member)));
    let mut nodes: Vec<RegionNode> = members.map(|(membership, member)| region_node(membership, member, surveyed, known)).collect();
    nodes.sort_unstable_by_key(|node| node.id);
    let votes = |node: &&RegionNode| {
        let works = |report: &NodeReport| !matches!(report.state, NodeState::Stopped | NodeState::Removed);
        node.membership == Membership::Voter && node.report.as_ref().is_some_and(works)
    };
    let able = nodes.iter().filter(votes).count();
    let losses_survived = if leader.is_some() { able.saturating_sub(voters / 2 + 1) as u64 } else { 0 };
    RegionStatus { region: region.clone(), answered_by: own.node_id, leader, losses_survived, nodes, removed: removed_of(known), peers }
}

fn region_node(
    membership: Membership,
    member: consensus::MemberStatus,
    surveyed: &[Surveyed],
    known: &[(NodeId, NodeRecord)],
) -> RegionNode {
    let consensus::MemberStatus { id, endpoint, lag_entries, .. } = member;
    let answer = surveyed.iter().find(|node| node.id == id).map(|node| node.report.as_ref());
    let (report, unreachable) = match answer {
        Some(Ok(report)) => (Some(report_of(report)), None),
        Some(Err(reason)) => (None, Some(reason.clone())),
        None => (None, Some("the node that answers has not heard of it yet".to_owned())),
    };
    let wanted = known.iter().find(|(known, _)| *known == id).map_or(Membership::Voter, |(_, record)| wanted_of(record));
    RegionNode { id, endpoint, membership, wanted, lag_entries, report, unreachable }
}

fn wanted_of(record: &NodeRecord) -> Membership {
    match (record.removed_at, record.role) {
        (Some(_), _) => Membership::Removed,
        (None, claviger_state::NodeRole::Voter) => Membership::Voter,
        (None, claviger_state::NodeRole::Learner) => Membership::Learner,
    }
}

/// Every id that was ever used.
pub(super) fn list(own: &consensus::Status, known: Vec<(NodeId, NodeRecord)>) -> Vec<Node> {
    let member = |id: NodeId| {
        let voter = own.voters.iter().find(|member| member.id == id).map(|member| (Membership::Voter, member));
        voter.or_else(|| own.learners.iter().find(|member| member.id == id).map(|member| (Membership::Learner, member)))
    };
    let node = |(id, record): (NodeId, NodeRecord)| Node {
        id,
        membership: member(id).map(|(membership, _)| membership),
        wanted: wanted_of(&record),
        is_leader: own.leader == Some(id),
        endpoint: member(id).map(|(_, member)| member.endpoint.clone()),
        registered_at_millis: record.registered_at.as_millis(),
        removed_at_millis: record.removed_at.map(claviger_types::Timestamp::as_millis),
    };
    known.into_iter().map(node).collect()
}

/// What came of an operator's request.
pub(super) fn changed(outcome: Result<Operated, OperateError>) -> Result<MembersChanged, AdminError> {
    match outcome {
        Ok(Operated { changed, leader, pending }) => Ok(MembersChanged { changed, leader, pending }),
        Err(error) => {
            let code = match &error {
                OperateError::UnknownNode(_) => AdminErrorCode::NotFound,
                OperateError::Refused(_) => AdminErrorCode::Conflict,
                OperateError::Unavailable(_) => AdminErrorCode::Unavailable,
            };
            Err(AdminError::new(code, error.to_string()))
        }
    }
}
