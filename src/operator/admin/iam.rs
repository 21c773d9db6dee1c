//! Calls of the admin API for identities and for who is denied.

use claviger_shapes::admin::iam::{
    Account, AccountsPage, ApplyIdentities, ApplyIdentitiesResult, Denial, DenialsPage, Identities, IdentitiesPage, IdentityName,
    SetDenial, SetDenialResult,
};
use claviger_tls::ApiClient;
use claviger_types::AccountId;

use super::said;
use crate::AdminClientError;

/// How often an account is read anew because it changed between two pages.
const READS_MAX: usize = 5;

/// All accounts whose principals the region knows: `GET /admin/v1/iam`, page by page.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn accounts(node: &ApiClient) -> Result<Vec<Account>, AdminClientError> {
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page: AccountsPage = said(node.get(&paged("/admin/v1/iam", after)).await)?;
        found.extend(page.accounts);
        match page.next {
            Some(next) if after.is_none_or(|after| after < next) => after = Some(next),
            Some(_) => return Err(AdminClientError::Pages { target: node.target().to_owned() }),
            None => return Ok(found),
        }
    }
}

/// All identities of an account as of one revision, with that revision: `GET /admin/v1/iam/{account}`, page by page. `None`
/// and no identities when the region does not know the account.
///
/// # Errors
/// See [`AdminClientError`]. An account that changes all the time is an error too.
pub async fn identities(node: &ApiClient, account: AccountId) -> Result<(Option<u64>, Identities), AdminClientError> {
    for _ in 0..READS_MAX {
        if let Some(read) = identities_of_one_revision(node, account).await? {
            return Ok(read);
        }
    }
    Err(AdminClientError::Pages { target: node.target().to_owned() })
}

/// `None` when the account changed between two pages.
async fn identities_of_one_revision(node: &ApiClient, account: AccountId) -> Result<Option<(Option<u64>, Identities)>, AdminClientError> {
    let mut found = Identities::new();
    let mut revision = None;
    let mut after: Option<IdentityName> = None;
    loop {
        let path = paged(&format!("/admin/v1/iam/{account}"), after.as_ref());
        let page: IdentitiesPage = said(node.get(&path).await)?;
        if after.is_some() && page.revision != revision {
            return Ok(None);
        }
        revision = page.revision;
        let before = found.len();
        found.extend(page.identities.into_iter().map(|named| (IdentityName::new(named.identity.kind(), named.name), named.identity)));
        match page.next {
            // A page that brings nothing new would be asked for without end.
            Some(_) if found.len() == before => return Err(AdminClientError::Pages { target: node.target().to_owned() }),
            Some(next) => after = Some(next),
            None => return Ok(Some((revision, found))),
        }
    }
}

/// Changes one account's identities: `POST /admin/v1/iam/{account}`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn apply(node: &ApiClient, account: AccountId, request: &ApplyIdentities) -> Result<ApplyIdentitiesResult, AdminClientError> {
    said(node.post(&format!("/admin/v1/iam/{account}"), request).await)
}

/// Everybody whom operators have denied: `GET /admin/v1/iam/denials`, page by page.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn denials(node: &ApiClient) -> Result<Vec<Denial>, AdminClientError> {
    let mut found: Vec<Denial> = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page: DenialsPage = said(node.get(&paged("/admin/v1/iam/denials", after.as_deref())).await)?;
        let is_empty = page.denials.is_empty();
        found.extend(page.denials);
        match page.next {
            Some(next) if !is_empty && after.as_ref() != Some(&next) => after = Some(next),
            Some(_) => return Err(AdminClientError::Pages { target: node.target().to_owned() }),
            None => return Ok(found),
        }
    }
}

/// Denies a principal everything, or lifts that: `POST /admin/v1/iam/denials`. Once this returns, no node of the region serves
/// a principal that is denied.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn set_denial(node: &ApiClient, request: &SetDenial) -> Result<SetDenialResult, AdminClientError> {
    said(node.post("/admin/v1/iam/denials", request).await)
}

/// Accounts, identities and ARNs have no character that a query would have to escape.
fn paged(path: &str, after: Option<impl std::fmt::Display>) -> String {
    after.map_or_else(|| path.to_owned(), |after| format!("{path}?after={after}"))
}
