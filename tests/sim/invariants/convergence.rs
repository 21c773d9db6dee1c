//! When faults stop, all regions hold equal documents within a bounded time, and no key stays `Creating` or `Updating`.
//!
//! The time is the run's affair; this says whether it is so. Nodes of one region hold equal tables, row for row: each has
//! applied the same log.

use claviger_state::protocol::MemberStatus;
use claviger_state::{MemoryTables, read};

use super::{Final, Held, Violation};
use crate::plan::{Node, account};

pub(crate) const NAME: &str = "convergence";

pub(super) fn compare(end: &Final<'_>) -> Held {
    for (node, tables) in &end.nodes {
        let (first, others) = end.in_region(&node.region).next().unwrap();
        if others != tables {
            return Err(Violation::new(NAME, format!("{first} and {node} differ: {}", difference(others, tables))));
        }
        is_settled(end, node, tables)?;
    }
    Ok(())
}

fn is_settled(end: &Final<'_>, node: &Node, tables: &MemoryTables) -> Held {
    for peer in read::peers(tables).unwrap() {
        let dirty = read::dirty_count(tables, &peer.region).unwrap();
        if dirty > 0 {
            return Err(Violation::new(NAME, format!("{node} owes {} {dirty} records", peer.region)));
        }
    }
    for key in read::keys_of(tables, account(), None, usize::MAX).unwrap() {
        let record = read::key(tables, &key).unwrap().unwrap();
        for (region, member) in &record.document.members {
            let name = &record.regional.description;
            if member.status != MemberStatus::Active {
                return Err(Violation::new(NAME, format!("{region} is still {:?} of {name} at {node}", member.status)));
            }
            for (other, others) in end.in_region(region) {
                let document = read::key(others, &key).unwrap().map(|held| held.document);
                if document.as_ref() != Some(&record.document) {
                    return Err(Violation::new(NAME, format!("{node} and {other} hold other documents of {name}")));
                }
            }
        }
    }
    Ok(())
}

fn difference(one: &MemoryTables, other: &MemoryTables) -> String {
    let differing = one.rows().zip(other.rows()).find(|(one, other)| one != other);
    match differing {
        Some(((table, ..), _)) => format!("the first row that does is in {}", table.name()),
        None => format!("{} and {} rows", one.rows().count(), other.rows().count()),
    }
}
