//! Decisions as operators may have them explained, and key policies as they may reset them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use claviger_types::Region;
use serde::{Deserialize, Serialize};

/// Asks how a request would be decided that nobody makes. What its action does not have is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatePolicy {
    /// Who would ask: the ARN of a user, of a session of a role, or of an account's root; or the account's digits.
    pub principal: String,
    /// What for, `kms:Decrypt` say.
    pub action: String,
    /// The key: id, ARN, alias or alias ARN.
    #[serde(default)]
    pub key: Option<String>,
    /// The alias that an alias operation is on, or by which the request would name the key.
    #[serde(default)]
    pub alias: Option<String>,
    /// The grant that would be retired.
    #[serde(default)]
    pub grant_id: Option<String>,
    /// The encryption context, or the pairs of a new grant's constraint.
    #[serde(default)]
    pub context: BTreeMap<String, String>,
    /// Where the request would come from.
    #[serde(default)]
    pub source_ip: Option<IpAddr>,
    /// The tags that it would add; of UntagResource only the keys count.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Of ReplicateKey.
    #[serde(default)]
    pub replica_region: Option<Region>,
    /// Of CreateGrant.
    #[serde(default)]
    pub grant: Option<SimulatedGrant>,
    /// Of CreateKey.
    #[serde(default)]
    pub multi_region: bool,
    /// Of CreateKey: what a region asks itself that is to get a replica.
    #[serde(default)]
    pub replica: bool,
    /// Of CreateKey and PutKeyPolicy.
    #[serde(default)]
    pub bypass_policy_lockout_safety_check: bool,
    /// Of ReEncrypt: from a key to itself.
    #[serde(default)]
    pub same_key: bool,
    /// Members of the request by their names, `SigningAlgorithm` say; `ValidTo` in seconds since the Unix epoch.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
}

/// The grant that a simulated CreateGrant asks for. The pairs of its constraint are the request's context.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimulatedGrant {
    /// Whom it would allow.
    pub grantee: String,
    /// Who could retire it.
    #[serde(default)]
    pub retiring_principal: Option<String>,
    /// What it would allow: `Decrypt`, say.
    pub operations: BTreeSet<String>,
    /// Whether its constraint is EncryptionContextEquals and not EncryptionContextSubset.
    #[serde(default)]
    pub constraint_equals: bool,
}

/// What would come of the request. No part of it is secret but for what documents, tags and aliases say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Simulation {
    /// Whether every decision that the request needs allows it.
    pub allowed: bool,
    /// What the caller would be told, if it were refused.
    pub message: Option<String>,
    /// Those decisions, in their order.
    pub decisions: Vec<DecisionTrace>,
}

/// A decision and what led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionTrace {
    /// The caller's ARN.
    pub caller: String,
    /// The action.
    pub action: String,
    /// The ARN of what it is on, or `*`.
    pub resource: String,
    /// The answer.
    pub allowed: bool,
    /// What a permission rests on.
    pub basis: Option<Basis>,
    /// Why, in AWS's words where it has some.
    pub reason: String,
    /// The statements that it rests on.
    pub decided_by: Vec<StatementRef>,
    /// The documents, in the order in which they were read.
    pub documents: Vec<DocumentTrace>,
    /// The grants that name the caller, its role or its account.
    pub grants: Vec<GrantTrace>,
    /// How many parts there is no room for; none of them decides.
    pub left_out: LeftOut,
}

/// What a permission rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// The key policy names the caller.
    KeyPolicy,
    /// The key policy names the caller or its account, and the caller's own policies allow.
    KeyPolicyAndIdentityPolicy,
    /// The caller's own policies: there is no key.
    IdentityPolicy,
    /// The grant of this id.
    Grant(String),
    /// The caller may retire the grant of this id.
    Retirement(String),
}

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DocumentKind {
    /// The key policy.
    KeyPolicy,
    /// A policy of the caller, its groups or its role.
    IdentityPolicy,
    /// The caller's permissions boundary.
    PermissionsBoundary,
    /// The session policy.
    SessionPolicy,
}

/// One statement among all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementRef {
    /// The kind of its document.
    pub document: DocumentKind,
    /// The name of its document; empty for the key policy.
    pub name: String,
    /// Counted from 0.
    pub index: usize,
    /// Its Sid.
    pub sid: Option<String>,
}

/// How many parts a trace has no room for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Whole statements.
    pub statements: usize,
    /// Conditions of statements that are there.
    pub conditions: usize,
    /// Grants.
    pub grants: usize,
}

/// A document's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocumentTrace {
    /// Its kind.
    pub document: DocumentKind,
    /// Its name; empty for the key policy.
    pub name: String,
    /// Its statements, in its order.
    pub statements: Vec<StatementTrace>,
}

/// A statement's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatementTrace {
    /// Counted from 0.
    pub index: usize,
    /// Its Sid.
    pub sid: Option<String>,
    /// Whether it denies and does not allow.
    pub denies: bool,
    /// Whether it is about the caller; none in an identity policy.
    pub principal: Option<bool>,
    /// How closely it names the caller, where it is about it.
    pub closeness: Option<Closeness>,
    /// Whether it is about the action.
    pub action: bool,
    /// Whether it is about the resource.
    pub resource: bool,
    /// Its conditions.
    pub conditions: Vec<ConditionTrace>,
    /// Whether it applies: all of the above.
    pub applies: bool,
}

/// How closely a statement names the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Closeness {
    /// Its account: the caller's own policies decide.
    Account,
    /// As one of everybody.
    Everybody,
    /// Its role.
    Role,
    /// Itself.
    Direct,
}

/// A condition's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionTrace {
    /// The operator, with qualifier and suffix.
    pub operator: String,
    /// The condition key.
    pub key: String,
    /// The policy's values.
    pub policy_values: Vec<String>,
    /// The request's; none if it has no such key.
    pub request_values: Vec<String>,
    /// Whether it holds.
    pub holds: bool,
}

/// A grant's part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantTrace {
    /// Its id.
    pub id: String,
    /// Its grantee's ARN: the caller, its role or its account.
    pub grantee: String,
    /// Whether it lists the operation.
    pub lists_operation: bool,
    /// Whether its constraint admits the request.
    pub constraint_admits: bool,
    /// Whether the caller's own policies say what they must for a grantee so named.
    pub own_policies_suffice: bool,
}

/// Puts the default policy back on a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResetKeyPolicy {
    /// The key, by its id or ARN.
    pub key: String,
    /// Why, for those who come after: at most [`claviger_types::limits::OPERATOR_TEXT_BYTES_MAX`].
    pub reason: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResetKeyPolicyResult {
    /// The key's ARN.
    pub key: String,
    /// False when it had the default policy already.
    pub changed: bool,
    /// The policy that it had instead.
    pub replaced: Option<String>,
}
