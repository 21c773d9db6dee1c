//! Identities and denials over a running node: reads behind the gate, changes by consensus. Policies are checked here, before
//! they are proposed: the replicated state does not understand them.

mod pages;
mod records;

use claviger_api as api;
use claviger_consensus::Region as _;
use claviger_policy::{Policy, PolicyKind};
use claviger_shapes::admin::iam::{
    AccountsPage, ApplyIdentities, ApplyIdentitiesResult, DenialsPage, IdentitiesPage, IdentityChange, IdentityName, NamedIdentity,
    SetDenial, SetDenialResult,
};
use claviger_shapes::admin::{AdminError, AdminErrorCode};
use claviger_state::{CommandBody, IdentityKind, Refusal, Response, SetPrincipalDenied, StateError, Tables, read};
use claviger_types::{AccountId, NamedPrincipal, Partition};
use tracing::info;

use super::nodes::unreadable;
use super::{NodeAdmin, internal, invalid, not_proposed};

impl api::Identities for NodeAdmin {
    async fn accounts(&self, after: Option<AccountId>) -> Result<AccountsPage, AdminError> {
        api::Admin::gate(self).await?;
        pages::accounts(&*self.consensus.tables(), after).map_err(unreadable)
    }

    async fn identities(&self, account: AccountId, after: Option<IdentityName>) -> Result<IdentitiesPage, AdminError> {
        api::Admin::gate(self).await?;
        let page = pages::identities(&*self.consensus.tables(), account, after.as_ref()).map_err(unreadable)?;
        page.ok_or_else(|| AdminError::new(AdminErrorCode::Unavailable, "the identities change faster than they can be read"))
    }

    async fn apply_identities(
        &self,
        operator: &str,
        account: AccountId,
        apply: ApplyIdentities,
    ) -> Result<ApplyIdentitiesResult, AdminError> {
        let ApplyIdentities { expected_revision, changes } = apply;
        changes.iter().try_for_each(|change| check_documents(change, &self.partition))?;
        let told: Vec<String> = changes.iter().map(described).collect();
        let changes = changes.into_iter().map(records::change).collect();
        let command = claviger_state::ApplyIdentities { account, expected_revision, changes };
        let (revision, changed) = self.change_identities(CommandBody::ApplyIdentities(Box::new(command))).await?;
        if changed {
            info!(operator, %account, changes = told.len(), revision, "the identities of an account were changed");
            told.iter().for_each(|change| info!(operator, %account, change, "an identity was changed"));
        }
        Ok(ApplyIdentitiesResult { revision, changed })
    }

    async fn denials(&self, after: Option<String>) -> Result<DenialsPage, AdminError> {
        let after = after.map(|after| self.named(&after)).transpose()?;
        api::Admin::gate(self).await?;
        pages::denials(&*self.consensus.tables(), after.as_ref(), &self.partition).map_err(unreadable)
    }

    async fn set_denial(&self, operator: &str, set: SetDenial) -> Result<SetDenialResult, AdminError> {
        let SetDenial { principal, denied, reason } = set;
        let named = self.named(&principal)?;
        let command = SetPrincipalDenied { principal: named.clone(), denied, reason: reason.clone(), by: operator.to_owned() };
        let (_, changed) = self.change_identities(CommandBody::SetPrincipalDenied(Box::new(command))).await?;
        let principal = named.arn(&self.partition);
        if changed {
            info!(operator, principal, denied, reason, "who is denied everything was changed");
        }
        // The leader has applied it; this node answers when it has as well.
        api::Admin::gate(self).await?;
        let known = is_known(&*self.consensus.tables(), &named).map_err(unreadable)?;
        Ok(SetDenialResult { principal, denied, changed, known })
    }
}

impl NodeAdmin {
    fn named(&self, principal: &str) -> Result<NamedPrincipal, AdminError> {
        NamedPrincipal::parse(principal, &self.partition).map_err(|error| invalid(error.to_string()))
    }

    /// The account's revision, and whether anything was changed.
    async fn change_identities(&self, command: CommandBody) -> Result<(Option<u64>, bool), AdminError> {
        let outcome = self.consensus.propose(command).await.map_err(|error| not_proposed(&error))?;
        match outcome.map_err(|refusal| refused(&refusal))? {
            Response::Identities { revision, changed } => Ok((revision, changed)),
            _ => Err(internal("the change of identities was answered with something else")),
        }
    }
}

/// Every document is an identity policy. The refusal begins with the identity, so that an operator finds it in a file.
fn check_documents(change: &IdentityChange, partition: &Partition) -> Result<(), AdminError> {
    let IdentityChange::Put(NamedIdentity { name, identity }) = change else { return Ok(()) };
    for (inline, document) in identity.documents() {
        Policy::parse(document, PolicyKind::Identity, partition).map_err(|error| {
            let which = inline.map(|inline| format!("its policy {inline:?}: ")).unwrap_or_default();
            invalid(format!("{}/{name}: {which}{error}", identity.kind().as_str()))
        })?;
    }
    Ok(())
}

/// A change as the log has it: what, and to whom.
fn described(change: &IdentityChange) -> String {
    match change {
        IdentityChange::Put(NamedIdentity { name, identity }) => format!("put {}/{name}", identity.kind().as_str()),
        IdentityChange::Delete(name) => format!("delete {name}"),
        IdentityChange::DeleteAccount => "delete the account".to_owned(),
    }
}

/// Whether the region knows a principal, or the role that it is a session of.
fn is_known(tables: &(impl Tables + ?Sized), principal: &NamedPrincipal) -> Result<bool, StateError> {
    let (account, kind, name) = match principal {
        NamedPrincipal::Account(account) => return Ok(read::account(tables, *account)?.is_some()),
        NamedPrincipal::User { account, name } => (*account, IdentityKind::User, name),
        NamedPrincipal::Role { account, name } | NamedPrincipal::AssumedRole { account, role: name, .. } => {
            (*account, IdentityKind::Role, name)
        }
    };
    Ok(read::identity(tables, account, kind, name)?.is_some())
}

fn refused(refusal: &Refusal) -> AdminError {
    let code = match refusal {
        Refusal::IdentitiesChanged => AdminErrorCode::Conflict,
        Refusal::BadIdentities(_) => AdminErrorCode::Invalid,
        _ => AdminErrorCode::Internal,
    };
    AdminError::new(code, refusal.to_string())
}

#[cfg(test)]
mod tests;
