//! A region as operators reach it: some of its nodes, of which the first that serves is asked.
//!
//! All that is asked here may be asked twice: a change expects the revision that was read, a denial is a state.

use std::collections::BTreeMap;
use std::time::Duration;

use claviger_shapes::admin::iam::{
    ApplyIdentities, Denial, Identities, IdentityChange, IdentityName, NamedIdentity, SetDenial, SetDenialResult,
};
use claviger_shapes::admin::{AdminErrorCode, Status};
use claviger_tls::{ApiClient, ApiClientError};
use claviger_types::{AccountId, Region as RegionName};
use futures::future::join_all;

use super::{AccountPlan, IamFile, commands, plan};
use crate::{AdminClientError, admin};

/// How long a node may take to say of which region it is: longer than it waits for a leader.
const STATUS_TIMEOUT: Duration = Duration::from_secs(10);

/// Some nodes of one region.
pub struct Region {
    name: RegionName,
    nodes: Vec<ApiClient>,
}

/// What a region holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Its accounts.
    pub accounts: BTreeMap<AccountId, HeldAccount>,
    /// Who is denied everything.
    pub denials: Vec<Denial>,
}

/// What an account of a region has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldAccount {
    /// `None` when the region does not know the account.
    pub revision: Option<u64>,
    /// All its identities.
    pub identities: Identities,
}

/// A plan that was not carried out to its end.
#[derive(Debug)]
pub struct ApplyFailed {
    /// How many of its changes were made.
    pub done: usize,
    /// Why the next were not, or may not have been.
    pub error: AdminClientError,
}

/// Sorts nodes by the region that each says it is of, or that `named` with it; the nodes that answer come first. Apart from them
/// those of which no region is known, since they do not answer, or that are of another region than was said.
pub async fn regions(nodes: Vec<(Option<RegionName>, ApiClient)>) -> (Vec<Region>, Vec<AdminClientError>) {
    let asked = join_all(nodes.into_iter().map(async |(named, node)| (named, status_in_time(&node).await, node))).await;
    let mut found: BTreeMap<RegionName, (Vec<ApiClient>, Vec<ApiClient>)> = BTreeMap::new();
    let mut unknown = Vec::new();
    for (named, status, node) in asked {
        match (named, status) {
            (Some(named), Ok(status)) if named != status.region => {
                let target = node.target().to_owned();
                unknown.push(AdminClientError::OtherRegion { target, named, found: status.region });
            }
            (_, Ok(status)) => found.entry(status.region).or_default().0.push(node),
            (Some(named), Err(_)) => found.entry(named).or_default().1.push(node),
            (None, Err(error)) => unknown.push(error),
        }
    }
    let region = |(name, (answering, silent)): (RegionName, (Vec<ApiClient>, Vec<ApiClient>))| Region {
        name,
        nodes: answering.into_iter().chain(silent).collect(),
    };
    (found.into_iter().map(region).collect(), unknown)
}

/// A node that hangs keeps nobody waiting for long: a denial may be urgent.
async fn status_in_time(node: &ApiClient) -> Result<Status, AdminClientError> {
    let answered = tokio::time::timeout(STATUS_TIMEOUT, admin::status(node)).await;
    answered.unwrap_or_else(|_| Err(ApiClientError::TimedOut { target: node.target().to_owned(), after: STATUS_TIMEOUT }.into()))
}

impl Region {
    /// Its name.
    pub const fn name(&self) -> &RegionName {
        &self.name
    }

    /// Everything that the region holds; of one account alone when it is named.
    ///
    /// # Errors
    /// See [`AdminClientError`].
    pub async fn held(&self, only: Option<AccountId>) -> Result<Held, AdminClientError> {
        self.ask(async |node| {
            let mut held = Held::default();
            for account in admin::iam::accounts(node).await?.into_iter().map(|listed| listed.account) {
                if only.is_none_or(|only| only == account) {
                    let (revision, identities) = admin::iam::identities(node, account).await?;
                    held.accounts.insert(account, HeldAccount { revision, identities });
                }
            }
            let of_account = |denial: &Denial, account: AccountId| denial.principal.split(':').nth(4) == Some(&account.to_string());
            held.denials = admin::iam::denials(node).await?;
            held.denials.retain(|denial| only.is_none_or(|only| of_account(denial, only)));
            Ok(held)
        })
        .await
    }

