//! Rules 2, 3, 5 and 9.

use claviger_types::{ImportType, Origin, RotationType};

use super::*;
use crate::{Intent, LifeError};

fn begun(primary: &Holding, number: u8) -> Holding {
    at(0, |here| primary.begin_rotation(here, material(number), RotationType::OnDemand)).unwrap().next
}

#[test]
fn rule_3_material_is_current_when_every_active_member_has_named_it() {
    let [primary, first, second] = everywhere(Origin::AwsKms);
    let primary = begun(&primary, 1);
    assert_eq!(primary.document.current_material().unwrap().id, material(0));
    primary.document.validate().unwrap();
    let again = at(0, |here| primary.begin_rotation(here, material(2), RotationType::OnDemand));
    assert_eq!(again.unwrap_err(), LifeError::InProgress);
    let not_there = at(1, |here| first.begin_rotation(here, material(2), RotationType::OnDemand));
    assert_eq!(not_there.unwrap_err(), LifeError::NotPrimary);

    let new =
        [(1, &first), (2, &second)].map(|(number, held)| sent(number, &Share::Held(Box::new(held.clone())), &primary.document).unwrap());
    let one = told(&[(1, held_by(&new[0])), (2, &second)]);
    assert_eq!(at(0, |here| primary.settle(here, &one)).next, primary, "one has not");
    let both = told(&[(1, held_by(&new[0])), (2, held_by(&new[1]))]);
    let current = at(0, |here| primary.settle(here, &both)).next.document;
    assert_eq!(current.current_material().unwrap().id, material(1));
    assert_eq!(current.material(&material(0)).unwrap().state, MaterialState::Past);
    assert_eq!(current.in_progress, None);
    current.validate().unwrap();
    // One who does not answer is detached, and the rotation goes on.
    let detached = at(0, |here| primary.detach(here, &region(2))).unwrap().next;
    let current = at(0, |here| detached.settle(here, &one)).next.document;
    assert_eq!(current.current_material().unwrap().id, material(1));
}

#[test]
fn rule_3_each_epoch_counts_anew() {
    let [primary, first, second] = everywhere(Origin::AwsKms);
    let primary = begun(&primary, 1);
    let new =
        [(1, &first), (2, &second)].map(|(number, held)| sent(number, &Share::Held(Box::new(held.clone())), &primary.document).unwrap());
    let old_words = told(&[(1, held_by(&new[0])), (2, held_by(&new[1]))]);
    let mut document = primary.document.clone();
    document.begin_epoch(Epoch { promotions: 1, handoffs: 0, author: author(0) });
    let later = primary.with_own(document.clone());
    assert_eq!(at(0, |here| later.settle(here, &old_words)).next, later);
    let again = [(1, &new[0]), (2, &new[1])].map(|(number, share)| sent(number, share, &document).unwrap());
    let words = told(&[(1, held_by(&again[0])), (2, held_by(&again[1]))]);
    assert_eq!(at(0, |here| later.settle(here, &words)).next.document.current_material().unwrap().id, material(1));
}

#[test]
fn rule_5_a_primary_that_hears_of_a_greater_epoch_changes_nothing_more() {
    let [primary, first, _] = everywhere(Origin::AwsKms);
    let mut statuses = told(&[(1, &first)]);
    statuses.get_mut(&region(1)).unwrap().greatest_epoch.promotions = 7;
    let yielded = at(0, |here| primary.settle(here, &statuses)).next;
    assert_eq!(yielded.document, primary.document);
    assert!(!yielded.may_change(&author(0)));
    assert_eq!(at(0, |here| yielded.begin_rotation(here, material(1), RotationType::OnDemand)).unwrap_err(), LifeError::NotPrimary);
    assert_eq!(at(0, |here| yielded.detach(here, &region(1))).unwrap_err(), LifeError::NotPrimary);
}

