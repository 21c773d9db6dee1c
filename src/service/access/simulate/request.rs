//! A request that nobody makes: what it says, what its action is on, and the [`Ask`] that the operation itself would make of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use claviger_policy::Action;
use claviger_shapes::EncryptionContext;
use claviger_types::{
    AliasName, EncryptionAlgorithm, GrantConstraint, GrantId, GrantOperations, KeyRef, KeySpec, KeyUsage, NamedPrincipal, Origin,
    Principal, Region,
};

use super::SimulationError;
use super::parameters::Given;
use crate::access::{Ask, NewGrant, NewKey};

/// What is to be simulated.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// Who would ask.
    pub principal: Principal,
    /// What for.
    pub action: Action,
    /// The key, as the request would name it; the actions that are on no key have none.
    pub key: Option<KeyRef>,
    /// The alias that an alias operation is on, or by which the request would name the key.
    pub alias: Option<AliasName>,
    /// The grant that would be retired.
    pub grant_id: Option<GrantId>,
    /// What else the request would say.
    pub facts: SimulatedFacts,
}

/// What conditions and grants may ask about. What the action does not have is refused, lest it be taken for counted.
#[derive(Clone, Debug, Default)]
pub struct SimulatedFacts {
    /// The encryption context, or the pairs of a new grant's constraint.
    pub encryption_context: EncryptionContext,
    /// Where the request would come from.
    pub source_ip: Option<IpAddr>,
    /// The tags that it would add; of UntagResource only the keys count.
    pub tags: BTreeMap<String, String>,
    /// Of ReplicateKey.
    pub replica_region: Option<Region>,
    /// Of CreateGrant.
    pub new_grant: Option<SimulatedGrant>,
    /// Of CreateKey.
    pub is_multi_region: bool,
    /// Of CreateKey: what a region asks itself that is to get a replica.
    pub is_replica: bool,
    /// Of CreateKey and PutKeyPolicy.
    pub bypasses_lockout_check: bool,
    /// Of ReEncrypt: from a key to itself.
    pub is_on_same_key: bool,
    /// Members of the request by their names, `SigningAlgorithm` say; `ValidTo` in seconds since the Unix epoch.
    pub parameters: BTreeMap<String, String>,
}

/// The grant that a simulated CreateGrant asks for.
#[derive(Clone, Debug)]
pub struct SimulatedGrant {
    /// Whom it would allow.
    pub grantee: NamedPrincipal,
    /// Who could retire it.
    pub retiring: Option<NamedPrincipal>,
    /// What it would allow.
    pub operations: GrantOperations,
    /// Whether the context must be equal to the pairs and not just contain them.
    pub is_equals_constraint: bool,
}

/// What an action is on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Nothing, and the caller's own policies decide.
    Nowhere,
    /// A key and an alias, which need not be the key's.
    Alias,
    /// A key.
    Key,
    /// A key, which the request may name by an alias.
    KeyByAnyName,
}

impl Place {
    pub(super) const fn of(action: Action) -> Self {
        match action {
            Action::CreateKey
            | Action::ListKeys
            | Action::ListAliases
            | Action::ListRetirableGrants
            | Action::GenerateRandom
            | Action::ConnectCustomKeyStore
            | Action::CreateCustomKeyStore
            | Action::DeleteCustomKeyStore
            | Action::DescribeCustomKeyStores
            | Action::DisconnectCustomKeyStore
            | Action::UpdateCustomKeyStore => Self::Nowhere,
            Action::CreateAlias | Action::DeleteAlias | Action::UpdateAlias => Self::Alias,
            Action::Sign
            | Action::Verify
            | Action::GenerateMac
            | Action::VerifyMac
            | Action::DeriveSharedSecret
            | Action::GetPublicKey
            | Action::DescribeKey => Self::KeyByAnyName,
            action if encrypts(action) => Self::KeyByAnyName,
            _ => Self::Key,
        }
    }
}

/// Whether a request for it has an encryption context.
const fn encrypts(action: Action) -> bool {
    matches!(
        action,
        Action::Encrypt
            | Action::Decrypt
            | Action::GenerateDataKey
            | Action::GenerateDataKeyWithoutPlaintext
            | Action::GenerateDataKeyPair
            | Action::GenerateDataKeyPairWithoutPlaintext
            | Action::ReEncryptFrom
            | Action::ReEncryptTo
    )
}