    /// What makes the region as the file says: of the accounts that it names, and with `prune` of all others too, which go.
    ///
    /// # Errors
    /// See [`AdminClientError`].
    pub async fn plans(&self, file: &IamFile, prune: bool) -> Result<Vec<AccountPlan>, AdminClientError> {
        self.ask(async |node| {
            let mut plans = Vec::new();
            for (account, wanted) in file.accounts() {
                let (revision, present) = admin::iam::identities(node, account).await?;
                plans.push(plan(account, revision, &present, Some(wanted)));
            }
            if prune {
                let listed = admin::iam::accounts(node).await?.into_iter().map(|listed| listed.account);
                for account in listed.filter(|account| file.account(*account).is_none()) {
                    let (revision, present) = admin::iam::identities(node, account).await?;
                    plans.push(plan(account, revision, &present, None));
                }
            }
            plans.retain(|plan| !plan.is_empty());
            Ok(plans)
        })
        .await
    }

    /// Carries a plan out, command by command. Each expects what the one before left, so nobody else's change is overwritten.
    ///
    /// # Errors
    /// When a command is refused or not answered; those after it were not sent.
    pub async fn apply(&self, plan: &AccountPlan) -> Result<(), ApplyFailed> {
        let mut expected_revision = plan.revision;
        let mut done = 0;
        let mut commands = commands(plan).into_iter().peekable();
        while let Some(changes) = commands.next() {
            let request = ApplyIdentities { expected_revision, changes };
            match self.ask(async |node| admin::iam::apply(node, plan.account, &request).await).await {
                Ok(result) => expected_revision = result.revision,
                // A node that was asked before may have done it and not been heard.
                Err(error) if is_conflict(&error) && self.is_done(plan.account, &request.changes).await => {
                    done += request.changes.len();
                    return if commands.peek().is_none() { Ok(()) } else { Err(ApplyFailed { done, error }) };
                }
                Err(error) => return Err(ApplyFailed { done, error }),
            }
            done += request.changes.len();
        }
        Ok(())
    }

    /// Whether an account is as these changes make it.
    async fn is_done(&self, account: AccountId, changes: &[IdentityChange]) -> bool {
        let Ok((revision, present)) = self.ask(async |node| admin::iam::identities(node, account).await).await else { return false };
        changes.iter().all(|change| match change {
            IdentityChange::Put(NamedIdentity { name, identity }) => {
                present.get(&IdentityName::new(identity.kind(), name.clone())) == Some(identity)
            }
            IdentityChange::Delete(name) => !present.contains_key(name),
            IdentityChange::DeleteAccount => revision.is_none(),
        })
    }

    /// Denies a principal everything in this region, or lifts that.
    ///
    /// # Errors
    /// See [`AdminClientError`].
    pub async fn set_denial(&self, request: &SetDenial) -> Result<SetDenialResult, AdminClientError> {
        self.ask(async |node| admin::iam::set_denial(node, request).await).await
    }

    /// Asks one node after the other until one answers. A refusal that the next would repeat ends it.
    async fn ask<T>(&self, ask: impl AsyncFn(&ApiClient) -> Result<T, AdminClientError>) -> Result<T, AdminClientError> {
        let mut failed = None;
        for node in &self.nodes {
            match ask(node).await {
                Err(error) if may_be_otherwise_elsewhere(&error) => failed = Some(error),
                answered => return answered,
            }
        }
        Err(failed.unwrap_or(AdminClientError::NoNode))
    }
}

fn is_conflict(error: &AdminClientError) -> bool {
    matches!(error, AdminClientError::Refused { error, .. } if error.code == AdminErrorCode::Conflict)
}

fn may_be_otherwise_elsewhere(error: &AdminClientError) -> bool {
    match error {
        AdminClientError::Refused { error, .. } => matches!(error.code, AdminErrorCode::Unavailable | AdminErrorCode::Internal),
        AdminClientError::Call(_) => true,
        AdminClientError::NoNode | AdminClientError::Pages { .. } | AdminClientError::OtherRegion { .. } => false,
    }
}

#[cfg(test)]
mod tests;
