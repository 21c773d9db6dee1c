//! Simulation, for operators: how a request that nobody makes would be decided now, statement by statement.
//!
//! It goes the way of a real request: the same gate, the same caller, key, grants and denials, the same [`Ask`] for each action and
//! the same order where an operation asks for several. It changes nothing, uses no material, and says nothing of a key's state.

mod parameters;
mod request;

use std::sync::Arc;

use claviger_consensus as consensus;
use claviger_policy::{self as policy, Action, Denial, Trace};
use claviger_shapes::{ApiError, ErrorCode};
use claviger_state::read;
use claviger_types::{AliasArn, AliasName, AliasRow, GrantConstraint, GrantId, GrantOperations, KeyArn, KeyRef, RevocationFlag};
use uuid::Uuid;

use self::request::{Place, ask, check, needs};
pub use self::request::{SimulatedFacts, SimulatedGrant, Simulation};
use super::{Ask, Named, NewGrant, Subject, view};
use crate::cached_key::CachedKey;
use crate::error::Fault;
use crate::{Context, Service};

/// One decision of those that the request needs.
#[derive(Clone, Debug)]
pub struct SimulatedCheck {
    /// What led to it.
    pub trace: Trace,
    /// What the caller would be told, if it were refused.
    pub refusal: Option<String>,
}

/// Why there is nothing to decide.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// This node does not know what is committed.
    #[error("the region has no leader that this node can reach")]
    Unavailable,
    /// Nobody could make this request.
    #[error("{0}")]
    Invalid(String),
    /// The principal, the key, the alias or the grant is not there.
    #[error("{0}")]
    NotFound(String),
    /// The node has failed, and its log says why.
    #[error("the decision could not be made: see the log of the node")]
    Failed,
}

impl From<ApiError> for SimulationError {
    fn from(error: ApiError) -> Self {
        match error.code {
            ErrorCode::NotFound | ErrorCode::InvalidGrantId => Self::NotFound(error.message),
            ErrorCode::KmsInternal => Self::Failed,
            _ => Self::Invalid(error.message),
        }
    }
}

impl From<Fault> for SimulationError {
    fn from(fault: Fault) -> Self {
        ApiError::from(fault).into()
    }
}

impl<R: consensus::Region> Service<R> {
    /// How a request would be decided as of now: each decision that it needs, in the order in which it needs them. It is allowed if
    /// all of them are, and refused by the first that is not.
    ///
    /// # Errors
    /// When the region does not know what is named, or the request makes no sense.
    pub async fn simulate(&self, simulation: &Simulation) -> Result<Vec<SimulatedCheck>, SimulationError> {
        check(simulation)?;
        self.region.read().await.map_err(|consensus::Unavailable| SimulationError::Unavailable)?;
        let context = &Context {
            principal: simulation.principal.clone(),
            revoked: RevocationFlag::default(),
            request_id: Uuid::nil(),
            invocation: None,
            source_ip: simulation.facts.source_ip,
        };
        self.caller(&context.principal).map_err(|error| match error.code {
            ErrorCode::UnrecognizedClient => {
                let arn = context.principal.arn(&self.config.partition);
                SimulationError::NotFound(format!("this region does not know {arn}: whatever it asks is refused"))
            }
            _ => error.into(),
        })?;
        let grant = simulation.facts.new_grant.as_ref().map(|grant| self.new_grant(grant, &simulation.facts));
        let ask = ask(simulation, grant.as_ref().map(NewGrantTexts::terms))?;
        self.checks(context, simulation, &ask)
    }

    fn checks(&self, context: &Context, simulation: &Simulation, ask: &Ask<'_>) -> Result<Vec<SimulatedCheck>, SimulationError> {
        let explain = |subject: &Subject<'_>| self.explained(context, subject, ask);
        match (Place::of(ask.action), &simulation.key, &simulation.alias) {
            (Place::Nowhere, ..) => {
                let nowhere = Subject::without_key("*", context.principal.account());
                let mut checks = vec![explain(&nowhere)?];
                if ask.action == Action::CreateKey && ask.tags.is_some() {
                    checks.push(self.explained(context, &nowhere, &Ask { action: Action::TagResource, ..*ask })?);
                }
                Ok(checks)
            }
            (Place::Alias, key, Some(name)) => self.alias_checks(context, key.as_ref(), name, ask),
            (Place::Alias, _, None) => Err(needs(ask.action, "an alias")),
            (_, Some(reference), name) => {
                let (key, own_name) = self.simulated_key(context, reference)?;
                let named = match (name, own_name) {
                    (None, own_name) => own_name,
                    (Some(name), _) => {
                        let by_name = self.simulated_key(context, &KeyRef::AliasArn(self.alias_arn(key.arn.account, name)))?.0;
                        if by_name.arn != key.arn {
                            return Err(SimulationError::Invalid(format!("{name} names {}, not {}", by_name.arn, key.arn)));
                        }
                        Some(name.clone())
                    }
                };
                if named.is_some() && Place::of(ask.action) != Place::KeyByAnyName {
                    return Err(takes_no_alias(ask.action));
                }
                match simulation.grant_id {
                    Some(grant_id) => Ok(vec![self.explained_retirement(context, &key, grant_id, ask)?]),
                    None => Ok(vec![explain(&Subject { alias: named.as_ref(), ..Subject::key(&key) })?]),
                }
            }
            (_, None, Some(name)) => {
                let by_name = Simulation { key: Some(KeyRef::Alias(name.clone())), alias: None, ..simulation.clone() };
                self.checks(context, &by_name, ask)
            }
            (_, None, None) => Err(needs(ask.action, "a key")),
        }
    }

