//! Aliases, tags and descriptions: what is refused, and what gives which key a new revision.

use std::collections::{BTreeMap, BTreeSet};

use claviger_types::limits::{ALIASES_PER_KEY_MAX, TAGS_PER_KEY_MAX};
use claviger_types::{AliasRow, Timestamp};

use super::{Machine, create, founded, once};
use crate::random_commands::{account, key};
use crate::{
    AliasRecord, CommandBody, CreateAlias, DeleteAlias, Expected, Operation, Outcome, Refusal, Response, TagResource, UntagResource,
    UpdateAlias, UpdateKeyDescription, read,
};

/// Two keys of account 1, 0 and 1, and one of account 2.
fn with_keys() -> Machine {
    let mut machine = founded();
    for number in 0..3 {
        let mut body = create(number, &format!("create {number}"));
        let CommandBody::CreateKey(create) = &mut body else { unreachable!() };
        create.account = account(if number == 2 { 2 } else { 1 });
        machine.body(body).outcome.unwrap();
    }
    machine
}

fn revision(machine: &Machine, number: u8) -> u64 {
    read::key(&machine.tables, &key(number)).unwrap().unwrap().revision
}

fn expected(machine: &Machine, number: u8) -> Expected {
    Expected { key_id: key(number), revision: revision(machine, number) }
}

fn alias(machine: &Machine, name: &str) -> Option<AliasRecord> {
    read::alias(&machine.tables, &AliasRow::new(account(1), &name.parse().unwrap())).unwrap()
}

/// An invocation id that nothing else has.
fn fresh(machine: &Machine) -> String {
    format!("at {}", machine.index)
}

fn create_alias(machine: &mut Machine, name: &str, number: u8) -> Outcome {
    let once = once(Operation::CreateAlias, &fresh(machine));
    let key = expected(machine, number);
    machine.body(CommandBody::CreateAlias(CreateAlias { once, name: name.parse().unwrap(), key })).outcome
}

fn update_alias(machine: &mut Machine, name: &str, from: u8, to: u8) -> Outcome {
    let once = once(Operation::UpdateAlias, &fresh(machine));
    let (from, to) = (expected(machine, from), expected(machine, to));
    machine.body(CommandBody::UpdateAlias(UpdateAlias { once, name: name.parse().unwrap(), from, to })).outcome
}

fn delete_alias(machine: &mut Machine, name: &str, number: u8) -> Outcome {
    let once = once(Operation::DeleteAlias, &fresh(machine));
    let key = expected(machine, number);
    machine.body(CommandBody::DeleteAlias(DeleteAlias { once, name: name.parse().unwrap(), key })).outcome
}

fn tag(machine: &mut Machine, number: u8, tags: BTreeMap<String, String>) -> Outcome {
    let once = once(Operation::TagResource, &fresh(machine));
    let key = expected(machine, number);
    machine.body(CommandBody::TagResource(TagResource { once, key, tags })).outcome
}

#[test]
fn an_alias_comes_moves_and_goes_and_its_keys_know() {
    let mut machine = with_keys();
    machine.greatest_time = Timestamp::from_millis(1000);
    create_alias(&mut machine, "alias/a", 0).unwrap();
    let created = alias(&machine, "alias/a").unwrap();
    assert_eq!((created.key_id, created.created_at, created.updated_at), (key(0), Timestamp::from_millis(1000), created.created_at));
    assert_eq!((created.revision, revision(&machine, 0)), (machine.index, machine.index));

    machine.greatest_time = Timestamp::from_millis(2000);
    update_alias(&mut machine, "alias/a", 0, 1).unwrap();
    let moved = alias(&machine, "alias/a").unwrap();
    assert_eq!((moved.key_id, moved.created_at, moved.updated_at), (key(1), created.created_at, Timestamp::from_millis(2000)));
    assert_eq!([revision(&machine, 0), revision(&machine, 1), moved.revision], [machine.index; 3], "both keys' revisions changed");

    machine.greatest_time = Timestamp::from_millis(3000);
    update_alias(&mut machine, "alias/a", 1, 1).unwrap();
    assert_eq!(alias(&machine, "alias/a").unwrap().updated_at, Timestamp::from_millis(3000));
    assert_eq!(revision(&machine, 1), machine.index);

    delete_alias(&mut machine, "alias/a", 1).unwrap();
    assert_eq!((alias(&machine, "alias/a"), revision(&machine, 1)), (None, machine.index));
    assert_eq!(delete_alias(&mut machine, "alias/a", 1), Err(Refusal::AliasNotFound));
    assert_eq!(update_alias(&mut machine, "alias/a", 1, 0), Err(Refusal::AliasNotFound));
}

