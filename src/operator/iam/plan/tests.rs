//! Plans against a model of a region's account: what a plan makes of it is what was wanted, and nothing dangles on the way.

use std::collections::{BTreeMap, BTreeSet};

use claviger_shapes::admin::iam::{Group, IdentityKind, ManagedPolicy, Role, User};
use claviger_types::limits::API_BODY_BYTES_MAX;
use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;

use super::*;

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

fn name() -> impl Strategy<Value = String> {
    "[a-d]"
}

/// Identities of an account that names nothing that it lacks.
fn any_identities() -> impl Strategy<Value = Identities> {
    let document = prop_oneof![Just("{}".to_owned()), Just("[]".to_owned()), Just("x".repeat(IDENTITY_CHANGES_BYTES_MAX / 3))];
    let inline = || btree_map(name(), Just("{}".to_owned()), 0..2);
    let tags = || btree_map(name(), name(), 0..2);
    let policies = btree_map(name(), document, 0..4);
    let names = || btree_set(name(), 0..3);
    let groups = btree_map(name(), (inline(), names()), 0..3);
    let held = || btree_map(name(), (tags(), inline(), names(), names(), proptest::option::of(name())), 0..4);
    (policies, groups, held(), held()).prop_map(|(policies, groups, roles, users)| {
        let mut found = Identities::new();
        let is_policy = |name: &String| policies.contains_key(name);
        for (name, document) in &policies {
            found.insert(IdentityName::new(IdentityKind::Policy, name), Identity::Policy(ManagedPolicy { document: document.clone() }));
        }
        for (name, (inline, attached)) in groups.clone() {
            let attached = attached.into_iter().filter(is_policy).collect();
            found.insert(IdentityName::new(IdentityKind::Group, name), Identity::Group(Group { inline, attached }));
        }
        for (name, (tags, inline, attached, _, boundary)) in roles {
            let (attached, boundary) = (attached.into_iter().filter(is_policy).collect(), boundary.filter(is_policy));
            found.insert(IdentityName::new(IdentityKind::Role, name), Identity::Role(Role { tags, inline, attached, boundary }));
        }
        for (name, (tags, inline, attached, in_groups, boundary)) in users {
            let in_groups = in_groups.into_iter().filter(|group| groups.contains_key(group)).collect();
            let (attached, boundary) = (attached.into_iter().filter(is_policy).collect(), boundary.filter(is_policy));
            let user = User { tags, groups: in_groups, inline, attached, boundary };
            found.insert(IdentityName::new(IdentityKind::User, name), Identity::User(user));
        }
        found
    })
}

fn assert_nothing_dangles(identities: &Identities) {
    for (name, identity) in identities {
        for named in identity.names() {
            assert!(identities.contains_key(&named), "{name} names {named}");
        }
    }
}

/// Does one change as a region does.
fn make(identities: &mut Identities, change: IdentityChange) {
    match change {
        IdentityChange::Put(NamedIdentity { name, identity }) => {
            identities.insert(IdentityName::new(identity.kind(), name), identity);
        }
        IdentityChange::Delete(name) => assert!(identities.remove(&name).is_some(), "{name} is not there"),
        IdentityChange::DeleteAccount => assert!(identities.is_empty()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_plan_makes_is_what_was_wanted(present in any_identities(), wanted in any_identities()) {
        let plan = plan(account(), Some(1), &present, Some(&wanted));
        let mut held = present;
        assert_nothing_dangles(&held);
        for command in commands(&plan) {
            prop_assert!(!command.is_empty() && command.len() <= IDENTITY_CHANGES_MAX);
            let bytes: usize = command.iter().map(json_bytes).sum();
            prop_assert!(bytes <= IDENTITY_CHANGES_BYTES_MAX || command.len() == 1);
            for change in command {
                make(&mut held, change);
                assert_nothing_dangles(&held);
            }
        }
        prop_assert_eq!(&held, &wanted);
        let again = super::plan(account(), Some(2), &held, Some(&wanted));
        prop_assert!(again.is_empty() && commands(&again).is_empty());
    }

    #[test]
    fn an_account_that_is_not_wanted_is_emptied_and_goes(present in any_identities()) {
        let plan = plan(account(), Some(1), &present, None);
        let changes: Vec<IdentityChange> = commands(&plan).into_iter().flatten().collect();
        prop_assert_eq!(changes.last(), Some(&IdentityChange::DeleteAccount));
        let mut held = present;
        for change in changes {
            make(&mut held, change);
            assert_nothing_dangles(&held);
        }
        prop_assert!(held.is_empty());
    }
}

#[test]
fn an_account_without_identities_is_made_too() {
    let none = Identities::new();
    let made = plan(account(), None, &none, Some(&none));
    assert!(made.creates_account && !made.is_empty());
    assert_eq!(commands(&made), [Vec::new()]);
    assert!(plan(account(), Some(3), &none, Some(&none)).is_empty());
    // What is not there need not go.
    assert!(plan(account(), None, &none, None).is_empty());
}

#[test]
fn much_is_split() {
    let user = |index: usize| (IdentityName::new(IdentityKind::User, format!("u{index:05}")), Identity::User(User::default()));
    let wanted: Identities = (0..2 * IDENTITY_CHANGES_MAX + 1).map(user).collect();
    let commands = commands(&plan(account(), None, &Identities::new(), Some(&wanted)));
    assert_eq!(commands.iter().map(Vec::len).collect::<Vec<_>>(), [IDENTITY_CHANGES_MAX, IDENTITY_CHANGES_MAX, 1]);
}

/// The largest command fits a request of the admin API.
#[test]
fn a_command_fits_a_request() {
    const { assert!(IDENTITY_CHANGES_BYTES_MAX + 1024 < API_BODY_BYTES_MAX) };
    let user = User {
        tags: (0..50).map(|tag| (format!("{tag:128}"), "v".repeat(256))).collect::<BTreeMap<_, _>>(),
        groups: (0..10).map(|group| format!("{group:64}")).collect::<BTreeSet<_>>(),
        inline: [("p".to_owned(), "\"".repeat(10_240))].into(),
        attached: (0..20).map(|policy| format!("{policy:128}")).collect(),
        boundary: None,
    };
    let change = IdentityChange::Put(NamedIdentity { name: "u".to_owned(), identity: Identity::User(user) });
    assert!(json_bytes(&change) < IDENTITY_CHANGES_BYTES_MAX);
}
