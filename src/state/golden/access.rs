//! The samples of access control.

use std::collections::{BTreeMap, BTreeSet};

use claviger_types::{GrantConstraint, GrantId, GrantOperation, GrantOperations, NamedPrincipal, Timestamp};

use super::{account, expected, once, record, tags};
use crate::{
    AccountRecord, ApplyIdentities, CommandBody, CreateGrant, DenialRecord, GrantRecord, GroupRecord, IdentityChange, IdentityKind,
    IdentityRecord, ManagedPolicyRecord, Operation, PutKeyPolicy, ResetKeyPolicy, RetireGrant, RevokeGrant, RoleRecord, SetPrincipalDenied,
    UserRecord,
};

pub(super) fn grant_id() -> GrantId {
    GrantId::from_bytes([0xab; 32])
}

pub(super) fn policy() -> String {
    r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned()
}

fn role() -> NamedPrincipal {
    NamedPrincipal::Role { account: account(), name: "app".to_owned() }
}

fn session() -> NamedPrincipal {
    NamedPrincipal::AssumedRole { account: account(), role: "app".to_owned(), session: "one".to_owned() }
}

fn user() -> NamedPrincipal {
    NamedPrincipal::User { account: account(), name: "alice".to_owned() }
}

/// All of them, so that their numbers are held.
fn operations() -> GrantOperations {
    [
        GrantOperation::Decrypt,
        GrantOperation::Encrypt,
        GrantOperation::GenerateDataKey,
        GrantOperation::GenerateDataKeyWithoutPlaintext,
        GrantOperation::ReEncryptFrom,
        GrantOperation::ReEncryptTo,
        GrantOperation::Sign,
        GrantOperation::Verify,
        GrantOperation::GetPublicKey,
        GrantOperation::CreateGrant,
        GrantOperation::RetireGrant,
        GrantOperation::DescribeKey,
        GrantOperation::GenerateDataKeyPair,
        GrantOperation::GenerateDataKeyPairWithoutPlaintext,
        GrantOperation::GenerateMac,
        GrantOperation::VerifyMac,
        GrantOperation::DeriveSharedSecret,
    ]
    .into()
}

fn names(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn identities() -> [(&'static str, IdentityRecord); 4] {
    let inline = BTreeMap::from([("own".to_owned(), policy())]);
    let boundary = Some("bound".to_owned());
    let attached = names(&["audit", "use-keys"]);
    let user = UserRecord { tags: tags(), groups: names(&["staff"]), inline: inline.clone(), attached: attached.clone(), boundary };
    let role = RoleRecord { tags: tags(), inline: inline.clone(), attached: attached.clone(), boundary: None };
    [
        ("user", IdentityRecord::User(user)),
        ("role", IdentityRecord::Role(role)),
        ("group", IdentityRecord::Group(GroupRecord { inline, attached })),
        ("managed-policy", IdentityRecord::ManagedPolicy(ManagedPolicyRecord { document: policy() })),
    ]
}

pub(super) fn bodies() -> Vec<CommandBody> {
    let mut changes: Vec<_> =
        identities().map(|(name, record)| IdentityChange::Put { name: name.to_owned(), record: Box::new(record) }).into();
    changes.extend(IdentityKind::ALL.map(|kind| IdentityChange::Delete { kind, name: "old".to_owned() }));
    changes.push(IdentityChange::DeleteAccount);
    let subset = GrantConstraint::EncryptionContextSubset(tags());
    vec![
        CommandBody::PutKeyPolicy(PutKeyPolicy { once: once(Operation::PutKeyPolicy), key: expected(), policy: Some(policy()) }),
        CommandBody::CreateGrant(Box::new(CreateGrant {
            once: once(Operation::CreateGrant),
            key: expected(),
            grant_id: grant_id(),
            grantee: session(),
            retiring: Some(NamedPrincipal::Account(account())),
            operations: operations(),
            constraint: Some(subset),
            name: Some("for:app/1".to_owned()),
            issuing_account: account(),
        })),
        CommandBody::RetireGrant(RetireGrant { once: once(Operation::RetireGrant), key: expected(), grant_id: grant_id() }),
        CommandBody::RevokeGrant(RevokeGrant { once: once(Operation::RevokeGrant), key: expected(), grant_id: grant_id() }),
        CommandBody::ApplyIdentities(Box::new(ApplyIdentities { account: account(), expected_revision: Some(1_000_002), changes })),
        CommandBody::SetPrincipalDenied(Box::new(SetPrincipalDenied {
            principal: role(),
            denied: true,
            reason: "verloren".to_owned(),
            by: "spiffe://kms.example.org/operator/ops".to_owned(),
        })),
        CommandBody::ResetKeyPolicy(ResetKeyPolicy {
            key_id: expected().key_id,
            reason: "ausgesperrt".to_owned(),
            by: "spiffe://kms.example.org/operator/ops".to_owned(),
        }),
    ]
}

#[test]
fn records_of_access_control() {
    let at = Timestamp::from_millis(1_700_000_000_008);
    record(
        "grant",
        &GrantRecord {
            grantee: user(),
            retiring: Some(role()),
            operations: operations(),
            constraint: Some(GrantConstraint::EncryptionContextEquals(tags())),
            name: Some("for:app/1".to_owned()),
            issuing_account: account(),
            created_at: at,
            revision: 1_000_003,
        },
    );
    record("account", &AccountRecord { created_at: at, revision: 1_000_004 });
    for (name, identity) in identities() {
        record(&format!("identity-{name}"), &identity);
    }
    let by = "spiffe://kms.example.org/operator/ops".to_owned();
    record("denial", &DenialRecord { principal: session(), at, reason: "verloren".to_owned(), by });
}
