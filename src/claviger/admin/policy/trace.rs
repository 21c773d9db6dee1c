//! From the trace of a decision to the shape in which the admin API sends it.

use claviger_policy as policy;
use claviger_shapes::admin::policy as shapes;

/// The same trace.
pub(super) fn of(trace: policy::Trace) -> shapes::DecisionTrace {
    shapes::DecisionTrace {
        caller: trace.caller,
        action: trace.action.to_owned(),
        resource: trace.resource,
        allowed: trace.allowed,
        basis: basis(trace.decision),
        reason: trace.reason,
        decided_by: trace.decided_by.into_iter().map(statement_ref).collect(),
        documents: trace.documents.into_iter().map(document).collect(),
        grants: trace.grants.into_iter().map(grant).collect(),
        left_out: shapes::LeftOut {
            statements: trace.left_out.statements,
            conditions: trace.left_out.conditions,
            grants: trace.left_out.grants,
        },
    }
}

fn basis(decision: policy::Decision) -> Option<shapes::Basis> {
    match decision {
        policy::Decision::Denied(_) => None,
        policy::Decision::Allowed(basis) => Some(match basis {
            policy::Basis::KeyPolicy => shapes::Basis::KeyPolicy,
            policy::Basis::KeyPolicyAndIdentity => shapes::Basis::KeyPolicyAndIdentityPolicy,
            policy::Basis::Identity => shapes::Basis::IdentityPolicy,
            policy::Basis::Grant(id) => shapes::Basis::Grant(id.to_string()),
            policy::Basis::Retirement(id) => shapes::Basis::Retirement(id.to_string()),
        }),
    }
}

const fn kind(document: policy::Document) -> shapes::DocumentKind {
    match document {
        policy::Document::KeyPolicy => shapes::DocumentKind::KeyPolicy,
        policy::Document::IdentityPolicy => shapes::DocumentKind::IdentityPolicy,
        policy::Document::PermissionsBoundary => shapes::DocumentKind::PermissionsBoundary,
        policy::Document::SessionPolicy => shapes::DocumentKind::SessionPolicy,
    }
}

fn statement_ref(statement: policy::StatementRef) -> shapes::StatementRef {
    let policy::StatementRef { document, name, index, sid } = statement;
    shapes::StatementRef { document: kind(document), name, index, sid }
}

fn document(document: policy::DocumentTrace) -> shapes::DocumentTrace {
    shapes::DocumentTrace {
        document: kind(document.document),
        name: document.name,
        statements: document.statements.into_iter().map(statement).collect(),
    }
}

fn statement(statement: policy::StatementTrace) -> shapes::StatementTrace {
    shapes::StatementTrace {
        index: statement.index,
        sid: statement.sid,
        denies: statement.effect == policy::Effect::Deny,
        principal: statement.principal,
        closeness: statement.closeness.map(|closeness| match closeness {
            policy::Closeness::Account => shapes::Closeness::Account,
            policy::Closeness::Everybody => shapes::Closeness::Everybody,
            policy::Closeness::Role => shapes::Closeness::Role,
            policy::Closeness::Direct => shapes::Closeness::Direct,
        }),
        action: statement.action,
        resource: statement.resource,
        conditions: statement.conditions.into_iter().map(condition).collect(),
        applies: statement.applies,
    }
}

fn condition(condition: policy::ConditionTrace) -> shapes::ConditionTrace {
    let policy::ConditionTrace { operator, key, policy_values, request_values, holds } = condition;
    shapes::ConditionTrace { operator, key, policy_values, request_values, holds }
}

fn grant(grant: policy::GrantTrace) -> shapes::GrantTrace {
    let policy::GrantTrace { id, grantee, lists_operation, constraint_admits, own_policies_suffice } = grant;
    shapes::GrantTrace { id: id.to_string(), grantee, lists_operation, constraint_admits, own_policies_suffice }
}
