//! Each statement, seen to be violated: by commits that no node makes, and by histories that no client may see.

use std::collections::BTreeMap;

use claviger_barrier::RecordPlace;
use claviger_crypto::{Secret32, material_id};
use claviger_state::protocol::{MaterialState, Member, MemberStatus};
use claviger_state::{
    Authorised, Command, CommandBody, CreateAlias, CreateKey, Expected, KeyRecord, MemoryTables, Once, Operation, Outcome as Applied,
    Overlay, SealedMaterial, apply, read,
};
use claviger_types::{KeyId, KeySpec, KeyUsage, Origin, Region, Timestamp};

use super::*;
use crate::history::{Action, AliasAction, AliasCall, AliasOutcome, Call, KnownKey, NEVER, Outcome, regional_tags};
use crate::plan::account;
use crate::world::Founding;

const HERE: &str = "eu-west-1";
const THERE: &str = "dc-north-2";

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

/// A region with one multi-region key, `key`.
struct Site {
    node: Node,
    founding: Founding,
    tables: MemoryTables,
    key: KeyId,
}

impl Site {
    fn new(name: &str) -> Self {
        let founding = Founding::of(&region(name));
        let key = KeyId::multi_region([7; 16]);
        let mut site = Self { node: Node { region: region(name), id: 1 }, founding, tables: MemoryTables::default(), key };
        site.apply(1, CommandBody::FoundRegion(Box::new(site.founding.found.clone()))).unwrap();
        let (id_secret, material) = (Secret32::random().unwrap(), Secret32::random().unwrap());
        let id = material_id::compute(&id_secret, key, &material).unwrap();
        let seal = |place: &RecordPlace, secret: &Secret32| site.founding.barrier.seal(place.context(), secret.expose()).unwrap();
        let create = CreateKey {
            once: Once {
                principal: "p".to_owned(),
                invocation_id: "i".to_owned(),
                operation: Operation::CreateKey,
                body_sha256: [0; 32],
                authorised: Authorised::default(),
            },
            key_id: key,
            account: account(),
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: Origin::AwsKms,
            description: "a-key".to_owned(),
            tags: regional_tags(&region(name)),
            policy: None,
            id_secret: seal(&RecordPlace::id_secret(&key), &id_secret),
            material: Some(SealedMaterial { id, sealed: seal(&RecordPlace::material(&key, &id), &material) }),
        };
        site.apply(2, CommandBody::CreateKey(Box::new(create))).unwrap();
        site
    }

    fn apply(&mut self, index: u64, body: CommandBody) -> Applied {
        let mut overlay = Overlay::new(&self.tables);
        let applied = apply(&mut overlay, index, &Command { time: Timestamp::from_millis(index), body }).unwrap();
        let writes = overlay.into_writes();
        self.tables.commit(writes);
        applied.outcome
    }

    fn record(&self) -> KeyRecord {
        read::key(&self.tables, &self.key).unwrap().unwrap()
    }

    /// What the watchers say of a commit of this record.
    fn commit(&self, watchers: &mut Watchers, record: &KeyRecord) -> Held {
        let Self { node, founding, tables, .. } = self;
        watchers.committed(&Commit { node, life: 1, moment: 1, record, tables, barrier: &founding.barrier })
    }

    fn end<'a>(&self, history: &'a History) -> Final<'a> {
        Final { history, nodes: BTreeMap::from([(self.node.clone(), self.tables.clone())]) }
    }
}

fn violated(held: Held) -> String {
    held.expect_err("nothing is violated").invariant.into_owned()
}

#[test]
fn what_a_node_does_is_right() {
    let (site, mut watchers, history) = (Site::new(HERE), Watchers::default(), History::default());
    for _ in 0..2 {
        site.commit(&mut watchers, &site.record()).unwrap();
    }
    judge(&history, &watchers).unwrap();
    compare(&site.end(&history), &watchers).unwrap();
}

