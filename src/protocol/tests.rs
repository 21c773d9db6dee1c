//! Each rule by itself. How they are together is `model`'s to show.

mod deletion;
mod handoff;
mod promotion;
mod rotation;

use std::collections::BTreeSet;

use claviger_types::{AccountId, Incarnation, KeyId, KeySpec, KeyUsage, MaterialId, Origin, Region, Timestamp};

use crate::{
    Accepted, AddMemberError, Author, DocumentError, Epoch, Held, Here, Holding, Lives, MaterialEntry, MaterialState, Member, MemberStatus,
    NewDocument, Presence, Refused, Share, SharedDoc, StatusRecord, Statuses, Version, accept, receive,
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

/// Runs something at a region, whose peers are the two others in their first lives.
fn at<T>(number: u8, run: impl FnOnce(&Here<'_>) -> T) -> T {
    let me = author(number);
    let lives: Lives = (0..3).filter(|peer| *peer != number).map(|peer| (region(peer), author(peer).incarnation)).collect();
    run(&Here { me: &me, lives: &lives, now: NOW })
}

/// The share of a region that has `share` and is sent `document` with all bytes.
fn sent(number: u8, share: &Share, document: &SharedDoc) -> Result<Share, Refused> {
    let sender = document.version.epoch.author.clone();
    at(number, |here| receive(here, share, document, &document.material_ids(), &sender)).map(|change| change.next)
}

fn held_by(share: &Share) -> &Holding {
    share.holding().unwrap()
}

fn reserved() -> Share {
    Share::NOTHING.reserve(&author(0)).unwrap()
}

/// The statuses of these regions.
fn told(holdings: &[(u8, &Holding)]) -> Statuses {
    holdings.iter().map(|(number, holding)| (region(*number), holding.status(&author(*number)))).collect()
}

/// A key that is active in all three regions, as each of them holds it.
fn everywhere(origin: Origin) -> [Holding; 3] {
    let mut document = document();
    document.origin = origin;
    let document = with_member(&with_member(&document, 1), 2);
    let primary = Holding::created(document.clone());
    let replicas = [1, 2].map(|number| sent(number, &reserved(), &document).unwrap());
    let statuses = told(&[(1, held_by(&replicas[0])), (2, held_by(&replicas[1]))]);
    let primary = at(0, |here| primary.settle(here, &statuses)).next;
    let shares = [(1, &replicas[0]), (2, &replicas[1])].map(|(number, share)| sent(number, share, &primary.document).unwrap());
    let [first, second] = shares.map(|share| held_by(&share).clone());
    assert!(primary.document.members.values().all(|member| member.status == MemberStatus::Active));
    [primary, first, second]
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