#[test]
fn a_name_is_one_key_of_each_account() {
    let mut machine = with_keys();
    create_alias(&mut machine, "alias/a", 0).unwrap();
    assert_eq!(create_alias(&mut machine, "alias/a", 0), Err(Refusal::AlreadyExists));
    assert_eq!(create_alias(&mut machine, "alias/a", 1), Err(Refusal::AlreadyExists));
    create_alias(&mut machine, "alias/A", 1).unwrap();
    create_alias(&mut machine, "alias/a", 2).unwrap();
    assert_eq!(alias(&machine, "alias/a").unwrap().key_id, key(0));
    assert_eq!(update_alias(&mut machine, "alias/a", 0, 2), Err(Refusal::NotFound), "the target is another account's");
}

#[test]
fn what_was_authorised_on_another_association_is_stale() {
    let mut machine = with_keys();
    create_alias(&mut machine, "alias/a", 0).unwrap();
    // The request was authorised on a key that does not have the alias.
    assert_eq!(update_alias(&mut machine, "alias/a", 1, 0), Err(Refusal::StaleAuthorisation));
    assert_eq!(delete_alias(&mut machine, "alias/a", 1), Err(Refusal::StaleAuthorisation));
    // Or on one that had it then and has it again.
    let read_before = expected(&machine, 0);
    update_alias(&mut machine, "alias/a", 0, 1).unwrap();
    update_alias(&mut machine, "alias/a", 1, 0).unwrap();
    let once = once(Operation::DeleteAlias, "late");
    let late = DeleteAlias { once, name: "alias/a".parse().unwrap(), key: read_before };
    assert_eq!(machine.body(CommandBody::DeleteAlias(late)).outcome, Err(Refusal::StaleAuthorisation));
}

#[test]
fn the_alias_of_a_key_that_is_gone_is_gone() {
    let mut machine = with_keys();
    let gone = Expected { key_id: key(5), revision: 1 };
    let (invocation, name, to) = (once(Operation::UpdateAlias, "a"), "alias/a".parse().unwrap(), expected(&machine, 0));
    let update = UpdateAlias { once: invocation, name, from: gone, to };
    assert_eq!(machine.body(CommandBody::UpdateAlias(update.clone())).outcome, Err(Refusal::AliasNotFound));
    let update = UpdateAlias { once: once(Operation::UpdateAlias, "b"), from: update.to, to: gone, ..update };
    assert_eq!(machine.body(CommandBody::UpdateAlias(update)).outcome, Err(Refusal::NotFound), "the target is not there");
}

#[test]
fn a_key_has_fifty_aliases_and_no_more() {
    let mut machine = with_keys();
    for number in 0..ALIASES_PER_KEY_MAX {
        create_alias(&mut machine, &format!("alias/{number}"), 0).unwrap();
    }
    assert_eq!(create_alias(&mut machine, "alias/more", 0), Err(Refusal::TooManyAliases));
    create_alias(&mut machine, "alias/more", 1).unwrap();
    assert_eq!(update_alias(&mut machine, "alias/more", 1, 0), Err(Refusal::TooManyAliases));
    update_alias(&mut machine, "alias/7", 0, 0).unwrap();
    delete_alias(&mut machine, "alias/7", 0).unwrap();
    update_alias(&mut machine, "alias/more", 1, 0).unwrap();
}