#[test]
fn versions_that_go_back_are_seen() {
    let (site, mut watchers) = (Site::new(HERE), Watchers::default());
    let mut newer = site.record();
    newer.document.version = newer.document.version.next();
    site.commit(&mut watchers, &newer).unwrap();
    assert_eq!(violated(site.commit(&mut watchers, &site.record())), version_never_regresses::NAME);
    // The node of the end holds what is older than that too.
    assert_eq!(violated(compare(&site.end(&History::default()), &watchers)), version_never_regresses::NAME);
}

#[test]
fn two_documents_of_one_version_and_two_authors_of_one_epoch_are_seen() {
    let (site, mut watchers) = (Site::new(HERE), Watchers::default());
    site.commit(&mut watchers, &site.record()).unwrap();
    let mut other = site.record();
    other.document.created_at = Timestamp::from_millis(77);
    assert_eq!(violated(site.commit(&mut watchers, &other)), one_line_of_succession::NAME);
    let mut usurped = site.record();
    // A greater version, as far as that goes.
    usurped.document.version.epoch.author.region = region("us-east-1");
    assert_eq!(violated(site.commit(&mut watchers, &usurped)), one_line_of_succession::NAME);
}

#[test]
fn a_material_with_other_bytes_and_one_that_is_gone_are_seen() {
    let mut watchers = Watchers::default();
    let (first, other) = (Site::new(HERE), Site::new(THERE));
    first.commit(&mut watchers, &first.record()).unwrap();
    // Another key's material under the first one's name.
    let id = first.record().document.materials[0].id;
    let forged = read::material(&other.tables, &other.key, &other.record().document.materials[0].id).unwrap().unwrap();
    let opened = other
        .founding
        .barrier
        .unseal32(RecordPlace::material(&other.key, &other.record().document.materials[0].id).context(), &forged.sealed)
        .unwrap();
    let sealed = first.founding.barrier.seal(RecordPlace::material(&first.key, &id).context(), opened.expose()).unwrap();
    let mut changed = Site { node: first.node.clone(), founding: first.founding, tables: first.tables.clone(), key: first.key };
    let mut overlay = Overlay::new(&changed.tables);
    let record = claviger_state::MaterialRecord { sealed };
    overlay.put(&read::material_row(&changed.key, &id), &record).unwrap();
    let writes = overlay.into_writes();
    changed.tables.commit(writes);
    assert_eq!(violated(changed.commit(&mut watchers, &changed.record())), material_is_immutable::NAME);

    let mut overlay = Overlay::new(&changed.tables);
    overlay.delete(claviger_state::Table::Materials, &read::material_row(&changed.key, &id));
    let writes = overlay.into_writes();
    changed.tables.commit(writes);
    assert_eq!(violated(watchers.lost.compare(&changed.end(&History::default()))), no_material_lost::NAME);
}

#[test]
fn a_region_that_is_active_without_the_materials_is_seen() {
    let (site, mut watchers) = (Site::new(HERE), Watchers::default());
    let mut record = site.record();
    let version = record.document.version.next();
    let member = |status| Member { status, born: version.clone(), since: version.clone(), life: None };
    record.document.version = version.clone();
    record.document.members.insert(region(THERE), member(MemberStatus::Creating));
    site.commit(&mut watchers, &record).unwrap();
    record.document.version = version.next();
    record.document.members.insert(region(THERE), member(MemberStatus::Active));
    assert_eq!(violated(site.commit(&mut watchers, &record)), decryptable_everywhere::NAME);
    assert_eq!(record.document.materials[0].state, MaterialState::Current);
}