#[test]
fn rule_2_what_a_newer_document_lacks_stays_is_fetched_and_becomes_past() {
    let [primary, first, _] = everywhere(Origin::AwsKms);
    let known = begun(&primary, 1).document;
    let first = sent(1, &Share::Held(Box::new(first)), &known).unwrap();
    // Another line, which never heard of the material.
    let mut other = primary.document.clone();
    other.begin_epoch(Epoch { promotions: 1, handoffs: 0, author: author(2) });
    let first = sent(1, &first, &other).unwrap();
    assert!(held_by(&first).materials.contains(&material(1)));
    let owner = Holding { greatest_epoch: other.version.epoch.clone(), document: other, ..primary };
    let statuses = told(&[(1, held_by(&first))]);
    let change = at(2, |here| owner.settle(here, &statuses));
    assert_eq!(change.intents, [Intent::Fetch { from: region(1), materials: [material(1)].into() }]);
    let owner = change.next.hand_over(&[material(1)].into());
    let united = at(2, |here| owner.settle(here, &statuses)).next.document;
    let entry = united.material(&material(1)).unwrap();
    assert_eq!((entry.state, entry.united), (MaterialState::Past, true));
}

#[test]
fn rule_9_imports_are_regional_and_counted() {
    let [primary, first, second] = everywhere(Origin::External);
    assert!(first.materials.is_empty(), "bytes never cross");
    let primary = at(0, |here| primary.import(here, material(1), Some(ImportType::NewKeyMaterial))).unwrap().next;
    assert_eq!(primary.document.pending_material().unwrap().id, material(1));
    let refused = at(1, |here| first.import(here, material(2), Some(ImportType::NewKeyMaterial)));
    assert_eq!(refused.unwrap_err(), LifeError::NotPrimary, "new material begins at the primary");
    let imported = |number: u8, held: &Holding| {
        let share = sent(number, &Share::Held(Box::new(held.clone())), &primary.document).unwrap();
        at(number, |here| held_by(&share).import(here, material(1), Some(ImportType::ExistingKeyMaterial))).unwrap().next
    };
    let (first, second) = (imported(1, &first), imported(2, &second));
    let rotate = |statuses: &Statuses| at(0, |here| primary.rotate_imported(here, statuses));
    assert_eq!(rotate(&told(&[(1, &first)])).unwrap_err(), LifeError::NothingPending);
    let rotated = rotate(&told(&[(1, &first), (2, &second)])).unwrap().next;
    assert_eq!(rotated.document.current_material().unwrap().id, material(1));
    // Taken away again: the later word counts.
    let lost = at(1, |here| first.lose_import(here, material(1))).next;
    assert_eq!(rotate(&told(&[(1, &lost), (2, &second)])).unwrap_err(), LifeError::NothingPending);
    // Withdrawn at the primary, it goes everywhere.
    let withdrawn = at(0, |here| primary.withdraw_import(here, material(1))).unwrap().next;
    let after = sent(2, &Share::Held(Box::new(second)), &withdrawn.document).unwrap();
    assert!(!held_by(&after).materials.contains(&material(1)));
}

#[test]
fn rule_2_a_discarded_import_that_somebody_used_is_revived() {
    let [primary, first, _] = everywhere(Origin::External);
    let primary = at(0, |here| primary.import(here, material(1), Some(ImportType::NewKeyMaterial))).unwrap().next;
    let mut line = primary.document.clone();
    line.make_current(material(1), RotationType::OnDemand, NOW).unwrap();
    line.version = line.version.next();
    let mut first = held_by(&sent(1, &Share::Held(Box::new(first)), &line).unwrap()).clone();
    first.materials.insert(material(1));
    let withdrawn = at(0, |here| primary.withdraw_import(here, material(1))).unwrap().next;
    let mut other = withdrawn.document.clone();
    other.begin_epoch(Epoch { promotions: 1, handoffs: 0, author: author(0) });
    let first = sent(1, &Share::Held(Box::new(first)), &other).unwrap();
    assert!(held_by(&first).materials.contains(&material(1)), "it was used here");
    let owner = withdrawn.with_own(other);
    let united = at(0, |here| owner.settle(here, &told(&[(1, held_by(&first))]))).next.document;
    assert_eq!(united.material(&material(1)).unwrap().state, MaterialState::Past);
}
