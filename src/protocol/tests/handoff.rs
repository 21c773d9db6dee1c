//! Rule 6.

use claviger_types::{KeyState, Origin};

use super::*;
use crate::{DeletionError, Enablement, HandoffError};

fn share(held: &Holding) -> Share {
    Share::Held(Box::new(held.clone()))
}

#[test]
fn consent_offer_take() {
    let [primary, first, _] = everywhere(Origin::AwsKms);
    let offer = |statuses: &Statuses| at(0, |here| primary.offer(here, statuses, &region(1)));
    assert_eq!(offer(&told(&[(1, &first)])).unwrap_err(), HandoffError::NoConsent);
    let first = at(1, |here| first.consent(here)).unwrap().next;
    assert_eq!(at(1, |here| first.schedule_deletion(here)).unwrap_err(), DeletionError::ChangingHands);
    let offered = offer(&told(&[(1, &first)])).unwrap().next;
    offered.document.validate().unwrap();
    assert!(!offered.may_change(&author(0)));
    assert_eq!(offered.document.add_member(&author(0), &region(2), NOW, NOW), Err(AddMemberError::NotPrimary));
    for (number, state) in [(0, KeyState::Updating), (1, KeyState::Updating), (2, KeyState::Enabled)] {
        assert_eq!(offered.document.state_in(&region(number), Enablement::Enabled), state);
    }
    assert_eq!(at(1, |here| first.take(here)).unwrap_err(), HandoffError::NotOffered);
    let first = held_by(&sent(1, &share(&first), &offered.document).unwrap()).clone();
    let taken = at(1, |here| first.take(here)).unwrap().next;
    taken.document.validate().unwrap();
    let Version { epoch, revision } = &taken.document.version;
    assert_eq!((epoch.promotions, epoch.handoffs, &epoch.author, *revision), (0, 1, &author(1), 1));
    assert_eq!((&taken.document.offer, &taken.consent), (&None, &None));
    // The old primary follows.
    let followed = sent(0, &share(&offered), &taken.document).unwrap();
    assert_eq!(held_by(&followed).document, taken.document);
}

#[test]
fn an_offer_is_withdrawn_on_a_durable_refusal_alone() {
    let [primary, first, _] = everywhere(Origin::AwsKms);
    let first = at(1, |here| first.consent(here)).unwrap().next;
    let offered = at(0, |here| primary.offer(here, &told(&[(1, &first)]), &region(1))).unwrap().next;
    assert_eq!(at(0, |here| offered.settle(here, &told(&[(1, &first)]))).next, offered);
    let called_back = at(1, |here| first.refuse(here)).next;
    assert_eq!(at(0, |here| offered.settle(here, &told(&[(1, &called_back)]))).next, offered, "it has not seen the offer");
    let first = held_by(&sent(1, &share(&called_back), &offered.document).unwrap()).clone();
    assert_eq!(at(1, |here| first.take(here)).unwrap_err(), HandoffError::NoConsent);
    let refused = at(1, |here| first.refuse(here)).next;
    let withdrawn = at(0, |here| offered.settle(here, &told(&[(1, &refused)]))).next;
    assert_eq!(withdrawn.document.offer, None);
    assert!(withdrawn.may_change(&author(0)));
    // Consent that comes too late does not revive it.
    let late = at(1, |here| refused.consent(here)).unwrap().next;
    assert_eq!(at(1, |here| late.take(here)).unwrap_err(), HandoffError::NotOffered);
    // A restored target does not know what its old life did.
    let mut statuses = told(&[(1, &refused)]);
    statuses.get_mut(&region(1)).unwrap().incarnation = Incarnation::from_bytes([9; 16]);
    let lives: Lives = [(region(1), Incarnation::from_bytes([9; 16]))].into();
    let me = author(0);
    assert_eq!(offered.settle(&Here { me: &me, lives: &lives, now: NOW }, &statuses).next, offered);
}

#[test]
fn a_key_that_is_to_be_deleted_does_not_change_hands() {
    let [primary, first, _] = everywhere(Origin::AwsKms);
    let leaving = at(1, |here| first.schedule_deletion(here)).unwrap().next;
    assert_eq!(at(1, |here| leaving.consent(here)).unwrap_err(), HandoffError::Leaving);
    let first = at(1, |here| first.consent(here)).unwrap().next;
    let primary = at(0, |here| primary.schedule_deletion(here)).unwrap().next;
    assert_eq!(at(0, |here| primary.offer(here, &told(&[(1, &first)]), &region(1))).unwrap_err(), HandoffError::Leaving);
}