/// What the operation itself asks with these members of its request.
pub(super) fn ask<'a>(simulation: &'a Simulation, new_grant: Option<NewGrant<'a>>) -> Result<Ask<'a>, SimulationError> {
    let (action, facts) = (simulation.action, &simulation.facts);
    let mut given = Given::new(action, &facts.parameters);
    let ask = Ask { parameters: given.parameters()?, ..Ask::new(action) };
    let bypasses_lockout_check = Some(facts.bypasses_lockout_check);
    let ask = match action {
        action if encrypts(action) => {
            let takes_algorithm = matches!(action, Action::Encrypt | Action::Decrypt | Action::ReEncryptFrom | Action::ReEncryptTo);
            let algorithm = if takes_algorithm { given.take("EncryptionAlgorithm")? } else { None };
            let algorithm = algorithm.unwrap_or(EncryptionAlgorithm::SymmetricDefault);
            let re_encrypts = matches!(action, Action::ReEncryptFrom | Action::ReEncryptTo);
            Ask {
                is_re_encrypt_on_same_key: re_encrypts.then_some(facts.is_on_same_key),
                parameters: ask.parameters,
                ..Ask::encrypting(action, &facts.encryption_context, algorithm)
            }
        }
        Action::CreateKey => {
            let new_key = NewKey {
                spec: given.take("KeySpec")?.unwrap_or(KeySpec::SymmetricDefault),
                usage: given.take("KeyUsage")?.unwrap_or(KeyUsage::EncryptDecrypt),
                origin: given.take("Origin")?.unwrap_or(Origin::AwsKms),
                is_multi_region: facts.is_multi_region || facts.is_replica,
                is_replica: facts.is_replica,
            };
            Ask { new_key: Some(new_key), bypasses_lockout_check, ..ask }.with_tags(&facts.tags)
        }
        Action::PutKeyPolicy => Ask { bypasses_lockout_check, ..ask },
        Action::TagResource => ask.with_tags(&facts.tags),
        Action::UntagResource => Ask { tag_keys: Some(&facts.tags), ..ask },
        Action::ReplicateKey => Ask { replica_region: facts.replica_region.as_ref(), ..ask },
        Action::CreateGrant => {
            let encryption_context = new_grant.and_then(|grant| grant.constraint).map(GrantConstraint::pairs);
            Ask { new_grant, encryption_context, ..ask }.of_grants()
        }
        Action::ListGrants | Action::RevokeGrant => ask.of_grants(),
        _ => ask,
    };
    given.end()?;
    Ok(ask)
}

/// Refuses what the action's request does not have, and what it cannot do without.
pub(super) fn check(simulation: &Simulation) -> Result<(), SimulationError> {
    let Simulation { action, key, alias, grant_id, facts, .. } = simulation;
    let action = *action;
    let is = |actions: &[Action]| actions.contains(&action);
    let place = Place::of(action);
    let fits = [
        (key.is_some(), place != Place::Nowhere && action != Action::DeleteAlias, "key"),
        (alias.is_some(), matches!(place, Place::Alias | Place::KeyByAnyName), "alias"),
        (grant_id.is_some(), is(&[Action::RetireGrant]), "grant id"),
        (!facts.encryption_context.is_empty(), encrypts(action) || is(&[Action::CreateGrant]), "encryption context"),
        (!facts.tags.is_empty(), is(&[Action::CreateKey, Action::TagResource, Action::UntagResource]), "tags"),
        (facts.replica_region.is_some(), is(&[Action::ReplicateKey]), "replica region"),
        (facts.new_grant.is_some(), is(&[Action::CreateGrant]), "new grant"),
        (facts.is_multi_region, is(&[Action::CreateKey]), "multi-region flag"),
        (facts.is_replica, is(&[Action::CreateKey]), "replica flag"),
        (facts.bypasses_lockout_check, is(&[Action::CreateKey, Action::PutKeyPolicy]), "flag to bypass the lockout check"),
        (facts.is_on_same_key, is(&[Action::ReEncryptFrom, Action::ReEncryptTo]), "flag of the same key"),
    ];
    if let Some((.., what)) = fits.into_iter().find(|(given, has, _)| *given && !has) {
        return Err(SimulationError::Invalid(format!("a request for {action} has no {what}")));
    }
    match action {
        Action::RetireGrant if grant_id.is_none() => Err(needs(action, "a grant id")),
        Action::ReplicateKey if facts.replica_region.is_none() => Err(needs(action, "a replica region")),
        Action::CreateGrant if facts.new_grant.as_ref().is_none_or(|grant| grant.operations.is_empty()) => {
            Err(needs(action, "a grantee and the operations of the grant"))
        }
        Action::TagResource | Action::UntagResource if facts.tags.is_empty() => Err(needs(action, "tags")),
        _ => Ok(()),
    }
}

pub(super) fn needs(action: Action, what: &str) -> SimulationError {
    SimulationError::Invalid(format!("a request for {action} needs {what}"))
}
