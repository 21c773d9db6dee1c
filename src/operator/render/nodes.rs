//! Nodes of a region as text.

use std::fmt::Write;

use claviger_shapes::admin::{MembersChanged, Membership, Node, NodeChange, NodeRole, NodeState, RegionNode, RegionStatus};
use time::OffsetDateTime;
use time::macros::format_description;

use super::{Format, fields, json, peers, table};

const KIB: u64 = 1024;
const NOTHING: &str = "-";

/// A region with all its nodes, and the regions that it replicates with.
pub fn region(status: &RegionStatus, format: Format) -> String {
    if format == Format::Json {
        return json(status);
    }
    let leader = status.leader.map_or_else(|| "none that answers".to_owned(), |id| format!("node {id}"));
    let losses = match (status.leader, status.losses_survived) {
        (None, _) => "the region does not serve".to_owned(),
        (_, 0) => "the loss of one more voter stops the region".to_owned(),
        (_, 1) => "the loss of one more voter is survived".to_owned(),
        (_, more) => format!("the loss of {more} more voters is survived"),
    };
    let mut text = fields(&[
        ("region", &status.region.to_string()),
        ("leader", &leader),
        ("resilience", &losses),
        ("answered by", &format!("node {}", status.answered_by)),
    ]);
    let head = ["NODE", "ROLE", "STATE", "TERM", "APPLIED", "LAG", "DISK USED", "DISK FREE", "UPTIME", "VERSION", "ENDPOINT"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(status.nodes.iter().map(row));
    text.push('\n');
    text += &table(&rows);
    for node in &status.nodes {
        if let Some(reason) = &node.unreachable {
            let _ = writeln!(text, "Node {} does not answer: {reason}.", node.id);
        }
        if node.wanted != node.membership {
            let article = if node.wanted == Membership::Removed { "" } else { "a " };
            let _ = writeln!(text, "Node {} is to be {article}{}; the leader sees to it.", node.id, membership(node.wanted));
        }
    }
    if !status.removed.is_empty() {
        let ids: Vec<String> = status.removed.iter().map(u64::to_string).collect();
        let _ = writeln!(text, "Removed, their ids are never used again: {}.", ids.join(", "));
    }
    text.push('\n');
    text + &peers(&status.peers, format)
}

fn row(node: &RegionNode) -> [String; 11] {
    let lag = node.lag_entries.map_or_else(|| NOTHING.to_owned(), |lag| lag.to_string());
    let Some(report) = &node.report else {
        let mut row = [(); 11].map(|()| NOTHING.to_owned());
        row[0] = node.id.to_string();
        row[1] = membership(node.membership).to_owned();
        row[2] = "unreachable".to_owned();
        row[5] = lag;
        row[10] = node.endpoint.clone();
        return row;
    };
    let disk = |bytes: Option<u64>| bytes.map_or_else(|| NOTHING.to_owned(), size);
    [
        node.id.to_string(),
        role(report.role).to_owned(),
        state(report.state).to_owned(),
        report.term.to_string(),
        report.applied.to_string(),
        lag,
        disk(report.disk.map(|disk| disk.used_bytes)),
        disk(report.disk.map(|disk| disk.free_bytes)),
        duration(report.uptime_seconds),
        report.version.clone(),
        node.endpoint.clone(),
    ]
}

/// Every node id that was ever used.
pub fn nodes(nodes: &[Node], format: Format) -> String {
    if format == Format::Json {
        return json(&nodes);
    }
    let mut rows = vec![["NODE", "IS", "TO BE", "ENDPOINT", "REGISTERED", "REMOVED"].map(str::to_owned)];
    rows.extend(nodes.iter().map(|node| {
        let is = match node.membership {
            Some(_) if node.is_leader => "leader",
            Some(is) => membership(is),
            None => NOTHING,
        };
        [
            node.id.to_string(),
            is.to_owned(),
            membership(node.wanted).to_owned(),
            node.endpoint.clone().unwrap_or_else(|| NOTHING.to_owned()),
            moment(node.registered_at_millis),
            node.removed_at_millis.map_or_else(|| NOTHING.to_owned(), moment),
        ]
    }));
    table(&rows)
}

/// What came of a change of one node.
pub fn node_changed(id: u64, change: NodeChange, result: &MembersChanged, format: Format) -> String {
    if format == Format::Json {
        return json(result);
    }
    if let Some(reason) = &result.pending {
        let to_be = match change {
            NodeChange::Promote => "vote",
            NodeChange::Demote => "be a learner",
            NodeChange::Remove => "be removed",
        };
        let recorded = if result.changed { "is recorded" } else { "was recorded before; nothing was changed" };
        return format!("That node {id} is to {to_be} {recorded}. It is not done yet: {reason}. The leader does it as soon as it can.\n");
    }
    match (change, result.changed) {
        (NodeChange::Promote, true) => format!("Node {id} votes now.\n"),
        (NodeChange::Promote, false) => format!("Node {id} votes already. Nothing was changed.\n"),
        (NodeChange::Demote, true) => format!("Node {id} does not vote any more; it receives the log and serves.\n"),
        (NodeChange::Demote, false) => format!("Node {id} is a learner already. Nothing was changed.\n"),
        (NodeChange::Remove, true) => {
            format!("Node {id} was removed from the region. Its id is never used again; stop it, if it still runs.\n")
        }
        (NodeChange::Remove, false) => format!("Node {id} was removed before. Nothing was changed.\n"),
    }
}

/// What came of asking for another leader.
pub fn leader_transferred(result: &MembersChanged, format: Format) -> String {
    if format == Format::Json {
        return json(result);
    }
    match (result.leader, result.changed) {
        (Some(leader), true) => format!("Node {leader} leads now.\n"),
        (Some(leader), false) => format!("Node {leader} leads already. Nothing was changed.\n"),
        (None, _) => "The lead was given up; who leads next is not known yet.\n".to_owned(),
    }
}

const fn role(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Leader => "leader",
        NodeRole::Follower => "follower",
        NodeRole::Candidate => "candidate",
        NodeRole::Learner => "learner",
        NodeRole::Stopped => "stopped",
    }
}

