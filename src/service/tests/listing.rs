//! ListKeys, ListAliases, ListResourceTags: pages and markers.

use std::collections::BTreeSet;

use claviger_shapes::{ErrorCode, Operation};
use serde_json::{Value, json};

use crate::testing::{Deployment, Node, alice, arn, carol};

/// One member of each item of a page.
fn items(page: &Value, list: &str, member: &str) -> Vec<String> {
    page[list].as_array().unwrap().iter().map(|item| item[member].as_str().unwrap().to_owned()).collect()
}

fn ids(page: &Value) -> Vec<String> {
    items(page, "Keys", "KeyId")
}

fn alias_names(page: &Value) -> Vec<String> {
    items(page, "Aliases", "AliasName")
}

/// All pages of what `body` asks for; each but the last is truncated and has a marker, and none is empty but a lone one.
fn all_pages(node: &Node, operation: Operation, body: &Value) -> Vec<Value> {
    let mut pages: Vec<Value> = vec![node.get(operation, body)];
    while let Some(marker) = pages.last().and_then(|page| page.get("NextMarker")).cloned() {
        let mut body = body.clone();
        body["Marker"] = marker;
        pages.push(node.get(operation, &body));
    }
    for (index, page) in pages.iter().enumerate() {
        let more = index + 1 < pages.len();
        assert_eq!((page["Truncated"].as_bool(), page.get("NextMarker").is_some()), (Some(more), more));
    }
    pages
}

fn pages(node: &Node, limit: u32) -> Vec<Value> {
    all_pages(node, Operation::ListKeys, &json!({"Limit": limit}))
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
fn pages_of_aliases_are_by_name_and_bounded() {
    let node = Deployment::new().node();
    let keys = [0, 1, 2].map(|_| node.create_key(false));
    let mut names: Vec<String> = (0..120).map(|number| format!("alias/{number}")).collect();
    names.iter().enumerate().for_each(|(number, name)| node.create_alias(name, &keys[number % 3]));
    names.sort();
    let foreign = node.ask(carol(), Operation::CreateKey, &json!({})).unwrap()["KeyMetadata"]["KeyId"].clone();
    node.ask(carol(), Operation::CreateAlias, &json!({"AliasName": "alias/hers", "TargetKeyId": foreign})).unwrap();
    for (body, page_count) in [(json!({}), 3), (json!({"Limit": 7}), 18), (json!({"Limit": 100}), 2), (json!({"Limit": 1000}), 2)] {
        let pages = all_pages(&node, Operation::ListAliases, &body);
        assert_eq!((pages.len(), pages.iter().flat_map(alias_names).collect::<Vec<_>>()), (page_count, names.clone()), "{body}");
    }
    assert_eq!(alias_names(&node.get(Operation::ListAliases, &json!({}))).len(), 50);
    for limit in [1, 39, 40, 41] {
        let pages = all_pages(&node, Operation::ListAliases, &json!({"KeyId": keys[1], "Limit": limit}));
        let listed: Vec<_> = pages.iter().flat_map(alias_names).collect();
        assert_eq!((pages.len(), listed.len()), (40_usize.div_ceil(limit), 40), "no empty page at the end");
        assert!(listed.is_sorted() && pages.iter().all(|page| items(page, "Aliases", "TargetKeyId").iter().all(|key| *key == keys[1])));
    }
}

#[test]
fn a_page_of_tags_goes_on_after_the_last_tag_even_if_that_is_gone() {
    let node = Deployment::new().node();
    let key = node.create_key(false);
    let tags: Vec<_> = (0..30).map(|number| json!({"TagKey": format!("{number:02}\u{20ac}"), "TagValue": "v"})).collect();
    node.get(Operation::TagResource, &json!({"KeyId": key, "Tags": tags}));
    for (limit, page_count) in [(1, 30), (7, 5), (30, 1), (1000, 1)] {
        let pages = all_pages(&node, Operation::ListResourceTags, &json!({"KeyId": key, "Limit": limit}));
        let listed: Vec<Value> = pages.iter().flat_map(|page| page["Tags"].as_array().unwrap().clone()).collect();
        assert_eq!((pages.len(), &listed), (page_count, &tags));
    }
    let page = node.get(Operation::ListResourceTags, &json!({"KeyId": key, "Limit": 10}));
    node.get(Operation::UntagResource, &json!({"KeyId": key, "TagKeys": ["09\u{20ac}", "10\u{20ac}"]}));
    let next = node.get(Operation::ListResourceTags, &json!({"KeyId": key, "Limit": 1, "Marker": page["NextMarker"]}));
    assert_eq!(next["Tags"], json!([tags[11]]));
}

/// Every listing with every other's marker: only its own is good.
#[test]
fn a_marker_is_good_for_its_operation_its_key_and_its_account() {
    let deployment = Deployment::new();
    let (node, other) = (deployment.node(), deployment.node());
    let tags = json!([{"TagKey": "alias/a", "TagValue": ""}, {"TagKey": "alias/b", "TagValue": ""}]);
    let [one, two] = [0, 1].map(|_| {
        let answer = node.get(Operation::CreateKey, &json!({"Tags": tags}));
        answer["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
    });
    for (number, key) in [&one, &one, &two, &two].into_iter().enumerate() {
        node.create_alias(&format!("alias/{number}"), key);
    }
    let listings = [
        (Operation::ListKeys, json!({"Limit": 1})),
        (Operation::ListAliases, json!({"Limit": 1})),
        (Operation::ListAliases, json!({"Limit": 1, "KeyId": one})),
        (Operation::ListAliases, json!({"Limit": 1, "KeyId": two})),
        (Operation::ListResourceTags, json!({"Limit": 1, "KeyId": one})),
        (Operation::ListResourceTags, json!({"Limit": 1, "KeyId": two})),
    ];
    let markers: Vec<Value> = listings.iter().map(|(operation, body)| node.get(*operation, body)["NextMarker"].clone()).collect();
    for (listing, (operation, body)) in listings.iter().enumerate() {
        for (from, marker) in markers.iter().enumerate() {
            let mut body = body.clone();
            body["Marker"] = marker.clone();
            let answer = other.ask(alice(), *operation, &body).map(drop).map_err(|error| error.code);
            let expected = if listing == from { Ok(()) } else { Err(ErrorCode::InvalidMarker) };
            assert_eq!(answer, expected, "{operation} with the marker of {}", listings[from].0);
        }
        let mut marker = markers[listing].as_str().unwrap().to_owned();
        marker.insert(3, 'A');
        let mut body = body.clone();
        body["Marker"] = json!(marker);
        assert_eq!(other.error(*operation, &body).0, ErrorCode::InvalidMarker);
    }
    let stolen = node.ask(carol(), Operation::ListAliases, &json!({"Marker": markers[1]})).unwrap_err();
    assert_eq!(stolen.code, ErrorCode::InvalidMarker);
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
