//! Rules 8 and 10.

use claviger_types::{Origin, RotationType};

use super::*;
use crate::{DeletionError, Intent, Leaving};

fn destroyed(number: u8, holding: &Holding) -> Result<Share, DeletionError> {
    at(number, |here| holding.destroy(here)).map(|change| change.next)
}

/// The primary of the document that `holding` holds has taken its newest status.
fn acknowledged(holding: &Holding) -> Holding {
    holding.delivered(&holding.document.version.epoch.clone(), holding.status_revision)
}

#[test]
fn a_replica_waits_for_the_primary_and_the_primary_for_all() {
    let [primary, first, second] = everywhere(Origin::AwsKms);
    assert_eq!(destroyed(1, &first), Err(DeletionError::NoChange));
    let leaving = at(1, |here| first.schedule_deletion(here)).unwrap().next;
    assert_eq!(destroyed(1, &leaving), Err(DeletionError::NotAcknowledged));
    let old_word = leaving.delivered(&leaving.document.version.epoch.clone(), first.status_revision);
    assert_eq!(destroyed(1, &old_word), Err(DeletionError::NotAcknowledged), "said before the deletion was asked for");
    let extra = acknowledged(&leaving).hand_over(&[material(7)].into());
    assert_eq!(destroyed(1, &extra), Err(DeletionError::NotAcknowledged), "the primary does not have all");
    let Share::Destroyed { tombstone, .. } = destroyed(1, &acknowledged(&leaving)).unwrap() else { panic!("it is there") };

    let closing = at(0, |here| primary.schedule_deletion(here)).unwrap().next;
    assert_eq!(closing.leaving, Leaving::AwaitsReplicas);
    assert_eq!(destroyed(0, &closing), Err(DeletionError::NoChange));
    let mut statuses = told(&[(2, &second)]);
    statuses.insert(region(1), tombstone.status(&author(1)));
    let closing = at(0, |here| closing.settle(here, &statuses)).next;
    assert_eq!(closing.document.members[&region(1)].status, MemberStatus::Gone);
    assert_eq!(closing.leaving, Leaving::AwaitsReplicas, "one is left");
    let released = at(0, |here| closing.release(here, &region(2))).unwrap().next;
    let change = at(0, |here| released.settle(here, &Statuses::new()));
    assert!(change.intents.contains(&Intent::RestartWindow));
    assert!(matches!(destroyed(0, &change.next), Ok(Share::Destroyed { .. })));
}

#[test]
fn one_that_ceases_to_be_primary_begins_a_fresh_window() {
    let [primary, ..] = everywhere(Origin::AwsKms);
    let closing = at(0, |here| primary.schedule_deletion(here)).unwrap().next;
    let mut other = closing.document.clone();
    other.begin_epoch(Epoch { promotions: 1, handoffs: 0, author: author(2) });
    let change = at(0, |here| receive(here, &Share::Held(Box::new(closing)), &other, &BTreeSet::new(), &author(2))).unwrap();
    assert!(change.intents.contains(&Intent::RestartWindow));
    assert!(matches!(held_by(&change.next).leaving, Leaving::Scheduled { acknowledged: false, .. }));
}

#[test]
fn gone_is_of_one_birth_and_a_later_one_is_not_taken_for_it() {
    let [primary, first, _] = everywhere(Origin::AwsKms);
    let leaving = at(1, |here| first.schedule_deletion(here)).unwrap().next;
    let share = destroyed(1, &acknowledged(&leaving)).unwrap();
    let gone: Statuses = [(region(1), share.status(&author(1)).unwrap())].into();
    let primary = at(0, |here| primary.settle(here, &gone)).next;
    let again = primary.with_own(with_member(&primary.document, 1));
    assert_eq!(at(0, |here| again.settle(here, &gone)).next, again, "that was another birth");
    // It lives again by a place and a newer birth; what it says goes on counting.
    let share = share.reserve(&author(0)).unwrap();
    let reborn = sent(1, &share, &again.document).unwrap();
    assert!(held_by(&reborn).status_revision > gone[&region(1)].revision);
    let active = at(0, |here| again.settle(here, &told(&[(1, held_by(&reborn))]))).next;
    assert_eq!(active.document.members[&region(1)].status, MemberStatus::Active);
}

#[test]
fn rule_10_who_has_neither_the_key_nor_a_place_says_so_for_good() {
    let document = with_member(&document(), 1);
    let share = sent(1, &Share::NOTHING, &document).unwrap();
    let statuses: Statuses = [(region(1), share.status(&author(1)).unwrap())].into();
    let primary = Holding::created(document.clone());
    let settled = at(0, |here| primary.settle(here, &statuses)).next;
    assert_eq!(settled.document.members[&region(1)].status, MemberStatus::Gone);
    // A place that was held for it, and is not any more.
    assert_eq!(reserved().lapse(), Share::NOTHING);
    assert!(matches!(sent(1, &reserved(), &document), Ok(Share::Held(_))));
}

#[test]
fn rule_10_members_that_the_document_lacks_are_found() {
    let [primary, first, _] = everywhere(Origin::AwsKms);
    // A line on which the third region is no member; the second region remembers that it is.
    let mut other = with_member(&document(), 1);
    other.begin_epoch(Epoch { promotions: 1, handoffs: 0, author: author(0) });
    let first = sent(1, &Share::Held(Box::new(first)), &other).unwrap();
    let owner = primary.with_own(other);
    let found = at(0, |here| owner.settle(here, &told(&[(1, held_by(&first))]))).next.document;
    assert_eq!(found.members[&region(2)].status, MemberStatus::Detached);
    assert_eq!(found.members[&region(1)].status, MemberStatus::Active, "it has handed over what it knew");
    // Where nobody remembers, an operator says so.
    let adopted = at(0, |here| owner.adopt(here, &region(2))).unwrap().next.document;
    assert_eq!(adopted.members[&region(2)].status, MemberStatus::Detached);
    assert_eq!(at(0, |here| owner.adopt(here, &region(1))).unwrap_err(), AddMemberError::AlreadyExists);
}

#[test]
fn one_that_was_released_and_is_there_after_all_is_a_member_again() {
    let [primary, first, _] = everywhere(Origin::AwsKms);
    let released = at(0, |here| primary.release(here, &region(1))).unwrap().next;
    assert_eq!(at(0, |here| released.settle(here, &told(&[(1, &first)]))).next, released, "said before");
    let back = sent(1, &Share::Held(Box::new(first)), &released.document).unwrap();
    let found = at(0, |here| released.settle(here, &told(&[(1, held_by(&back))]))).next;
    assert_eq!(found.document.members[&region(1)].status, MemberStatus::Detached);
    let back = sent(1, &back, &found.document).unwrap();
    let settled = at(0, |here| found.settle(here, &told(&[(1, held_by(&back))]))).next;
    assert_eq!(settled.document.members[&region(1)].status, MemberStatus::Active);
    assert!(at(0, |here| primary.begin_rotation(here, material(1), RotationType::Automatic)).is_err(), "it is not due");
}
