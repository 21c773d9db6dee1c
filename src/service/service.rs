//! [`Service`]: one node's use cases, and what all of them share: the read gate and the way to a key.

use std::sync::Arc;

use claviger_attestation::TrustRoots;
use claviger_barrier::Barrier;
use claviger_consensus as consensus;
use claviger_shapes::sts::CallerIdentity;
use claviger_shapes::{ApiError, ErrorCode, Operation, Request, Response};
use claviger_state::{KeyRecord, read};
use claviger_types::{Incarnation, KeyArn, KeyId, Partition, Region};

use crate::cache::Stamp;
use crate::cached_key::CachedKey;
use crate::error::{Fault, unavailable};
use crate::usages::Usages;
use crate::{Context, KeyCache, ReplicaReservations};

/// What a node knows of itself.
#[derive(Clone)]
pub struct ServiceConfig {
    /// Its region.
    pub region: Region,
    /// Its region's present life: keys that were admitted in another are withheld.
    pub incarnation: Incarnation,
    /// The partition of its ARNs.
    pub partition: Partition,
}

/// The use cases of the API as one node of a region serves them.
pub struct Service<R> {
    pub(crate) config: ServiceConfig,
    pub(crate) region: Arc<R>,
    pub(crate) barrier: Arc<Barrier>,
    pub(crate) cache: Arc<KeyCache>,
    pub(crate) reservations: Arc<dyn ReplicaReservations>,
    pub(crate) usages: Usages,
    /// Where the attestation documents of recipients must lead, if there can be any.
    pub(crate) attestation_roots: Option<Arc<TrustRoots>>,
}

impl<R: consensus::Region> Service<R> {
    /// A service over `region`, whose observer must tell `cache` of every change before [`consensus::Region::read`] lets
    /// anybody rely on it.
    pub fn new(
        config: ServiceConfig,
        region: Arc<R>,
        barrier: Arc<Barrier>,
        cache: Arc<KeyCache>,
        reservations: Arc<dyn ReplicaReservations>,
    ) -> Self {
        Self { config, region, barrier, cache, reservations, usages: Usages::default(), attestation_roots: None }
    }

    /// Does what `request` asks, if the caller may. What a client cannot be told is logged here.
    ///
    /// Every operation begins behind the read gate, those that read nothing too: only there is it known that the caller's
    /// certificate has not been revoked, however far this node is behind; and only there, whether the region knows the principal.
    /// One that operators have denied everything gets no further either, lest it learn what exists or what it was answered before.
    ///
    /// # Errors
    /// What the client sees.
    pub async fn call(&self, context: Context, request: Request) -> Result<Response, ApiError> {
        let context = &context;
        let operation = request.operation();
        self.gate(context, operation).await?;
        if self.caller(&context.principal)?.is_denied {
            return Err(self.denied_everything(context, operation));
        }
        Ok(match request {
            Request::CancelKeyDeletion(request) => Response::CancelKeyDeletion(self.cancel_key_deletion(context, request).await?),
            Request::CreateAlias(request) => {
                self.create_alias(context, request).await?;
                Response::CreateAlias
            }
            Request::CreateGrant(request) => Response::CreateGrant(self.create_grant(context, request).await?),
            Request::CreateKey(request) => Response::CreateKey(self.create_key(context, request).await?),
            Request::Decrypt(request) => Response::Decrypt(self.decrypt(context, &request).await?),
            Request::DeleteAlias(request) => {
                self.delete_alias(context, request).await?;
                Response::DeleteAlias
            }
            Request::DeleteImportedKeyMaterial(request) => {
                Response::DeleteImportedKeyMaterial(self.delete_imported_key_material(context, request).await?)
            }
            Request::DeriveSharedSecret(request) => Response::DeriveSharedSecret(self.derive_shared_secret(context, request).await?),
            Request::DescribeKey(request) => Response::DescribeKey(self.describe_key(context, &request)?),
            Request::DisableKey(request) => {
                self.disable_key(context, request).await?;
                Response::DisableKey
            }
            Request::DisableKeyRotation(request) => {
                self.disable_key_rotation(context, request).await?;
                Response::DisableKeyRotation
            }
            Request::EnableKey(request) => {
                self.enable_key(context, request).await?;
                Response::EnableKey
            }
            Request::EnableKeyRotation(request) => {
                self.enable_key_rotation(context, request).await?;
                Response::EnableKeyRotation
            }
            Request::Encrypt(request) => Response::Encrypt(self.encrypt(context, &request)?),
            Request::GenerateDataKey(request) => Response::GenerateDataKey(self.generate_data_key(context, &request).await?),
            Request::GenerateDataKeyPair(request) => Response::GenerateDataKeyPair(self.generate_data_key_pair(context, &request).await?),
            Request::GenerateDataKeyPairWithoutPlaintext(request) => {
                Response::GenerateDataKeyPairWithoutPlaintext(self.generate_data_key_pair_without_plaintext(context, &request).await?)
            }
            Request::GenerateDataKeyWithoutPlaintext(request) => {
                Response::GenerateDataKeyWithoutPlaintext(self.generate_data_key_without_plaintext(context, &request)?)
            }
            Request::GenerateMac(request) => Response::GenerateMac(self.generate_mac(context, &request)?),
            Request::GenerateRandom(request) => Response::GenerateRandom(self.generate_random(context, &request).await?),
            Request::GetKeyLastUsage(request) => Response::GetKeyLastUsage(self.get_key_last_usage(context, &request)?),
            Request::GetKeyPolicy(request) => Response::GetKeyPolicy(self.get_key_policy(context, &request)?),
            Request::GetKeyRotationStatus(request) => Response::GetKeyRotationStatus(self.get_key_rotation_status(context, &request)?),
            Request::GetParametersForImport(request) => {
                Response::GetParametersForImport(self.get_parameters_for_import(context, request).await?)
            }
            Request::GetPublicKey(request) => Response::GetPublicKey(self.get_public_key(context, &request)?),
            Request::ImportKeyMaterial(request) => Response::ImportKeyMaterial(self.import_key_material(context, request).await?),
            Request::ListAliases(request) => Response::ListAliases(self.list_aliases(context, &request)?),
            Request::ListGrants(request) => Response::ListGrants(self.list_grants(context, request)?),
            Request::ListKeyPolicies(request) => Response::ListKeyPolicies(self.list_key_policies(context, &request)?),
            Request::ListKeyRotations(request) => Response::ListKeyRotations(self.list_key_rotations(context, &request)?),
            Request::ListKeys(request) => Response::ListKeys(self.list_keys(context, &request)?),
            Request::ListResourceTags(request) => Response::ListResourceTags(self.list_resource_tags(context, &request)?),
            Request::ListRetirableGrants(request) => Response::ListRetirableGrants(self.list_retirable_grants(context, request)?),
            Request::PutKeyPolicy(request) => {
                self.put_key_policy(context, request).await?;
                Response::PutKeyPolicy
            }
            Request::ReEncrypt(request) => Response::ReEncrypt(self.re_encrypt(context, &request).await?),
            Request::ReplicateKey(request) => Response::ReplicateKey(self.replicate_key(context, request).await?),
            Request::RetireGrant(request) => {
                self.retire_grant(context, request).await?;
                Response::RetireGrant
            }
            Request::RevokeGrant(request) => {
                self.revoke_grant(context, request).await?;
                Response::RevokeGrant
            }
            Request::RotateKeyOnDemand(request) => Response::RotateKeyOnDemand(self.rotate_key_on_demand(context, request).await?),
            Request::ScheduleKeyDeletion(request) => Response::ScheduleKeyDeletion(self.schedule_key_deletion(context, request).await?),
            Request::Sign(request) => Response::Sign(self.sign(context, request).await?),
            Request::TagResource(request) => {
                self.tag_resource(context, request).await?;
                Response::TagResource
            }
            Request::UntagResource(request) => {
                self.untag_resource(context, request).await?;
                Response::UntagResource
            }
            Request::UpdateAlias(request) => {
                self.update_alias(context, request).await?;
                Response::UpdateAlias
            }
            Request::UpdateKeyDescription(request) => {
                self.update_key_description(context, request).await?;
                Response::UpdateKeyDescription
            }
            Request::Verify(request) => Response::Verify(self.verify(context, request).await?),
            Request::VerifyMac(request) => Response::VerifyMac(self.verify_mac(context, &request)?),
        })
    }

