//! Denied principals, and writes that a change of the caller's account makes stale.

use claviger_types::limits::DENIAL_TEXT_BYTES_MAX;
use claviger_types::{NamedPrincipal, Principal};

use super::identities::{alice, change, delete, expecting, policy, put, refused, user_in, with_identities};
use super::{Machine, add_peer, create, disable, founded};
use crate::random_commands::access::principal;
use crate::random_commands::account;
use crate::{AccountScope, Authorised, CommandBody, IdentityChange, IdentityKind, Refusal, Response, SetPrincipalDenied, Table, read};

fn deny(principal: NamedPrincipal, denied: bool) -> CommandBody {
    let (reason, by) = ("lost".to_owned(), "ops".to_owned());
    CommandBody::SetPrincipalDenied(Box::new(SetPrincipalDenied { principal, denied, reason, by }))
}

#[test]
fn a_denial_is_of_a_principal_a_role_or_an_account_and_only_lifting_it_ends_it() {
    let mut machine = with_identities();
    let of = account(1);
    let session = Principal::AssumedRole { account: of, role: "app".to_owned(), session: "one".to_owned() };
    let denied = |machine: &Machine, principal: &Principal| {
        let found = read::principal(&machine.tables, principal).unwrap().unwrap().denied;
        assert_eq!(found, read::is_denied(&machine.tables, principal).unwrap());
        found
    };
    for (name, alices, sessions, roots) in [
        (NamedPrincipal::User { account: of, name: "alice".to_owned() }, true, false, false),
        (NamedPrincipal::Role { account: of, name: "app".to_owned() }, false, true, false),
        (NamedPrincipal::AssumedRole { account: of, role: "app".to_owned(), session: "one".to_owned() }, false, true, false),
        (NamedPrincipal::AssumedRole { account: of, role: "app".to_owned(), session: "two".to_owned() }, false, false, false),
        (NamedPrincipal::Account(of), true, true, true),
    ] {
        let applied = machine.body(deny(name.clone(), true));
        let revision = Some(machine.index);
        assert_eq!(applied.outcome, Ok(Response::Identities { revision, changed: true }));
        assert_eq!(applied.effects.accounts, [of]);
        let found = [&alice(), &session, &Principal::Root { account: of }].map(|principal| denied(&machine, principal));
        assert_eq!(found, [alices, sessions, roots], "{name}");
        // Again is no change, and neither is applying identities.
        assert_eq!(machine.body(deny(name.clone(), true)).outcome, Ok(Response::Identities { revision, changed: false }));
        change(&mut machine, vec![put("read", policy(&name.to_string()))]).unwrap();
        assert_eq!(denied(&machine, &alice()), alices);
        let record = read::denial(&machine.tables, &name).unwrap().unwrap();
        assert_eq!((record.reason.as_str(), record.by.as_str()), ("lost", "ops"));
        assert_eq!(read::denials(&machine.tables, None, 9).unwrap(), [record]);
        machine.body(deny(name.clone(), false)).outcome.unwrap();
        assert!(!denied(&machine, &alice()) && !denied(&machine, &session));
    }
}

/// Whoever is to be kept out may not be in the region's identities yet, or not any more.
#[test]
fn somebody_unknown_can_be_denied_and_stays_denied_once_known() {
    let mut machine = founded();
    let name = NamedPrincipal::User { account: account(1), name: "alice".to_owned() };
    let applied = machine.body(deny(name, true));
    assert_eq!(applied.outcome, Ok(Response::Identities { revision: None, changed: true }));
    assert_eq!(applied.effects.accounts, [account(1)]);
    assert!(read::account(&machine.tables, account(1)).unwrap().is_none());
    change(&mut machine, vec![put("alice", user_in(&[], &[]))]).unwrap();
    assert!(read::principal(&machine.tables, &alice()).unwrap().unwrap().denied);
    let gone = vec![delete(IdentityKind::User, "alice"), IdentityChange::DeleteAccount];
    change(&mut machine, gone).unwrap();
    assert!(read::is_denied(&machine.tables, &alice()).unwrap());
    assert!(read::denials(&machine.tables, Some(&principal(4)), 9).unwrap().len() <= 1);
}

