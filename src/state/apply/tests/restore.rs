//! Rule 11: what a restored region begins with, what it withholds, and until when.

use std::collections::BTreeSet;

use claviger_protocol::Enablement;
use claviger_types::encoding::encode;
use claviger_types::limits::ADMIT_KEYS_MAX;
use claviger_types::{ClusterId, GrantId, GrantOperation, Incarnation, KeyId, KeyState, NodeInstance, Timestamp};
use proptest::prelude::*;

use super::{Machine, check_invariants, create, disable, founded, once};
use crate::random_commands::access::principal;
use crate::random_commands::{KEYS, account, add_peer, author, key, region, steps};
use crate::read::identity_row;
use crate::{
    AccountScope, AdmitKeys, ApplyIdentities, CommandBody, CreateGrant, Expected, IdentityChange, IdentityKind, IdentityRecord,
    ManagedPolicyRecord, MemoryTables, Operation, Overlay, Record, Refusal, RegisterNode, ReplicateKey, Response, RestoreRegion,
    SetKeyEnabled, SetPrincipalDenied, Table, UserRecord, WriteSet, check_row, is_carried_over, read, restore_region,
};

const NEW_LIFE: Incarnation = Incarnation::from_bytes([0xee; 16]);

fn restore_as(node: u64) -> RestoreRegion {
    RestoreRegion {
        cluster_id: ClusterId::from_bytes([0xdd; 16]),
        incarnation: NEW_LIFE,
        backup: [0xcc; 32],
        at: Timestamp::from_millis(9),
        node: RegisterNode { id: node, instance: NodeInstance::from_bytes([0xbb; 16]) },
    }
}

/// A backup's way through the tables, without its file.
fn carried_over(machine: &Machine) -> MemoryTables {
    let empty = MemoryTables::default();
    let mut rows = Overlay::new(&empty);
    for (table, row, record) in machine.tables.rows() {
        check_row(table, row, record).unwrap();
        if is_carried_over(table, row) {
            rows.put_bytes(table, row, record.to_vec());
        }
    }
    let writes: WriteSet = rows.into_writes();
    let mut tables = MemoryTables::default();
    tables.commit(writes);
    tables
}

fn restored(machine: &Machine) -> Machine {
    let mut tables = carried_over(machine);
    let mut overlay = Overlay::new(&tables);
    restore_region(&mut overlay, &restore_as(100)).unwrap().unwrap();
    let writes = overlay.into_writes();
    tables.commit(writes);
    // What was owed in the old life is void: a primary that admits the new one sends its documents anew, and is answered.
    let owed =
        machine.keys().into_iter().map(|record| ((record.document.primary().clone(), record.document.key_id), record.status_revision));
    Machine { tables, index: machine.index, greatest_time: machine.greatest_time, delivered: owed.collect() }
}

fn enablement(machine: &Machine, number: u8) -> Enablement {
    let present = read::region(&machine.tables).unwrap().unwrap().incarnation;
    let record = read::key(&machine.tables, &key(number)).unwrap().unwrap();
    record.regional.enablement(&record.document, present)
}

fn enable(machine: &Machine, number: u8, id: &str) -> CommandBody {
    let CommandBody::SetKeyEnabled(set) = disable(machine, number, id) else { unreachable!() };
    CommandBody::SetKeyEnabled(SetKeyEnabled { enabled: true, once: once(Operation::EnableKey, id), ..set })
}

