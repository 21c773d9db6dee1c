//! DescribeKey: a key's metadata, in every state.

use claviger_consensus as consensus;
use claviger_shapes::{ApiError, DescribeKeyRequest, DescribeKeyResponse};

use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) fn describe_key(&self, context: &Context, request: &DescribeKeyRequest) -> Result<DescribeKeyResponse, ApiError> {
        let record = self.with_key(context, &request.key, "kms:DescribeKey", |arn| self.record(arn))?;
        Ok(DescribeKeyResponse { key_metadata: self.metadata(&record.document, &record.regional) })
    }
}
