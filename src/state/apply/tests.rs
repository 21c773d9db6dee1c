//! What holds after every command, whatever came before it, recomputed from the tables each time.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use claviger_protocol::Version;
use claviger_types::encoding::decode;
use claviger_types::limits::{ALIASES_PER_KEY_MAX, INVOCATION_MEMORY, TAGS_PER_KEY_MAX};
use claviger_types::{AliasId, AliasRow, KeyId, Origin, Region, Timestamp};
use proptest::prelude::*;

use super::{apply, once};
use crate::random_commands::{PEERS, account, add_peer, author, found, key, region, steps};
use crate::read::{self, account_row, counter, dirty_age_row, dirty_row};
use crate::{
    AccountScope, AliasRecord, Applied, Authorised, Command, CommandBody, CreateKey, CrlRecord, DirtyRecord, Effects, Expected, KeyRecord,
    MemoryTables, NodeRecord, Once, Operation, Overlay, PublishCrl, Record, Refusal, ReplicateKey, Response, SetKeyEnabled, Table, Tables,
};

mod denials;
mod grants;
mod identities;
mod labels;
mod life;
mod restore;
mod rotation;

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

/// A region in memory that remembers what its tables cannot say.
#[derive(Default)]
struct Machine {
    tables: MemoryTables,
    index: u64,
    greatest_time: Timestamp,
    /// The greatest status revision that each primary is known to have.
    delivered: BTreeMap<(Region, KeyId), u64>,
}

impl Machine {
    fn apply(&mut self, command: &Command) -> Applied {
        self.index += 1;
        let mut overlay = Overlay::new(&self.tables);
        let applied = apply(&mut overlay, self.index, command).unwrap();
        let writes = overlay.into_writes();
        self.tables.commit(writes);
        self.greatest_time = self.greatest_time.max(command.time);
        if let (CommandBody::StatusesDelivered { to, delivered }, Ok(_)) = (&command.body, &applied.outcome) {
            for (key_id, revision) in delivered {
                let known = self.delivered.entry((to.clone(), *key_id)).or_default();
                *known = (*known).max(*revision);
            }
        }
        applied
    }

    fn body(&mut self, body: CommandBody) -> Applied {
        let time = self.greatest_time;
        self.apply(&Command { time, body })
    }

    fn rows(&self) -> Rows {
        self.tables.rows().map(|(table, row, record)| ((table, row.to_vec()), record.to_vec())).collect()
    }

    fn table(&self, table: Table) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.tables.rows().filter(|(found, ..)| *found == table).map(|(_, row, record)| (row.to_vec(), record.to_vec())).collect()
    }

    fn keys(&self) -> Vec<KeyRecord> {
        self.table(Table::Keys).iter().map(|(_, bytes)| decode(KeyRecord::SCHEMA, bytes).unwrap()).collect()
    }

    fn dirty(&self, peer: &Region, key_id: &KeyId) -> Option<DirtyRecord> {
        read::record(&self.tables, &dirty_row(peer, key_id)).unwrap()
    }
}

/// Log time is the greatest time that any command carried.
fn invariant_time_is_monotone(machine: &Machine) {
    assert_eq!(read::log_time(&machine.tables).unwrap(), machine.greatest_time);
}

