//! Key policies and grants: what is refused, what is told, and what a grant makes stale.

use std::collections::{BTreeMap, BTreeSet};

use claviger_protocol::{NewDocument, SharedDoc};
use claviger_types::encoding::decode;
use claviger_types::limits::{GRANT_CONSTRAINT_PAIRS_MAX, GRANTS_PER_KEY_MAX, KEY_POLICY_BYTES_MAX, OPERATOR_TEXT_BYTES_MAX};
use claviger_types::{
    GrantConstraint, GrantId, GrantOperation, KeyId, KeySpec, KeyState, KeyUsage, MaterialId, NamedPrincipal, Origin, Sealed, Timestamp,
};

use super::{Machine, Rows, create, disable, founded, once};
use crate::apply::grants::{IndexRow, index_rows};
use crate::random_commands::access::principal;
use crate::random_commands::{account, add_peer, author, key, region};
use crate::read::{self, counter};
use crate::{
    AccountScope, Applied, Authorised, CommandBody, CreateGrant, Expected, GrantRecord, Operation, Overlay, PutKeyPolicy, ReceiveDocuments,
    ReceivedDocument, Record, Refusal, Reserve, ResetKeyPolicy, Response, RetireGrant, RevokeGrant, SealedMaterial, Table, apply,
};

/// The counters that the tables ask for.
pub(super) fn counted(machine: &Machine) -> Vec<(String, u64)> {
    let rows = machine.table(Table::Grants);
    let of = |key_id: KeyId| rows.iter().filter(|(row, _)| row.starts_with(&key_id.to_row())).count() as u64;
    machine.keys().iter().map(|key| key.document.key_id).map(|key_id| (counter::grants_of(&key_id), of(key_id))).collect()
}

/// A grant is of a key, is found by everything that it is indexed by, and nothing else is indexed.
pub(super) fn invariant_grants_fit(machine: &Machine) {
    let mut rows: BTreeSet<IndexRow> = BTreeSet::new();
    let mut named = BTreeSet::new();
    for (row, bytes) in machine.table(Table::Grants) {
        let (key_id, grant_id) = read::grant_of_row(Table::Grants, &row).unwrap();
        assert!(read::key(&machine.tables, &key_id).unwrap().is_some(), "a grant on no key");
        let record: GrantRecord = decode(GrantRecord::SCHEMA, &bytes).unwrap();
        rows.extend(index_rows(&key_id, &grant_id, &record).unwrap());
        let found = read::grants_for(&machine.tables, &key_id, &record.grantee, None, usize::MAX).unwrap();
        assert!(found.contains(&(grant_id, record.clone())));
        if let Some(retiring) = &record.retiring {
            let found = read::retirable_by(&machine.tables, retiring, None, usize::MAX).unwrap();
            assert!(found.contains(&(key_id, grant_id, record.clone())));
        }
        if record.name.is_some() {
            let contents = GrantRecord { created_at: Timestamp::default(), revision: 0, ..record };
            assert!(named.insert((key_id, format!("{contents:?}"))), "two grants of one name and contents");
        }
    }
    let indexes = [Table::GrantsByGrantee, Table::GrantsByRetiring, Table::GrantsByContents];
    let found = indexes.iter().flat_map(|index| machine.table(*index).into_iter().map(|(row, value)| (*index, row, value)));
    assert_eq!(found.collect::<BTreeSet<_>>(), rows);
}

/// Who caches the key is told; nobody who was authorised on it has to ask again, unless the key goes too.
pub(super) fn check_change(machine: &Machine, before: &Rows, row: &[u8], applied: &Applied) {
    let (key_id, _) = read::grant_of_row(Table::Grants, row).unwrap();
    assert!(applied.effects.keys.contains(&key_id), "a grant on {key_id} changed and nobody is told");
    if applied.effects.destroyed.contains(&key_id) {
        return;
    }
    let key = (Table::Keys, key_id.to_row().to_vec());
    assert_eq!(before.get(&key), machine.rows().get(&key), "a grant changed its key");
}

fn with_key() -> Machine {
    let mut machine = founded();
    machine.body(create(0, "a")).outcome.unwrap();
    machine
}

fn expected(machine: &Machine, number: u8) -> Expected {
    Expected { key_id: key(number), revision: read::key(&machine.tables, &key(number)).unwrap().unwrap().revision }
}

