//! EnableKeyRotation, DisableKeyRotation, GetKeyRotationStatus, RotateKeyOnDemand, ListKeyRotations. Automatic rotation itself is
//! the scheduler's.

use claviger_consensus as consensus;
use claviger_policy::Action;
use claviger_shapes::{
    ApiError, EnableKeyRotationRequest, ErrorCode, GetKeyRotationStatusResponse, ListKeyRotationsRequest, ListKeyRotationsResponse,
    OneKeyRequest, OneKeyResponse, Operation, RotationListEntry,
};
use claviger_state::protocol::{MaterialEntry, MaterialState};
use claviger_state::{self as state, CommandBody, KeyRecord, Once, StateClass};
use claviger_types::{ExpirationModel, ImportState, KeyMaterialState, KeyRef, KeySpec, MaterialId, Origin, RotationType};

use crate::access::{Allowed, Ask, Parameters};
use crate::cached_key::CachedKey;
use crate::error::{Subject, other_origin};
use crate::marker::{Listing, invalid_marker};
use crate::{Context, Service};

impl<R: consensus::Region> Service<R> {
    pub(crate) async fn enable_key_rotation(&self, context: &Context, request: EnableKeyRotationRequest) -> Result<(), ApiError> {
        let days = request.rotation_period_in_days;
        let ask = Ask { parameters: Parameters::Rotation(days), ..Ask::new(Action::EnableKeyRotation) };
        self.set_key_rotation(context, &request.key, &ask, Some(days)).await
    }

    pub(crate) async fn disable_key_rotation(&self, context: &Context, request: OneKeyRequest) -> Result<(), ApiError> {
        self.set_key_rotation(context, &request.key, &Ask::new(Action::DisableKeyRotation), None).await
    }

    async fn set_key_rotation(&self, context: &Context, key: &KeyRef, ask: &Ask<'_>, period_days: Option<u16>) -> Result<(), ApiError> {
        let (operation, written) = match period_days {
            Some(_) => (Operation::EnableKeyRotation, state::Operation::EnableKeyRotation),
            None => (Operation::DisableKeyRotation, state::Operation::DisableKeyRotation),
        };
        let command = |once| {
            let Allowed { key, authorised } = self.allowed(context, key, ask)?;
            check_rotates(&key)?;
            if key.origin != Origin::AwsKms {
                return Err(other_origin(&key.arn, key.origin));
            }
            key.check_state(StateClass::SetRotation)?;
            let once = Once { authorised, ..once };
            Ok(CommandBody::SetKeyRotation(state::SetKeyRotation { once, key: key.expected(), period_days }))
        };
        let outcome = self.write(context, operation, written, command).await?;
        Subject::Key(&self.named_key(context, key)?).done(outcome)
    }

    pub(crate) fn get_key_rotation_status(
        &self,
        context: &Context,
        request: &OneKeyRequest,
    ) -> Result<GetKeyRotationStatusResponse, ApiError> {
        let key = self.allowed(context, &request.key, &Ask::new(Action::GetKeyRotationStatus))?.key;
        check_rotates(&key)?;
        let record = self.record(&key.arn)?;
        // A key that waits for its deletion is not rotated; should that be cancelled, it is as it was.
        let rotation = record.document.rotation;
        let next_rotation_date = rotation.next_at.filter(|_| record.regional.deletion.is_none());
        Ok(GetKeyRotationStatusResponse {
            key_rotation_enabled: next_rotation_date.is_some(),
            key: key.arn.clone(),
            rotation_period_in_days: rotation.period_days.filter(|_| next_rotation_date.is_some()),
            next_rotation_date,
            on_demand_rotation_start_date: (record.document.in_progress)
                .filter(|rotation| rotation.kind == Some(RotationType::OnDemand))
                .map(|rotation| rotation.started_at),
        })
    }