/// Every counter is what counting gives.
fn invariant_counters_equal_recounts(machine: &Machine) {
    let mut counted: BTreeMap<String, u64> = BTreeMap::new();
    for record in machine.keys() {
        *counted.entry(counter::keys_of(record.document.account)).or_default() += 1;
    }
    for number in 1..=PEERS {
        let peer = region(number);
        let entries = machine.table(Table::Dirty).iter().filter(|(row, _)| row.starts_with(&read::peer_prefix(&peer))).count();
        counted.insert(counter::dirty_of(&peer), entries as u64);
        let reservations = read::reservations(&machine.tables, Timestamp::from_millis(u64::MAX), usize::MAX).unwrap();
        let reserved = reservations.iter().filter(|(_, held)| held.primary.region == peer).count();
        counted.insert(counter::reservations_of(&peer), reserved as u64);
    }
    for (_, held) in read::reservations(&machine.tables, Timestamp::from_millis(u64::MAX), usize::MAX).unwrap() {
        *counted.entry(counter::reservations_for(held.account)).or_default() += 1;
    }
    counted.extend(grants::counted(machine));
    counted.extend(identities::counted(machine));
    for (name, count) in &counted {
        assert_eq!(read::count(&machine.tables, name).unwrap(), *count, "{name}");
    }
    for (row, _) in machine.table(Table::Counters) {
        assert!(counted.contains_key(&String::from_utf8(row).unwrap()));
    }
}

/// An entry for every member that is owed our document and every primary that is owed our status; none for a document
/// that nobody is owed.
fn invariant_dirty_set_misses_nobody(machine: &Machine) {
    let me = read::region(&machine.tables).unwrap().map_or_else(|| author(0), |me| me.author());
    let mut documents = 0;
    for record in machine.keys() {
        let document = &record.document;
        if document.is_owned_by(&me) {
            for member in document.members.keys() {
                let status = read::status(&machine.tables, &document.key_id, member).unwrap();
                let owed = document.is_owed_to(member, status.as_ref());
                let marked = machine.dirty(member, &document.key_id).is_some_and(|entry| entry.document);
                assert_eq!(owed, marked, "document of {} for {member}", document.key_id);
                documents += u64::from(owed);
            }
        } else {
            let delivered = machine.delivered.get(&(document.primary().clone(), document.key_id)).copied().unwrap_or_default();
            let marked = machine.dirty(document.primary(), &document.key_id).is_some_and(|entry| entry.status);
            assert!(marked || delivered >= record.status_revision, "status of {} for {}", document.key_id, document.primary());
        }
    }
    let entries = machine.table(Table::Dirty);
    let marked = entries.iter().filter(|(_, bytes)| decode::<DirtyRecord>(DirtyRecord::SCHEMA, bytes).unwrap().document).count();
    assert_eq!(marked as u64, documents, "a document is marked for somebody who is owed none");
}

/// Every index has exactly the rows that its table asks for.
fn invariant_indexes_fit(machine: &Machine) {
    let rows = |table| machine.table(table).into_iter().map(|(row, _)| row).collect::<Vec<_>>();
    let mut by_account: Vec<_> =
        machine.keys().iter().map(|record| account_row(record.document.account, &record.document.key_id)).collect();
    by_account.sort();
    assert_eq!(rows(Table::KeysByAccount), by_account);
    let mut by_age = Vec::new();
    for number in 1..=PEERS {
        let peer = region(number);
        for (key_id, entry) in read::dirty(&machine.tables, &peer, usize::MAX).unwrap() {
            assert!(entry.document || entry.status);
            by_age.push(dirty_age_row(&peer, entry.since, &key_id));
        }
    }
    by_age.sort();
    assert_eq!(rows(Table::DirtyByAge), by_age);
    assert_eq!(rows(Table::Dirty).len(), by_age.len());
    let mut invoked: Vec<_> = rows(Table::InvocationsByTime).iter().map(|row| row[8..].to_vec()).collect();
    invoked.sort();
    assert_eq!(rows(Table::Invocations), invoked);
}

