//! Results of the admin API as text: for people, or as JSON for `--json`. Pure functions; each ends with a newline.

pub mod clock;
pub mod iam;
mod nodes;
pub mod policy;

use std::fmt::Write;

use claviger_shapes::admin::{AddPeerResult, Crl, Identity, Peer, PublishCrlResult};
use claviger_types::Timestamp;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use nodes::{leader_transferred, node_changed, nodes, region};

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

/// The revocation lists that a region enforces, one line each; `now` tells which are past their next update.
pub fn crls(crls: &[Crl], format: Format, now: Timestamp) -> String {
    if format == Format::Json {
        return json(&crls);
    }
    if crls.is_empty() {
        return "No revocation lists: no certificate is revoked. Make one with `claviger pki revoke`.\n".to_owned();
    }
    let mut rows = vec![["ISSUER", "NUMBER", "REVOKED", "MADE", "NEXT DUE", "CA"].map(str::to_owned)];
    rows.extend(crls.iter().map(|crl| {
        let overdue = if crl.next_update_millis < now.as_millis() { " (overdue, in force)" } else { "" };
        [
            crl.issuer.clone(),
            crl.number.clone(),
            crl.revoked.to_string(),
            date(crl.this_update_millis),
            format!("{}{overdue}", date(crl.next_update_millis)),
            crl.ca.chars().take(16).collect(),
        ]
    }));
    table(&rows)
}

/// What came of publishing a revocation list.
pub fn publish_crl_result(result: &PublishCrlResult, format: Format, now: Timestamp) -> String {
    if format == Format::Json {
        return json(result);
    }
    let PublishCrlResult { crl, changed } = result;
    let head = if *changed {
        format!("Published list {} of {}: no node of the region honours what it revokes.\n", crl.number, crl.issuer)
    } else {
        format!("The region holds list {} of {} already. Nothing was changed.\n", crl.number, crl.issuer)
    };
    head + &crls(std::slice::from_ref(crl), format, now)
}

/// A text without what could move a terminal's cursor.
fn plain(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

fn date(millis: u64) -> String {
    let moment = i64::try_from(millis / 1000).ok().and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{millis} ms"))
}

fn fields(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        let _ = writeln!(text, "{name:<17}{value}");
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
    fn revocation_lists_say_when_they_are_overdue() {
        let crl = Crl {
            ca: "ab".repeat(32),
            issuer: "CN=ca".to_owned(),
            number: "7".to_owned(),
            revoked: 2,
            this_update_millis: 1_700_000_000_000,
            next_update_millis: 1_700_000_600_000,
            published_at_millis: 0,
        };
        let at = |seconds: u64| Timestamp::from_millis(seconds * 1000);
        let text = crls(std::slice::from_ref(&crl), Format::Human, at(1_700_000_599));
        let line = "CN=ca   7       2        2023-11-14T22:13:20Z  2023-11-14T22:23:20Z  abababababababab";
        assert_eq!(text.lines().nth(1), Some(line));
        assert!(crls(std::slice::from_ref(&crl), Format::Human, at(1_700_000_601)).contains("overdue, in force"));
        assert!(crls(&[], Format::Human, at(0)).contains("claviger pki revoke"));
        let result = PublishCrlResult { crl, changed: false };
        assert!(publish_crl_result(&result, Format::Human, at(0)).contains("Nothing was changed"));
        assert_eq!(serde_json::from_str::<PublishCrlResult>(&publish_crl_result(&result, Format::Json, at(0))).unwrap(), result);
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
