//! Random commands of access control: few grants, principals and identities, so that they meet and depend on each other.

use std::collections::{BTreeMap, BTreeSet};

use claviger_state::{
    ApplyIdentities, Authorised, CommandBody, CreateGrant, GroupRecord, IdentityChange, IdentityKind, IdentityRecord, ManagedPolicyRecord,
    Once, Operation, PutKeyPolicy, ResetKeyPolicy, RetireGrant, RevokeGrant, RoleRecord, SetPrincipalDenied, Tables, UserRecord, read,
};
use claviger_types::{GrantConstraint, GrantId, GrantOperation, NamedPrincipal};
use proptest::prelude::*;

use super::{KEYS, account, expected, key, once_of, rarely};

pub(crate) const ACCOUNTS: u8 = 2;
const GRANTS: u8 = 8;
const PRINCIPALS: u8 = 5;
const NAMES: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Policy { key: u8, text: Option<u8>, stale: bool, invocation: u8 },
    Grant { key: u8, id: u8, contents: u8, named: bool, reads: Reads, stale: bool, invocation: u8 },
    End { key: u8, id: u8, revoke: bool, reads: Reads, stale: bool, invocation: u8 },
    Identities { account: u8, changes: Vec<ChangeStep>, stale: bool },
    Deny { principal: u8, denied: bool },
    ResetPolicy { key: u8 },
}

/// What an authorisation read besides its key.
#[derive(Clone, Debug)]
pub(super) struct Reads {
    account: bool,
    grant: Option<u8>,
    stale: bool,
}

#[derive(Clone, Debug)]
pub(super) enum ChangeStep {
    /// What it names is picked by bits.
    Put {
        kind: u8,
        name: u8,
        groups: u8,
        attached: u8,
        boundary: Option<u8>,
        text: u8,
    },
    Delete {
        kind: u8,
        name: u8,
    },
    DeleteAccount,
}

pub(super) fn kind() -> impl Strategy<Value = Kind> {
    let invocation = prop_oneof![1 => 0_u8..10, 2 => 10..=u8::MAX];
    prop_oneof![
        2 => (0..KEYS, prop::option::of(0_u8..3), rarely(), invocation.clone())
            .prop_map(|(key, text, stale, invocation)| Kind::Policy { key, text, stale, invocation }),
        8 => (0..KEYS, 0..GRANTS, 0_u8..20, any::<bool>(), reads(), rarely(), invocation.clone())
            .prop_map(|(key, id, contents, named, reads, stale, invocation)| Kind::Grant { key, id, contents, named, reads, stale, invocation }),
        4 => (0..KEYS, 0..GRANTS, any::<bool>(), reads(), rarely(), invocation)
            .prop_map(|(key, id, revoke, reads, stale, invocation)| Kind::End { key, id, revoke, reads, stale, invocation }),
        10 => (0..ACCOUNTS, prop::collection::vec(change(), 0..5), rarely())
            .prop_map(|(account, changes, stale)| Kind::Identities { account, changes, stale }),
        3 => (0..PRINCIPALS, any::<bool>()).prop_map(|(principal, denied)| Kind::Deny { principal, denied }),
        1 => (0..KEYS).prop_map(|key| Kind::ResetPolicy { key }),
    ]
}

fn reads() -> impl Strategy<Value = Reads> {
    let grant = prop::option::weighted(0.1, 0..GRANTS);
    (any::<bool>(), grant, rarely()).prop_map(|(account, grant, stale)| Reads { account, grant, stale })
}

fn change() -> impl Strategy<Value = ChangeStep> {
    let names = prop_oneof![3 => Just(0_u8), 1 => 0_u8..4];
    prop_oneof![
        6 => (0_u8..4, 0_u8..2, names.clone(), names, prop::option::weighted(0.2, 0_u8..2), 0_u8..3).prop_map(
            |(kind, name, groups, attached, boundary, text)| ChangeStep::Put { kind, name, groups, attached, boundary, text }
        ),
        3 => (0_u8..4, 0_u8..2).prop_map(|(kind, name)| ChangeStep::Delete { kind, name }),
        1 => Just(ChangeStep::DeleteAccount),
    ]
}

pub(crate) fn principal(number: u8) -> NamedPrincipal {
    let account = account(number % ACCOUNTS);
    match number {
        0 | 1 => NamedPrincipal::Account(account),
        2 => NamedPrincipal::User { account, name: "a".to_owned() },
        3 => NamedPrincipal::Role { account, name: "a".to_owned() },
        _ => NamedPrincipal::AssumedRole { account, role: "a".to_owned(), session: "s".to_owned() },
    }
}

fn grant_id(number: u8) -> GrantId {
    GrantId::from_bytes([number; 32])
}

/// A key that is there, if any is; the last number is always itself.
fn held_key(tables: &dyn Tables, number: u8) -> u8 {
    let held = read::key_ids(tables, None, usize::from(KEYS)).unwrap();
    let picked = usize::from(number).checked_rem(held.len()).filter(|_| number < KEYS - 1);
    picked.map_or(number, |at| held[at].bytes()[0])
}