/// An alias names a key of its account; each key knows its aliases, and has no more of them, nor of tags, than it may.
fn invariant_aliases_fit(machine: &Machine) {
    let mut by_key = Vec::new();
    for (row, bytes) in machine.table(Table::Aliases) {
        let record: AliasRecord = decode(AliasRecord::SCHEMA, &bytes).unwrap();
        let key = read::key(&machine.tables, &record.key_id).unwrap().expect("an alias of no key");
        assert_eq!(row[..8], key.document.account.to_be_bytes());
        assert!(record.created_at <= record.updated_at && record.revision <= key.revision);
        by_key.push([record.key_id.to_row().as_slice(), &row[8..]].concat());
    }
    by_key.sort();
    assert_eq!(machine.table(Table::AliasesByKey).into_iter().map(|(row, _)| row).collect::<Vec<_>>(), by_key);
    for record in machine.keys() {
        assert!(read::alias_names_of(&machine.tables, &record.document.key_id, None, 100).unwrap().len() <= ALIASES_PER_KEY_MAX);
        assert!(record.regional.tags.len() <= TAGS_PER_KEY_MAX);
    }
}

/// A document that is held is well formed, and so are the bytes of all its materials held.
fn invariant_documents_are_whole(machine: &Machine) {
    for record in machine.keys() {
        record.document.validate().unwrap();
        let held = read::material_ids(&machine.tables, &record.document.key_id).unwrap();
        if record.document.origin == Origin::AwsKms {
            assert!(record.document.material_ids().is_subset(&held), "{}", record.document.key_id);
        }
        assert!(record.greatest_epoch >= record.document.version.epoch);
        assert!(record.revision <= machine.index);
    }
}

/// A revocation list is never replaced by an older one, nor lost.
fn check_lists(before: &[CrlRecord], after: &[CrlRecord]) {
    for old in before {
        let new = after.iter().find(|new| new.ca == old.ca).unwrap();
        assert!(new == old || new.number > old.number && new.this_update >= old.this_update, "{old:?} became {new:?}");
    }
}

fn check_invariants(machine: &Machine) {
    invariant_time_is_monotone(machine);
    invariant_counters_equal_recounts(machine);
    invariant_dirty_set_misses_nobody(machine);
    invariant_indexes_fit(machine);
    invariant_aliases_fit(machine);
    invariant_documents_are_whole(machine);
    grants::invariant_grants_fit(machine);
    identities::invariant_identities_fit(machine);
    life::invariant_due_index_fits(machine);
    life::invariant_materials_fit(machine);
}

fn versions(machine: &Machine) -> BTreeMap<KeyId, (Version, u64)> {
    machine.keys().into_iter().map(|record| (record.document.key_id, (record.document.version, record.revision))).collect()
}

