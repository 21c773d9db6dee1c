//! Identities: what is refused, what is told, and what resolving a principal gives.

use std::collections::{BTreeMap, BTreeSet};

use claviger_types::encoding::decode;
use claviger_types::limits::{
    ATTACHED_POLICIES_MAX, GROUPS_PER_USER_MAX, IDENTITIES_PER_ACCOUNT_MAX, IDENTITY_CHANGES_MAX, IDENTITY_POLICIES_BYTES_MAX,
    INLINE_POLICIES_MAX, TAGS_PER_KEY_MAX,
};
use claviger_types::{AccountId, Principal};

use super::grants::reserve;
use super::{Machine, add_peer, create, founded};
use crate::random_commands::access::ACCOUNTS;
use crate::random_commands::{account, key};
use crate::read::{self, account_of_row, counter, identity_of_row, reference_row};
use crate::{
    AccountRecord, AccountScope, Applied, ApplyIdentities, Authorised, CommandBody, DenialRecord, GroupRecord, IdentityChange,
    IdentityKind, IdentityRecord, ManagedPolicyRecord, Outcome, Overlay, Record, Refusal, Response, RoleRecord, Table, UserRecord, apply,
};

/// The counters that the tables ask for.
pub(super) fn counted(machine: &Machine) -> Vec<(String, u64)> {
    let rows = |table, prefix: &[u8]| machine.table(table).iter().filter(|(row, _)| row.starts_with(prefix)).count() as u64;
    let mut counted: Vec<_> = (0..ACCOUNTS)
        .map(account)
        .map(|account| (counter::identities_of(account), rows(Table::Identities, &account.to_be_bytes())))
        .collect();
    counted.push((counter::ACCOUNTS.to_owned(), rows(Table::Accounts, &[])));
    counted.push((counter::DENIED.to_owned(), rows(Table::DeniedPrincipals, &[])));
    counted
}

/// Every identity is of an account that is known, and what it names is there; the index of references says exactly that.
pub(super) fn invariant_identities_fit(machine: &Machine) {
    let mut references = BTreeSet::new();
    for (row, bytes) in machine.table(Table::Identities) {
        let (account, kind, name) = identity_of_row(&row).unwrap();
        assert!(read::account(&machine.tables, account).unwrap().is_some(), "an identity of no account");
        let record: IdentityRecord = decode(IdentityRecord::SCHEMA, &bytes).unwrap();
        assert_eq!(record.kind(), kind);
        for named in record.references() {
            let found = read::identity(&machine.tables, account, named.0, named.1).unwrap();
            assert!(found.is_some(), "{kind:?} {name} names {named:?}");
            references.insert(reference_row(account, named, (kind, name)));
        }
        if let Some(principal) = principal_of(account, kind, name) {
            assert!(read::principal(&machine.tables, &principal).unwrap().is_some());
        }
    }
    let found: BTreeSet<_> = machine.table(Table::IdentityReferences).into_iter().map(|(row, _)| row).collect();
    assert_eq!(found, references);
    for (row, bytes) in machine.table(Table::Accounts) {
        let record: AccountRecord = decode(AccountRecord::SCHEMA, &bytes).unwrap();
        assert!(record.revision <= machine.index && account_of_row(&row).is_ok());
    }
    for (row, bytes) in machine.table(Table::DeniedPrincipals) {
        let record: DenialRecord = decode(DenialRecord::SCHEMA, &bytes).unwrap();
        assert_eq!(record.principal.to_string().into_bytes(), row);
    }
}

fn principal_of(account: AccountId, kind: IdentityKind, name: &str) -> Option<Principal> {
    let name = name.to_owned();
    match kind {
        IdentityKind::User => Some(Principal::User { account, name }),
        IdentityKind::Role => Some(Principal::AssumedRole { account, role: name, session: "s".to_owned() }),
        IdentityKind::Group | IdentityKind::ManagedPolicy => None,
    }
}