    pub(crate) async fn rotate_key_on_demand(&self, context: &Context, request: OneKeyRequest) -> Result<OneKeyResponse, ApiError> {
        let command = |once| {
            let Allowed { key, authorised } = self.allowed(context, &request.key, &Ask::new(Action::RotateKeyOnDemand))?;
            check_rotates(&key)?;
            key.check_state(StateClass::RotateOnDemand)?;
            let material = match key.origin {
                Origin::AwsKms => Some(self.new_material(&self.record(&key.arn)?)?),
                Origin::External => None,
            };
            let once = Once { authorised, ..once };
            Ok(CommandBody::RotateKeyOnDemand(Box::new(state::RotateKeyOnDemand { once, key: key.expected(), material })))
        };
        let outcome = self.write(context, Operation::RotateKeyOnDemand, state::Operation::RotateKeyOnDemand, command).await?;
        let key = self.named_key(context, &request.key)?;
        Subject::Key(&key).done(outcome)?;
        Ok(OneKeyResponse { key })
    }

    /// The rotations of a key, oldest first; on demand also its first material and one that waits.
    pub(crate) fn list_key_rotations(
        &self,
        context: &Context,
        request: &ListKeyRotationsRequest,
    ) -> Result<ListKeyRotationsResponse, ApiError> {
        let key = self.allowed(context, &request.key, &Ask::new(Action::ListKeyRotations))?.key;
        check_rotates(&key)?;
        let record = self.record(&key.arn)?;
        let mut filter = key.arn.key_id.to_row().to_vec();
        filter.push(u8::from(request.all_key_material));
        let account = key.arn.account;
        let listing = Listing { barrier: &self.barrier, operation: Operation::ListKeyRotations, account, filter: &filter };
        let after = request.paging.marker.as_ref().map(|marker| listing.open(marker)).transpose()?;
        let mut rest = record.document.materials.iter().filter(|material| is_listed(material, request.all_key_material));
        if let Some(after) = after {
            let after = <[u8; 32]>::try_from(after).map(MaterialId::from_bytes).map_err(|_| invalid_marker())?;
            rest.find(|material| material.id == after).ok_or_else(invalid_marker)?;
        }
        let page: Vec<_> = rest.by_ref().take(request.paging.limit).collect();
        let last = page.last().filter(|_| rest.next().is_some());
        let next_marker = last.map(|last| listing.marker(last.id.as_bytes())).transpose()?;
        Ok(ListKeyRotationsResponse { rotations: page.into_iter().map(|material| entry(&record, material)).collect(), next_marker })
    }
}

/// Only symmetric encryption keys are rotated.
fn check_rotates(key: &CachedKey) -> Result<(), ApiError> {
    if key.spec == KeySpec::SymmetricDefault { Ok(()) } else { Err(ApiError::new(ErrorCode::UnsupportedOperation, "")) }
}

fn is_listed(material: &MaterialEntry, all: bool) -> bool {
    material.rotated.is_some() || all && material.state != MaterialState::Discarded
}

fn entry(record: &KeyRecord, material: &MaterialEntry) -> RotationListEntry {
    let import = record.regional.imports.get(&material.id);
    let external = record.document.origin == Origin::External;
    let here = import.filter(|import| import.is_present);
    RotationListEntry {
        key_id: record.document.key_id,
        key_material_id: material.id,
        key_material_description: import.and_then(|import| import.description.clone()),
        import_state: external.then(|| if here.is_some() { ImportState::Imported } else { ImportState::PendingImport }),
        key_material_state: match material.state {
            MaterialState::Current => KeyMaterialState::Current,
            MaterialState::Pending => KeyMaterialState::PendingRotation,
            MaterialState::Past | MaterialState::Discarded => KeyMaterialState::NonCurrent,
        },
        expiration_model: here.map(|import| match import.expires_at {
            Some(_) => ExpirationModel::Expires,
            None => ExpirationModel::DoesNotExpire,
        }),
        valid_to: here.and_then(|import| import.expires_at),
        rotation_date: material.rotated.map(|rotated| rotated.at),
        rotation_type: material.rotated.map(|rotated| rotated.kind),
    }
}