#[test]
fn pages_of_aliases_end_where_they_should() {
    let mut machine = with_keys();
    for name in ["alias/b", "alias/a", "alias/a/1", "alias/c"] {
        create_alias(&mut machine, name, 0).unwrap();
    }
    create_alias(&mut machine, "alias/a0", 1).unwrap();
    create_alias(&mut machine, "alias/a", 2).unwrap();
    let of_account = |after: Option<&str>, most| {
        let after = after.map(|name| name.parse().unwrap());
        let page = read::aliases_of(&machine.tables, account(1), after.as_ref(), most).unwrap();
        page.into_iter().map(|(name, _)| String::from(name)).collect::<Vec<_>>()
    };
    assert_eq!(of_account(None, 10), ["alias/a", "alias/a/1", "alias/a0", "alias/b", "alias/c"]);
    assert_eq!(of_account(Some("alias/a"), 2), ["alias/a/1", "alias/a0"]);
    assert_eq!(of_account(Some("alias/a9"), 2), ["alias/b", "alias/c"], "the one it ended with is gone");
    assert!(of_account(Some("alias/c"), 2).is_empty());
    let of_key = |number: u8, after: Option<&str>| {
        let after = after.map(|name| name.parse().unwrap());
        let names = read::alias_names_of(&machine.tables, &key(number), after.as_ref(), 2).unwrap();
        names.into_iter().map(String::from).collect::<Vec<_>>()
    };
    assert_eq!(
        (of_key(0, None), of_key(0, Some("alias/a/1"))),
        (vec!["alias/a".into(), "alias/a/1".into()], vec!["alias/b".into(), "alias/c".into()])
    );
    assert_eq!(of_key(1, None), ["alias/a0"]);
}

#[test]
fn tags_are_merged_and_bounded() {
    let mut machine = with_keys();
    let tags = |from: usize, to: usize, value: &str| (from..to).map(|tag| (format!("k{tag}"), value.to_owned())).collect();
    let held = |machine: &Machine| read::key(&machine.tables, &key(0)).unwrap().unwrap().regional.tags;
    tag(&mut machine, 0, tags(0, 30, "1")).unwrap();
    tag(&mut machine, 0, tags(20, TAGS_PER_KEY_MAX, "2")).unwrap();
    assert_eq!((held(&machine).len(), held(&machine)["k19"].as_str(), held(&machine)["k20"].as_str()), (TAGS_PER_KEY_MAX, "1", "2"));
    assert_eq!(tag(&mut machine, 0, tags(49, 51, "3")), Err(Refusal::TooManyTags));
    assert_eq!(held(&machine)["k49"], "2", "all or nothing");
    // What changes nothing makes nobody authorise again.
    let before = revision(&machine, 0);
    tag(&mut machine, 0, tags(20, 30, "2")).unwrap();
    let tag_keys = BTreeSet::from(["other".to_owned()]);
    let (invocation, key) = (once(Operation::UntagResource, "a"), expected(&machine, 0));
    machine.body(CommandBody::UntagResource(UntagResource { once: invocation, key, tag_keys })).outcome.unwrap();
    assert_eq!(revision(&machine, 0), before);
    let tag_keys = BTreeSet::from(["k0".to_owned(), "other".to_owned()]);
    let (invocation, key) = (once(Operation::UntagResource, "b"), expected(&machine, 0));
    machine.body(CommandBody::UntagResource(UntagResource { once: invocation, key, tag_keys })).outcome.unwrap();
    assert!(!held(&machine).contains_key("k0") && held(&machine).len() == TAGS_PER_KEY_MAX - 1);
    assert_eq!(revision(&machine, 0), machine.index);
}

#[test]
fn a_description_is_replaced() {
    let mut machine = with_keys();
    let update = UpdateKeyDescription {
        once: once(Operation::UpdateKeyDescription, "a"),
        key: expected(&machine, 0),
        description: "new".to_owned(),
    };
    assert_eq!(machine.body(CommandBody::UpdateKeyDescription(update)).outcome, Ok(Response::Done));
    let record = read::key(&machine.tables, &key(0)).unwrap().unwrap();
    assert_eq!((record.regional.description.as_str(), record.revision), ("new", machine.index));
}
