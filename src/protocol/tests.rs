//! Rules 1, 4 and 10: each by itself, and together over a network that loses order and repeats what it likes.

use std::collections::{BTreeMap, BTreeSet};

use claviger_types::{AccountId, Incarnation, KeyId, KeySpec, KeyUsage, MaterialId, Origin, Region, Timestamp};
use proptest::prelude::*;

use crate::{
    Accepted, AddMemberError, Author, DocumentError, Epoch, Held, InProgress, MaterialEntry, MaterialState, Member, MemberStatus,
    NewDocument, Presence, Refused, SharedDoc, StatusRecord, Version, accept,
};

const NOW: Timestamp = Timestamp::from_millis(1000);

fn region(number: u8) -> Region {
    ["dc-north-1", "dc-south-1", "dc-west-1"][usize::from(number)].parse().unwrap()
}

fn author(number: u8) -> Author {
    Author { region: region(number), incarnation: Incarnation::from_bytes([number; 16]) }
}

fn material(number: u8) -> MaterialId {
    MaterialId::from_bytes([number; 32])
}

fn created(key_id: KeyId) -> SharedDoc {
    SharedDoc::create(NewDocument {
        author: author(0),
        key_id,
        account: AccountId::try_from(1).unwrap(),
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
        origin: Origin::AwsKms,
        created_at: NOW,
        material: Some(material(0)),
    })
}

fn document() -> SharedDoc {
    created(KeyId::multi_region([1; 16]))
}

fn held(document: &SharedDoc) -> Held<'_> {
    Held::Document { document, greatest_epoch: &document.version.epoch }
}

fn with_member(document: &SharedDoc, number: u8) -> SharedDoc {
    document.add_member(&author(0), &region(number), NOW, NOW).unwrap()
}

fn status_of(document: &SharedDoc, number: u8, revision: u64) -> StatusRecord {
    StatusRecord {
        key_id: document.key_id,
        region: region(number),
        incarnation: author(number).incarnation,
        revision,
        member_since: document.members.get(&region(number)).map(|member| member.since.clone()),
        greatest_epoch: document.version.epoch.clone(),
        version: document.version.clone(),
        materials: document.material_ids(),
        presence: Presence::Present,
        kept: BTreeSet::new(),
        strays: BTreeSet::new(),
        consent: None,
        refused: None,
    }
}

#[test]
fn rule_1_by_version_sender_and_reservation() {
    let first = with_member(&document(), 1);
    let second = with_member(&first, 2);
    let here = region(1);
    let reserved = Held::Reservation { primary: &region(0) };
    assert_eq!(accept(&here, reserved, &first, &author(0)), Ok(Accepted::Created));
    assert_eq!(accept(&here, Held::Nothing, &first, &author(0)), Err(Refused::NoReservation));
    assert_eq!(accept(&here, Held::Reservation { primary: &region(2) }, &first, &author(0)), Err(Refused::NoReservation));
    assert_eq!(accept(&here, held(&first), &second, &author(0)), Ok(Accepted::Updated));
    assert_eq!(accept(&here, held(&first), &first, &author(0)), Err(Refused::NotNewer));
    assert_eq!(accept(&here, held(&second), &first, &author(0)), Err(Refused::NotNewer));
    // Passed on by another region, or sent by the right one in another life.
    assert_eq!(accept(&here, reserved, &first, &author(2)), Err(Refused::NotItsAuthor));
    let reborn = Author { incarnation: Incarnation::from_bytes([9; 16]), ..author(0) };
    assert_eq!(accept(&here, reserved, &first, &reborn), Err(Refused::NotItsAuthor));
    assert_eq!(accept(&region(2), reserved, &first, &author(0)), Err(Refused::NotAMember));
    let other = SharedDoc { account: AccountId::try_from(2).unwrap(), ..second.clone() };
    assert_eq!(accept(&here, held(&first), &other, &author(0)), Err(Refused::Contradicts));
}

#[test]
fn rule_1_a_tombstone_follows_and_lives_again_only_by_a_newer_birth_and_a_reservation() {
    let document = with_member(&document(), 1);
    let born = document.members[&region(1)].born.clone();
    let next = with_member(&document, 2);
    let here = region(1);
    let tombstone = |version, reserved| Held::Tombstone { born: &born, version, greatest_epoch: &document.version.epoch, reserved };
    assert_eq!(accept(&here, tombstone(&document.version, true), &document, &author(0)), Err(Refused::NotNewer));
    assert_eq!(accept(&here, tombstone(&document.version, true), &next, &author(0)), Ok(Accepted::TombstoneFollows));
    let mut again = next.clone();
    again.version = next.version.next();
    again.members.insert(
        here.clone(),
        Member { status: MemberStatus::Creating, born: again.version.clone(), since: again.version.clone(), life: None },
    );
    assert_eq!(accept(&here, tombstone(&next.version, false), &again, &author(0)), Ok(Accepted::TombstoneFollows));
    assert_eq!(accept(&here, tombstone(&next.version, true), &again, &author(0)), Ok(Accepted::Created));
}

