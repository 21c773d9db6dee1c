//! Which keys count a region that is away among their members.

use claviger_shapes::admin::{AdminError, AdminErrorCode, DetachRegion, DetachRegionResult};
use claviger_state::protocol::MemberStatus;
use claviger_state::{Tables, read};
use claviger_types::KeyId;
use claviger_types::limits::ADMIT_KEYS_MAX;

use super::nodes::unreadable;
use super::{internal, invalid};

/// The keys of one step whose primary is here and from which the region is to be detached, and what that comes to.
pub(super) fn detachable(tables: &impl Tables, request: &DetachRegion) -> Result<(Vec<KeyId>, DetachRegionResult), AdminError> {
    let me = read::region(tables).map_err(unreadable)?.ok_or_else(|| internal("the region has not been founded"))?.author();
    if read::peer(tables, &request.region).map_err(unreadable)?.is_none() {
        return Err(AdminError::new(AdminErrorCode::NotFound, format!("{} is no peer of this region", request.region)));
    }
    let after = request.after.as_deref().map(|after| after.parse::<KeyId>().map_err(|error| invalid(error.to_string()))).transpose()?;
    let ids = read::key_ids(tables, after.as_ref(), ADMIT_KEYS_MAX).map_err(unreadable)?;
    let next = ids.last().filter(|_| ids.len() == ADMIT_KEYS_MAX).map(KeyId::to_string);
    let mut result = DetachRegionResult { next, ..DetachRegionResult::default() };
    let mut keys = Vec::new();
    for id in ids {
        let Some(key) = read::key(tables, &id).map_err(unreadable)? else { continue };
        let status = key.document.members.get(&request.region).map(|member| member.status);
        if key.document.is_owned_by(&me) && matches!(status, Some(MemberStatus::Active | MemberStatus::Creating)) {
            result.rotating += u64::from(key.document.in_progress.is_some());
            keys.push(id);
        }
    }
    result.detached = keys.len() as u64;
    Ok((keys, result))
}