#[test]
fn a_description_that_travels_and_a_switch_that_nobody_threw_are_seen() {
    let (site, mut watchers) = (Site::new(HERE), Watchers::default());
    site.commit(&mut watchers, &site.record()).unwrap();
    let replica = Site { node: Node { region: region(THERE), id: 1 }, ..Site::new(HERE) };
    let mut watched = regional_stays_regional::Watcher::default();
    let commit = |site: &Site, record: &KeyRecord, watcher: &mut regional_stays_regional::Watcher| {
        let Site { node, founding, tables, .. } = site;
        watcher.committed(&Commit { node, life: 1, moment: 1, record, tables, barrier: &founding.barrier })
    };
    commit(&site, &site.record(), &mut watched).unwrap();
    let mut travelled = site.record();
    assert_eq!(violated(commit(&replica, &travelled, &mut watched)), regional_stays_regional::NAME);
    travelled.regional.description = format!("a-key in {THERE}");
    assert_eq!(violated(commit(&replica, &travelled, &mut watched)), regional_stays_regional::NAME, "its tags");
    travelled.regional.tags = regional_tags(&region(THERE));
    commit(&replica, &travelled, &mut watched).unwrap();
    travelled.regional.enabled = false;
    commit(&replica, &travelled, &mut watched).unwrap();
    assert_eq!(violated(watched.compare(&site.end(&History::default()))), regional_stays_regional::NAME);
}

#[test]
fn an_alias_in_a_region_where_nobody_gave_one_is_seen() {
    let mut site = Site::new(HERE);
    let (principal, invocation_id) = ("p".to_owned(), "a".to_owned());
    let once =
        Once { principal, invocation_id, operation: Operation::CreateAlias, body_sha256: [0; 32], authorised: Authorised::default() };
    let key = Expected { key_id: site.key, revision: site.record().revision };
    site.apply(3, CommandBody::CreateAlias(CreateAlias { once, name: "alias/one".parse().unwrap(), key })).unwrap();
    let known = |home| KnownKey { name: "a-key".to_owned(), id: site.key, home: region(home), replicas: BTreeMap::new() };
    let watched = regional_stays_regional::Watcher::default();
    watched.compare(&site.end(&History { keys: vec![known(HERE)], ..History::default() })).unwrap();
    let away = History { keys: vec![known(THERE)], ..History::default() };
    assert_eq!(violated(watched.compare(&site.end(&away))), regional_stays_regional::NAME);
}

/// A history of one key, made and answered between 0 and 1.
fn history(calls: &[(Action, u64, u64, Outcome)]) -> History {
    let key = KnownKey { name: "k".to_owned(), id: KeyId::multi_region([7; 16]), home: region(HERE), replicas: BTreeMap::new() };
    let made = [(Action::Create, 0, 1, Outcome::Done)];
    let calls = made.iter().chain(calls).map(|(action, begun, ended, outcome)| Call {
        client: 1,
        action: *action,
        key: 0,
        region: region(HERE),
        node: None,
        begun: *begun,
        ended: *ended,
        outcome: outcome.clone(),
    });
    History { keys: vec![key], calls: calls.collect(), ..History::default() }
}

fn judged(history: &History) -> Option<String> {
    judge(history, &Watchers::default()).err().map(|violation| violation.invariant.into_owned())
}

fn refused(code: &str) -> Outcome {
    Outcome::Refused(code.to_owned())
}

#[test]
fn a_key_used_after_its_disabling_was_acknowledged_is_seen() {
    let disabled = (Action::Disable, 2, 5, Outcome::Done);
    let name = Some(revocation_is_final::NAME.to_owned());
    assert_eq!(judged(&history(&[disabled.clone(), (Action::Encrypt, 6, 7, Outcome::Done)])), name);
    assert_eq!(judged(&history(&[disabled.clone(), (Action::Encrypt, 3, 7, Outcome::Done)])), None);
    let enabled = |begun, ended, outcome| (Action::Enable, begun, ended, outcome);
    let used = (Action::Decrypt, 8, 9, Outcome::Done);
    for possible in [enabled(6, 7, Outcome::Done), enabled(6, NEVER, Outcome::Unknown), enabled(3, 6, Outcome::Done)] {
        assert_eq!(judged(&history(&[disabled.clone(), possible, used.clone()])), None);
    }
    assert_eq!(judged(&history(&[enabled(1, 2, Outcome::Done), disabled, enabled(10, 11, Outcome::Done), used])), name);
}