const fn grant_id(number: u8) -> GrantId {
    GrantId::from_bytes([number; 32])
}

fn pairs(number: usize) -> BTreeMap<String, String> {
    (0..number).map(|at| (format!("k{at}"), "v".to_owned())).collect()
}

/// A grant of this id, with no name, for a user.
fn granting(machine: &Machine, id: u8) -> CreateGrant {
    CreateGrant {
        once: once(Operation::CreateGrant, &format!("at {} {id}", machine.index)),
        key: expected(machine, 0),
        grant_id: grant_id(id),
        grantee: principal(2),
        retiring: Some(principal(3)),
        operations: [GrantOperation::Decrypt].into(),
        constraint: None,
        name: None,
        issuing_account: account(1),
    }
}

fn made(machine: &mut Machine, create: CreateGrant) -> Result<GrantId, Refusal> {
    machine.body(CommandBody::CreateGrant(Box::new(create))).outcome.map(|response| match response {
        Response::Grant { grant_id } => grant_id,
        other => panic!("{other:?}"),
    })
}

fn revoke(machine: &Machine, id: u8) -> CommandBody {
    let once = once(Operation::RevokeGrant, &format!("at {}", machine.index));
    CommandBody::RevokeGrant(RevokeGrant { once, key: expected(machine, 0), grant_id: grant_id(id) })
}

fn retire(machine: &Machine, id: u8) -> CommandBody {
    let once = once(Operation::RetireGrant, &format!("at {}", machine.index));
    CommandBody::RetireGrant(RetireGrant { once, key: expected(machine, 0), grant_id: grant_id(id) })
}

fn put_policy(machine: &Machine, policy: Option<&str>) -> CommandBody {
    let once = once(Operation::PutKeyPolicy, &format!("at {}", machine.index));
    CommandBody::PutKeyPolicy(PutKeyPolicy { once, key: expected(machine, 0), policy: policy.map(str::to_owned) })
}

/// Whoever was authorised by the old policy must authorise again.
#[test]
fn an_operator_puts_the_default_policy_back_in_any_state() {
    let mut machine = with_key();
    machine.body(put_policy(&machine, Some("p"))).outcome.unwrap();
    machine.body(disable(&machine, 0, "b")).outcome.unwrap();
    let read_before = disable(&machine, 0, "z");
    let reset =
        |key_id, reason: &str| CommandBody::ResetKeyPolicy(ResetKeyPolicy { key_id, reason: reason.to_owned(), by: "ops".to_owned() });
    let applied = machine.body(reset(key(0), "lost"));
    assert_eq!(applied.outcome, Ok(Response::PolicyReset { replaced: Some("p".to_owned()) }));
    assert_eq!(applied.effects.keys, [key(0)]);
    let record = machine.keys().remove(0);
    assert_eq!((&record.regional.policy, record.regional.enabled, record.revision), (&None, false, machine.index));
    assert_eq!(machine.body(read_before).outcome, Err(Refusal::StaleAuthorisation));
    let again = machine.body(reset(key(0), "lost"));
    assert_eq!((again.outcome, again.effects.keys), (Ok(Response::PolicyReset { replaced: None }), vec![]));
    assert_eq!(machine.keys()[0], record);
    assert_eq!(machine.body(reset(key(3), "lost")).outcome, Err(Refusal::NotFound));
    let long = "x".repeat(OPERATOR_TEXT_BYTES_MAX + 1);
    assert!(matches!(machine.body(reset(key(0), &long)).outcome, Err(Refusal::BadText(_))));
    machine.body(reset(key(0), &long[1..])).outcome.unwrap();
}

#[test]
fn a_key_policy_is_replaced_in_any_state_and_makes_authorise_again() {
    let mut machine = with_key();
    let read_before = disable(&machine, 0, "z");
    let applied = machine.body(put_policy(&machine, Some("p")));
    assert_eq!((applied.outcome, applied.effects.keys), (Ok(Response::Done), vec![key(0)]));
    assert_eq!(machine.body(read_before).outcome, Err(Refusal::StaleAuthorisation));
    machine.body(disable(&machine, 0, "b")).outcome.unwrap();
    machine.body(put_policy(&machine, None)).outcome.unwrap();
    let record = machine.keys().remove(0);
    assert_eq!((record.regional.policy, record.revision), (None, machine.index));
    // The same again is no change.
    machine.body(put_policy(&machine, None)).outcome.unwrap();
    assert_eq!(machine.keys()[0].revision, record.revision);
    let large = "x".repeat(KEY_POLICY_BYTES_MAX + 1);
    assert!(matches!(machine.body(put_policy(&machine, Some(&large))).outcome, Err(Refusal::BadPolicy(_))));
    machine.body(put_policy(&machine, Some(&large[1..]))).outcome.unwrap();
}

