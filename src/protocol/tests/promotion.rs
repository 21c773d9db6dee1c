//! Rule 7, and rule 11 where it meets it.

use claviger_types::{Origin, RotationType};

use super::*;
use crate::{Answer, Answers, Ask, HandoffError, Order, PromotionError, promise};

fn order(lost: u8) -> Order {
    Order { lost: region(lost), ordered_by: "ops".to_owned(), reason: "fire".to_owned(), at: NOW }
}

fn ask(asker: &Holding) -> Ask {
    Ask { key_id: asker.document.key_id, epoch: asker.bid.as_ref().unwrap().epoch.clone() }
}

fn asked(number: u8, holding: &Holding, ask: &Ask) -> (Holding, Answer) {
    let (change, answer) = at(number, |here| promise(here, &Share::Held(Box::new(holding.clone())), ask)).unwrap();
    (held_by(&change.next).clone(), answer)
}

#[test]
fn who_answers_stays_who_does_not_is_detached_and_what_anybody_has_is_kept() {
    let [primary, first, second] = everywhere(Origin::AwsKms);
    // The second has heard of a rotation, and the first has not.
    let rotating = at(0, |here| primary.begin_rotation(here, material(1), RotationType::OnDemand)).unwrap().next;
    let second = held_by(&sent(2, &Share::Held(Box::new(second)), &rotating.document).unwrap()).clone();
    let asker = at(1, |here| first.bid(here, &order(0))).unwrap().next;
    let (second, answer) = asked(2, &second, &ask(&asker));
    let answers: Answers = [(region(2), answer)].into();
    let missing = at(1, |here| asker.promote(here, &answers, &BTreeSet::new())).unwrap_err();
    assert_eq!(missing, PromotionError::Missing([material(1)].into()));
    let promoted = at(1, |here| asker.promote(here, &answers, &[material(1)].into())).unwrap().next;
    let document = &promoted.document;
    document.validate().unwrap();
    assert_eq!((document.version.epoch.promotions, document.primary()), (1, &region(1)));
    assert_eq!(document.promoted, Some(order(0)));
    assert_eq!(document.pending_material().unwrap().id, material(1), "it is inherited");
    assert_eq!(document.in_progress.as_ref().unwrap().since, document.version, "and counted anew");
    let standing = |number| document.members[&region(number)].status;
    assert_eq!([0, 1, 2].map(standing), [MemberStatus::Detached, MemberStatus::Active, MemberStatus::Active]);
    // Who has promised takes nothing from the old primary, which learns why.
    let next = at(0, |here| rotating.detach(here, &region(1))).unwrap().next;
    assert_eq!(sent(2, &Share::Held(Box::new(second.clone())), &next.document), Err(Refused::Promised));
    let yielded = at(0, |here| next.settle(here, &told(&[(2, &second)]))).next;
    assert!(!yielded.may_change(&author(0)));
    // It returns, follows, and earns its place.
    let returned = sent(0, &Share::Held(Box::new(yielded)), document).unwrap();
    let settled = at(1, |here| promoted.settle(here, &told(&[(0, held_by(&returned))]))).next;
    assert_eq!(settled.document.members[&region(0)].status, MemberStatus::Active);
}

#[test]
fn the_smaller_of_two_epochs_gives_up_or_starts_again() {
    let [_, first, second] = everywhere(Origin::AwsKms);
    let one = at(1, |here| first.bid(here, &order(0))).unwrap().next;
    let other = at(2, |here| second.bid(here, &order(0))).unwrap().next;
    let (_, answer) = asked(2, &other, &ask(&one));
    let Answer::Greater(greater) = answer else { panic!("{answer:?}") };
    let gave_up = at(1, |here| one.outbid(here, &greater)).next;
    assert_eq!((gave_up.bid.as_ref(), &gave_up.greatest_epoch), (None, &greater));
    assert_eq!(at(1, |here| gave_up.promote(here, &Answers::new(), &BTreeSet::new())).unwrap_err(), PromotionError::NoBid);
    // The greater epoch of the region that is taken for lost is outbid.
    let lost = Epoch { promotions: 5, handoffs: 0, author: author(0) };
    assert_eq!(at(1, |here| one.outbid(here, &lost)).next.bid.unwrap().epoch.promotions, 6);
    // The other asks the one, whose own bid ends.
    let (one, answer) = asked(1, &one, &ask(&other));
    assert!(matches!(answer, Answer::Promised { .. }));
    assert_eq!(one.bid, None);
}

