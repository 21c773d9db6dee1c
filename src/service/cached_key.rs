//! [`CachedKey`]: what cryptography and access control need of a key, opened and compiled. The one place of this crate where
//! material is in clear.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use claviger_barrier::{Barrier, RecordPlace};
use claviger_crypto::blob::{self, Header};
use claviger_crypto::{CryptoError, EncryptionContext, OpenMaterial};
use claviger_policy::Policy;
use claviger_shapes::{self as shapes, ApiError, ErrorCode};
use claviger_state::{Expected, StateClass, Tables, read};
use claviger_types::limits::ALIASES_PER_KEY_MAX;
use claviger_types::{AliasName, EncryptionAlgorithm, KeyArn, KeyClass, KeyId, KeySpec, KeyState, KeyUsage, MaterialId, Origin};
use zeroize::Zeroizing;

use crate::access::KeptGrants;
use crate::error::{Fault, unusable};
use crate::{ServiceConfig, key_policy};

/// A key as of one revision, its materials in locked memory. Never changed: a changed key is read again.
pub(crate) struct CachedKey {
    pub(crate) arn: KeyArn,
    /// The same as text: what policies name.
    pub(crate) arn_text: Box<str>,
    /// What was decided by this key's policy, tags and aliases is stale once the record has another revision.
    pub(crate) revision: u64,
    pub(crate) spec: KeySpec,
    pub(crate) usage: KeyUsage,
    pub(crate) origin: Origin,
    /// This region is the primary.
    pub(crate) is_primary: bool,
    pub(crate) policy: Policy,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) aliases: Aliases,
    pub(crate) grants: KeptGrants,
    state: KeyState,
    /// What encrypts; `None` while this region lacks it.
    current: Option<MaterialId>,
    /// Every material that this region holds, whether the document names it or not, sorted by id.
    materials: Box<[(MaterialId, OpenMaterial)]>,
}

/// The aliases of a key, by name.
#[derive(Default)]
pub(crate) struct Aliases(pub(crate) Box<[AliasName]>);

impl CachedKey {
    /// Reads a key and opens its materials. The record is read before the materials that it names, and materials never change
    /// and only leave with their key or by a deletion of what was imported: what is missing then counts as unavailable.
    pub(crate) fn read(tables: &impl Tables, barrier: &Barrier, here: &ServiceConfig, key_id: &KeyId) -> Result<Option<Self>, Fault> {
        let Some(record) = read::key(tables, key_id)? else { return Ok(None) };
        let document = &record.document;
        let mut materials = Vec::new();
        for id in read::material_ids(tables, key_id)? {
            let Some(material) = read::material(tables, key_id, &id)? else { continue };
            let canonical = barrier.unseal_secret(RecordPlace::material(key_id, &id).context(), &material.sealed)?;
            materials.push((id, OpenMaterial::open(document.spec, document.usage, canonical)?));
        }
        let (partition, region) = (here.partition.clone(), here.region.clone());
        let arn = KeyArn { partition, region, account: document.account, key_id: *key_id };
        let policy = key_policy::stored(&record, &here.partition)?;
        Ok(Some(Self {
            arn_text: arn.to_string().into(),
            arn,
            revision: record.revision,
            spec: document.spec,
            usage: document.usage,
            origin: document.origin,
            is_primary: document.primary() == &here.region,
            policy,
            aliases: Aliases(read::alias_names_of(tables, key_id, None, ALIASES_PER_KEY_MAX)?.into()),
            grants: KeptGrants::default(),
            state: record.regional.state(document, &here.region, here.incarnation),
            current: document.current_material().map(|material| material.id),
            materials: materials.into_boxed_slice(),
            tags: record.regional.tags,
        }))
    }

    /// How many units of the cache's limit it takes: its materials, at least one, and one for every KiB of policy, tags and aliases.
    pub(crate) fn weight(&self) -> usize {
        let tags = self.tags.iter().map(|(key, value)| key.len() + value.len());
        let aliases = self.aliases.0.iter().map(|alias| alias.as_str().len());
        let labels: usize = tags.chain(aliases).sum();
        self.materials.len().max(1) * material_weight(self.spec) + (self.policy.weight_bytes() + labels) / 1024
    }

    /// As a command names what its authorisation read.
    pub(crate) const fn expected(&self) -> Expected {
        Expected { key_id: self.arn.key_id, revision: self.revision }
    }

    /// Refuses what the key's state does not allow.
    pub(crate) fn check_state(&self, class: StateClass) -> Result<(), ApiError> {
        if class.allows(self.state) { Ok(()) } else { Err(unusable(&self.arn, self.state)) }
    }

    /// Refuses operations that keys of another usage have.
    pub(crate) fn check_usage(&self, usage: KeyUsage, operation: shapes::Operation) -> Result<(), ApiError> {
        if self.usage == usage {
            return Ok(());
        }
        let message = format!("{} key usage is {} which is not valid for {operation}.", self.arn, self.usage);
        Err(ApiError::new(ErrorCode::InvalidKeyUsage, message))
    }