    /// Who asks, for STS: what the certificate says, once it is known that the region knows the principal and has not revoked it.
    ///
    /// # Errors
    /// What the client sees.
    pub async fn caller_identity(&self, context: Context) -> Result<CallerIdentity, ApiError> {
        self.gate_or(&context, ApiError::internal).await?;
        self.caller(&context.principal)?;
        Ok(CallerIdentity::of(&context.principal, &self.config.partition))
    }

    /// The read gate: what is read after it, cached or not, is not older than any change that was answered before it; nor is
    /// what is known of the caller's certificate. Each request has passed it once when its operation begins.
    pub(crate) async fn gate(&self, context: &Context, operation: Operation) -> Result<(), ApiError> {
        self.gate_or(context, || unavailable(operation)).await
    }

    async fn gate_or(&self, context: &Context, unavailable: impl FnOnce() -> ApiError) -> Result<(), ApiError> {
        self.region.read().await.map_err(|consensus::Unavailable| unavailable())?;
        if context.revoked.is_set() {
            return Err(ApiError::new(ErrorCode::UnrecognizedClient, "The client certificate has been revoked."));
        }
        Ok(())
    }

    /// The opened key of this id, whoever owns it. Call after [`Service::gate`].
    pub(crate) fn opened(&self, key_id: &KeyId) -> Result<Option<Arc<CachedKey>>, Fault> {
        Ok(self.opened_at(key_id)?.map(|opened| opened.key))
    }

    /// The same, with what shows later whether it has changed.
    pub(crate) fn opened_at(&self, key_id: &KeyId) -> Result<Option<Opened>, Fault> {
        if let Some(key) = self.cache.get(key_id) {
            return Ok(Some(Opened { key, stamp: None }));
        }
        // Before the tables are looked at: whatever changes from here on makes the insert below a refusal.
        let stamp = self.cache.stamp(key_id);
        let Some(key) = CachedKey::read(&self.region.tables(), &self.barrier, &self.config, key_id)? else { return Ok(None) };
        let key = Arc::new(key);
        // Refused or not, the key was read after this request's gate and serves it.
        self.cache.insert(stamp, &key);
        Ok(Some(Opened { key, stamp: Some(stamp) }))
    }

    /// The stored record of this ARN, for management. Call after [`Service::gate`].
    pub(crate) fn record(&self, arn: &KeyArn) -> Result<KeyRecord, ApiError> {
        let record = read::key(&self.region.tables(), &arn.key_id).map_err(Fault::from)?;
        record.filter(|record| record.document.account == arn.account).ok_or_else(|| ApiError::not_found(arn))
    }
}

/// A key as it was at some moment.
pub(crate) struct Opened {
    pub(crate) key: Arc<CachedKey>,
    /// The state of invalidations before it was read; `None` if it was cached.
    pub(crate) stamp: Option<Stamp>,
}
