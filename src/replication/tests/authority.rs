//! Rule 10: the target decides by its own identities before anything is committed anywhere.

use claviger_state::Refusal;
use claviger_types::Principal;

use super::*;
use crate::{AuthorityFuture, DENIAL_CHARS_MAX, NotAuthorised, ReplicaAuthority, ReplicaDenial, ReplicationError, ReservationRefusal};

type Verdict = Box<dyn Fn(usize) -> Result<Authorised, NotAuthorised> + Send>;

/// Lets everybody have every replica, or says what a test orders of each question, counted from 1.
#[derive(Default)]
pub(crate) struct FakeAuthority {
    pub(crate) asked: Mutex<Vec<ReplicaReservation>>,
    verdict: Mutex<Option<Verdict>>,
}

impl FakeAuthority {
    fn say(&self, verdict: impl Fn(usize) -> Result<Authorised, NotAuthorised> + Send + 'static) {
        *self.verdict.lock() = Some(Box::new(verdict));
    }
}

impl ReplicaAuthority for FakeAuthority {
    fn authorise<'a>(&'a self, replica: &'a ReplicaReservation) -> AuthorityFuture<'a> {
        Box::pin(async move {
            let mut asked = self.asked.lock();
            asked.push(replica.clone());
            self.verdict.lock().as_ref().map_or(Ok(Authorised::default()), |verdict| verdict(asked.len()))
        })
    }
}

/// The plainest replica.
pub(crate) fn reservation(key_id: KeyId, deadline: Timestamp) -> ReplicaReservation {
    ReplicaReservation {
        key_id,
        account: account(),
        description: String::new(),
        tags: BTreeMap::new(),
        policy: None,
        bypass_policy_lockout_safety_check: false,
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
        origin: Origin::AwsKms,
        principal: Principal::User { account: account(), name: "alice".to_owned() },
        source_ip: None,
        deadline,
    }
}

/// What an authorisation read that nobody else has changed: of an account that is not there.
fn stale() -> Authorised {
    Authorised { account_revision: Some((account(), 1)), grant: None }
}

fn nothing_is_held(site: &Site, id: &KeyId) -> bool {
    read::reservation(&*site.tables(), id).unwrap().is_none()
}

#[test]
fn all_that_the_target_decides_about_reaches_its_authority_and_its_policy_the_replica() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let (id, deadline) = (a.create().await, a.deadline());
        let asked = ReplicaReservation {
            description: "in the north".to_owned(),
            tags: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
            policy: Some("the replica's".to_owned()),
            bypass_policy_lockout_safety_check: true,
            source_ip: Some("192.0.2.7".parse().unwrap()),
            ..reservation(id, deadline)
        };
        a.replicator.reserve(&b.name, asked.clone()).await.unwrap().unwrap();
        assert_eq!(*b.authority.asked.lock(), [asked]);
        assert!(a.authority.asked.lock().is_empty());
        a.commit_replica(b, id, deadline).await.unwrap();
        world.settle().await;
        let replica = b.key(&id).unwrap().regional;
        assert_eq!((replica.policy.as_deref(), replica.description.as_str()), (Some("the replica's"), "in the north"));
    });
}

#[test]
fn every_denial_reaches_the_primary_and_nothing_is_held_or_committed() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let id = a.create().await;
        let before = a.document(&id);
        for denial in [
            ReplicaDenial::UnknownPrincipal,
            ReplicaDenial::AccessDenied("not you".to_owned()),
            ReplicaDenial::MalformedPolicy("not this".to_owned()),
            ReplicaDenial::LimitExceeded("not so large".to_owned()),
        ] {
            let said = denial.clone();
            b.authority.say(move |_| Err(NotAuthorised::Denied(said.clone())));
            let answer = a.replicator.reserve(&b.name, reservation(id, a.deadline())).await.unwrap();
            assert_eq!(answer, Err(ReservationRefusal::Denied(denial)));
            assert!(nothing_is_held(b, &id));
        }
        assert_eq!(a.document(&id), before);
    });
}

#[test]
fn what_a_target_says_is_bounded_and_printable() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        b.authority.say(|_| Err(NotAuthorised::Denied(ReplicaDenial::AccessDenied("\n\u{1b}ä".repeat(DENIAL_CHARS_MAX)))));
        let answer = a.replicator.reserve(&b.name, reservation(a.create().await, a.deadline())).await.unwrap();
        assert_eq!(answer, Err(ReservationRefusal::Denied(ReplicaDenial::AccessDenied("ä".repeat(DENIAL_CHARS_MAX)))));
    });
}

#[test]
fn a_decision_that_has_become_stale_is_made_again() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let id = a.create().await;
        b.authority.say(|asked| Ok(if asked < 3 { stale() } else { Authorised::default() }));
        a.replicator.reserve(&b.name, reservation(id, a.deadline())).await.unwrap().unwrap();
        assert_eq!(b.authority.asked.lock().len(), 3);
        assert!(!nothing_is_held(b, &id));
        // The right that was there is there no more.
        let other = a.create().await;
        b.authority.say(|asked| if asked < 5 { Ok(stale()) } else { Err(NotAuthorised::Denied(ReplicaDenial::UnknownPrincipal)) });
        let answer = a.replicator.reserve(&b.name, reservation(other, a.deadline())).await.unwrap();
        assert_eq!(answer, Err(ReservationRefusal::Denied(ReplicaDenial::UnknownPrincipal)));
        assert!(nothing_is_held(b, &other));
    });
}

#[test]
fn a_target_that_cannot_decide_can_be_asked_again() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        let (id, deadline) = (a.create().await, a.deadline());
        for undecided in [Err(NotAuthorised::Unavailable), Ok(stale())] {
            b.authority.say(move |_| undecided.clone());
            let answer = a.replicator.reserve(&b.name, reservation(id, deadline)).await;
            assert!(matches!(answer, Err(ReplicationError::Unreachable { .. })), "{answer:?}");
            assert!(nothing_is_held(b, &id));
        }
        b.authority.say(|_| Ok(Authorised::default()));
        a.reserve_at(b, id, deadline).await;
    });
}

#[test]
fn the_identities_of_an_account_are_not_asked_for_a_peer_that_may_not_act_for_it() {
    run(async {
        let world = World::of(&[A, B], config()).await;
        let (a, b) = (world.site(A), world.site(B));
        b.admit(a, AccountScope::Only(std::collections::BTreeSet::new())).await;
        let answer = a.replicator.reserve(&b.name, reservation(a.create().await, a.deadline())).await.unwrap();
        assert_eq!(answer, Err(ReservationRefusal::Refused(Refusal::AccountNotAllowed)));
        assert!(b.authority.asked.lock().is_empty());
    });
}