/// Who caches the account's principals is told, and all of them have to be authorised again.
pub(super) fn check_change(machine: &Machine, table: Table, row: &[u8], applied: &Applied) {
    let of = match table {
        Table::DeniedPrincipals => std::str::from_utf8(&row[..12]).unwrap().parse().unwrap(),
        _ => account_of_row(&row[..8]).unwrap(),
    };
    assert!(applied.effects.accounts.contains(&of), "{} changed and nobody is told", table.name());
    if let Some(held) = read::account(&machine.tables, of).unwrap() {
        assert_eq!(held.revision, machine.index);
    }
}

pub(super) fn put(name: &str, record: IdentityRecord) -> IdentityChange {
    IdentityChange::Put { name: name.to_owned(), record: Box::new(record) }
}

pub(super) fn delete(kind: IdentityKind, name: &str) -> IdentityChange {
    IdentityChange::Delete { kind, name: name.to_owned() }
}

pub(super) fn policy(text: &str) -> IdentityRecord {
    IdentityRecord::ManagedPolicy(ManagedPolicyRecord { document: text.to_owned() })
}

fn texts(texts: &[(&str, &str)]) -> BTreeMap<String, String> {
    texts.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub(super) fn expecting(expected_revision: Option<u64>, changes: Vec<IdentityChange>) -> CommandBody {
    CommandBody::ApplyIdentities(Box::new(ApplyIdentities { account: account(1), expected_revision, changes }))
}

/// Changes on what the account is now.
pub(super) fn change(machine: &mut Machine, changes: Vec<IdentityChange>) -> Outcome {
    let held = read::account(&machine.tables, account(1)).unwrap();
    machine.body(expecting(held.map(|held| held.revision), changes)).outcome
}

pub(super) fn refused(outcome: &Outcome, word: &str) -> bool {
    matches!(outcome, Err(Refusal::BadIdentities(reason)) if reason.contains(word))
}

pub(super) fn alice() -> Principal {
    Principal::User { account: account(1), name: "alice".to_owned() }
}

pub(super) fn user_in(groups: &[&str], attached: &[&str]) -> IdentityRecord {
    IdentityRecord::User(UserRecord { groups: names(groups), attached: names(attached), ..UserRecord::default() })
}

/// A user with policies from everywhere, and a role.
pub(super) fn with_identities() -> Machine {
    let mut machine = founded();
    let user = UserRecord {
        tags: texts(&[("team", "red")]),
        groups: names(&["staff"]),
        inline: texts(&[("z", "inline z"), ("a", "inline a")]),
        attached: names(&["read"]),
        boundary: Some("bound".to_owned()),
    };
    let group = GroupRecord { inline: texts(&[("g", "inline g")]), attached: names(&["read", "write"]) };
    let role = RoleRecord { tags: texts(&[("env", "prod")]), inline: texts(&[("r", "inline r")]), ..RoleRecord::default() };
    let changes = vec![
        put("alice", IdentityRecord::User(user)),
        put("staff", IdentityRecord::Group(group)),
        put("app", IdentityRecord::Role(role)),
        put("read", policy("managed read")),
        put("write", policy("managed write")),
        put("bound", policy("managed bound")),
    ];
    // Names may come before what they name.
    let applied = machine.body(expecting(None, changes));
    let revision = Some(machine.index);
    assert_eq!(applied.outcome, Ok(Response::Identities { revision, changed: true }));
    assert_eq!(applied.effects.accounts, [account(1)]);
    machine
}

#[test]
fn a_principal_has_its_own_policies_and_those_of_its_groups() {
    let machine = with_identities();
    let found = read::principal(&machine.tables, &alice()).unwrap().unwrap();
    assert_eq!(found.account_revision, machine.index);
    assert_eq!(found.tags, texts(&[("team", "red")]));
    let expected = [
        ("user/alice/a", "inline a"),
        ("user/alice/z", "inline z"),
        ("policy/read", "managed read"),
        ("group/staff/g", "inline g"),
        ("policy/write", "managed write"),
    ];
    assert_eq!(found.policies, expected.map(|(source, text)| (source.to_owned(), text.to_owned())));
    assert_eq!(found.boundary, Some(("policy/bound".to_owned(), "managed bound".to_owned())));
    assert!(!found.denied);
    let session = |role: &str| Principal::AssumedRole { account: account(1), role: role.to_owned(), session: "any".to_owned() };
    let app = read::principal(&machine.tables, &session("app")).unwrap().unwrap();
    assert_eq!((app.tags, app.boundary), (texts(&[("env", "prod")]), None));
    assert_eq!(app.policies, [("role/app/r".to_owned(), "inline r".to_owned())]);
    let root = read::principal(&machine.tables, &Principal::Root { account: account(1) }).unwrap().unwrap();
    assert!(root.policies.is_empty() && root.boundary.is_none());
    // A role is no user, and another account's are nobody.
    let unknown = [
        session("alice"),
        Principal::User { account: account(1), name: "app".to_owned() },
        Principal::User { account: account(2), name: "alice".to_owned() },
        Principal::Root { account: account(2) },
    ];
    assert!(unknown.iter().all(|principal| read::principal(&machine.tables, principal).unwrap().is_none()));
}

#[test]
fn reads_of_single_identities_and_pages() {
    let machine = with_identities();
    let (tables, of) = (&machine.tables, account(1));
    assert_eq!(read::user(tables, of, "alice").unwrap().unwrap().groups, names(&["staff"]));
    assert!(read::user(tables, of, "app").unwrap().is_none());
    assert!(read::role(tables, of, "app").unwrap().is_some());
    assert!(read::group(tables, of, "staff").unwrap().is_some());
    assert_eq!(read::managed_policy(tables, of, "read").unwrap().unwrap().document, "managed read");
    let all = read::identities_of(tables, of, None, usize::MAX).unwrap();
    let found: Vec<_> = all.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(found, ["alice", "app", "staff", "bound", "read", "write"]);
    assert_eq!(read::identities_of(tables, of, Some((IdentityKind::Role, "app")), 2).unwrap(), all[2..4]);
    assert_eq!(read::accounts(tables, None, 9).unwrap().len(), 1);
    assert!(read::accounts(tables, Some(of), 9).unwrap().is_empty());
    assert_eq!(read::identity_count(tables, of).unwrap(), 6);
}

#[test]
fn identities_change_from_the_revision_that_was_read_or_not_at_all() {
    let mut machine = with_identities();
    let revision = read::account(&machine.tables, account(1)).unwrap().unwrap().revision;
    for expected in [None, Some(revision - 1), Some(revision + 1)] {
        assert_eq!(machine.body(expecting(expected, vec![])).outcome, Err(Refusal::IdentitiesChanged));
    }
    // What is so already is no change.
    let applied = machine.body(expecting(Some(revision), vec![put("read", policy("managed read")), delete(IdentityKind::Role, "nobody")]));
    assert_eq!(applied.outcome, Ok(Response::Identities { revision: Some(revision), changed: false }));
    assert!(applied.effects.accounts.is_empty());
    let applied = machine.body(expecting(Some(revision), vec![put("read", policy("other"))]));
    assert_eq!(applied.outcome, Ok(Response::Identities { revision: Some(machine.index), changed: true }));
    // An account without anything in it is an account too.
    let empty = ApplyIdentities { account: account(0), expected_revision: None, changes: vec![] };
    let applied = machine.body(CommandBody::ApplyIdentities(Box::new(empty)));
    assert_eq!(applied.outcome, Ok(Response::Identities { revision: Some(machine.index), changed: true }));
    assert!(read::principal(&machine.tables, &Principal::Root { account: account(0) }).unwrap().is_some());
}

#[test]
fn nothing_is_left_that_names_what_is_not_there() {
    let mut machine = with_identities();
    let rows = machine.rows();
    let bounded = RoleRecord { boundary: Some("no".to_owned()), ..RoleRecord::default() };
    for changes in [
        vec![put("bob", user_in(&["nobody"], &[]))],
        vec![put("bob", user_in(&[], &["staff"]))],
        vec![put("bob", IdentityRecord::Role(bounded))],
        vec![delete(IdentityKind::Group, "staff")],
        vec![delete(IdentityKind::ManagedPolicy, "write")],
        vec![delete(IdentityKind::ManagedPolicy, "bound")],
        // One of two that name it still does.
        vec![put("alice", user_in(&["staff"], &[])), delete(IdentityKind::ManagedPolicy, "read")],
        vec![put("new", policy("x")), put("bob", user_in(&[], &["new"])), delete(IdentityKind::ManagedPolicy, "new")],
    ] {
        let outcome = change(&mut machine, changes.clone());
        assert!(refused(&outcome, "does not exist"), "{changes:?} gave {outcome:?}");
    }
    assert_eq!(machine.rows(), rows, "a refused change left something");
    // In one command the order does not matter.
    let together = vec![delete(IdentityKind::Group, "staff"), put("alice", user_in(&[], &["read"]))];
    change(&mut machine, together).unwrap();
    change(&mut machine, vec![delete(IdentityKind::ManagedPolicy, "write")]).unwrap();
    assert!(refused(&change(&mut machine, vec![delete(IdentityKind::ManagedPolicy, "read")]), "alice"));
    invariant_identities_fit(&machine);
}

#[test]
fn an_identity_is_refused_for_what_it_is() {
    let mut machine = with_identities();
    let many = |count: usize, length: usize| (0..count).map(|at| (format!("n{at}"), "x".repeat(length))).collect::<BTreeMap<_, _>>();
    let group = |inline| IdentityRecord::Group(GroupRecord { inline, attached: BTreeSet::new() });
    let user = |user: UserRecord| IdentityRecord::User(user);
    let default = UserRecord::default;
    let long = |length: usize| "n".repeat(length);
    let bad = [
        put("", user(default())),
        put(&long(65), user(default())),
        put("a/b", user(default())),
        put("a\0b", user(default())),
        put("ä", user(default())),
        put(&long(129), policy("x")),
        delete(IdentityKind::Group, "a\0\u{1}b"),
        delete(IdentityKind::User, ""),
        put("p", policy(&"x".repeat(IDENTITY_POLICIES_BYTES_MAX + 1))),
        put("g", group(many(INLINE_POLICIES_MAX + 1, 1))),
        put("g", group(many(2, IDENTITY_POLICIES_BYTES_MAX / 2 + 1))),
        put("g", group(texts(&[("a b", "x")]))),
        put("u", user(UserRecord { attached: many(ATTACHED_POLICIES_MAX + 1, 0).into_keys().collect(), ..default() })),
        put("u", user(UserRecord { groups: many(GROUPS_PER_USER_MAX + 1, 0).into_keys().collect(), ..default() })),
        put("u", user(UserRecord { groups: names(&["a b"]), ..default() })),
        put("u", user(UserRecord { boundary: Some("a\0b".to_owned()), ..default() })),
        put("u", user(UserRecord { tags: many(TAGS_PER_KEY_MAX + 1, 0), ..default() })),
        put("u", user(UserRecord { tags: texts(&[("", "v")]), ..default() })),
        put("u", user(UserRecord { tags: many(1, 257), ..default() })),
    ];
    for bad in bad {
        let outcome = change(&mut machine, vec![bad.clone()]);
        assert!(matches!(outcome, Err(Refusal::BadIdentities(_))), "{bad:?}");
    }
    assert!(refused(&change(&mut machine, vec![delete(IdentityKind::User, "x"); IDENTITY_CHANGES_MAX + 1]), "at most"));
    let good = vec![
        put(&long(64), user(UserRecord { tags: many(TAGS_PER_KEY_MAX, 256), ..default() })),
        put(&long(128), policy(&"x".repeat(IDENTITY_POLICIES_BYTES_MAX))),
        put("a+=,.@_-Z9", group(many(2, IDENTITY_POLICIES_BYTES_MAX / 2))),
    ];
    change(&mut machine, good).unwrap();
}

#[test]
fn an_account_has_so_many_identities_and_no_more() {
    let machine = with_identities();
    let revision = read::account(&machine.tables, account(1)).unwrap().map(|held| held.revision);
    let mut overlay = Overlay::new(&machine.tables);
    let name = counter::identities_of(account(1));
    overlay.put_bytes(Table::Counters, name.as_bytes(), IDENTITIES_PER_ACCOUNT_MAX.to_be_bytes().to_vec());
    let body = expecting(revision, vec![put("bob", user_in(&[], &[]))]);
    let applied = apply(&mut overlay, 99, &crate::Command { time: machine.greatest_time, body }).unwrap();
    assert!(refused(&applied.outcome, "at most"));
}

#[test]
fn an_account_goes_when_nothing_is_left_of_it() {
    let mut machine = with_identities();
    machine.body(create(0, "a")).outcome.unwrap();
    let all = |machine: &Machine| {
        let held = read::identities_of(&machine.tables, account(1), None, usize::MAX).unwrap();
        held.into_iter().map(|(name, record)| IdentityChange::Delete { kind: record.kind(), name }).collect::<Vec<_>>()
    };
    assert!(refused(&change(&mut machine, vec![IdentityChange::DeleteAccount]), "identities left"));
    let gone = [all(&machine), vec![IdentityChange::DeleteAccount]].concat();
    assert!(refused(&change(&mut machine, gone), "owns keys"));
    // A replica that a peer may already have committed finds its account.
    let mut machine = with_identities();
    machine.body(add_peer(1, 1, AccountScope::All)).outcome.unwrap();
    machine.body(reserve(None)).outcome.unwrap();
    let emptied = [all(&machine), vec![IdentityChange::DeleteAccount]].concat();
    assert!(refused(&change(&mut machine, emptied), "about to own a replica"));
    let revision = read::reservation(&machine.tables, &key(1)).unwrap().unwrap().revision;
    machine.body(CommandBody::LapseReservation { key_id: key(1), revision }).outcome.unwrap();
    let emptied = [all(&machine), vec![IdentityChange::DeleteAccount]].concat();
    change(&mut machine, emptied).unwrap();
    let mut machine = with_identities();
    let old = read::account(&machine.tables, account(1)).unwrap().unwrap();
    let gone = [vec![IdentityChange::DeleteAccount], all(&machine)].concat();
    assert_eq!(change(&mut machine, gone), Ok(Response::Identities { revision: None, changed: true }));
    assert!(read::account(&machine.tables, account(1)).unwrap().is_none());
    assert!(machine.table(Table::Identities).is_empty() && machine.table(Table::IdentityReferences).is_empty());
    // It is not there to be deleted again; a new one is another.
    assert_eq!(change(&mut machine, vec![IdentityChange::DeleteAccount]), Ok(Response::Identities { revision: None, changed: false }));
    change(&mut machine, vec![]).unwrap();
    assert!(read::account(&machine.tables, account(1)).unwrap().unwrap().revision > old.revision);
}

/// An account that is gone is another one than was read, and so is a new one of its name.
#[test]
fn a_deleted_account_makes_writes_stale() {
    let mut machine = founded();
    change(&mut machine, vec![]).unwrap();
    let revision = machine.index;
    let mut write = create(0, "b");
    let CommandBody::CreateKey(new) = &mut write else { unreachable!() };
    new.once.authorised = Authorised { account_revision: Some((account(1), revision)), grant: None };
    change(&mut machine, vec![IdentityChange::DeleteAccount]).unwrap();
    assert_eq!(machine.body(write.clone()).outcome, Err(Refusal::StaleAuthorisation));
    change(&mut machine, vec![]).unwrap();
    assert_eq!(machine.body(write).outcome, Err(Refusal::StaleAuthorisation));
    assert!(read::key(&machine.tables, &key(0)).unwrap().is_none());
}
