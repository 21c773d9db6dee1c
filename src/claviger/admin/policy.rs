//! Decisions explained and key policies reset, over a running node: the service decides, as for a real request; a reset goes through
//! consensus, and is told loudly.

mod trace;

use claviger_api as api;
use claviger_consensus::Region as _;
use claviger_policy::Action;
use claviger_service::{SimulatedFacts, SimulatedGrant, Simulation, SimulationError};
use claviger_shapes::admin::policy as shapes;
use claviger_shapes::admin::{AdminError, AdminErrorCode};
use claviger_state::{CommandBody, Refusal, Response, read};
use claviger_types::{GrantId, GrantOperation, GrantOperations, KeyArn, KeyRef, NamedPrincipal, Partition, Principal};
use tracing::warn;

use super::nodes::unreadable;
use super::{NodeAdmin, internal, invalid, not_proposed};

impl api::Policies for NodeAdmin {
    async fn simulate_policy(&self, simulate: shapes::SimulatePolicy) -> Result<shapes::Simulation, AdminError> {
        let simulation = parse(simulate, &self.partition)?;
        let checks = self.service.simulate(&simulation).await.map_err(|error| not_simulated(&error))?;
        let message = checks.iter().find_map(|check| check.refusal.clone());
        Ok(shapes::Simulation {
            allowed: message.is_none(),
            message,
            decisions: checks.into_iter().map(|check| trace::of(check.trace)).collect(),
        })
    }

    async fn reset_key_policy(&self, operator: &str, reset: shapes::ResetKeyPolicy) -> Result<shapes::ResetKeyPolicyResult, AdminError> {
        let shapes::ResetKeyPolicy { key, reason } = reset;
        let key = key.parse::<KeyRef>().map_err(|error| invalid(error.to_string()))?;
        api::Admin::gate(self).await?;
        let (arn, held) = self.held_policy(&key)?;
        if let Some(policy) = held {
            // Should the answer get lost on its way, the text is here.
            warn!(operator, key = %arn, reason, policy, "an operator resets the policy of a key");
        }
        let command = claviger_state::ResetKeyPolicy { key_id: arn.key_id, reason: reason.clone(), by: operator.to_owned() };
        let outcome = self.consensus.propose(CommandBody::ResetKeyPolicy(command)).await.map_err(|error| not_proposed(&error))?;
        let Response::PolicyReset { replaced } = outcome.map_err(|refusal| refused(&refusal, &arn))? else {
            return Err(internal("the reset of a policy was answered with something else"));
        };
        if let Some(policy) = &replaced {
            warn!(operator, key = %arn, reason, policy, "the policy of a key was reset to the default by an operator");
        }
        // The leader has applied it; this node answers when it has as well.
        api::Admin::gate(self).await?;
        Ok(shapes::ResetKeyPolicyResult { key: arn.to_string(), changed: replaced.is_some(), replaced })
    }
}

impl NodeAdmin {
    /// The key of this region that an operator names, and its policy if that is not the default.
    fn held_policy(&self, key: &KeyRef) -> Result<(KeyArn, Option<String>), AdminError> {
        let named = match key {
            KeyRef::Id(id) => *id,
            KeyRef::Arn(arn) if arn.region != self.region => {
                return Err(invalid(format!("the key is one of region {}, and this is {}", arn.region, self.region)));
            }
            KeyRef::Arn(arn) => arn.key_id,
            KeyRef::Alias(_) | KeyRef::AliasArn(_) => return Err(invalid("name the key by its id or its ARN".to_owned())),
        };
        let record = read::key(&self.consensus.tables(), &named).map_err(unreadable)?.ok_or_else(|| no_key(named))?;
        let account = record.document.account;
        let arn = KeyArn { partition: self.partition.clone(), region: self.region.clone(), account, key_id: named };
        match key {
            KeyRef::Arn(said) if *said != arn => Err(no_key(said)),
            _ => Ok((arn, record.regional.policy)),
        }
    }
}

fn no_key(key: impl std::fmt::Display) -> AdminError {
    AdminError::new(AdminErrorCode::NotFound, format!("there is no key {key} in this region"))
}

fn refused(refusal: &Refusal, arn: &KeyArn) -> AdminError {
    match refusal {
        Refusal::NotFound => no_key(arn),
        Refusal::BadText(_) => invalid(refusal.to_string()),
        _ => internal(&refusal.to_string()),
    }
}

fn not_simulated(error: &SimulationError) -> AdminError {
    let code = match error {
        SimulationError::Unavailable => AdminErrorCode::Unavailable,
        SimulationError::Invalid(_) => AdminErrorCode::Invalid,
        SimulationError::NotFound(_) => AdminErrorCode::NotFound,
        SimulationError::Failed => AdminErrorCode::Internal,
    };
    AdminError::new(code, error.to_string())
}