#[test]
fn a_denial_is_refused_for_what_it_is() {
    let mut machine = founded();
    let user = |name: &str| NamedPrincipal::User { account: account(1), name: name.to_owned() };
    assert!(refused(&machine.body(deny(user("a\0b"), true)).outcome, "name"));
    for (reason, by) in [(DENIAL_TEXT_BYTES_MAX + 1, 1), (1, DENIAL_TEXT_BYTES_MAX + 1)] {
        let set = SetPrincipalDenied { principal: user("a"), denied: true, reason: "x".repeat(reason), by: "x".repeat(by) };
        assert!(refused(&machine.body(CommandBody::SetPrincipalDenied(Box::new(set))).outcome, "bytes"));
    }
    assert!(machine.table(Table::DeniedPrincipals).is_empty());
}

/// A write of an account's principal is refused when anything in the account has changed since it was authorised.
#[test]
fn a_change_of_the_callers_identity_makes_its_writes_stale() {
    let name = NamedPrincipal::User { account: account(1), name: "alice".to_owned() };
    let mut no_account = expecting(None, vec![]);
    if let CommandBody::ApplyIdentities(apply) = &mut no_account {
        apply.account = account(0);
    }
    for (meanwhile, stale) in [
        (deny(name.clone(), true), true),
        (deny(NamedPrincipal::Account(account(1)), true), true),
        (no_account, false),
        (deny(NamedPrincipal::Account(account(0)), true), false),
    ] {
        let mut machine = with_identities();
        machine.body(create(0, "a")).outcome.unwrap();
        let revision = read::account(&machine.tables, account(1)).unwrap().unwrap().revision;
        let mut write = disable(&machine, 0, "b");
        let CommandBody::SetKeyEnabled(set) = &mut write else { unreachable!() };
        set.once.authorised = Authorised { account_revision: Some((account(1), revision)), grant: None };
        machine.body(meanwhile).outcome.unwrap();
        let outcome = machine.body(write.clone()).outcome;
        assert_eq!(outcome, if stale { Err(Refusal::StaleAuthorisation) } else { Ok(Response::Done) });
        if stale {
            // It was not remembered: authorised again, the same invocation goes through. From then on it is answered.
            let CommandBody::SetKeyEnabled(set) = &mut write else { unreachable!() };
            set.once.authorised.account_revision =
                Some((account(1), read::account(&machine.tables, account(1)).unwrap().unwrap().revision));
            assert_eq!(machine.body(write.clone()).outcome, Ok(Response::Done));
            machine.body(deny(name.clone(), read::denial(&machine.tables, &name).unwrap().is_none())).outcome.unwrap();
            assert_eq!(machine.body(write).outcome, Ok(Response::Done));
        }
    }
}

#[test]
fn a_reservation_rests_on_the_identities_that_were_read() {
    let mut machine = with_identities();
    machine.body(add_peer(1, 1, AccountScope::All)).outcome.unwrap();
    let revision = read::account(&machine.tables, account(1)).unwrap().unwrap().revision;
    let reserve = |revision| {
        let CommandBody::Reserve(mut reserve) = super::grants::reserve(None) else { panic!("not a reservation") };
        reserve.authorised = Authorised { account_revision: Some((account(1), revision)), grant: None };
        CommandBody::Reserve(reserve)
    };
    change(&mut machine, vec![put("read", policy("{}"))]).unwrap();
    assert_eq!(machine.body(reserve(revision)).outcome, Err(Refusal::StaleAuthorisation));
    let revision = read::account(&machine.tables, account(1)).unwrap().unwrap().revision;
    machine.body(reserve(revision)).outcome.unwrap();
}
