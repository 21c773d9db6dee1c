//! Identities between the admin API's shapes and the records of the replicated state.

use claviger_shapes::admin::iam as shapes;
use claviger_state as state;

pub(super) fn change(change: shapes::IdentityChange) -> state::IdentityChange {
    match change {
        shapes::IdentityChange::Put(shapes::NamedIdentity { name, identity }) => {
            state::IdentityChange::Put { name, record: Box::new(record(identity)) }
        }
        shapes::IdentityChange::Delete(shapes::IdentityName { kind, name }) => state::IdentityChange::Delete { kind: kind_of(kind), name },
        shapes::IdentityChange::DeleteAccount => state::IdentityChange::DeleteAccount,
    }
}

pub(super) const fn kind_of(kind: shapes::IdentityKind) -> state::IdentityKind {
    match kind {
        shapes::IdentityKind::Policy => state::IdentityKind::ManagedPolicy,
        shapes::IdentityKind::Group => state::IdentityKind::Group,
        shapes::IdentityKind::Role => state::IdentityKind::Role,
        shapes::IdentityKind::User => state::IdentityKind::User,
    }
}

fn record(identity: shapes::Identity) -> state::IdentityRecord {
    match identity {
        shapes::Identity::Policy(shapes::ManagedPolicy { document }) => {
            state::IdentityRecord::ManagedPolicy(state::ManagedPolicyRecord { document })
        }
        shapes::Identity::Group(shapes::Group { inline, attached }) => {
            state::IdentityRecord::Group(state::GroupRecord { inline, attached })
        }
        shapes::Identity::Role(shapes::Role { tags, inline, attached, boundary }) => {
            state::IdentityRecord::Role(state::RoleRecord { tags, inline, attached, boundary })
        }
        shapes::Identity::User(shapes::User { tags, groups, inline, attached, boundary }) => {
            state::IdentityRecord::User(state::UserRecord { tags, groups, inline, attached, boundary })
        }
    }
}

pub(super) fn identity(record: state::IdentityRecord) -> shapes::Identity {
    match record {
        state::IdentityRecord::ManagedPolicy(state::ManagedPolicyRecord { document }) => {
            shapes::Identity::Policy(shapes::ManagedPolicy { document })
        }
        state::IdentityRecord::Group(state::GroupRecord { inline, attached }) => {
            shapes::Identity::Group(shapes::Group { inline, attached })
        }
        state::IdentityRecord::Role(state::RoleRecord { tags, inline, attached, boundary }) => {
            shapes::Identity::Role(shapes::Role { tags, inline, attached, boundary })
        }
        state::IdentityRecord::User(state::UserRecord { tags, groups, inline, attached, boundary }) => {
            shapes::Identity::User(shapes::User { tags, groups, inline, attached, boundary })
        }
    }
}