fn admit(numbers: &[u8]) -> CommandBody {
    CommandBody::AdmitKeys(AdmitKeys { keys: numbers.iter().map(|number| key(*number)).collect() })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Every command after a restore keeps every invariant, and a key is withheld until it is admitted or made anew.
    #[test]
    fn a_restored_region_lives_on_and_withholds_what_it_had(before in steps(40), after in steps(40)) {
        let mut machine = Machine::default();
        for step in &before {
            let command = step.command(&machine.tables);
            machine.apply(&command);
        }
        prop_assume!(read::region(&machine.tables).unwrap().is_some());
        let old = machine;
        let mut machine = restored(&old);
        prop_assert_eq!(machine.keys(), old.keys(), "no key is touched");
        check_invariants(&machine);
        let me = read::region(&machine.tables).unwrap().unwrap();
        prop_assert!(machine.keys().iter().all(|record| !record.document.is_owned_by(&me.author())), "primary of nothing");
        let mut usable: BTreeSet<KeyId> = BTreeSet::new();
        for step in &after {
            let known: BTreeSet<KeyId> = machine.keys().iter().map(|record| record.document.key_id).collect();
            let command = step.command(&machine.tables);
            machine.apply(&command);
            check_invariants(&machine);
            if let CommandBody::AdmitKeys(admit) = &command.body {
                usable.extend(&admit.keys);
            }
            for record in machine.keys() {
                let key_id = record.document.key_id;
                if !known.contains(&key_id) {
                    usable.insert(key_id);
                }
                let withheld = record.regional.is_withheld(NEW_LIFE);
                prop_assert_eq!(withheld, !usable.contains(&key_id), "{} after {:?}", key_id, command.body);
            }
        }
    }
}

#[test]
fn a_restored_region_is_new_to_everybody_and_keeps_its_barrier_its_peers_and_its_memory() {
    let mut machine = founded();
    machine.body(add_peer(1, 1, AccountScope::All)).outcome.unwrap();
    machine.body(CommandBody::RegisterNode(RegisterNode { id: 1, instance: NodeInstance::from_bytes([1; 16]) })).outcome.unwrap();
    let made = machine.body(create(1, "a")).outcome;
    let old = read::region(&machine.tables).unwrap().unwrap();
    let mut machine = restored(&machine);
    let new = read::region(&machine.tables).unwrap().unwrap();
    assert!(new.cluster_id != old.cluster_id && new.incarnation != old.incarnation);
    assert_eq!((&new.keyring, &new.region, &new.trust_domain), (&old.keyring, &old.region, &old.trust_domain));
    let from = new.restored.unwrap();
    assert_eq!((from.cluster_id, from.incarnation, from.backup), (old.cluster_id, old.incarnation, [0xcc; 32]));
    assert_eq!(read::peers(&machine.tables).unwrap().len(), 1);
    let ids: Vec<_> = read::nodes(&machine.tables).unwrap().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [1, 100]);
    // A retry of what was done before the backup is answered from memory.
    assert_eq!(machine.body(create(1, "a")).outcome, made);
    assert_eq!(machine.keys().len(), 1);
}

#[test]
fn a_node_id_of_the_lost_cluster_is_not_used_again() {
    let mut machine = founded();
    machine.body(CommandBody::RegisterNode(RegisterNode { id: 3, instance: NodeInstance::from_bytes([1; 16]) })).outcome.unwrap();
    let tables = carried_over(&machine);
    let mut overlay = Overlay::new(&tables);
    assert_eq!(restore_region(&mut overlay, &restore_as(3)).unwrap(), Err(Refusal::NodeIdUsed));
    assert!(overlay.into_writes().is_empty());
    let nothing = MemoryTables::default();
    assert_eq!(restore_region(&mut Overlay::new(&nothing), &restore_as(3)).unwrap(), Err(Refusal::NotFounded));
}

#[test]
fn what_was_said_to_peers_in_the_old_life_is_not_carried_over() {
    let mut machine = founded();
    machine.body(add_peer(1, 1, AccountScope::All)).outcome.unwrap();
    machine.body(create(1, "a")).outcome.unwrap();
    let revision = machine.keys()[0].revision;
    let replicate = ReplicateKey {
        once: once(Operation::ReplicateKey, "b"),
        key: Expected { key_id: key(1), revision },
        region: region(1),
        deadline: Timestamp::from_millis(u64::MAX),
    };
    machine.body(CommandBody::ReplicateKey(replicate)).outcome.unwrap();
    machine
        .body(CommandBody::Reserve(Box::new(crate::Reserve {
            primary: author(1),
            key_id: key(2),
            account: account(0),
            description: String::new(),
            tags: std::collections::BTreeMap::new(),
            policy: None,
            deadline: Timestamp::from_millis(5),
            authorised: crate::Authorised::default(),
        })))
        .outcome
        .unwrap();
    let rows = |machine: &Machine, table| machine.tables.rows().filter(|(found, ..)| *found == table).count();
    let gone = [Table::Dirty, Table::DirtyByAge, Table::Reservations];
    assert!(gone.iter().all(|table| rows(&machine, *table) == 1));
    let machine = restored(&machine);
    assert!(gone.iter().all(|table| rows(&machine, *table) == 0));
    assert_eq!(read::dirty_count(&machine.tables, &region(1)).unwrap(), 0);
    assert_eq!(read::key_count(&machine.tables, account(1)).unwrap(), 1, "the accounts' counters are their own");
}

