//! Rule 3 in the tables: a rotation of a key that other regions have too, from its beginning to its activation.

use std::collections::BTreeSet;

use claviger_protocol::{MaterialState, MemberStatus, Presence, StatusRecord};
use claviger_types::limits::DAY;
use claviger_types::{KeySpec, KeyUsage, MaterialId, Origin, Timestamp};

use super::add_peer;
use super::life::{Life, life as life_refusal, material};
use crate::random_commands::{author, key, region};
use crate::{
    AccountScope, CarryOutDue, CommandBody, DetachMember, LifeRefusal, Operation, ReceiveStatuses, Refusal, ReplicateKey, Response,
};

/// A multi-region key that regions 1 and 2 have, both active.
fn replicated() -> Life {
    let mut life = Life::of(key(1), Origin::AwsKms, KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt);
    for peer in [1, 2] {
        life.machine.body(add_peer(peer, peer, AccountScope::All)).outcome.unwrap();
        let (once, key) = (life.once(Operation::ReplicateKey), life.expected());
        let replicate = ReplicateKey { once, key, region: region(peer), deadline: Timestamp::from_millis(u64::MAX) };
        life.machine.body(CommandBody::ReplicateKey(replicate)).outcome.unwrap();
    }
    for peer in [1, 2] {
        hears(&mut life, peer, &[0]);
        assert_eq!(life.record().document.members[&region(peer)].status, MemberStatus::Active);
    }
    life
}

/// What a member says that has the present document and these materials.
fn status(life: &Life, peer: u8, materials: &[u8]) -> StatusRecord {
    let document = life.record().document;
    let held = crate::read::status(&life.machine.tables, &document.key_id, &region(peer)).unwrap();
    StatusRecord {
        key_id: document.key_id,
        region: region(peer),
        incarnation: author(peer).incarnation,
        revision: held.map_or(1, |held| held.revision + 1),
        member_since: Some(document.members[&region(peer)].since.clone()),
        greatest_epoch: document.version.epoch.clone(),
        version: document.version,
        materials: materials.iter().map(|number| material(*number).id).collect(),
        presence: Presence::Present,
        kept: BTreeSet::new(),
        strays: BTreeSet::new(),
        consent: None,
        refused: None,
    }
}

fn says(life: &mut Life, peer: u8, status: StatusRecord) {
    let receive = ReceiveStatuses { from: author(peer), statuses: vec![status] };
    life.machine.body(CommandBody::ReceiveStatuses(receive)).outcome.unwrap();
}

fn hears(life: &mut Life, peer: u8, materials: &[u8]) {
    let status = status(life, peer, materials);
    says(life, peer, status);
}

fn state_of(life: &Life, number: u8) -> MaterialState {
    life.record().document.materials.iter().find(|entry| entry.id == material(number).id).unwrap().state
}

fn current(life: &Life) -> MaterialId {
    life.record().document.current_material().unwrap().id
}

fn is_owed(life: &Life, peer: u8) -> bool {
    life.machine.dirty(&region(peer), &key(1)).is_some_and(|entry| entry.document)
}

#[test]
fn new_material_is_current_once_every_active_member_has_named_it() {
    let mut life = replicated();
    hears(&mut life, 1, &[0]);
    hears(&mut life, 2, &[0]);
    assert!(!is_owed(&life, 1) && !is_owed(&life, 2));
    let stale = status(&life, 2, &[0, 5]);
    life.rotate(5).unwrap();
    assert_eq!((current(&life), state_of(&life, 5)), (material(0).id, MaterialState::Pending));
    assert!(is_owed(&life, 1) && is_owed(&life, 2));
    assert_eq!(life.rotate(6), life_refusal(LifeRefusal::RotationInProgress));
    hears(&mut life, 1, &[0, 5]);
    assert_eq!(state_of(&life, 5), MaterialState::Pending, "region 2 has not named it");
    says(&mut life, 2, stale);
    assert_eq!(state_of(&life, 5), MaterialState::Pending, "it was said before the rotation began");
    hears(&mut life, 2, &[0]);
    assert_eq!(state_of(&life, 5), MaterialState::Pending, "region 2 says that it has not got it");
    hears(&mut life, 2, &[0, 5]);
    assert_eq!((current(&life), state_of(&life, 0)), (material(5).id, MaterialState::Past));
    assert!(is_owed(&life, 1) && is_owed(&life, 2), "both are told");
    let document = life.record().document;
    assert!(document.in_progress.is_none() && document.rotation.on_demand_used == 1);
    life.rotate(6).unwrap();
}

