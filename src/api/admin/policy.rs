//! Decisions explained, and key policies put back to the default.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use claviger_shapes::admin::AdminError;
use claviger_shapes::admin::policy::{ResetKeyPolicy, ResetKeyPolicyResult, SimulatePolicy, Simulation};
use claviger_types::limits::{ENCRYPTION_CONTEXT_BYTES_MAX, KEY_REF_BYTES_MAX, OPERATOR_TEXT_BYTES_MAX, TAGS_PER_KEY_MAX};

use super::iam::operator;
use super::{Admin, Desk, answer, invalid, read};

/// What operators may ask about policies. The root of the program implements it.
pub trait Policies: Send + Sync + 'static {
    /// How a request would be decided now that nobody makes. Changes nothing.
    fn simulate_policy(&self, simulate: SimulatePolicy) -> impl Future<Output = Result<Simulation, AdminError>> + Send;

    /// Puts the default policy back on a key. The same again changes nothing. Once this answers, no node of the region decides by
    /// what was before.
    fn reset_key_policy(
        &self,
        operator: &str,
        reset: ResetKeyPolicy,
    ) -> impl Future<Output = Result<ResetKeyPolicyResult, AdminError>> + Send;
}

pub(super) fn routes<A: Admin>() -> Router<Arc<Desk<A>>> {
    Router::new().route("/v1/policy/simulate", post(simulate::<A>)).route("/v1/keys/reset-policy", post(reset::<A>))
}

async fn simulate<A: Admin>(State(desk): State<Arc<Desk<A>>>, request: Request) -> Response {
    let outcome = async {
        let simulate: SimulatePolicy = read(&desk.bodies, request).await?;
        check_size(&simulate)?;
        desk.admin.simulate_policy(simulate).await
    };
    answer(outcome.await)
}

async fn reset<A: Admin>(State(desk): State<Arc<Desk<A>>>, request: Request) -> Response {
    let operator = operator(&request);
    let outcome = async {
        let reset: ResetKeyPolicy = read(&desk.bodies, request).await?;
        if reset.reason.trim().is_empty() || reset.reason.len() > OPERATOR_TEXT_BYTES_MAX {
            return Err(invalid(format!("a reason is needed, of at most {OPERATOR_TEXT_BYTES_MAX} bytes, for those who come after you")));
        }
        desk.admin.reset_key_policy(&operator?, reset).await
    };
    answer(outcome.await)
}

/// A real request could not be larger either; what it says can come back in a trace many times.
fn check_size(simulate: &SimulatePolicy) -> Result<(), AdminError> {
    let names =
        [Some(&simulate.principal), Some(&simulate.action), simulate.key.as_ref(), simulate.alias.as_ref(), simulate.grant_id.as_ref()];
    if names.into_iter().flatten().any(|name| name.len() > KEY_REF_BYTES_MAX) {
        return Err(invalid(format!("a name has at most {KEY_REF_BYTES_MAX} bytes")));
    }
    let context: usize = simulate.context.iter().map(|(key, value)| key.len() + value.len()).sum();
    if context > ENCRYPTION_CONTEXT_BYTES_MAX {
        return Err(invalid(format!("an encryption context has at most {ENCRYPTION_CONTEXT_BYTES_MAX} bytes")));
    }
    // Their characters are counted where tags are set; here it is enough that they are few and not long.
    let is_long = |(key, value): (&String, &String)| key.len() + value.len() > KEY_REF_BYTES_MAX;
    if simulate.tags.len() > TAGS_PER_KEY_MAX || simulate.tags.iter().any(is_long) {
        return Err(invalid(format!("a request has at most {TAGS_PER_KEY_MAX} tags, each of at most {KEY_REF_BYTES_MAX} bytes")));
    }
    Ok(())
}
