//! DisableKey. Once it has answered, no node of the region uses the key: the gate and the cache see to that.

use claviger_consensus as consensus;
use claviger_shapes::{ApiError, OneKeyRequest};

use super::switch_key::Switch;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn disable_key(&self, context: &Context, request: OneKeyRequest) -> Result<(), ApiError> {
        self.switch_key(context, &request.key, &Switch::DISABLE).await
    }
}