#[test]
fn a_key_has_its_policy_from_the_start_and_its_replica_its_own() {
    let mut machine = founded();
    let mut body = create(0, "a");
    let CommandBody::CreateKey(new) = &mut body else { unreachable!() };
    new.policy = Some("mine".to_owned());
    let Ok(Response::Key { regional, .. }) = machine.body(body).outcome else { panic!("no key") };
    assert_eq!(regional.policy, None, "answers are remembered without it");
    assert_eq!(machine.keys()[0].regional.policy.as_deref(), Some("mine"));
    machine.body(add_peer(1, 1, AccountScope::All)).outcome.unwrap();
    machine.body(reserve(Some("the replica's"))).outcome.unwrap();
    assert_eq!(machine.body(reserve(Some("another"))).outcome, Err(Refusal::OtherReservation));
    assert!(matches!(machine.body(reserve(Some(&"x".repeat(KEY_POLICY_BYTES_MAX + 1)))).outcome, Err(Refusal::BadPolicy(_))));
    assert_eq!(machine.body(replica_of_key_1()).outcome, Ok(Response::Documents(vec![Ok(())])));
    let replica = read::key(&machine.tables, &key(1)).unwrap().unwrap();
    assert_eq!(replica.regional.policy.as_deref(), Some("the replica's"));
}

/// Region 1 asks for a place for a replica of its key 1.
pub(super) fn reserve(policy: Option<&str>) -> CommandBody {
    CommandBody::Reserve(Box::new(Reserve {
        primary: author(1),
        key_id: key(1),
        account: account(1),
        description: String::new(),
        tags: BTreeMap::new(),
        policy: policy.map(str::to_owned),
        deadline: Timestamp::from_millis(9),
        authorised: Authorised::default(),
    }))
}

/// The document of that key comes.
fn replica_of_key_1() -> CommandBody {
    let material = MaterialId::from_bytes([1; 32]);
    let document = SharedDoc::create(NewDocument {
        author: author(1),
        key_id: key(1),
        account: account(1),
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
        origin: Origin::AwsKms,
        created_at: Timestamp::from_millis(1),
        material: Some(material),
    });
    let received = ReceivedDocument {
        document: document.add_member(&author(1), &region(0), Timestamp::from_millis(9), Timestamp::from_millis(1)).unwrap(),
        id_secret: Some(Sealed::from_bytes(vec![1])),
        materials: vec![SealedMaterial { id: material, sealed: Sealed::from_bytes(vec![2]) }],
    };
    CommandBody::ReceiveDocuments(ReceiveDocuments { from: author(1), documents: vec![received] })
}

