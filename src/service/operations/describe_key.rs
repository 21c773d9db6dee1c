//! DescribeKey: a key's metadata, in every state.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{ApiError, DescribeKeyRequest, DescribeKeyResponse};

use crate::access::Ask;
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn describe_key(&self, context: &Context, request: &DescribeKeyRequest) -> Result<DescribeKeyResponse, ApiError> {
        self.check_grant_tokens(&request.grant_tokens)?;
        let look = |allowed: crate::access::Allowed| self.record(&allowed.key.arn);
        let record = self.with_key(context, &request.key, &Ask::new(Action::DescribeKey), look)?;
        Ok(DescribeKeyResponse { key_metadata: self.metadata(&record.document, &record.regional) })
    }
}
