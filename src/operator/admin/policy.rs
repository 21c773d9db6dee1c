//! Calls of the admin API for decisions and key policies.

use claviger_shapes::admin::policy::{ResetKeyPolicy, ResetKeyPolicyResult, SimulatePolicy, Simulation};
use claviger_tls::ApiClient;

use super::said;
use crate::AdminClientError;

/// How a request would be decided that nobody makes: `POST /admin/v1/policy/simulate`. Changes nothing.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn simulate(node: &ApiClient, request: &SimulatePolicy) -> Result<Simulation, AdminClientError> {
    said(node.post("/admin/v1/policy/simulate", request).await)
}

/// Puts the default policy back on a key: `POST /admin/v1/keys/reset-policy`. Once this returns, no node of the region decides by the
/// policy that the key had.
///
/// # Errors
/// See [`AdminClientError`].
pub async fn reset_key_policy(node: &ApiClient, request: &ResetKeyPolicy) -> Result<ResetKeyPolicyResult, AdminClientError> {
    said(node.post("/admin/v1/keys/reset-policy", request).await)
}