#[test]
fn grants_come_and_go_without_making_anybody_authorise_again() {
    let mut machine = with_key();
    // All were authorised before any of them was made.
    let (first, second, third) = (granting(&machine, 1), granting(&machine, 2), disable(&machine, 0, "c"));
    let revision = expected(&machine, 0).revision;
    let applied = machine.body(CommandBody::CreateGrant(Box::new(first)));
    assert_eq!((applied.outcome, applied.effects.keys), (Ok(Response::Grant { grant_id: grant_id(1) }), vec![key(0)]));
    assert_eq!(made(&mut machine, second), Ok(grant_id(2)));
    assert_eq!(expected(&machine, 0).revision, revision);
    let ids = |found: Vec<(GrantId, GrantRecord)>| found.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    let tables = &machine.tables;
    assert_eq!(ids(read::grants_of(tables, &key(0), None, 9).unwrap()), [grant_id(1), grant_id(2)]);
    assert_eq!(ids(read::grants_of(tables, &key(0), None, 1).unwrap()), [grant_id(1)]);
    assert_eq!(ids(read::grants_of(tables, &key(0), Some(&grant_id(1)), 9).unwrap()), [grant_id(2)]);
    assert_eq!(ids(read::grants_for(tables, &key(0), &principal(2), Some(&grant_id(1)), 9).unwrap()), [grant_id(2)]);
    assert_eq!(ids(read::grants_for(tables, &key(0), &principal(2), None, 1).unwrap()), [grant_id(1)]);
    assert!(read::grants_for(tables, &key(0), &principal(3), None, 9).unwrap().is_empty());
    let retirable = read::retirable_by(tables, &principal(3), Some((&key(0), &grant_id(1))), 9).unwrap();
    assert_eq!(retirable.iter().map(|(key_id, id, _)| (*key_id, *id)).collect::<Vec<_>>(), [(key(0), grant_id(2))]);
    assert_eq!(read::grant_count(tables, &key(0)).unwrap(), 2);
    // A disabled key keeps its grants, gives no new ones, and they can be taken back.
    machine.body(third).outcome.unwrap();
    let another = granting(&machine, 3);
    assert_eq!(made(&mut machine, another), Err(Refusal::InvalidState(KeyState::Disabled)));
    let applied = machine.body(revoke(&machine, 1));
    assert_eq!((applied.outcome, applied.effects.keys), (Ok(Response::Done), vec![key(0)]));
    assert_eq!(machine.body(revoke(&machine, 1)).outcome, Err(Refusal::GrantNotFound));
    machine.body(retire(&machine, 2)).outcome.unwrap();
    assert_eq!(machine.body(retire(&machine, 2)).outcome, Err(Refusal::GrantNotFound));
    assert_eq!(read::grant_count(&machine.tables, &key(0)).unwrap(), 0);
    invariant_grants_fit(&machine);
}

/// A name and the same contents are one grant, however often it is asked for; without a name each is another.
#[test]
fn a_named_grant_is_made_once() {
    let mut machine = with_key();
    let named = |machine: &Machine, id| CreateGrant { name: Some("app".to_owned()), ..granting(machine, id) };
    let asked = named(&machine, 1);
    assert_eq!(made(&mut machine, asked), Ok(grant_id(1)));
    let asked = named(&machine, 2);
    let rows = machine.table(Table::Grants);
    let applied = machine.body(CommandBody::CreateGrant(Box::new(asked)));
    assert_eq!((applied.outcome, applied.effects.keys), (Ok(Response::Grant { grant_id: grant_id(1) }), vec![]));
    assert_eq!(machine.table(Table::Grants), rows);
    for (id, other) in [
        CreateGrant { retiring: None, ..named(&machine, 0) },
        CreateGrant { grantee: principal(0), ..named(&machine, 0) },
        CreateGrant { operations: [GrantOperation::Encrypt].into(), ..named(&machine, 0) },
        CreateGrant { issuing_account: account(0), ..named(&machine, 0) },
        CreateGrant { constraint: Some(GrantConstraint::EncryptionContextEquals(pairs(1))), ..named(&machine, 0) },
        CreateGrant { constraint: Some(GrantConstraint::EncryptionContextSubset(pairs(1))), ..named(&machine, 0) },
        CreateGrant { name: Some("app2".to_owned()), ..named(&machine, 0) },
        CreateGrant { name: None, ..named(&machine, 0) },
        CreateGrant { name: None, ..named(&machine, 0) },
    ]
    .into_iter()
    .enumerate()
    {
        let id = u8::try_from(id).unwrap() + 10;
        let other = CreateGrant { grant_id: grant_id(id), once: once(Operation::CreateGrant, &format!("other {id}")), ..other };
        assert_eq!(made(&mut machine, other), Ok(grant_id(id)));
    }
    // Once it is gone, the name makes a new one.
    machine.body(revoke(&machine, 1)).outcome.unwrap();
    let asked = named(&machine, 3);
    assert_eq!(made(&mut machine, asked), Ok(grant_id(3)));
    invariant_grants_fit(&machine);
}

#[test]
fn what_relied_on_a_grant_is_stale_once_it_is_revoked() {
    let mut machine = with_key();
    let grant = granting(&machine, 1);
    made(&mut machine, grant).unwrap();
    let mut child = granting(&machine, 2);
    child.once.authorised = Authorised { account_revision: None, grant: Some((key(0), grant_id(1))) };
    made(&mut machine, child.clone()).unwrap();
    let late = CreateGrant {
        grant_id: grant_id(3),
        once: crate::Once { invocation_id: "late".to_owned(), ..child.once.clone() },
        ..child.clone()
    };
    machine.body(revoke(&machine, 1)).outcome.unwrap();
    assert_eq!(made(&mut machine, late.clone()), Err(Refusal::StaleAuthorisation));
    // Authorised by something else, the same invocation goes through; and a retry of what was done is answered.
    let again = CreateGrant { once: crate::Once { authorised: Authorised::default(), ..late.once.clone() }, ..late };
    assert_eq!(made(&mut machine, again), Ok(grant_id(3)));
    assert_eq!(made(&mut machine, child), Ok(grant_id(2)));
}

