//! [`Ask`]: one action that must be allowed before it happens, with what the request says that conditions may ask about.

use std::collections::BTreeMap;

use claviger_attestation::Attestation;
use claviger_policy::{Action, GrantTerms, Texts};
use claviger_shapes::EncryptionContext;
use claviger_types::{
    DataKeyPairSpec, EncryptionAlgorithm, GrantConstraint, GrantOperations, KeyAgreementAlgorithm, KeySpec, KeyUsage, MacAlgorithm,
    MessageType, Origin, Region, SigningAlgorithm, Timestamp, WrappingAlgorithm, WrappingKeySpec,
};

/// One action and its circumstances. Those that a request has not are absent for conditions.
#[derive(Clone, Copy)]
pub(crate) struct Ask<'a> {
    pub(crate) action: Action,
    /// The encryption context, of the actions that have one; empty if the request has none.
    pub(crate) encryption_context: Option<&'a EncryptionContext>,
    pub(crate) encryption_algorithm: Option<EncryptionAlgorithm>,
    pub(crate) is_re_encrypt_on_same_key: Option<bool>,
    pub(crate) bypasses_lockout_check: Option<bool>,
    pub(crate) replica_region: Option<&'a Region>,
    pub(crate) tags: Option<&'a BTreeMap<String, String>>,
    /// The keys of tags that the request adds or takes away.
    pub(crate) tag_keys: Option<&'a (dyn Texts + Sync)>,
    pub(crate) new_key: Option<NewKey>,
    /// What a key that is to be will have, when it is asked whether its policy locks its author out.
    pub(crate) new_key_tags: Option<&'a BTreeMap<String, String>>,
    pub(crate) new_grant: Option<NewGrant<'a>>,
    /// What its one parameter is, of the operations that have one.
    pub(crate) parameters: Parameters,
    /// Whom the answer is for, of the operations that can have a recipient.
    pub(crate) attestation: Option<&'a Attestation>,
    /// It is about a grant, so `kms:GrantIsForAWSResource` has a value.
    pub(crate) is_of_grants: bool,
}

/// What a request says beside what every request may say.
#[derive(Clone, Copy)]
pub(crate) enum Parameters {
    /// Nothing.
    None,
    /// Sign and Verify.
    Signing { algorithm: SigningAlgorithm, message_type: MessageType },
    /// GenerateMac and VerifyMac.
    Mac(MacAlgorithm),
    /// DeriveSharedSecret.
    Agreement(KeyAgreementAlgorithm),
    /// GenerateDataKeyPair and its twin.
    KeyPair(DataKeyPairSpec),
    /// GetParametersForImport.
    Wrapping(WrappingAlgorithm, WrappingKeySpec),
    /// ImportKeyMaterial; `None` is never.
    Material { valid_to: Option<Timestamp> },
    /// EnableKeyRotation, days.
    Rotation(u16),
    /// ScheduleKeyDeletion, days.
    Deletion(u16),
}

/// The key that CreateKey asks for, or that a replica will be.
#[derive(Clone, Copy)]
pub(crate) struct NewKey {
    pub(crate) spec: KeySpec,
    pub(crate) usage: KeyUsage,
    pub(crate) origin: Origin,
    pub(crate) is_multi_region: bool,
    pub(crate) is_replica: bool,
}

/// The grant that CreateGrant asks for.
#[derive(Clone, Copy)]
pub(crate) struct NewGrant<'a> {
    /// An ARN.
    pub(crate) grantee: &'a str,
    /// An ARN.
    pub(crate) retiring: Option<&'a str>,
    pub(crate) operations: &'a GrantOperations,
    pub(crate) constraint: Option<&'a GrantConstraint>,
}

impl<'a> Ask<'a> {
    pub(crate) const fn new(action: Action) -> Self {
        Self {
            action,
            encryption_context: None,
            encryption_algorithm: None,
            is_re_encrypt_on_same_key: None,
            bypasses_lockout_check: None,
            replica_region: None,
            tags: None,
            tag_keys: None,
            new_key: None,
            new_key_tags: None,
            new_grant: None,
            is_of_grants: false,
            parameters: Parameters::None,
            attestation: None,
        }
    }

    /// Of the cryptography with symmetric keys.
    pub(crate) const fn encrypting(action: Action, context: &'a EncryptionContext, algorithm: EncryptionAlgorithm) -> Self {
        Self { encryption_context: Some(context), encryption_algorithm: Some(algorithm), ..Self::new(action) }
    }

    pub(crate) fn with_tags(self, tags: &'a BTreeMap<String, String>) -> Self {
        if tags.is_empty() { self } else { Self { tags: Some(tags), tag_keys: Some(tags), ..self } }
    }

    pub(crate) const fn of_grants(self) -> Self {
        Self { is_of_grants: true, ..self }
    }

    pub(crate) fn grant_terms(&self) -> Option<GrantTerms<'a>> {
        self.new_grant.map(|grant| GrantTerms { operations: grant.operations, constraint: grant.constraint })
    }
}
