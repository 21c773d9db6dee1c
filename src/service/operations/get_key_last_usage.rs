//! GetKeyLastUsage: when a key was last used with success in this region. What nodes have seen is written every few seconds.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, GetKeyLastUsageResponse, KeyLastUsage, OneKeyRequest};
use claviger_state::read;
use uuid::Uuid;

use crate::access::Ask;
use crate::error::Fault;
use crate::{Context, Service, usages};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn get_key_last_usage(&self, context: &Context, request: &OneKeyRequest) -> Result<GetKeyLastUsageResponse, ApiError> {
        let key = self.allowed(context, &request.key, &Ask::new(Action::GetKeyLastUsage))?.key;
        let record = self.record(&key.arn)?;
        let used = read::last_usage(&self.region.tables(), &key.arn.key_id).map_err(Fault::from)?;
        let key_last_usage = used.map_or_else(KeyLastUsage::default, |used| KeyLastUsage {
            operation: Some(usages::operation(used.operation)),
            timestamp: Some(used.at),
            kms_request_id: Some(Uuid::from_bytes(used.request_id).to_string()),
        });
        // Uses are known from the key's first day on.
        let created = record.regional.created_at;
        Ok(GetKeyLastUsageResponse { key_id: key.arn.key_id, key_last_usage, tracking_start_date: created, key_creation_date: created })
    }
}
