//! [`CachedKey`]: what cryptography needs of a key, opened. The one place of this crate where material is in clear.
//!
//! Descriptions and tags are left out, so that a cached key has a bounded size: they alone could have 100 KiB.

use std::fmt;

use claviger_barrier::{Barrier, RecordPlace};
use claviger_crypto::blob::{self, Header};
use claviger_crypto::{CryptoError, EncryptionContext, Secret32};
use claviger_shapes::{self as shapes, ApiError};
use claviger_state::{Tables, read};
use claviger_types::{KeyArn, KeyId, KeyState, MaterialId};
use zeroize::Zeroizing;

use crate::ServiceConfig;
use crate::error::{Fault, unusable};

/// A key as of one revision, its materials in locked memory. Never changed: a changed key is read again.
pub(crate) struct CachedKey {
    pub(crate) arn: KeyArn,
    revision: u64,
    state: KeyState,
    /// What encrypts; `None` while this region lacks it.
    current: Option<MaterialId>,
    /// Every material that this region holds, whether the document names it or not, sorted by id.
    materials: Box<[(MaterialId, Secret32)]>,
}

impl CachedKey {
    /// Reads a key and opens its materials. The record is read before the materials that it names, and materials are
    /// never removed or changed, so all that the record needs is there even if `tables` move on meanwhile.
    pub(crate) fn read(tables: &impl Tables, barrier: &Barrier, here: &ServiceConfig, key_id: &KeyId) -> Result<Option<Self>, Fault> {
        let Some(record) = read::key(tables, key_id)? else { return Ok(None) };
        let document = &record.document;
        let mut materials = Vec::new();
        for id in read::material_ids(tables, key_id)? {
            let Some(material) = read::material(tables, key_id, &id)? else { continue };
            materials.push((id, barrier.unseal32(RecordPlace::material(key_id, &id).context(), &material.sealed)?));
        }
        let (partition, region) = (here.partition.clone(), here.region.clone());
        Ok(Some(Self {
            arn: KeyArn { partition, region, account: document.account, key_id: *key_id },
            revision: record.revision,
            state: document.state_in(&here.region, record.regional.enablement(here.incarnation)),
            current: document.current_material().map(|material| material.id),
            materials: materials.into_boxed_slice(),
        }))
    }

    /// How many units of the cache's limit it takes: its materials, and at least one.
    pub(crate) fn weight(&self) -> usize {
        self.materials.len().max(1)
    }

    /// Refuses cryptography in every state but Enabled.
    pub(crate) fn check_enabled(&self) -> Result<(), ApiError> {
        match self.state {
            KeyState::Enabled => Ok(()),
            state => Err(unusable(&self.arn, state)),
        }
    }

    /// Seals with the current material, and names it.
    pub(crate) fn encrypt(&self, context: &shapes::EncryptionContext, plaintext: &[u8]) -> Result<(Vec<u8>, MaterialId), ApiError> {
        let context = canonical(context)?;
        let current = self.current.and_then(|id| self.material(&id).map(|material| (id, material)));
        let (id, material) = current.ok_or_else(|| ApiError::key_unavailable(&self.arn))?;
        let blob = blob::seal(material, self.arn.key_id, id, &context, plaintext).map_err(Fault::from)?;
        Ok((blob, id))
    }

    /// Opens a blob whose header, already parsed, names this key.
    pub(crate) fn decrypt(
        &self,
        header: &Header,
        context: &shapes::EncryptionContext,
        blob: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, ApiError> {
        let Some(material) = self.material(&header.material_id) else {
            // A multi-region key's material may be on its way here; a single-region key has no other place to have it from.
            let multi_region = self.arn.key_id.is_multi_region();
            return Err(if multi_region { ApiError::key_unavailable(&self.arn) } else { ApiError::invalid_ciphertext() });
        };
        blob::open(material, &canonical(context)?, blob).map_err(|error| match error {
            CryptoError::InvalidCiphertext => ApiError::invalid_ciphertext(),
            error => Fault::from(error).into(),
        })
    }

    fn material(&self, id: &MaterialId) -> Option<&Secret32> {
        let at = self.materials.binary_search_by(|(held, _)| held.cmp(id)).ok()?;
        self.materials.get(at).map(|(_, material)| material)
    }
}

/// The decoder of requests has the same limit, so the refusal is for callers that come another way.
fn canonical(context: &shapes::EncryptionContext) -> Result<EncryptionContext, ApiError> {
    EncryptionContext::new(context).map_err(|_| ApiError::validation("EncryptionContext is too large."))
}

impl fmt::Debug for CachedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, revision {}, {} materials)", self.arn, self.state, self.revision, self.materials.len())
    }
}

#[cfg(test)]
impl CachedKey {
    /// A key with so many random materials.
    pub(crate) fn for_test(key_id: KeyId, revision: u64, materials: u8) -> std::sync::Arc<Self> {
        let arn = KeyArn {
            partition: claviger_types::Partition::default(),
            region: "eu-west-1".parse().unwrap(),
            account: "111122223333".parse().unwrap(),
            key_id,
        };
        let materials = (0..materials).map(|id| (MaterialId::from_bytes([id; 32]), Secret32::random().unwrap())).collect();
        std::sync::Arc::new(Self { arn, revision, state: KeyState::Enabled, current: None, materials })
    }

    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }
}
