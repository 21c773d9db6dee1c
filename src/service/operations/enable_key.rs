//! EnableKey.

use claviger_consensus as consensus;
use claviger_shapes::{ApiError, OneKeyRequest};

use super::switch_key::Switch;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn enable_key(&self, context: &Context, request: OneKeyRequest) -> Result<(), ApiError> {
        self.switch_key(context, &request.key, &Switch::ENABLE).await
    }
}
