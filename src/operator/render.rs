//! Results of the admin API as text: for people, or as JSON for `--json`. Pure functions; each ends with a newline.

pub mod clock;

use std::fmt::Write;

use claviger_shapes::admin::{AddPeerResult, Identity, Peer, Status};
use serde::Serialize;

/// For whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// People.
    Human,
    /// Programs: the DTOs of the admin API, indented.
    Json,
}

pub(crate) fn json<T: Serialize>(value: &T) -> String {
    // Maps with keys that are no strings and failing Serialize impls are the only ways to fail; the DTOs have neither.
    let mut text = serde_json::to_string_pretty(value).unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}"));
    text.push('\n');
    text
}

/// A region's identity: what two operators compare.
pub fn identity(identity: &Identity, format: Format) -> String {
    if format == Format::Json {
        return json(identity);
    }
    fields(&[
        ("region", &identity.region.to_string()),
        ("trust domain", &identity.trust_domain.to_string()),
        ("cluster", &identity.cluster_id),
        ("incarnation", &identity.incarnation),
        ("key version", &identity.key_version.to_string()),
        ("fingerprint", &identity.fingerprint),
    ])
}

/// The regions that one replicates with, one line each.
pub fn peers(peers: &[Peer], format: Format) -> String {
    if format == Format::Json {
        return json(&peers);
    }
    if peers.is_empty() {
        return "No peers. Add one with `claviger peer add`.\n".to_owned();
    }
    let mut rows = vec![["REGION", "DIRTY", "LAG", "KEYS", "ENDPOINTS", "FINGERPRINT"].map(str::to_owned)];
    rows.extend(peers.iter().map(|peer| {
        [
            peer.region.to_string(),
            peer.dirty.to_string(),
            format!("{:.1}s", peer.lag_seconds),
            format!("v{}", peer.key_version),
            peer.endpoints.join(","),
            peer.fingerprint.clone(),
        ]
    }));
    table(&rows)
}

/// What came of adding a peer.
pub fn add_peer_result(result: &AddPeerResult, format: Format) -> String {
    if format == Format::Json {
        return json(result);
    }
    let head = if result.changed {
        format!("Added peer {}: keys that are replicated there are shipped from now on.\n", result.peer.region)
    } else {
        format!("Peer {} was there already, the same. Nothing was changed.\n", result.peer.region)
    };
    head + &peers(std::slice::from_ref(&result.peer), format)
}

/// How a node sees its region.
pub fn status(status: &Status, format: Format) -> String {
    if format == Format::Json {
        return json(status);
    }
    let list = |ids: &[u64]| if ids.is_empty() { "none".to_owned() } else { ids.iter().map(u64::to_string).collect::<Vec<_>>().join(", ") };
    let mut text = fields(&[
        ("node", &format!("{} of {}", status.node, status.region)),
        ("version", &status.version),
        ("ready", if status.ready { "yes" } else { "no" }),
        ("leader", &status.leader.map_or_else(|| "unknown".to_owned(), |id| id.to_string())),
        ("term", &status.term.to_string()),
        ("applied", &status.applied.to_string()),
        ("voters", &list(&status.voters)),
        ("learners", &list(&status.learners)),
    ]);
    text.push('\n');
    text + &peers(&status.peers, format)
}

fn fields(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        let _ = writeln!(text, "{name:<14}{value}");
    }
    text
}

fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(region: &str) -> Peer {
        Peer {
            region: region.parse().unwrap(),
            cluster_id: "c1".to_owned(),
            incarnation: "i1".to_owned(),
            endpoints: vec!["https://10.0.0.1:9000".to_owned(), "https://10.0.0.2:9000".to_owned()],
            fingerprint: "ab12".to_owned(),
            key_version: 1,
            dirty: 3,
            lag_seconds: 1.25,
            added_at_millis: 0,
        }
    }

    #[test]
    fn people_get_a_table() {
        let text = peers(&[peer("eu-west-1"), peer("on-prem-berlin-1")], Format::Human);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("eu-west-1         3      1.2s  v1    https://10.0.0.1:9000,https://10.0.0.2:9000  ab12"), "{text}");
        assert!(peers(&[], Format::Human).contains("claviger peer add"));
    }

    #[test]
    fn programs_get_what_they_can_read_back() {
        let result = AddPeerResult { peer: peer("eu-west-1"), changed: false };
        assert_eq!(serde_json::from_str::<AddPeerResult>(&add_peer_result(&result, Format::Json)).unwrap(), result);
        assert_eq!(peers(&[], Format::Json), "[]\n");
        assert!(add_peer_result(&result, Format::Human).contains("Nothing was changed"));
        assert!(add_peer_result(&AddPeerResult { changed: true, ..result }, Format::Human).contains("Added peer eu-west-1"));
    }
}