const fn state(state: NodeState) -> &'static str {
    match state {
        NodeState::Serving => "serving",
        NodeState::Sealed => "sealed",
        NodeState::Recovering => "recovering",
        NodeState::NoLeader => "no leader",
        NodeState::Stopped => "stopped",
        NodeState::Removed => "removed",
    }
}

const fn membership(membership: Membership) -> &'static str {
    match membership {
        Membership::Voter => "voter",
        Membership::Learner => "learner",
        Membership::Removed => "removed",
    }
}

/// With the largest unit of which there is one.
fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut unit = 0;
    let mut tenths = bytes.saturating_mul(10);
    while tenths >= 10 * KIB && unit + 1 < units.len() {
        tenths /= KIB;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{}.{} {}", tenths / 10, tenths % 10, units[unit]) }
}

/// The two largest units.
fn duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

fn moment(millis: u64) -> String {
    let at = i64::try_from(millis / 1000).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    let text = at.and_then(|at| at.format(format_description!("[year]-[month]-[day] [hour]:[minute]:[second]Z")).ok());
    text.unwrap_or_else(|| millis.to_string())
}

#[cfg(test)]
mod tests {
    use claviger_shapes::admin::{Disk, NodeReport};

    use super::*;

    fn node(id: u64, role: NodeRole) -> RegionNode {
        let report = NodeReport {
            node: id,
            state: NodeState::Serving,
            role,
            leader: Some(1),
            term: 7,
            last_log: 1200,
            committed: 1200,
            applied: 1200,
            snapshot: None,
            purged: None,
            disk: Some(Disk { used_bytes: 3 << 20, free_bytes: 5_000_000_000 }),
            uptime_seconds: 3_700,
            version: "0.1.0".to_owned(),
        };
        let endpoint = format!("https://10.0.0.{id}:7443");
        let (membership, wanted) = (Membership::Voter, Membership::Voter);
        RegionNode { id, endpoint, membership, wanted, lag_entries: Some(id - 1), report: Some(report), unreachable: None }
    }