/// The same id under another invocation.
fn granting_again(machine: &Machine, id: u8) -> CreateGrant {
    CreateGrant { once: once(Operation::CreateGrant, "again"), ..granting(machine, id) }
}

#[test]
fn a_grant_is_refused_for_what_it_is() {
    let mut machine = with_key();
    let too_long = Some("x".repeat(257));
    let long_value = BTreeMap::from([("k".to_owned(), "v".repeat(385))]);
    let long_key = BTreeMap::from([("k".repeat(9000), "v".to_owned())]);
    let equals = |pairs| Some(GrantConstraint::EncryptionContextEquals(pairs));
    let user = |name: &str| NamedPrincipal::User { account: account(1), name: name.to_owned() };
    let bad = [
        CreateGrant { operations: BTreeSet::new(), ..granting(&machine, 1) },
        CreateGrant { name: too_long, ..granting(&machine, 1) },
        CreateGrant { name: Some(String::new()), ..granting(&machine, 1) },
        CreateGrant { name: Some("a\0b".to_owned()), ..granting(&machine, 1) },
        CreateGrant { grantee: user(""), ..granting(&machine, 1) },
        CreateGrant { grantee: user("a\0b"), ..granting(&machine, 1) },
        CreateGrant { retiring: Some(user("a/b")), ..granting(&machine, 1) },
        CreateGrant { constraint: equals(pairs(GRANT_CONSTRAINT_PAIRS_MAX + 1)), ..granting(&machine, 1) },
        CreateGrant { constraint: equals(long_value), ..granting(&machine, 1) },
        CreateGrant { constraint: equals(long_key), ..granting(&machine, 1) },
    ];
    for (number, create) in bad.into_iter().enumerate() {
        let once = once(Operation::CreateGrant, &format!("bad {number}"));
        let refused = made(&mut machine, CreateGrant { once, ..create.clone() });
        assert!(matches!(refused, Err(Refusal::BadGrant(_))), "{create:?}");
    }
    let nobodys = CreateGrant { key: Expected { key_id: key(5), revision: 1 }, ..granting(&machine, 1) };
    assert_eq!(made(&mut machine, nobodys), Err(Refusal::NotFound));
    let mut stale = granting(&machine, 1);
    stale.key.revision -= 1;
    assert_eq!(made(&mut machine, stale), Err(Refusal::StaleAuthorisation));
    let full = CreateGrant {
        constraint: equals(pairs(GRANT_CONSTRAINT_PAIRS_MAX)),
        name: Some("a:b/c_d-e".to_owned()),
        retiring: None,
        ..granting(&machine, 1)
    };
    assert_eq!(made(&mut machine, full), Ok(grant_id(1)));
    assert_eq!(made(&mut machine, granting_again(&with_key(), 1)), Err(Refusal::AlreadyExists));
}

#[test]
fn a_key_has_so_many_grants_and_no_more() {
    let machine = with_key();
    let mut overlay = Overlay::new(&machine.tables);
    overlay.put_bytes(Table::Counters, counter::grants_of(&key(0)).as_bytes(), GRANTS_PER_KEY_MAX.to_be_bytes().to_vec());
    let body = CommandBody::CreateGrant(Box::new(granting(&machine, 1)));
    let applied = apply(&mut overlay, 99, &crate::Command { time: machine.greatest_time, body }).unwrap();
    assert_eq!(applied.outcome, Err(Refusal::TooManyGrants));
}

#[test]
fn a_grant_on_a_key_that_is_being_created_is_refused() {
    let mut machine = founded();
    machine.body(add_peer(1, 1, AccountScope::All)).outcome.unwrap();
    machine.body(reserve(None)).outcome.unwrap();
    machine.body(replica_of_key_1()).outcome.unwrap();
    let create = CreateGrant { key: expected(&machine, 1), ..granting(&with_key(), 1) };
    assert_eq!(made(&mut machine, create), Err(Refusal::InvalidState(KeyState::Creating)));
}