#[test]
fn what_cannot_be_promoted() {
    let [primary, first, _] = everywhere(Origin::AwsKms);
    assert_eq!(at(0, |here| primary.bid(here, &order(1))).unwrap_err(), PromotionError::AlreadyPrimary);
    assert_eq!(at(1, |here| first.bid(here, &order(2))).unwrap_err(), PromotionError::NotLost(region(0)));
    let wordy = Order { reason: "x".repeat(5000), ..order(0) };
    assert_eq!(at(1, |here| first.bid(here, &wordy)).unwrap_err(), PromotionError::BadOrder);
    let leaving = at(1, |here| first.schedule_deletion(here)).unwrap().next;
    assert_eq!(at(1, |here| leaving.bid(here, &order(0))).unwrap_err(), PromotionError::Leaving);
    let asker = at(1, |here| first.bid(here, &order(0))).unwrap().next;
    assert!(at(1, |here| asker.schedule_deletion(here)).is_err());
    assert_eq!(at(1, |here| asker.consent(here)).unwrap_err(), HandoffError::NotOffered);
    assert_eq!(at(1, |here| asker.bid(here, &order(0))).unwrap().next, asker, "it goes on with the same bid");
    // After its own bid was taken back, the primary is still the one to be taken for lost.
    assert_eq!(at(1, |here| asker.give_up().bid(here, &order(2))).unwrap_err(), PromotionError::NotLost(region(0)));
}

#[test]
fn an_offer_to_a_lost_region_is_ended_by_its_own_primary() {
    let [primary, first, _] = everywhere(Origin::AwsKms);
    let first = at(1, |here| first.consent(here)).unwrap().next;
    let offered = at(0, |here| primary.offer(here, &told(&[(1, &first)]), &region(1))).unwrap().next;
    assert_eq!(at(0, |here| offered.bid(here, &order(2))).unwrap_err(), PromotionError::NotLost(region(1)));
    let asker = at(0, |here| offered.bid(here, &order(1))).unwrap().next;
    let promoted = at(0, |here| asker.promote(here, &Answers::new(), &BTreeSet::new())).unwrap().next;
    assert_eq!((&promoted.document.offer, promoted.document.version.epoch.promotions), (&None, 1));
    // The lost region had taken it after all: a handoff never outranks the promotion.
    let late = held_by(&sent(1, &Share::Held(Box::new(first)), &offered.document).unwrap()).clone();
    let taken = at(1, |here| late.take(here)).unwrap().next;
    assert_eq!(sent(0, &Share::Held(Box::new(promoted.clone())), &taken.document), Err(Refused::NotNewer));
    assert!(sent(1, &Share::Held(Box::new(taken)), &promoted.document).is_ok());
}

#[test]
fn rule_11_another_life_is_detached_and_its_word_void() {
    let [primary, first, second] = everywhere(Origin::AwsKms);
    let reborn = Incarnation::from_bytes([9; 16]);
    let lives: Lives = [(region(1), reborn), (region(2), author(2).incarnation)].into();
    let me = author(0);
    let here = Here { me: &me, lives: &lives, now: NOW };
    let settled = primary.settle(&here, &told(&[(1, &first), (2, &second)])).next;
    assert_eq!(settled.document.members[&region(1)].status, MemberStatus::Detached);
    assert_eq!(settled.document.members[&region(2)].status, MemberStatus::Active);
    // In its new life it owns nothing, and what it sends in the old one is refused.
    let share = Share::Held(Box::new(primary.clone())).restored();
    let reborn_primary = Author { incarnation: reborn, ..author(0) };
    assert!(!held_by(&share).may_change(&reborn_primary));
    let lives: Lives = [(region(0), reborn)].into();
    let me = author(1);
    let here = Here { me: &me, lives: &lives, now: NOW };
    let refused = receive(&here, &Share::Held(Box::new(first)), &settled.document, &settled.materials, &author(0));
    assert_eq!(refused, Err(Refused::NotAdmitted));
}

#[test]
fn counts_that_cannot_be_gone_on_from_are_not_believed() {
    let [primary, first, _] = everywhere(Origin::AwsKms);
    let absurd = Epoch { promotions: u64::MAX, handoffs: 0, author: author(2) };
    let ask = Ask { key_id: primary.document.key_id, epoch: absurd.clone() };
    let answer = at(1, |here| promise(here, &Share::Held(Box::new(first.clone())), &ask));
    assert_eq!(answer.unwrap_err(), Refused::Malformed(DocumentError::TooLarge));
    let mut statuses = told(&[(1, &first)]);
    statuses.get_mut(&region(1)).unwrap().greatest_epoch = absurd.clone();
    assert_eq!(at(0, |here| primary.settle(here, &statuses)).next, primary);
    let asker = at(1, |here| first.bid(here, &order(0))).unwrap().next;
    assert_eq!(at(1, |here| asker.outbid(here, &absurd)).next, asker);
    let mut document = primary.document.clone();
    document.version.epoch = Epoch { author: author(0), ..absurd };
    assert_eq!(document.validate(), Err(DocumentError::TooLarge));
}
