//! `/region/statuses`: members tell what they hold of keys whose primary is here.

use axum::body::Body;
use claviger_consensus::Region;
use claviger_protocol::StatusRecord;
use claviger_state::{CommandBody, ReceiveStatuses, Response};
use claviger_tls::Peer;
use claviger_types::KeyId;
use claviger_types::limits::MATERIALS_PER_KEY_MAX;

use super::{ReceiveError, Receiver};
use crate::ReplicationError;
use crate::config::MESSAGE_KEYS_MAX;
use crate::message::RegionLife;

impl<R: Region> Receiver<R> {
    pub(super) async fn statuses(&self, source: &Peer, body: Body) -> Result<Vec<(KeyId, u64)>, ReceiveError> {
        let (admitted, _turn, mut statuses) = self.take_message::<Vec<StatusRecord>>(source, body).await?;
        if statuses.len() > MESSAGE_KEYS_MAX {
            return Err(ReceiveError::Malformed("too many statuses"));
        }
        // A region may hold more than the document names (rule 2), though not much more.
        statuses.retain(|status| status.materials.len() <= 2 * MATERIALS_PER_KEY_MAX);
        let from = RegionLife::from(&admitted.peer).author();
        match self.core.propose(CommandBody::ReceiveStatuses(ReceiveStatuses { from, statuses })).await? {
            Response::Statuses(taken) => Ok(taken),
            _ => Err(ReplicationError::UnexpectedAnswer.into()),
        }
    }
}