/// What one command did to the tables is what it may do.
fn check_change(machine: &Machine, before: &Rows, old: &BTreeMap<KeyId, (Version, u64)>, command: &Command, applied: &Applied) {
    let after = machine.rows();
    let changed: Vec<&(Table, Vec<u8>)> = before
        .keys()
        .chain(after.keys().filter(|row| !before.contains_key(*row)))
        .filter(|row| before.get(*row) != after.get(*row))
        .collect();
    if applied.outcome.is_err() {
        let only_memory = |table| matches!(table, Table::Meta | Table::Invocations | Table::InvocationsByTime);
        assert!(changed.iter().all(|(table, _)| only_memory(*table)), "a refused command changed {changed:?}");
        assert!(changed.iter().all(|(table, row)| *table != Table::Meta || row == read::LOG_TIME_ROW));
        assert_eq!(applied.effects, Effects::default());
    }
    if applied.outcome == Err(Refusal::StaleAuthorisation) {
        assert!(changed.iter().all(|(table, _)| *table == Table::Meta), "a stale authorisation was remembered");
    }
    for (table, row) in &changed {
        if *table == Table::Keys {
            let key_id = KeyId::from_row(row).unwrap();
            assert!(applied.effects.keys.contains(&key_id), "{key_id} changed and nobody is told");
        }
        if *table == Table::Aliases {
            let told = |id: &AliasId| AliasRow::of(id).as_bytes() == row;
            assert!(applied.effects.aliases.iter().any(told), "an alias changed and nobody is told");
            // Whatever was authorised on a key by its aliases is stale now.
            for bytes in [before.get(&(*table, row.clone())), after.get(&(*table, row.clone()))].into_iter().flatten() {
                let record: AliasRecord = decode(AliasRecord::SCHEMA, bytes).unwrap();
                let key = read::key(&machine.tables, &record.key_id).unwrap();
                assert!(key.map_or(applied.effects.destroyed.contains(&record.key_id), |key| key.revision == machine.index));
            }
        }
        if *table == Table::Grants {
            grants::check_change(machine, before, row, applied);
        }
        if matches!(table, Table::Accounts | Table::Identities | Table::DeniedPrincipals) {
            identities::check_change(machine, *table, row, applied);
        }
        if *table == Table::Crls {
            assert!(applied.effects.crls, "a revocation list changed and nobody is told");
        }
        if *table == Table::Dirty && after.contains_key(&(*table, row.clone())) {
            assert!(applied.effects.dirty, "the dirty set grew and nobody is told by {command:?}");
        }
    }
    for (key_id, (version, revision)) in versions(machine) {
        if let Some((old_version, old_revision)) = old.get(&key_id) {
            assert!(version >= *old_version, "the version of {key_id} went back");
            let same_row = before.get(&(Table::Keys, key_id.to_row().to_vec())) == after.get(&(Table::Keys, key_id.to_row().to_vec()));
            assert!(same_row && revision == *old_revision || revision == machine.index && revision > *old_revision);
        }
    }
    // A node id keeps its data directory, and a removed one keeps everything.
    for ((_, row), bytes) in before.iter().filter(|((table, _), _)| *table == Table::Nodes) {
        let decoded = |bytes: &[u8]| decode::<NodeRecord>(NodeRecord::SCHEMA, bytes).unwrap();
        let (old, new) = (decoded(bytes), decoded(&after[&(Table::Nodes, row.clone())]));
        assert_eq!((old.instance, old.registered_at), (new.instance, new.registered_at));
        assert!(old.removed_at.is_none() || old == new, "{old:?} became {new:?}");
    }
    // Materials are written once, and go with their key or, when they were imported, alone.
    for ((table, row), bytes) in before.iter().filter(|((table, _), _)| *table == Table::Materials) {
        let destroyed = applied.effects.destroyed.iter().any(|key_id| row.starts_with(&key_id.to_row()));
        let now = after.get(&(*table, row.clone()));
        assert!(now == Some(bytes) || destroyed && now.is_none());
    }
    for key_id in &applied.effects.destroyed {
        if read::key(&machine.tables, key_id).unwrap().is_none() {
            life::check_destroyed(machine, key_id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_command_keeps_every_invariant(steps in steps(60)) {
        let mut machine = Machine::default();
        for step in &steps {
            let command = step.command(&machine.tables);
            prop_assert_eq!(&Command::decode(&command.encode().unwrap()).unwrap(), &command);
            let (before, old, lists) = (machine.rows(), versions(&machine), read::crls(&machine.tables).unwrap());
            let applied = machine.apply(&command);
            check_lists(&lists, &read::crls(&machine.tables).unwrap());
            check_change(&machine, &before, &old, &command, &applied);
            check_invariants(&machine);
        }
    }

    /// The same invocation again, at once or after anything else within its memory, is answered as before and does nothing.
    #[test]
    fn a_retry_happens_once(steps in steps(40), picked in any::<prop::sample::Index>()) {
        let mut machine = Machine::default();
        let mut answered: Vec<(Command, Applied)> = Vec::new();
        for step in &steps {
            let command = step.command(&machine.tables);
            let applied = machine.apply(&command);
            if once::of(&command.body).is_some() && applied.outcome != Err(Refusal::StaleAuthorisation) {
                answered.push((command, applied));
            }
        }
        if answered.is_empty() {
            return Ok(());
        }
        let (command, _) = picked.get(&answered);
        // The first answer to this invocation that is still remembered is every later answer.
        let Some(invocation) = once::of(&command.body) else { return Ok(()) };
        let Some(held) = read::invocation(&machine.tables, &invocation.principal, &invocation.invocation_id).unwrap() else { return Ok(()) };
        let before = machine.rows();
        let again = machine.apply(command);
        prop_assert_eq!(again.outcome, held.answer_to(invocation));
        prop_assert_eq!(again.effects, Effects::default());
        prop_assert_eq!(machine.rows(), before);
    }
}

fn once(operation: Operation, id: &str) -> Once {
    let principal = "arn:aws:iam::1:user/u".to_owned();
    Once { principal, invocation_id: id.to_owned(), operation, body_sha256: [1; 32], authorised: Authorised::default() }
}

fn create(number: u8, id: &str) -> CommandBody {
    use claviger_types::{KeySpec, KeyUsage, MaterialId, Origin, Sealed};
    CommandBody::CreateKey(Box::new(CreateKey {
        once: once(Operation::CreateKey, id),
        key_id: key(number),
        account: account(1),
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
        origin: Origin::AwsKms,
        description: String::new(),
        tags: BTreeMap::new(),
        policy: None,
        id_secret: Sealed::from_bytes(vec![1]),
        material: Some(crate::SealedMaterial { id: MaterialId::from_bytes([number; 32]), sealed: Sealed::from_bytes(vec![2]) }),
    }))
}

fn disable(machine: &Machine, number: u8, id: &str) -> CommandBody {
    let revision = read::key(&machine.tables, &key(number)).unwrap().unwrap().revision;
    let key = Expected { key_id: key(number), revision };
    CommandBody::SetKeyEnabled(SetKeyEnabled { once: once(Operation::DisableKey, id), key, enabled: false })
}

fn founded() -> Machine {
    let mut machine = Machine::default();
    machine.body(found()).outcome.unwrap();
    machine
}

#[test]
fn nothing_happens_before_the_region_is_founded_and_it_is_founded_once() {
    let mut machine = Machine::default();
    assert_eq!(machine.body(create(0, "a")).outcome, Err(Refusal::NotFounded));
    machine.body(found()).outcome.unwrap();
    assert_eq!(machine.body(found()).outcome, Err(Refusal::AlreadyFounded));
}

#[test]
fn an_invocation_id_is_one_request() {
    let mut machine = founded();
    let first = machine.body(create(0, "a"));
    assert!(matches!(first.outcome, Ok(Response::Key { .. })));
    assert_eq!(machine.body(create(0, "a")).outcome, first.outcome);
    // Another operation, another body, another principal.
    assert_eq!(machine.body(disable(&machine, 0, "a")).outcome, Err(Refusal::InvocationReused));
    let mut other_body = create(0, "a");
    let CommandBody::CreateKey(create) = &mut other_body else { unreachable!() };
    create.once.body_sha256 = [2; 32];
    assert_eq!(machine.body(other_body.clone()).outcome, Err(Refusal::InvocationReused));
    let CommandBody::CreateKey(create) = &mut other_body else { unreachable!() };
    create.once.principal.push('2');
    assert_eq!(machine.body(other_body).outcome, Err(Refusal::AlreadyExists));
    assert_eq!(machine.keys().len(), 1);
}

#[test]
fn invocations_are_forgotten_in_log_time_and_not_before() {
    let mut machine = founded();
    machine.body(create(0, "a")).outcome.unwrap();
    machine.greatest_time = Timestamp::from_millis(0).plus(INVOCATION_MEMORY - Duration::from_millis(1));
    machine.body(create(1, "b")).outcome.unwrap();
    assert!(machine.body(create(0, "a")).outcome.is_ok());
    machine.greatest_time = Timestamp::from_millis(0).plus(INVOCATION_MEMORY);
    machine.body(create(2, "c")).outcome.unwrap();
    assert_eq!(machine.body(create(0, "a")).outcome, Err(Refusal::AlreadyExists));
}

#[test]
fn a_stale_authorisation_is_refused_and_may_be_tried_again() {
    let mut machine = founded();
    machine.body(create(0, "a")).outcome.unwrap();
    let mut read_before = disable(&machine, 0, "b");
    machine.body(disable(&machine, 0, "c")).outcome.unwrap();
    assert_eq!(machine.body(read_before.clone()).outcome, Err(Refusal::StaleAuthorisation));
    // Authorised again, the very same invocation goes through.
    let CommandBody::SetKeyEnabled(set) = &mut read_before else { unreachable!() };
    set.key.revision = read::key(&machine.tables, &key(0)).unwrap().unwrap().revision;
    assert_eq!(machine.body(read_before).outcome, Ok(Response::Done));
}

#[test]
fn time_never_runs_backwards() {
    let mut machine = founded();
    machine.apply(&Command { time: Timestamp::from_millis(1000), body: CommandBody::Tick });
    machine.apply(&Command { time: Timestamp::from_millis(500), body: create(0, "a") });
    assert_eq!(read::log_time(&machine.tables).unwrap(), Timestamp::from_millis(1000));
    assert_eq!(machine.keys()[0].document.created_at, Timestamp::from_millis(1000));
}

/// A key of account 1 that region 1 is a member of, and the status by which region 2 would join it.
fn replicated(scope_of_2: AccountScope) -> (Machine, CommandBody) {
    let mut machine = founded();
    machine.body(add_peer(1, 1, AccountScope::All)).outcome.unwrap();
    machine.body(add_peer(2, 2, scope_of_2)).outcome.unwrap();
    machine.body(create(1, "a")).outcome.unwrap();
    let record = machine.keys().remove(0);
    let expected = Expected { key_id: key(1), revision: record.revision };
    let deadline = Timestamp::from_millis(u64::MAX);
    let replicate = ReplicateKey { once: once(Operation::ReplicateKey, "b"), key: expected, region: region(1), deadline };
    machine.body(CommandBody::ReplicateKey(replicate)).outcome.unwrap();
    let status = claviger_protocol::StatusRecord {
        key_id: key(1),
        region: region(2),
        incarnation: author(2).incarnation,
        revision: 1,
        member_since: None,
        greatest_epoch: record.document.version.epoch.clone(),
        version: record.document.version,
        materials: std::collections::BTreeSet::new(),
        presence: claviger_protocol::Presence::Present,
        kept: std::collections::BTreeSet::new(),
        strays: std::collections::BTreeSet::new(),
        consent: None,
        refused: None,
    };
    (machine, CommandBody::ReceiveStatuses(crate::ReceiveStatuses { from: author(2), statuses: vec![status] }))
}

/// The primary may still commit what the first reservation was made for: its contents are the replica's.
#[test]
fn a_reservation_is_replaced_by_the_same_request_alone() {
    let mut machine = founded();
    machine.body(add_peer(1, 1, AccountScope::All)).outcome.unwrap();
    let mut reserve = |description: &str, deadline| {
        machine.body(CommandBody::Reserve(Box::new(crate::Reserve {
            primary: author(1),
            key_id: key(1),
            account: account(0),
            description: description.to_owned(),
            tags: BTreeMap::new(),
            policy: None,
            deadline: Timestamp::from_millis(deadline),
            authorised: Authorised::default(),
        })));
        read::reservation(&machine.tables, &key(1)).unwrap().unwrap()
    };
    let first = reserve("mine", 10);
    assert_eq!(reserve("another's", 20), first);
    let again = reserve("mine", 20);
    assert_eq!((again.description.as_str(), again.deadline), ("mine", Timestamp::from_millis(20)));
    assert!(again.revision > first.revision);
}

/// Key ids and material ids are in every ciphertext: whoever could join by naming them could have any key shipped.
#[test]
fn a_peer_cannot_join_a_key_by_a_status() {
    let (mut machine, join) = replicated(AccountScope::All);
    assert_eq!(machine.body(join).outcome, Ok(Response::Statuses(vec![])));
    assert!(!machine.keys()[0].document.members.contains_key(&region(2)));
    assert!(machine.dirty(&region(2), &key(1)).is_none(), "its materials would be shipped");
}

#[test]
fn a_peer_cannot_join_a_single_region_key() {
    let mut machine = founded();
    machine.body(add_peer(2, 2, AccountScope::All)).outcome.unwrap();
    machine.body(create(0, "a")).outcome.unwrap();
    let (_, join) = replicated(AccountScope::All);
    let CommandBody::ReceiveStatuses(mut receive) = join else { unreachable!() };
    receive.statuses[0].key_id = key(0);
    machine.body(CommandBody::ReceiveStatuses(receive)).outcome.unwrap();
    assert!(machine.keys()[0].document.members.is_empty());
    machine.keys()[0].document.validate().unwrap();
}

#[test]
fn a_damaged_record_is_an_error_that_names_it() {
    let mut machine = founded();
    machine.body(create(0, "a")).outcome.unwrap();
    let mut overlay = Overlay::new(&machine.tables);
    overlay.put_bytes(Table::Keys, &key(0).to_row(), vec![1, 2, 3]);
    let command = Command { time: machine.greatest_time, body: create(0, "b") };
    let error = apply(&mut overlay, 9, &command).unwrap_err().to_string();
    assert!(error.contains("table keys") && error.contains(&hex::encode(key(0).to_row())), "{error}");
    let mut visited = 0;
    overlay
        .scan(Table::Keys, &[], &mut |_, _| {
            visited += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(visited, 1);
}

fn publish(ca: u8, number: u8, this_update: u64, der: &[u8]) -> CommandBody {
    let [this_update, next_update] = [this_update, 1000].map(Timestamp::from_millis);
    CommandBody::PublishCrl(Box::new(PublishCrl { ca: [ca; 32], number: [number; 20], this_update, next_update, der: der.to_vec() }))
}

#[test]
fn a_revocation_list_gives_way_to_a_newer_one_alone() {
    let mut machine = founded();
    let held = |machine: &Machine| read::crls(&machine.tables).unwrap().iter().map(|held| held.der.clone()).collect::<Vec<_>>();
    let first = machine.body(publish(1, 5, 50, b"a"));
    assert_eq!((first.outcome, first.effects.crls), (Ok(Response::Done), true));
    // The same again is nothing new, to the proposer and to everybody else.
    let again = machine.body(publish(1, 5, 50, b"a"));
    assert_eq!((again.outcome, again.effects.crls), (Ok(Response::Done), false));
    for older in [publish(1, 4, 60, b"b"), publish(1, 5, 60, b"b"), publish(1, 6, 49, b"b")] {
        assert_eq!(machine.body(older).outcome, Err(Refusal::CrlNotNewer));
    }
    assert_eq!(held(&machine), [b"a"]);
    machine.body(publish(1, 6, 50, b"b")).outcome.unwrap();
    machine.body(publish(2, 1, 1, b"c")).outcome.unwrap();
    assert_eq!(held(&machine), [b"b", b"c"]);
}

#[test]
fn revocation_lists_are_bounded() {
    use claviger_types::limits::{CRL_BYTES_MAX, CRLS_MAX};
    let mut machine = founded();
    let refused = |applied: Applied| matches!(applied.outcome, Err(Refusal::BadCrl(_)));
    assert!(refused(machine.body(publish(0, 1, 1, &vec![0; CRL_BYTES_MAX + 1]))));
    machine.body(publish(0, 1, 1, &vec![0; CRL_BYTES_MAX])).outcome.unwrap();
    for ca in 1..CRLS_MAX {
        machine.body(publish(u8::try_from(ca).unwrap(), 1, 1, b"x")).outcome.unwrap();
    }
    assert!(refused(machine.body(publish(255, 1, 1, b"x"))));
    machine.body(publish(1, 2, 1, b"y")).outcome.unwrap();
}