    /// In the order in which the operations ask.
    fn alias_checks(
        &self,
        context: &Context,
        key: Option<&KeyRef>,
        name: &AliasName,
        ask: &Ask<'_>,
    ) -> Result<Vec<SimulatedCheck>, SimulationError> {
        let account = context.principal.account();
        let arn = self.alias_arn(account, name).to_string();
        let on_alias = || self.explained(context, &Subject::without_key(&arn, account), ask);
        let on_key = |key: &CachedKey| self.explained(context, &Subject::key(key), ask);
        let target = || match self.simulated_key(context, key.ok_or_else(|| needs(ask.action, "a key"))?)? {
            (key, None) => Ok(key),
            (_, Some(_)) => Err(takes_no_alias(ask.action)),
        };
        let holder = || Ok::<_, SimulationError>(self.simulated_key(context, &KeyRef::Alias(name.clone()))?.0);
        match ask.action {
            Action::CreateAlias => Ok(vec![on_key(&*target()?)?, on_alias()?]),
            Action::UpdateAlias => Ok(vec![on_key(&*target()?)?, on_alias()?, on_key(&*holder()?)?]),
            _ => Ok(vec![on_alias()?, on_key(&*holder()?)?]),
        }
    }

    /// The key that a request of this caller would name so, and the alias by which it would, whatever the caller may see.
    fn simulated_key(&self, context: &Context, reference: &KeyRef) -> Result<(Arc<CachedKey>, Option<AliasName>), SimulationError> {
        if let KeyRef::Arn(KeyArn { region, .. }) | KeyRef::AliasArn(AliasArn { region, .. }) = reference
            && *region != self.config.region
        {
            return Err(SimulationError::Invalid(format!("the key is one of region {region}, and this is {}", self.config.region)));
        }
        let (arn, name) = match self.resolve(context, reference)? {
            Named::Key(arn) => (arn, None),
            Named::Alias(account, name) => {
                let target = self.target(&AliasRow::new(account, name))?;
                let target = target.ok_or_else(|| not_there(&Absent::Alias(self.alias_arn(account, name))))?;
                (self.arn(account, target.key_id), Some(name.clone()))
            }
        };
        let key = self.opened(&arn.key_id)?.filter(|key| key.arn.account == arn.account);
        Ok((key.ok_or_else(|| not_there(&Absent::Key(arn)))?, name))
    }

    fn explained(&self, context: &Context, subject: &Subject<'_>, ask: &Ask<'_>) -> Result<SimulatedCheck, SimulationError> {
        let trace =
            self.weigh(context, subject, ask, |request, documents, _| policy::explain(request, documents, &self.config.partition))?;
        Ok(self.with_refusal(context, subject, ask, trace))
    }

    fn explained_retirement(
        &self,
        context: &Context,
        key: &CachedKey,
        grant_id: GrantId,
        ask: &Ask<'_>,
    ) -> Result<SimulatedCheck, SimulationError> {
        let grant = read::grant(&self.region.tables(), &key.arn.key_id, &grant_id).map_err(Fault::from)?;
        let grant = grant.ok_or_else(|| SimulationError::NotFound(format!("there is no grant {grant_id} on {}", key.arn)))?;
        let subject = Subject::key(key);
        let trace = self.weigh(context, &subject, ask, |request, documents, _| {
            policy::explain_retirement(request, documents, &view(grant_id, &grant), &self.config.partition)
        })?;
        Ok(self.with_refusal(context, &subject, ask, trace))
    }

    fn with_refusal(&self, context: &Context, subject: &Subject<'_>, ask: &Ask<'_>, trace: Trace) -> SimulatedCheck {
        // Who is denied everything is told so before anything is looked at, so its message names nothing.
        let subject = match trace.decision.denial() {
            Some(Denial::Revoked) => &Subject::without_key("*", context.principal.account()),
            _ => subject,
        };
        let refusal = self.authorised(context, subject, ask.action, trace.decision, 0).err().map(|error| error.message);
        SimulatedCheck { trace, refusal }
    }

    fn new_grant<'a>(&self, grant: &'a SimulatedGrant, facts: &SimulatedFacts) -> NewGrantTexts<'a> {
        let partition = &self.config.partition;
        let pairs = || facts.encryption_context.clone();
        let constraint = match (facts.encryption_context.is_empty(), grant.is_equals_constraint) {
            (true, _) => None,
            (false, true) => Some(GrantConstraint::EncryptionContextEquals(pairs())),
            (false, false) => Some(GrantConstraint::EncryptionContextSubset(pairs())),
        };
        NewGrantTexts {
            grantee: grant.grantee.arn(partition),
            retiring: grant.retiring.as_ref().map(|named| named.arn(partition)),
            operations: &grant.operations,
            constraint,
        }
    }
}

struct NewGrantTexts<'a> {
    grantee: String,
    retiring: Option<String>,
    operations: &'a GrantOperations,
    constraint: Option<GrantConstraint>,
}

impl NewGrantTexts<'_> {
    fn terms(&self) -> NewGrant<'_> {
        let (grantee, retiring) = (&*self.grantee, self.retiring.as_deref());
        NewGrant { grantee, retiring, operations: self.operations, constraint: self.constraint.as_ref() }
    }
}

fn takes_no_alias(action: Action) -> SimulationError {
    SimulationError::Invalid(format!("a request for {action} names the key by its id or its ARN, not by an alias"))
}

enum Absent {
    Key(KeyArn),
    Alias(AliasArn),
}

fn not_there(absent: &Absent) -> SimulationError {
    const OWN: &str = "an id or an alias without an ARN is one of the principal's own account";
    SimulationError::NotFound(match absent {
        Absent::Key(arn) => format!("there is no key {arn} in this region; {OWN}"),
        Absent::Alias(arn) => format!("there is no alias {arn} in this region; {OWN}"),
    })
}
