//! Backups, and what follows a restore.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use claviger_shapes::admin::{AdminError, AdmitKeys, AdmitKeysResult};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use super::{Admin, Desk, answer, read};

/// What operators may ask around backups. The root of the program implements it.
pub trait Restoring: Send + Sync + 'static {
    /// A backup of the region as it is now, sealed, made while it is sent. One that fails breaks off.
    fn backup(&self) -> impl Future<Output = Result<Body, AdminError>> + Send;

    /// Lets keys be used again that a restore withholds. Repeating it is harmless.
    fn admit_keys(&self, keys: AdmitKeys) -> impl Future<Output = Result<AdmitKeysResult, AdminError>> + Send;
}

pub(super) fn routes<A: Admin>() -> Router<Arc<Desk<A>>> {
    Router::new().route("/v1/backup", get(backup::<A>)).route("/v1/keys/admit", post(admit_keys::<A>))
}

async fn backup<A: Admin>(State(desk): State<Arc<Desk<A>>>) -> Response {
    match desk.admin.backup().await {
        Ok(body) => {
            let mut response = Response::new(body);
            *response.status_mut() = StatusCode::OK;
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(error) => answer::<()>(Err(error)),
    }
}

async fn admit_keys<A: Admin>(State(desk): State<Arc<Desk<A>>>, request: Request) -> Response {
    let outcome = async {
        let keys: AdmitKeys = read(&desk.bodies, request).await?;
        desk.admin.admit_keys(keys).await
    };
    answer(outcome.await)
}
