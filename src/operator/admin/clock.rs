//! Calls of the admin API for clocks.

use claviger_shapes::admin::clock::{AcceptClock, AcceptClockResult, ClockStatus};
use claviger_tls::ApiClient;

use super::said;
use crate::AdminClientError;

/// The region's clocks: `GET /admin/v1/clock`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn status(node: &ApiClient) -> Result<ClockStatus, AdminClientError> {
    said(node.get("/admin/v1/clock").await)
}

/// Accepts the clock of a region's only voter: `POST /admin/v1/clock/accept`.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn accept(node: &ApiClient, request: &AcceptClock) -> Result<AcceptClockResult, AdminClientError> {
    said(node.post("/admin/v1/clock/accept", request).await)
}