/// The account may be the one whose revocation was lost with the state after the backup.
#[test]
fn only_an_operator_lifts_what_a_restore_withholds() {
    let mut machine = founded();
    machine.body(create(0, "a")).outcome.unwrap();
    machine.body(create(1, "b")).outcome.unwrap();
    machine.body(create(2, "c")).outcome.unwrap();
    machine.body(disable(&machine, 1, "d")).outcome.unwrap();
    let mut machine = restored(&machine);
    for number in 0..3 {
        assert_eq!(enablement(&machine, number), Enablement::Withheld);
        let record = read::key(&machine.tables, &key(number)).unwrap().unwrap();
        assert_eq!(record.regional.state(&record.document, &region(0), NEW_LIFE), KeyState::Disabled);
    }
    assert_eq!(machine.body(enable(&machine, 0, "e")).outcome, Err(Refusal::NotAdmitted));
    assert_eq!(machine.body(admit(&[0, 1])).outcome, Ok(Response::Done));
    assert_eq!([0, 1, 2].map(|number| enablement(&machine, number)), [Enablement::Enabled, Enablement::Disabled, Enablement::Withheld]);
    machine.body(enable(&machine, 1, "f")).outcome.unwrap();
    assert_eq!(enablement(&machine, 1), Enablement::Enabled);
    // What is disabled while it is withheld stays disabled.
    machine.body(disable(&machine, 2, "g")).outcome.unwrap();
    machine.body(admit(&[2])).outcome.unwrap();
    assert_eq!(enablement(&machine, 2), Enablement::Disabled);
    // A key that is made in the new life needs nobody.
    machine.body(create(KEYS - 1, "h")).outcome.unwrap();
    assert_eq!(enablement(&machine, KEYS - 1), Enablement::Enabled);
}

#[test]
fn admission_tells_who_caches_the_keys_and_does_nothing_twice() {
    let mut machine = founded();
    machine.body(create(0, "a")).outcome.unwrap();
    let mut machine = restored(&machine);
    let first = machine.body(admit(&[0, 5]));
    assert_eq!((first.outcome, first.effects.keys), (Ok(Response::Done), vec![key(0)]));
    let revision = machine.keys()[0].revision;
    assert!(machine.body(admit(&[0])).effects.keys.is_empty());
    assert_eq!(machine.keys()[0].revision, revision);
    let many = CommandBody::AdmitKeys(AdmitKeys { keys: vec![key(0); ADMIT_KEYS_MAX + 1] });
    assert_eq!(machine.body(many).outcome, Err(Refusal::TooManyNames));
}

/// Replicating needs a document of this life.
#[test]
fn a_restored_region_changes_no_document_that_it_authored_before() {
    let mut machine = founded();
    machine.body(add_peer(1, 1, AccountScope::All)).outcome.unwrap();
    machine.body(create(1, "a")).outcome.unwrap();
    let mut machine = restored(&machine);
    machine.body(admit(&[1])).outcome.unwrap();
    let key = Expected { key_id: key(1), revision: machine.keys()[0].revision };
    let deadline = Timestamp::from_millis(u64::MAX);
    let replicate = ReplicateKey { once: once(Operation::ReplicateKey, "b"), key, region: region(1), deadline };
    assert_eq!(machine.body(CommandBody::ReplicateKey(replicate)).outcome, Err(Refusal::NotPrimary));
}

