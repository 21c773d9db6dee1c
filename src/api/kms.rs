//! What the edge asks of the service.

use claviger_service::Context;
use claviger_shapes::sts::CallerIdentity;
use claviger_shapes::{ApiError, Request, Response};

/// Answers requests of authenticated principals.
pub trait Kms: Send + Sync + 'static {
    /// Does what `request` asks, if `context.principal` may.
    ///
    /// # Errors
    /// What the client sees; the reason that it must not see is logged by whoever knows it.
    fn call(&self, context: Context, request: Request) -> impl Future<Output = Result<Response, ApiError>> + Send;

    /// Says who `context.principal` is, if it still is one.
    ///
    /// # Errors
    /// What the client sees.
    fn caller_identity(&self, context: Context) -> impl Future<Output = Result<CallerIdentity, ApiError>> + Send;
}