/// A grant that the key has, or, when it has none or by chance, one that it has not.
fn held_or(tables: &dyn Tables, number: u8, id: u8) -> GrantId {
    let held = read::grants_of(tables, &key(number), None, usize::from(GRANTS)).unwrap();
    held.get(usize::from(id % 4)).map_or(grant_id(id), |(held, _)| *held)
}

impl Kind {
    pub(super) fn body(&self, tables: &dyn Tables) -> CommandBody {
        match self {
            Self::Policy { key, text, stale, invocation } => CommandBody::PutKeyPolicy(PutKeyPolicy {
                once: once_of(self, Operation::PutKeyPolicy, *invocation),
                key: expected(tables, held_key(tables, *key), *stale),
                policy: text.map(|text| format!("policy {text}")),
            }),
            Self::Grant { key, id, contents, named, reads, stale, invocation } => {
                let pairs = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
                let key = held_key(tables, *key);
                CommandBody::CreateGrant(Box::new(CreateGrant {
                    once: self.once(tables, Operation::CreateGrant, key, reads, *invocation),
                    key: expected(tables, key, *stale),
                    grant_id: grant_id(*id),
                    grantee: principal(contents % PRINCIPALS),
                    retiring: (contents % 2 == 0).then(|| principal(contents % 3)),
                    operations: [GrantOperation::Decrypt, GrantOperation::Encrypt].into(),
                    constraint: (contents % 7 == 0).then_some(GrantConstraint::EncryptionContextSubset(pairs)),
                    name: named.then(|| "a-name".to_owned()),
                    issuing_account: account(0),
                }))
            }
            Self::End { key, id, revoke, reads, stale, invocation } => {
                let operation = if *revoke { Operation::RevokeGrant } else { Operation::RetireGrant };
                let key = held_key(tables, *key);
                let once = self.once(tables, operation, key, reads, *invocation);
                let (key, grant_id) = (expected(tables, key, *stale), held_or(tables, key, *id));
                if *revoke {
                    CommandBody::RevokeGrant(RevokeGrant { once, key, grant_id })
                } else {
                    CommandBody::RetireGrant(RetireGrant { once, key, grant_id })
                }
            }
            Self::Identities { account: number, changes, stale } => {
                let held = read::account(tables, account(*number)).unwrap().map(|held| held.revision);
                CommandBody::ApplyIdentities(Box::new(ApplyIdentities {
                    account: account(*number),
                    expected_revision: if *stale { held.map_or(Some(1), |_| None) } else { held },
                    changes: changes.iter().map(ChangeStep::change).collect(),
                }))
            }
            Self::Deny { principal: number, denied } => CommandBody::SetPrincipalDenied(Box::new(SetPrincipalDenied {
                principal: principal(*number),
                denied: *denied,
                reason: "lost".to_owned(),
                by: "an operator".to_owned(),
            })),
            Self::ResetPolicy { key: number } => CommandBody::ResetKeyPolicy(ResetKeyPolicy {
                key_id: key(held_key(tables, *number)),
                reason: "locked out".to_owned(),
                by: "an operator".to_owned(),
            }),
        }
    }

    fn once(&self, tables: &dyn Tables, operation: Operation, number: u8, reads: &Reads, invocation: u8) -> Once {
        let of = account(invocation % ACCOUNTS);
        let held = read::account(tables, of).unwrap().filter(|_| reads.account);
        let account_revision = held.map(|held| (of, held.revision.wrapping_sub(u64::from(reads.stale))));
        let grant = reads.grant.map(|id| (key(number), held_or(tables, number, id)));
        Once { authorised: Authorised { account_revision, grant }, ..once_of(self, operation, invocation) }
    }
}

impl ChangeStep {
    fn change(&self) -> IdentityChange {
        let named = |number: &u8| NAMES[usize::from(*number)].to_owned();
        let set = |bits: u8| NAMES.iter().enumerate().filter(move |(at, _)| bits & (1 << at) != 0).map(|(_, name)| (*name).to_owned());
        match self {
            Self::DeleteAccount => IdentityChange::DeleteAccount,
            Self::Delete { kind, name } => IdentityChange::Delete { kind: IdentityKind::ALL[usize::from(*kind)], name: named(name) },
            Self::Put { kind, name, groups, attached, boundary, text } => {
                let (tags, inline) = (BTreeMap::new(), BTreeMap::from([("own".to_owned(), format!("text {text}"))]));
                let (groups, attached): (BTreeSet<_>, BTreeSet<_>) = (set(*groups).collect(), set(*attached).collect());
                let boundary = boundary.as_ref().map(named);
                let record = match IdentityKind::ALL[usize::from(*kind)] {
                    IdentityKind::User => IdentityRecord::User(UserRecord { tags, groups, inline, attached, boundary }),
                    IdentityKind::Role => IdentityRecord::Role(RoleRecord { tags, inline, attached, boundary }),
                    IdentityKind::Group => IdentityRecord::Group(GroupRecord { inline, attached }),
                    IdentityKind::ManagedPolicy => IdentityRecord::ManagedPolicy(ManagedPolicyRecord { document: format!("text {text}") }),
                };
                IdentityChange::Put { name: named(name), record: Box::new(record) }
            }
        }
    }
}