    #[test]
    fn a_region_is_a_table_of_its_nodes() {
        let lost = RegionNode {
            report: None,
            unreachable: Some("no answer".to_owned()),
            wanted: Membership::Removed,
            ..node(3, NodeRole::Follower)
        };
        let status = RegionStatus {
            region: "eu-west-1".parse().unwrap(),
            answered_by: 2,
            leader: Some(1),
            losses_survived: 0,
            nodes: vec![node(1, NodeRole::Leader), node(2, NodeRole::Follower), lost],
            removed: vec![4, 5],
            peers: vec![],
        };
        let text = region(&status, Format::Human);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines[..12],
            [
                "region           eu-west-1",
                "leader           node 1",
                "resilience       the loss of one more voter stops the region",
                "answered by      node 2",
                "",
                "NODE  ROLE      STATE        TERM  APPLIED  LAG  DISK USED  DISK FREE  UPTIME  VERSION  ENDPOINT",
                "1     leader    serving      7     1200     0    3.0 MiB    4.6 GiB    1h 1m   0.1.0    https://10.0.0.1:7443",
                "2     follower  serving      7     1200     1    3.0 MiB    4.6 GiB    1h 1m   0.1.0    https://10.0.0.2:7443",
                "3     voter     unreachable  -     -        2    -          -          -       -        https://10.0.0.3:7443",
                "Node 3 does not answer: no answer.",
                "Node 3 is to be removed; the leader sees to it.",
                "Removed, their ids are never used again: 4, 5.",
            ],
            "{text}"
        );
        assert_eq!(serde_json::from_str::<RegionStatus>(&region(&status, Format::Json)).unwrap(), status);
    }

    #[test]
    fn node_ids_are_listed_with_what_became_of_them() {
        let listed = |id, membership, wanted| Node {
            id,
            membership,
            wanted,
            is_leader: id == 1,
            endpoint: membership.map(|_| format!("https://10.0.0.{id}:7443")),
            registered_at_millis: 1_700_000_000_123,
            removed_at_millis: (wanted == Membership::Removed).then_some(1_700_000_060_000),
        };
        let all = [
            listed(1, Some(Membership::Voter), Membership::Voter),
            listed(2, Some(Membership::Learner), Membership::Voter),
            listed(3, None, Membership::Removed),
        ];
        let text = nodes(&all, Format::Human);
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "NODE  IS       TO BE    ENDPOINT               REGISTERED            REMOVED",
                "1     leader   voter    https://10.0.0.1:7443  2023-11-14 22:13:20Z  -",
                "2     learner  voter    https://10.0.0.2:7443  2023-11-14 22:13:20Z  -",
                "3     -        removed  -                      2023-11-14 22:13:20Z  2023-11-14 22:14:20Z",
            ],
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Vec<Node>>(&nodes(&all, Format::Json)).unwrap(), all);
    }

    #[test]
    fn what_changed_is_said_and_what_did_not_too() {
        let result = |changed, pending: Option<&str>| MembersChanged { changed, leader: Some(2), pending: pending.map(str::to_owned) };
        for change in NodeChange::ALL {
            let said = |result: &MembersChanged| node_changed(4, change, result, Format::Human);
            assert!(!said(&result(true, None)).contains("othing was changed"));
            assert!(said(&result(false, None)).contains("Nothing was changed"));
            assert!(said(&result(true, Some("it lags"))).contains("is recorded. It is not done yet: it lags."));
            assert!(said(&result(false, Some("it lags"))).contains("nothing was changed. It is not done yet: it lags."));
            assert!(node_changed(4, change, &result(true, None), Format::Json).contains("\"changed\": true"));
        }
        assert_eq!(leader_transferred(&result(true, None), Format::Human), "Node 2 leads now.\n");
        assert!(leader_transferred(&result(false, None), Format::Human).contains("Nothing was changed"));
    }

    #[test]
    fn sizes_and_durations_are_short() {
        let sizes = [0, 1023, 1024, 1536, 1 << 20, (1 << 30) - 1, 1 << 30, 1 << 40, u64::MAX].map(size);
        let short = ["0 B", "1023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1023.9 MiB", "1.0 GiB", "1.0 TiB"];
        assert_eq!(sizes[..8], short, "{sizes:?}");
        assert_eq!([0, 59, 60, 3600, 86_399, 86_400, 90_000].map(duration), ["0s", "59s", "1m 0s", "1h 0m", "23h 59m", "1d 0h", "1d 1h"]);
    }
}