#[test]
fn versions_compare_promotions_first_and_the_revision_last() {
    let version =
        |promotions, handoffs, number, revision| Version { epoch: Epoch { promotions, handoffs, author: author(number) }, revision };
    let ascending =
        [version(0, 0, 0, 9), version(0, 1, 0, 1), version(0, 9, 0, 1), version(1, 0, 0, 1), version(1, 0, 0, 2), version(1, 0, 1, 1)];
    assert!(ascending.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn malformed_documents_are_refused() {
    let good = with_member(&document(), 1);
    good.validate().unwrap();
    let broken = |change: &dyn Fn(&mut SharedDoc)| {
        let mut document = good.clone();
        change(&mut document);
        document.validate().unwrap_err()
    };
    let entry = |number, state| MaterialEntry { id: material(number), created_at: NOW, state, rotated: None, united: false };
    assert_eq!(broken(&|document| drop(document.members.remove(&region(0)))), DocumentError::Membership);
    assert_eq!(broken(&|document| document.materials[0].state = MaterialState::Past), DocumentError::CurrentMaterial);
    assert_eq!(broken(&|document| document.materials.push(entry(1, MaterialState::Current))), DocumentError::CurrentMaterial);
    assert_eq!(broken(&|document| document.materials.push(entry(0, MaterialState::Past))), DocumentError::RepeatedMaterial);
    assert_eq!(broken(&|document| document.materials.push(entry(1, MaterialState::Discarded))), DocumentError::DiscardedMaterial);
    assert_eq!(broken(&|document| document.version.revision = 1), DocumentError::MemberFromTheFuture);
    assert_eq!(broken(&|document| document.materials = vec![entry(1, MaterialState::Past); 600]), DocumentError::TooLarge);
    assert_eq!(broken(&|document| document.materials.push(entry(1, MaterialState::Pending))), DocumentError::PendingMaterial);
    assert_eq!(broken(&|document| document.offer = Some(region(1))), DocumentError::Offer, "it is not active");
    assert_eq!(broken(&|document| document.offer = Some(region(0))), DocumentError::Offer, "it is the primary");
    assert_eq!(
        broken(&|document| document.members.get_mut(&region(0)).unwrap().status = MemberStatus::Detached),
        DocumentError::Membership
    );
    let mut single = created(KeyId::single_region([1; 16]));
    single.validate().unwrap();
    single.members = good.members.clone();
    assert_eq!(single.validate(), Err(DocumentError::Membership));
}

#[test]
fn rule_4_active_is_earned() {
    let document = with_member(&document(), 1);
    let good = status_of(&document, 1, 1);
    let active = document.receive_status(&author(0), &good).unwrap();
    let member = &active.members[&region(1)];
    assert_eq!((member.status, &member.born, &member.since), (MemberStatus::Active, &document.version, &active.version));
    assert!(active.version > document.version);
    active.validate().unwrap();
    // Once is enough.
    assert_eq!(active.receive_status(&author(0), &good), None);
    let refused = |change: &dyn Fn(&mut StatusRecord)| {
        let mut status = good.clone();
        change(&mut status);
        document.receive_status(&author(0), &status).is_none()
    };
    assert!(refused(&|status| status.materials.clear()), "a material is missing");
    assert!(refused(&|status| status.member_since = None), "it has not seen that it is a member");
    assert!(refused(&|status| status.member_since = Some(Version::first(author(0)))), "it speaks of an earlier membership");
    assert!(refused(&|status| status.presence = Presence::Gone), "it has destroyed the key");
    assert!(refused(&|status| status.greatest_epoch.promotions += 1), "it has promised a greater epoch");
    assert!(refused(&|status| status.key_id = KeyId::multi_region([2; 16])), "it speaks of another key");
    assert_eq!(document.receive_status(&author(1), &good), None, "only the primary decides");
    // A material that came since has to be there too.
    let mut rotated = document.clone();
    rotated.version = document.version.next();
    rotated.materials.push(MaterialEntry { id: material(1), created_at: NOW, state: MaterialState::Pending, rotated: None, united: false });
    assert_eq!(rotated.receive_status(&author(0), &good), None);
}

#[test]
fn rule_10_a_member_is_added_once_in_time_by_the_primary() {
    let document = document();
    let added = with_member(&document, 1);
    let member = &added.members[&region(1)];
    assert_eq!((member.status, &member.born, &member.since), (MemberStatus::Creating, &added.version, &added.version));
    added.validate().unwrap();
    let add = |document: &SharedDoc, me, deadline| document.add_member(&author(me), &region(1), deadline, NOW);
    assert_eq!(add(&added, 0, NOW), Err(AddMemberError::AlreadyExists));
    assert_eq!(add(&document, 2, NOW), Err(AddMemberError::NotPrimary));
    assert_eq!(add(&document, 0, Timestamp::from_millis(999)), Err(AddMemberError::ReservationLapsed));
    assert_eq!(add(&created(KeyId::single_region([1; 16])), 0, NOW), Err(AddMemberError::NotPrimary));
    // One that is gone may come again, under a greater `born`.
    let mut gone = added.clone();
    gone.members.get_mut(&region(1)).unwrap().status = MemberStatus::Gone;
    let again = add(&gone, 0, NOW).unwrap();
    assert!(again.members[&region(1)].born > added.members[&region(1)].born);
}

#[test]
fn no_region_becomes_a_member_by_its_own_word() {
    let document = document();
    assert_eq!(document.receive_status(&author(0), &status_of(&document, 2, 1)), None);
    let single = created(KeyId::single_region([1; 16]));
    assert_eq!(single.receive_status(&author(0), &status_of(&single, 2, 1)), None);
}

/// A region of the simulation: what it has committed.
#[derive(Default)]
struct Node {
    document: Option<SharedDoc>,
    reserved: bool,
    materials: BTreeSet<MaterialId>,
    status_revision: u64,
}

#[derive(Clone, Debug)]
enum Message {
    /// A document with the bytes of these materials.
    Document(SharedDoc, BTreeSet<MaterialId>),
    Status(StatusRecord),
}

/// The primary, two regions that may become members, and everything that was ever sent: any of it may arrive, at any
/// time, any number of times.
struct World {
    primary: SharedDoc,
    statuses: BTreeMap<Region, StatusRecord>,
    nodes: [Node; 2],
    sent: Vec<(u8, Message)>,
    history: BTreeMap<Version, SharedDoc>,
    next_material: u8,
}

#[derive(Clone, Debug)]
enum Event {
    Replicate { to: u8, reserved: bool },
    Rotate,
    Ship { to: u8 },
    Report { from: u8 },
    Deliver(prop::sample::Index),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        2 => (1_u8..3, prop::bool::weighted(0.9)).prop_map(|(to, reserved)| Event::Replicate { to, reserved }),
        1 => Just(Event::Rotate),
        4 => (1_u8..3).prop_map(|to| Event::Ship { to }),
        4 => (1_u8..3).prop_map(|from| Event::Report { from }),
        12 => any::<prop::sample::Index>().prop_map(Event::Deliver),
    ]
}

impl World {
    fn new() -> Self {
        let primary = document();
        let history = BTreeMap::from([(primary.version.clone(), primary.clone())]);
        Self { primary, statuses: BTreeMap::new(), nodes: Default::default(), sent: Vec::new(), history, next_material: 1 }
    }

    fn commit(&mut self, document: SharedDoc) {
        assert!(document.version > self.primary.version);
        document.validate().unwrap();
        self.history.insert(document.version.clone(), document.clone());
        self.primary = document;
    }

    fn node(&mut self, number: u8) -> &mut Node {
        &mut self.nodes[usize::from(number) - 1]
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Replicate { to, reserved } => {
                self.node(*to).reserved |= *reserved;
                if *reserved && let Ok(document) = self.primary.add_member(&author(0), &region(*to), NOW, NOW) {
                    self.commit(document);
                }
            }
            Event::Rotate => {
                let mut document = self.primary.clone();
                document.version = document.version.next();
                document
                    .materials
                    .iter_mut()
                    .filter(|entry| entry.state == MaterialState::Pending)
                    .for_each(|entry| entry.state = MaterialState::Past);
                document.in_progress = Some(InProgress { since: document.version.clone(), kind: None, started_at: NOW });
                document.materials.push(MaterialEntry {
                    id: material(self.next_material),
                    created_at: NOW,
                    state: MaterialState::Pending,
                    rotated: None,
                    united: false,
                });
                self.next_material += 1;
                self.commit(document);
            }
            Event::Ship { to } => self.ship(*to),
            Event::Report { from } => self.report(*from),
            Event::Deliver(which) if !self.sent.is_empty() => {
                let (to, message) = which.get(&self.sent).clone();
                self.deliver(to, &message);
            }
            Event::Deliver(_) => {}
        }
    }

    /// As the shipper does: the document, and the materials that the peer has not named.
    fn ship(&mut self, to: u8) {
        let status = self.statuses.get(&region(to));
        if self.primary.is_owed_to(&region(to), status) {
            let named = status.map(|status| status.materials.clone()).unwrap_or_default();
            let bytes = self.primary.material_ids().difference(&named).copied().collect();
            self.sent.push((to, Message::Document(self.primary.clone(), bytes)));
        }
    }

    fn report(&mut self, from: u8) {
        let node = &self.nodes[usize::from(from) - 1];
        if let Some(document) = &node.document {
            let materials = node.materials.clone();
            let status = StatusRecord { materials, ..status_of(document, from, node.status_revision) };
            self.sent.push((0, Message::Status(status)));
        }
    }

    fn deliver(&mut self, to: u8, message: &Message) {
        match message {
            Message::Document(document, bytes) => {
                let node = self.node(to);
                let primary = region(0);
                let held = match &node.document {
                    Some(document) => held(document),
                    None if node.reserved => Held::Reservation { primary: &primary },
                    None => Held::Nothing,
                };
                let complete = document.material_ids().iter().all(|id| bytes.contains(id) || node.materials.contains(id));
                if accept(&region(to), held, document, &author(0)).is_ok() && complete {
                    assert!(node.document.as_ref().is_none_or(|held| held.version < document.version), "version_never_regresses");
                    node.document = Some(document.clone());
                    node.materials.extend(bytes);
                    node.status_revision += 1;
                }
            }
            Message::Status(status) => {
                if status.supersedes(self.statuses.get(&status.region)) {
                    self.statuses.insert(status.region.clone(), status.clone());
                    if let Some(document) = self.primary.receive_status(&author(0), status) {
                        self.commit(document);
                    }
                }
            }
        }
    }

    /// A member that is Active holds every material of the document that made it so, and one that encrypts (the current
    /// one) opens wherever the key is shown as Enabled.
    fn invariant_active_holds_all_materials(&self) {
        for number in 1..3_u8 {
            let Some(member) = self.primary.members.get(&region(number)) else { continue };
            let node = &self.nodes[usize::from(number) - 1];
            if member.status == MemberStatus::Active {
                let then = &self.history[&member.since];
                assert!(then.material_ids().is_subset(&node.materials), "active without its materials");
                assert!(node.materials.contains(&self.primary.current_material().unwrap().id), "decryptable_everywhere");
            }
            if let Some(held) = &node.document {
                assert!(held.material_ids().is_subset(&node.materials), "a document is held without its materials");
                assert_eq!(self.history.get(&held.version), Some(held), "a document that the primary never committed");
            }
        }
    }

    /// Nobody who is owed something looks as if nothing were owed.
    fn invariant_owed_is_noticed(&self) {
        for number in 1..3_u8 {
            let status = self.statuses.get(&region(number));
            let node = &self.nodes[usize::from(number) - 1];
            let member = self.primary.members.contains_key(&region(number));
            if member && node.document.as_ref() != Some(&self.primary) {
                assert!(self.primary.is_owed_to(&region(number), status), "region {number} is behind and nobody knows");
            }
        }
    }

    /// The faults stop: what is owed is sent and arrives.
    fn heal(&mut self) {
        for _ in 0..10 {
            for number in 1..3 {
                self.sent.clear();
                self.ship(number);
                self.report(number);
                for (to, message) in std::mem::take(&mut self.sent) {
                    self.deliver(to, &message);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn any_order_and_any_repetition_converge(events in prop::collection::vec(event(), 0..120)) {
        let mut world = World::new();
        for event in &events {
            world.happen(event);
            world.invariant_active_holds_all_materials();
            world.invariant_owed_is_noticed();
        }
        world.heal();
        world.invariant_active_holds_all_materials();
        for (number, node) in world.nodes.iter().enumerate() {
            let name = region(u8::try_from(number).unwrap() + 1);
            if let Some(member) = world.primary.members.get(&name) {
                prop_assert_eq!(member.status, MemberStatus::Active, "nobody stays Creating");
                prop_assert_eq!(node.document.as_ref(), Some(&world.primary), "convergence");
                prop_assert!(!world.primary.is_owed_to(&name, world.statuses.get(&name)));
            }
        }
    }
}
