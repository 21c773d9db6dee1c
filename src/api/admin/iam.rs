//! Identities and who is denied, as operators see and change them.

use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use axum::routing::get;
use claviger_shapes::admin::iam::{
    AccountsPage, ApplyIdentities, ApplyIdentitiesResult, DenialsPage, IdentitiesPage, IdentityName, SetDenial, SetDenialResult,
};
use claviger_shapes::admin::{AdminError, AdminErrorCode};
use claviger_types::limits::IDENTITY_CHANGES_MAX;
use claviger_types::{AccountId, Identity, ParseError};
use http::Uri;

use super::{Admin, Desk, answer, invalid, read};

/// Longest ARN of a principal: account, role and session, each of 64 characters at most.
const PRINCIPAL_BYTES_MAX: usize = 256;

/// What operators may ask about identities. The root of the program implements it.
pub trait Identities: Send + Sync + 'static {
    /// The accounts after `after` that fit a page.
    fn accounts(&self, after: Option<AccountId>) -> impl Future<Output = Result<AccountsPage, AdminError>> + Send;

    /// The identities of an account after `after` that fit a page; none of one that the region does not know.
    fn identities(
        &self,
        account: AccountId,
        after: Option<IdentityName>,
    ) -> impl Future<Output = Result<IdentitiesPage, AdminError>> + Send;

    /// Changes the identities of an account, all of it or nothing. An account that is not at the revision that is expected is
    /// a conflict. Once this answers, no node of the region decides by what was before.
    fn apply_identities(
        &self,
        operator: &str,
        account: AccountId,
        apply: ApplyIdentities,
    ) -> impl Future<Output = Result<ApplyIdentitiesResult, AdminError>> + Send;

    /// The denials after that of the principal `after` that fit a page.
    fn denials(&self, after: Option<String>) -> impl Future<Output = Result<DenialsPage, AdminError>> + Send;

    /// Denies a principal everything, or lifts that. The same again changes nothing. Once this answers, no node of the region
    /// serves a principal that is denied.
    fn set_denial(&self, operator: &str, set: SetDenial) -> impl Future<Output = Result<SetDenialResult, AdminError>> + Send;
}

pub(super) fn routes<A: Admin>() -> Router<Arc<Desk<A>>> {
    Router::new()
        .route("/v1/iam", get(accounts::<A>))
        .route("/v1/iam/denials", get(denials::<A>).post(set_denial::<A>))
        .route("/v1/iam/{account}", get(identities::<A>).post(apply::<A>))
}

async fn accounts<A: Admin>(State(desk): State<Arc<Desk<A>>>, uri: Uri) -> Response {
    let outcome = async { desk.admin.accounts(after(&uri)?).await };
    answer(outcome.await)
}

async fn identities<A: Admin>(State(desk): State<Arc<Desk<A>>>, path: Result<Path<String>, PathRejection>, uri: Uri) -> Response {
    let outcome = async { desk.admin.identities(account(path)?, after(&uri)?).await };
    answer(outcome.await)
}

async fn apply<A: Admin>(State(desk): State<Arc<Desk<A>>>, path: Result<Path<String>, PathRejection>, request: Request) -> Response {
    let operator = operator(&request);
    let outcome = async {
        let account = account(path)?;
        let apply: ApplyIdentities = read(&desk.bodies, request).await?;
        if apply.changes.len() > IDENTITY_CHANGES_MAX {
            return Err(invalid(format!("at most {IDENTITY_CHANGES_MAX} changes are made at once")));
        }
        desk.admin.apply_identities(&operator?, account, apply).await
    };
    answer(outcome.await)
}

async fn denials<A: Admin>(State(desk): State<Arc<Desk<A>>>, uri: Uri) -> Response {
    let outcome = async {
        let after: Option<String> = after(&uri)?;
        if after.as_ref().is_some_and(|after| after.len() > PRINCIPAL_BYTES_MAX) {
            return Err(invalid(format!("a principal has at most {PRINCIPAL_BYTES_MAX} characters")));
        }
        desk.admin.denials(after).await
    };
    answer(outcome.await)
}

async fn set_denial<A: Admin>(State(desk): State<Arc<Desk<A>>>, request: Request) -> Response {
    let operator = operator(&request);
    let outcome = async {
        let set: SetDenial = read(&desk.bodies, request).await?;
        if set.principal.len() > PRINCIPAL_BYTES_MAX {
            return Err(invalid(format!("a principal has at most {PRINCIPAL_BYTES_MAX} characters")));
        }
        if set.reason.trim().is_empty() {
            return Err(invalid("a reason is needed, for those who come after you".to_owned()));
        }
        desk.admin.set_denial(&operator?, set).await
    };
    answer(outcome.await)
}

/// The operator whom the guard has let through.
pub(super) fn operator(request: &Request) -> Result<String, AdminError> {
    match request.extensions().get::<claviger_tls::Peer>().map(|peer| &peer.identity) {
        Some(Identity::Operator { name }) => Ok(name.clone()),
        _ => Err(AdminError::new(AdminErrorCode::Forbidden, "only operators may use the admin API")),
    }
}

fn account(path: Result<Path<String>, PathRejection>) -> Result<AccountId, AdminError> {
    let nothing = || AdminError::new(AdminErrorCode::NotFound, "there is nothing at this path");
    let Path(account) = path.map_err(|_| nothing())?;
    account.parse().map_err(|error: ParseError| invalid(error.to_string()))
}

/// Where the page before ended: `?after=…`, written as it is answered. Nothing in it needs an escape.
fn after<T: FromStr<Err: std::fmt::Display>>(uri: &Uri) -> Result<Option<T>, AdminError> {
    let Some(query) = uri.query() else { return Ok(None) };
    let Some(after) = query.strip_prefix("after=") else {
        return Err(invalid("the only parameter is after".to_owned()));
    };
    after.parse().map(Some).map_err(|error| invalid(format!("after: {error}")))
}