/// Grants, policies, identities and denials come back with everything that finds and counts them; a withheld key gives
/// nobody anything until it is admitted.
#[test]
fn access_control_comes_back_with_the_backup() {
    let of_access = [
        Table::Grants,
        Table::GrantsByGrantee,
        Table::GrantsByRetiring,
        Table::GrantsByContents,
        Table::Accounts,
        Table::Identities,
        Table::IdentityReferences,
        Table::DeniedPrincipals,
    ];
    let mut machine = with_access();
    let rows = |machine: &Machine| machine.rows().into_iter().filter(|((table, _), _)| of_access.contains(table)).collect::<Vec<_>>();
    let before = rows(&machine);
    assert!(of_access.iter().all(|table| before.iter().any(|((found, _), _)| found == table)), "a table is empty");
    machine = restored(&machine);
    assert_eq!(rows(&machine), before);
    check_invariants(&machine);
    assert_eq!(read::grant_count(&machine.tables, &key(0)).unwrap(), 1);
    assert_eq!(read::identity_count(&machine.tables, account(1)).unwrap(), 2);
    assert_eq!(machine.keys()[0].regional.policy.as_deref(), Some("a policy"));
    assert_eq!(enablement(&machine, 0), Enablement::Withheld);
}

/// A key with a policy and a grant, identities that name each other, and somebody denied.
fn with_access() -> Machine {
    let mut machine = founded();
    let mut body = create(0, "a");
    let CommandBody::CreateKey(new) = &mut body else { unreachable!() };
    new.policy = Some("a policy".to_owned());
    machine.body(body).outcome.unwrap();
    let put = |name: &str, record| IdentityChange::Put { name: name.to_owned(), record: Box::new(record) };
    let user = UserRecord { attached: BTreeSet::from(["p".to_owned()]), ..UserRecord::default() };
    let changes = vec![
        put("a", IdentityRecord::User(user)),
        put("p", IdentityRecord::ManagedPolicy(ManagedPolicyRecord { document: "text".to_owned() })),
    ];
    let identities = ApplyIdentities { account: account(1), expected_revision: None, changes };
    machine.body(CommandBody::ApplyIdentities(Box::new(identities))).outcome.unwrap();
    let grant = CreateGrant {
        once: once(Operation::CreateGrant, "g"),
        key: Expected { key_id: key(0), revision: machine.keys()[0].revision },
        grant_id: GrantId::from_bytes([7; 32]),
        grantee: principal(2),
        retiring: Some(principal(3)),
        operations: [GrantOperation::Decrypt].into(),
        constraint: None,
        name: Some("named".to_owned()),
        issuing_account: account(1),
    };
    machine.body(CommandBody::CreateGrant(Box::new(grant))).outcome.unwrap();
    let (reason, by) = ("lost".to_owned(), "ops".to_owned());
    let deny = SetPrincipalDenied { principal: principal(4), denied: true, reason, by };
    machine.body(CommandBody::SetPrincipalDenied(Box::new(deny))).outcome.unwrap();
    machine
}

/// A row that no build writes is refused before a region is restored from it.
#[test]
fn damaged_rows_of_access_control_are_found() {
    let machine = with_access();
    for (table, row, record) in machine.tables.rows() {
        if matches!(table, Table::Grants | Table::Accounts | Table::Identities | Table::DeniedPrincipals) {
            assert!(check_row(table, row, &record[1..]).is_err());
        }
        if matches!(table, Table::Grants | Table::Accounts | Table::Identities) {
            assert!(check_row(table, &row[1..], record).is_err());
        }
    }
    let user = read::user(&machine.tables, account(1), "a").unwrap().unwrap();
    let bytes = encode(IdentityRecord::SCHEMA, &IdentityRecord::User(user)).unwrap();
    assert!(check_row(Table::Identities, &identity_row(account(1), IdentityKind::User, "a"), &bytes).is_ok());
    assert!(check_row(Table::Identities, &identity_row(account(1), IdentityKind::Role, "a"), &bytes).is_err());
}