#[test]
fn a_key_that_vanishes_and_a_read_that_goes_back_are_seen() {
    let vanished = history(&[(Action::Describe, 2, 3, refused("NotFoundException"))]);
    assert_eq!(judged(&vanished), Some(acked_is_durable::NAME.to_owned()));
    let shown = |enabled, begun| (Action::Describe, begun, begun + 1, Outcome::Shown(enabled));
    let disabled = (Action::Disable, 2, 20, Outcome::Done);
    assert_eq!(judged(&history(&[disabled.clone(), shown(true, 3), shown(false, 5)])), None);
    assert_eq!(judged(&history(&[disabled, shown(false, 3), shown(true, 5)])), Some(linearizable::NAME.to_owned()));
}

#[test]
fn a_ciphertext_that_does_not_open_is_seen_once_the_region_is_active() {
    let (site, mut watchers) = (Site::new(HERE), Watchers::default());
    let fails = history(&[(Action::Decrypt, 2, 3, refused("InvalidCiphertextException"))]);
    judge(&fails, &watchers).unwrap();
    site.commit(&mut watchers, &site.record()).unwrap();
    assert_eq!(violated(judge(&fails, &watchers)), decryptable_everywhere::NAME);
    let wrong = history(&[(Action::Decrypt, 2, 3, Outcome::WrongPlaintext)]);
    assert_eq!(violated(judge(&wrong, &watchers)), decryptable_everywhere::NAME);
}

#[test]
fn an_alias_that_names_what_it_no_longer_does_is_seen() {
    let call = |action, begun, outcome| AliasCall {
        client: 1,
        alias: "alias/one",
        region: region(HERE),
        node: None,
        action,
        begun,
        ended: begun + 1,
        outcome,
    };
    let made = call(AliasAction::Create(3), 2, AliasOutcome::Done);
    let moved = call(AliasAction::Update(4), 4, AliasOutcome::Done);
    let with = |look| History { alias_calls: vec![made.clone(), moved.clone(), look], ..history(&[]) };
    assert_eq!(judged(&with(call(AliasAction::Look, 6, AliasOutcome::Shown(4)))), None);
    assert_eq!(judged(&with(call(AliasAction::Look, 6, AliasOutcome::Shown(3)))), Some(linearizable::NAME.to_owned()));
}

#[test]
fn an_invocation_carried_out_twice_is_seen() {
    let mut site = Site::new(HERE);
    let told = History { replicated_twice: vec!["a replica".to_owned()], ..History::default() };
    assert_eq!(judged(&told), Some(once::NAME.to_owned()));
    let mut again = read::key(&site.tables, &site.key).unwrap().unwrap();
    again.document.key_id = KeyId::multi_region([8; 16]);
    let mut overlay = Overlay::new(&site.tables);
    overlay.put(&again.document.key_id.to_row(), &again).unwrap();
    let account_row = [account().to_be_bytes().as_slice(), &again.document.key_id.to_row()].concat();
    overlay.put_bytes(claviger_state::Table::KeysByAccount, &account_row, Vec::new());
    let writes = overlay.into_writes();
    site.tables.commit(writes);
    assert_eq!(violated(once::compare(&site.end(&History::default()))), once::NAME);
}

#[test]
fn nodes_that_differ_and_members_that_stay_on_their_way_are_seen() {
    let site = Site::new(HERE);
    let history = History::default();
    let mut end = site.end(&history);
    let mut other = site.tables.clone();
    let mut overlay = Overlay::new(&other);
    overlay.put_bytes(claviger_state::Table::Counters, b"x", vec![1]);
    let writes = overlay.into_writes();
    other.commit(writes);
    end.nodes.insert(Node { id: 2, ..site.node.clone() }, other);
    assert_eq!(violated(convergence::compare(&end)), convergence::NAME);

    let mut end = site.end(&history);
    let mut record = site.record();
    let version = record.document.version.clone();
    record
        .document
        .members
        .insert(region(THERE), Member { status: MemberStatus::Creating, born: version.clone(), since: version, life: None });
    let tables = end.nodes.get_mut(&site.node).unwrap();
    let mut overlay = Overlay::new(tables);
    overlay.put(&site.key.to_row(), &record).unwrap();
    let writes = overlay.into_writes();
    tables.commit(writes);
    assert_eq!(violated(convergence::compare(&end)), convergence::NAME);
}
