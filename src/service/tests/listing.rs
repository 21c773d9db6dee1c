//! ListKeys.

use std::collections::BTreeSet;

use claviger_shapes::{ErrorCode, Operation};
use serde_json::{Value, json};

use crate::testing::{Deployment, Node, alice, arn, carol};

fn ids(page: &Value) -> Vec<String> {
    page["Keys"].as_array().unwrap().iter().map(|key| key["KeyId"].as_str().unwrap().to_owned()).collect()
}

fn pages(node: &Node, limit: u32) -> Vec<Value> {
    let mut pages = vec![node.get(Operation::ListKeys, &json!({"Limit": limit}))];
    while let Some(marker) = pages.last().and_then(|page| page.get("NextMarker")) {
        let next = node.get(Operation::ListKeys, &json!({"Limit": limit, "Marker": marker}));
        pages.push(next);
    }
    pages
}

#[test]
fn pages_hold_every_key_of_the_account_once() {
    let node = Deployment::new().node();
    assert_eq!(node.get(Operation::ListKeys, &json!({})), json!({"Keys": [], "Truncated": false}));
    let created: BTreeSet<String> = (0..7).map(|number| node.create_key(number % 2 == 0)).collect();
    node.ask(carol(), Operation::CreateKey, &json!({})).unwrap();
    for (limit, expected) in [(1, 7), (3, 3), (6, 2), (7, 1), (1000, 1)] {
        let pages = pages(&node, limit);
        assert_eq!(pages.len(), expected, "limit {limit}: no empty page at the end");
        let listed: Vec<String> = pages.iter().flat_map(ids).collect();
        assert_eq!(listed.len(), 7);
        assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), created);
        for (index, page) in pages.iter().enumerate() {
            let more = index + 1 < pages.len();
            assert_eq!((page["Truncated"].as_bool(), page.get("NextMarker").is_some()), (Some(more), more));
        }
    }
    let first = &pages(&node, 1)[0]["Keys"][0];
    assert_eq!(first["KeyArn"], arn(first["KeyId"].as_str().unwrap()));
}

#[test]
fn a_marker_serves_its_account_on_every_node() {
    let deployment = Deployment::new();
    let (one, two) = (deployment.node(), deployment.node());
    (0..3).for_each(|_| drop(one.create_key(false)));
    (0..3).for_each(|_| drop(one.ask(carol(), Operation::CreateKey, &json!({})).unwrap()));
    let marker = one.get(Operation::ListKeys, &json!({"Limit": 1}))["NextMarker"].clone();
    assert_eq!(ids(&two.get(Operation::ListKeys, &json!({"Marker": marker}))).len(), 2);
    let stolen = one.ask(carol(), Operation::ListKeys, &json!({"Marker": marker})).unwrap_err();
    assert_eq!(stolen.code, ErrorCode::InvalidMarker);
    for bad in ["x", "00", &"0".repeat(98)] {
        assert_eq!(one.ask(alice(), Operation::ListKeys, &json!({"Marker": bad})).unwrap_err().code, ErrorCode::InvalidMarker);
    }
}

#[test]
fn a_page_reads_no_more_than_it_shows() {
    use std::cell::Cell;

    use claviger_consensus::Region as _;
    use claviger_state::{StateError, Table, Tables, Visit, read};

    /// Counts the rows that scans visit.
    struct Counting<T>(T, Cell<usize>);
    impl<T: Tables> Tables for Counting<T> {
        fn get(&self, table: Table, row: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
            self.0.get(table, row)
        }
        fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
            self.0.scan(table, from, &mut |row, bytes| {
                self.1.set(self.1.get() + 1);
                visit(row, bytes)
            })
        }
    }

    let deployment = Deployment::new();
    let node = deployment.node();
    (0..200).for_each(|_| drop(node.create_key(false)));
    let tables = Counting(deployment.memory.tables(), Cell::new(0));
    let account = crate::testing::account(crate::testing::ACCOUNT);
    let all = read::keys_of(&tables, account, None, 200).unwrap();
    tables.1.set(0);
    read::keys_of(&tables, account, Some(&all[150]), 4).unwrap();
    assert!(tables.1.get() <= 6, "{} rows visited", tables.1.get());
}