    /// Refuses an algorithm that keys of this spec do not have.
    pub(crate) fn check_algorithm(&self, has: bool, algorithm: &str) -> Result<(), ApiError> {
        if has {
            return Ok(());
        }
        let message = format!("Algorithm {algorithm} is incompatible with key spec {}.", self.spec);
        Err(ApiError::new(ErrorCode::InvalidKeyUsage, message))
    }

    /// Refuses encryption and decryption that keys of this kind do not have, and an encryption context where there can be none.
    pub(crate) fn check_encryption(
        &self,
        algorithm: EncryptionAlgorithm,
        encryption_context: &shapes::EncryptionContext,
        operation: shapes::Operation,
    ) -> Result<(), ApiError> {
        self.check_usage(KeyUsage::EncryptDecrypt, operation)?;
        self.check_algorithm(self.spec.encryption_algorithms().contains(&algorithm), algorithm.as_str())?;
        if self.spec != KeySpec::SymmetricDefault && !encryption_context.is_empty() {
            return Err(ApiError::validation("EncryptionContext is valid for symmetric encryption keys only."));
        }
        Ok(())
    }

    /// What `with` makes of the current material: in place where that is quick, on the blocking pool where it is not.
    pub(crate) async fn compute<T: Send + 'static>(
        self: &Arc<Self>,
        with: impl FnOnce(&OpenMaterial) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<T, ApiError> {
        // Tens of microseconds; the other curves, RSA and ML-DSA take from a third of a millisecond to several.
        if matches!(self.spec, KeySpec::EccNistP256 | KeySpec::EccNistEdwards25519) {
            return with(self.current()?.1);
        }
        let key = Arc::clone(self);
        claviger_consensus::blocking(move || with(key.current()?.1)).await.map_err(|_| Fault::Blocking)?
    }

    /// The current material, opened, and its id. KeyUnavailableException while this region lacks it.
    pub(crate) fn current(&self) -> Result<(MaterialId, &OpenMaterial), ApiError> {
        let current = self.current.and_then(|id| self.material(&id).map(|material| (id, material)));
        current.ok_or_else(|| ApiError::key_unavailable(&self.arn))
    }

    /// Seals with the current material, and names it: of a symmetric key.
    pub(crate) fn encrypt(&self, context: &shapes::EncryptionContext, plaintext: &[u8]) -> Result<(Vec<u8>, MaterialId), ApiError> {
        let context = canonical(context)?;
        let (id, OpenMaterial::Symmetric(material)) = self.current()? else { return Err(Fault::OtherMaterial.into()) };
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
            // A multi-region key's material may be on its way here, and imported material has been deleted since the key was read; a
            // generated single-region key has no other material.
            let may_come = self.arn.key_id.is_multi_region() || self.origin == Origin::External;
            return Err(if may_come { ApiError::key_unavailable(&self.arn) } else { ApiError::invalid_ciphertext() });
        };
        let OpenMaterial::Symmetric(material) = material else { return Err(ApiError::invalid_ciphertext()) };
        blob::open(material, &canonical(context)?, blob).map_err(|error| match error {
            CryptoError::InvalidCiphertext => ApiError::invalid_ciphertext(),
            error => Fault::from(error).into(),
        })
    }

    fn material(&self, id: &MaterialId) -> Option<&OpenMaterial> {
        let at = self.materials.binary_search_by(|(held, _)| held.cmp(id)).ok()?;
        self.materials.get(at).map(|(_, material)| material)
    }
}

/// How many units of the cache's limit one material takes: one in locked memory, and of an opened key pair its size in KiB besides.
const fn material_weight(spec: KeySpec) -> usize {
    match spec.class() {
        KeyClass::Symmetric | KeyClass::Hmac => 1,
        KeyClass::Asymmetric => 8,
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
    pub(crate) fn for_test(key_id: KeyId, revision: u64, materials: u8) -> Arc<Self> {
        let arn = KeyArn {
            partition: claviger_types::Partition::default(),
            region: "eu-west-1".parse().unwrap(),
            account: "111122223333".parse().unwrap(),
            key_id,
        };
        let materials = (0..materials)
            .map(|id| (MaterialId::from_bytes([id; 32]), OpenMaterial::Symmetric(claviger_crypto::Secret32::random().unwrap())))
            .collect();
        let text = key_policy::default_document(&arn.partition, arn.account);
        let policy = Policy::parse(&text, claviger_policy::PolicyKind::Key, &arn.partition).unwrap();
        Arc::new(Self {
            arn_text: arn.to_string().into(),
            arn,
            revision,
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: Origin::AwsKms,
            is_primary: true,
            policy,
            tags: BTreeMap::new(),
            aliases: Aliases::default(),
            grants: KeptGrants::default(),
            state: KeyState::Enabled,
            current: None,
            materials,
        })
    }
}
