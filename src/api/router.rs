//! Which path goes where.

use std::sync::Arc;

use axum::Router;
use axum::routing::post;
use claviger_tls::Bodies;

use crate::admin::{self, Admin};
use crate::dispatch::{self, Edge};
use crate::respond;
use crate::{Kms, Limits};

/// The router of an api listener: the KMS API on `POST /` for principals, the admin API under `/admin` for operators.
///
/// Requests without a [`claviger_tls::Peer`] among their extensions are refused. Install the metrics recorder first.
pub fn router<K: Kms, A: Admin>(kms: Arc<K>, admin: Arc<A>, limits: &Limits) -> Router {
    let bodies = Arc::new(Bodies::new(limits.body_bytes_max, limits.bodies_bytes_max, limits.body_timeout));
    let edge = Arc::new(Edge::new(kms, Arc::clone(&bodies), limits));
    Router::new()
        .route("/", post(dispatch::serve::<K>).fallback(async || respond::method_not_allowed()))
        .with_state(edge)
        .nest("/admin", admin::routes(admin, bodies))
        .fallback(async || respond::not_found())
}