#[test]
fn an_automatic_rotation_waits_for_the_members_too_and_its_next_date_does_not() {
    let mut life = replicated();
    life.set_rotation(Some(90)).unwrap();
    life.passes(90 * DAY);
    let (key, due_at) = (life.expected(), life.now().plus(90 * DAY));
    life.due(CarryOutDue::Rotate { key, material: material(7) }).unwrap();
    assert_eq!(life.record().document.rotation.next_at, Some(due_at));
    assert_eq!(state_of(&life, 7), MaterialState::Pending);
    hears(&mut life, 1, &[0, 7]);
    hears(&mut life, 2, &[0, 7]);
    assert_eq!(current(&life), material(7).id);
}

/// A member that is not active yet is not waited for, and becomes active with all there is.
#[test]
fn a_member_that_is_coming_is_not_waited_for() {
    let mut life = Life::of(key(1), Origin::AwsKms, KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt);
    life.machine.body(add_peer(1, 1, AccountScope::All)).outcome.unwrap();
    let (once, expected) = (life.once(Operation::ReplicateKey), life.expected());
    let replicate = ReplicateKey { once, key: expected, region: region(1), deadline: Timestamp::from_millis(u64::MAX) };
    life.machine.body(CommandBody::ReplicateKey(replicate)).outcome.unwrap();
    life.rotate(5).unwrap();
    assert_eq!(current(&life), material(5).id);
    hears(&mut life, 1, &[0]);
    assert_eq!(life.record().document.members[&region(1)].status, MemberStatus::Creating);
    hears(&mut life, 1, &[0, 5]);
    assert_eq!(life.record().document.members[&region(1)].status, MemberStatus::Active);
}

/// It is waited for no more, and is active again once it shows that it has all.
#[test]
fn a_member_that_is_detached_is_not_waited_for_and_comes_back_by_itself() {
    let mut life = replicated();
    life.rotate(5).unwrap();
    hears(&mut life, 1, &[0, 5]);
    let detach = CommandBody::DetachMember(DetachMember { region: region(2), keys: vec![key(1), key(2)] });
    life.machine.body(detach.clone()).outcome.unwrap();
    assert_eq!(current(&life), material(5).id);
    assert_eq!(life.record().document.members[&region(2)].status, MemberStatus::Detached);
    let version = life.record().document.version;
    life.machine.body(detach).outcome.unwrap();
    assert_eq!(life.record().document.version, version, "the second time changes nothing");
    hears(&mut life, 2, &[0]);
    assert_eq!(life.record().document.members[&region(2)].status, MemberStatus::Detached);
    hears(&mut life, 2, &[0, 5]);
    assert_eq!(life.record().document.members[&region(2)].status, MemberStatus::Active);
}

#[test]
fn a_peer_that_has_seen_a_greater_epoch_ends_the_changes() {
    let mut life = replicated();
    let mut greater = status(&life, 1, &[0]);
    greater.greatest_epoch.promotions += 1;
    says(&mut life, 1, greater);
    assert_eq!(life.rotate(5), Err(Refusal::NotPrimary));
    assert_eq!(life.set_rotation(Some(90)), Err(Refusal::NotPrimary));
    assert!(matches!(life_answer(&mut life), Ok(Response::Done)), "what is regional goes on");
}

fn life_answer(life: &mut Life) -> crate::Outcome {
    let (once, key) = (life.once(Operation::DisableKey), life.expected());
    life.machine.body(CommandBody::SetKeyEnabled(crate::SetKeyEnabled { once, key, enabled: false })).outcome
}