fn parse(simulate: shapes::SimulatePolicy, partition: &Partition) -> Result<Simulation, AdminError> {
    let grant_id = |text: &str| GrantId::parse(text).ok_or_else(|| invalid("a grant id has 64 lower-case hexadecimal digits".to_owned()));
    Ok(Simulation {
        principal: caller(&simulate.principal, partition)?,
        action: action(&simulate.action)?,
        key: simulate.key.map(|key| key.parse()).transpose().map_err(|error: claviger_types::ParseError| invalid(error.to_string()))?,
        alias: simulate
            .alias
            .map(|alias| alias.parse())
            .transpose()
            .map_err(|error: claviger_types::ParseError| invalid(error.to_string()))?,
        grant_id: simulate.grant_id.as_deref().map(grant_id).transpose()?,
        facts: SimulatedFacts {
            encryption_context: simulate.context,
            source_ip: simulate.source_ip,
            tags: simulate.tags,
            replica_region: simulate.replica_region,
            new_grant: simulate.grant.map(|grant| new_grant(&grant, partition)).transpose()?,
            is_multi_region: simulate.multi_region,
            is_replica: simulate.replica,
            bypasses_lockout_check: simulate.bypass_policy_lockout_safety_check,
            is_on_same_key: simulate.same_key,
            parameters: simulate.parameters,
        },
    })
}

fn named(text: &str, partition: &Partition) -> Result<NamedPrincipal, AdminError> {
    NamedPrincipal::parse(text, partition).map_err(|error| invalid(error.to_string()))
}

/// Who may ask: a role does so only as one of its sessions.
fn caller(text: &str, partition: &Partition) -> Result<Principal, AdminError> {
    Ok(match named(text, partition)? {
        NamedPrincipal::Account(account) => Principal::Root { account },
        NamedPrincipal::User { account, name } => Principal::User { account, name },
        NamedPrincipal::AssumedRole { account, role, session } => Principal::AssumedRole { account, role, session },
        NamedPrincipal::Role { account, name } => {
            return Err(invalid(format!(
                "a role asks as one of its sessions: name arn:{partition}:sts::{account}:assumed-role/{name}/<session>, any will do"
            )));
        }
    })
}

fn action(text: &str) -> Result<Action, AdminError> {
    Action::named(text).ok_or_else(|| {
        let hint = match text.strip_prefix("kms:") {
            Some("ReEncrypt") => ": it asks for kms:ReEncryptFrom on its source and for kms:ReEncryptTo on its destination",
            Some(_) => "",
            None => ": it is written kms:Decrypt",
        };
        invalid(format!("there is no action {text}{hint}"))
    })
}

fn new_grant(grant: &shapes::SimulatedGrant, partition: &Partition) -> Result<SimulatedGrant, AdminError> {
    let operation = |text: &String| {
        let found = GrantOperation::ALL.iter().copied().find(|operation| operation.as_str() == text);
        found.ok_or_else(|| invalid(format!("there is no grant operation {text}")))
    };
    Ok(SimulatedGrant {
        grantee: named(&grant.grantee, partition)?,
        retiring: grant.retiring_principal.as_deref().map(|text| named(text, partition)).transpose()?,
        operations: grant.operations.iter().map(operation).collect::<Result<GrantOperations, _>>()?,
        is_equals_constraint: grant.constraint_equals,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(principal: &str, action: &str) -> Result<Simulation, String> {
        let simulate = shapes::SimulatePolicy { principal: principal.to_owned(), action: action.to_owned(), ..Default::default() };
        parse(simulate, &Partition::default()).map_err(|error| error.message)
    }

    #[test]
    fn who_asks_is_somebody_who_can() {
        for (text, arn) in [
            ("111122223333", "arn:aws:iam::111122223333:root"),
            ("arn:aws:iam::111122223333:user/alice", "arn:aws:iam::111122223333:user/alice"),
            ("arn:aws:sts::111122223333:assumed-role/app/one", "arn:aws:sts::111122223333:assumed-role/app/one"),
        ] {
            assert_eq!(asked(text, "kms:decrypt").unwrap().principal.arn(&Partition::default()), arn);
        }
        let role = asked("arn:aws:iam::111122223333:role/app", "kms:Decrypt").unwrap_err();
        assert!(role.contains("arn:aws:sts::111122223333:assumed-role/app/<session>"), "{role}");
        assert!(asked("alice", "kms:Decrypt").is_err());
    }

    #[test]
    fn an_action_that_is_none_is_refused_with_a_hint() {
        let root = "111122223333";
        for (action, hint) in [("kms:ReEncrypt", "kms:ReEncryptFrom"), ("Decrypt", "kms:Decrypt"), ("kms:*", "no action kms:*")] {
            let refused = asked(root, action).unwrap_err();
            assert!(refused.contains(hint), "{refused}");
        }
        let grant = |operation: &str| shapes::SimulatedGrant {
            grantee: root.to_owned(),
            retiring_principal: None,
            operations: [operation.to_owned()].into(),
            constraint_equals: true,
        };
        assert_eq!(new_grant(&grant("Decrypt"), &Partition::default()).unwrap().operations.len(), 1);
        assert!(new_grant(&grant("PutKeyPolicy"), &Partition::default()).is_err());
    }
}
