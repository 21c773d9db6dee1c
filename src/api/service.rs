//! The service behind the edge.

use claviger_service::{Context, ServedRegion, Service};
use claviger_shapes::sts::CallerIdentity;
use claviger_shapes::{ApiError, Request, Response};

use crate::Kms;

impl<R: ServedRegion> Kms for Service<R> {
    async fn call(&self, context: Context, request: Request) -> Result<Response, ApiError> {
        self.call(context, request).await
    }

    async fn caller_identity(&self, context: Context) -> Result<CallerIdentity, ApiError> {
        self.caller_identity(context).await
    }
}
