//! What goes wrong inside, and the one place where that and the refusals of the state machine become what a client sees.

use claviger_attestation::EnvelopeError;
use claviger_barrier::BarrierError;
use claviger_consensus::ProposeError;
use claviger_crypto::CryptoError;
use claviger_policy::{Action, PolicyError};
use claviger_shapes::{ApiError, ErrorCode, Operation};
use claviger_state::{LifeRefusal, Outcome, Refusal, Response, StateError};
use claviger_types::limits::{GRANTS_PER_KEY_MAX, MATERIALS_PER_KEY_MAX, TAGS_PER_KEY_MAX};
use claviger_types::{AliasArn, GrantId, KeyArn, KeyState, Origin, Principal, Region};

use crate::ReservationError;

/// A fault of this node or its data. The client learns only that the request failed and can be retried.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// The tables cannot be read.
    #[error("the state cannot be read")]
    State(#[from] StateError),
    /// A record could not be sealed or opened.
    #[error("a record could not be sealed or opened")]
    Barrier(#[from] BarrierError),
    /// Cryptography failed for no fault of the client.
    #[error("a cryptographic operation failed")]
    Crypto(#[from] CryptoError),
    /// Nothing could be encrypted for a recipient.
    #[error("an answer could not be encrypted for its recipient")]
    Envelope(#[from] EnvelopeError),
    /// A stored policy cannot be compiled, though its proposer had compiled it: nothing may rest on the others alone.
    #[error("the stored policy {0} cannot be compiled")]
    Policy(String, #[source] PolicyError),
    /// The state machine refused what it never should.
    #[error("the state machine refused a command unexpectedly")]
    Refused(#[source] Refusal),
    /// The state machine answered a command with something else's answer.
    #[error("the state machine gave an answer of another kind")]
    Answer,
    /// A proposal cannot be made at all.
    #[error("a command could not be proposed")]
    Propose(#[source] ProposeError),
    /// A material of a key is of another kind than its spec and usage.
    #[error("a material is of another kind than its key")]
    OtherMaterial,
    /// A task on the blocking pool did not end.
    #[error("work on the blocking pool was given up")]
    Blocking,
    /// Grants were read as they became after the caller or the key had changed.
    #[error("what a decision had read has changed")]
    Moved,
    /// What was authorised changed under the request again and again.
    #[error("what was authorised has changed {0} times during one request")]
    Contended(usize),
}

impl From<Fault> for ApiError {
    fn from(fault: Fault) -> Self {
        tracing::error!(error = &fault as &dyn std::error::Error, "a request failed");
        Self::internal()
    }
}

/// The region has no leader that this node can reach. Some operations do not model DependencyTimeoutException.
pub(crate) fn unavailable(operation: Operation) -> ApiError {
    match operation {
        Operation::ListResourceTags | Operation::ReplicateKey | Operation::TagResource | Operation::UntagResource => ApiError::internal(),
        _ => ApiError::dependency_timeout(),
    }
}

/// A proposal without an outcome.
pub(crate) fn not_proposed(operation: Operation, error: ProposeError) -> ApiError {
    match error {
        ProposeError::Unavailable(_) => unavailable(operation),
        ProposeError::Overloaded => ApiError::throttling(),
        // The retry carries the same invocation id, so it takes effect once, whatever became of this one.
        ProposeError::Unknown => {
            tracing::warn!(%operation, "it is not known whether a proposal was applied");
            ApiError::internal()
        }
        error @ ProposeError::TooLarge => Fault::Propose(error).into(),
    }
}

/// A key that is not Enabled (rules page, section 4).
pub(crate) fn unusable(arn: &KeyArn, state: KeyState) -> ApiError {
    match state {
        KeyState::Disabled => ApiError::disabled(arn),
        KeyState::Creating => ApiError::invalid_state(arn, "is creating"),
        KeyState::Unavailable => ApiError::invalid_state(arn, "is unavailable"),
        KeyState::PendingDeletion | KeyState::PendingReplicaDeletion => ApiError::invalid_state(arn, "is pending deletion"),
        KeyState::PendingImport => ApiError::invalid_state(arn, "is pending import"),
        KeyState::Updating => ApiError::invalid_state(arn, "is updating"),
        // Only CancelKeyDeletion is refused in it.
        KeyState::Enabled => ApiError::invalid_state(arn, "is not pending deletion"),
    }
}

/// EnableKey of a key that a restore withholds.
pub(crate) fn not_admitted(arn: &KeyArn) -> ApiError {
    ApiError::invalid_state(arn, "was restored from a backup and stays disabled until an operator of this region admits it")
}

/// What a refused command was about.
#[derive(Clone, Copy)]
pub(crate) enum Subject<'a> {
    /// CreateKey: a key that has no name yet.
    NewKey,
    /// A key.
    Key(&'a KeyArn),
    /// A key and the region of its replica.
    Replica(&'a KeyArn, &'a Region),
    /// An alias and the key that is to get it.
    Alias(&'a AliasArn, Option<&'a KeyArn>),
    /// A key and one of its grants.
    Grant(&'a KeyArn, &'a GrantId),
}

impl Subject<'_> {
    /// What the client sees of an operation that answers nothing.
    pub(crate) fn done(self, outcome: Outcome) -> Result<(), ApiError> {
        match outcome {
            Ok(Response::Done) => Ok(()),
            Ok(_) => Err(Fault::Answer.into()),
            Err(refusal) => Err(self.refused(refusal)),
        }
    }

    /// What the client sees of a refusal by the state machine, fresh or remembered.
    pub(crate) fn refused(self, refusal: Refusal) -> ApiError {
        let (arn, region) = match self {
            Self::NewKey => (None, None),
            Self::Key(arn) => (Some(arn), None),
            Self::Replica(arn, region) => (Some(arn), Some(region)),
            Self::Grant(_, grant_id) if refusal == Refusal::GrantNotFound => return ApiError::grant_not_found(grant_id),
            Self::Grant(arn, _) => (Some(arn), None),
            Self::Alias(alias, target) => match (refusal, target) {
                (Refusal::AliasNotFound, _) => return ApiError::alias_not_found(alias),
                (Refusal::AlreadyExists, _) => return ApiError::alias_exists(alias),
                (Refusal::TooManyAliases, _) => return ApiError::too_many_aliases(),
                (Refusal::AliasOfAnotherKind, Some(target)) => return ApiError::alias_of_another_kind(alias, target),
                (other, target) => return target.map_or(Self::NewKey, Self::Key).refused(other),
            },
        };
        match (refusal, arn, region) {
            (Refusal::InvocationReused, ..) => {
                ApiError::validation("The amz-sdk-invocation-id of this request was used for a request with other contents.")
            }
            (Refusal::TooManyKeys, ..) => too_many_keys(),
            (Refusal::TooManyTags, ..) => {
                ApiError::new(ErrorCode::LimitExceeded, format!("A key may have no more than {TAGS_PER_KEY_MAX} tags."))
            }
            (Refusal::TooManyGrants, Some(arn), _) => {
                ApiError::new(ErrorCode::LimitExceeded, format!("{arn} has {GRANTS_PER_KEY_MAX} grants, as many as a key may have."))
            }
            // Log time passed the deadline before the commit: a slow log, or clocks that are far apart.
            (Refusal::ReservationLapsed, ..) => ApiError::internal(),
            (Refusal::NotFound, Some(arn), _) => ApiError::not_found(arn),
            (Refusal::InvalidState(state), Some(arn), _) => unusable(arn, state),
            (Refusal::NotAdmitted, Some(arn), _) => not_admitted(arn),
            (Refusal::NotPrimary, Some(arn), _) => ApiError::not_primary(arn),
            (Refusal::Life(refusal), Some(arn), _) => not_lived(arn, refusal),
            (Refusal::BadExpiry, ..) => ApiError::validation("ValidTo must be in the future, and no more than 365 days from now."),
            (Refusal::OtherKind, Some(arn), _) => other_kind(arn),
            (Refusal::AlreadyExists, Some(arn), Some(region)) => ApiError::replica_exists(&arn.key_id, region),
            (Refusal::UnknownPeer, Some(_), Some(region)) => unknown_region(region),
            (Refusal::TooManyRegions, Some(arn), _) => {
                ApiError::new(ErrorCode::LimitExceeded, format!("{arn} is in as many regions as a key may be."))
            }
            (refusal, ..) => Fault::Refused(refusal).into(),
        }
    }
}

/// Why the materials of a key stay as they are. The texts are AWS's where one is recorded (rules page, section 1).
fn not_lived(arn: &KeyArn, refusal: LifeRefusal) -> ApiError {
    let invalid = |message| ApiError::new(ErrorCode::KmsInvalidState, message);
    match refusal {
        LifeRefusal::InOtherRegions => {
            let message = format!("{arn} is in other regions too, where this cannot be done yet.");
            ApiError::new(ErrorCode::UnsupportedOperation, message)
        }
        LifeRefusal::TooManyRotations => {
            let message = "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key";
            ApiError::new(ErrorCode::LimitExceeded, format!("{message}: {arn}"))
        }
        LifeRefusal::RotationDue => {
            ApiError::new(ErrorCode::Conflict, format!("The automatic rotation of {arn} is due within 20 minutes."))
        }
        LifeRefusal::RotationInProgress => {
            let message = format!("A rotation of {arn} is in progress: not every region of the key has the new key material yet.");
            ApiError::new(ErrorCode::Conflict, message)
        }
        LifeRefusal::NothingPending => invalid(format!("No available key material pending rotation for the key: {arn}.")),
        LifeRefusal::OtherPending { pending } => invalid(format!(
            "New key material cannot be imported into KMS key {arn}, because another key material (id: {pending}) is pending rotation."
        )),
        LifeRefusal::IncorrectMaterial | LifeRefusal::NoSuchMaterial => {
            ApiError::new(ErrorCode::IncorrectKeyMaterial, format!("The key material is not the one that {arn} expects."))
        }
        LifeRefusal::TooManyMaterials => {
            ApiError::new(ErrorCode::LimitExceeded, format!("{arn} has {MATERIALS_PER_KEY_MAX} key materials, as many as a key may have."))
        }
    }
}

/// Keys of this origin or spec do not do this: asked first by the service, so this is for a key that was made anew meanwhile.
fn other_kind(arn: &KeyArn) -> ApiError {
    ApiError::new(ErrorCode::UnsupportedOperation, format!("{arn} is of a kind for which this operation is not valid."))
}

/// An operation on a key of another origin (AWS's words).
pub(crate) fn other_origin(arn: &KeyArn, origin: Origin) -> ApiError {
    let message = format!("{arn} origin is {origin} which is not valid for this operation.");
    ApiError::new(ErrorCode::UnsupportedOperation, message)
}

/// Cryptography that did not happen: for what the request says, or through a fault here.
pub(crate) fn not_computed(error: CryptoError) -> ApiError {
    match error {
        CryptoError::Algorithm { spec, algorithm } => {
            let message = format!("Algorithm {algorithm} is incompatible with key spec {spec}.");
            ApiError::new(ErrorCode::InvalidKeyUsage, message)
        }
        CryptoError::DigestLength { .. } | CryptoError::RsaPlaintextTooLarge { .. } => ApiError::validation(error.to_string()),
        CryptoError::MessageType { algorithm, message_type } => {
            ApiError::validation(format!("MessageType {message_type} is not valid for algorithm {algorithm}."))
        }
        CryptoError::MuLength(_) => ApiError::validation("A message of type EXTERNAL_MU must have exactly 64 bytes."),
        CryptoError::PeerKey => {
            ApiError::validation("PublicKey is not a public key on the curve of the KMS key, as SubjectPublicKeyInfo in DER.")
        }
        error => Fault::from(error).into(),
    }
}

/// CancelKeyDeletion of a key that waits for none.
pub(crate) fn not_pending_deletion(arn: &KeyArn) -> ApiError {
    ApiError::invalid_state(arn, "is not pending deletion")
}

/// The target of a ReplicateKey holds no place.
pub(crate) fn not_reserved(error: ReservationError, caller: &Principal, arn: &KeyArn, region: &Region) -> ApiError {
    match error {
        ReservationError::AlreadyExists => ApiError::replica_exists(&arn.key_id, region),
        ReservationError::LimitExceeded => {
            ApiError::new(ErrorCode::LimitExceeded, format!("The account or its pending replicas have used up a quota of region {region}."))
        }
        ReservationError::NotAllowed(message) => ApiError::new(ErrorCode::AccessDenied, message),
        ReservationError::UnknownPrincipal => {
            let replica = KeyArn { region: region.clone(), ..arn.clone() };
            let why = format!("because region {region} does not know this principal");
            ApiError::access_denied(&caller.arn(&arn.partition), Action::CreateKey.as_str(), replica, &why)
        }
        ReservationError::MalformedPolicy(message) => ApiError::malformed_policy(message),
        ReservationError::PolicyTooLarge(message) => ApiError::new(ErrorCode::LimitExceeded, message),
        ReservationError::UnknownRegion => unknown_region(region),
        ReservationError::Busy => {
            let message = format!("Another ReplicateKey of {arn} to {region} is under way or was given up; try again in a minute.");
            ApiError::new(ErrorCode::KmsInvalidState, message)
        }
        ReservationError::Unreachable => {
            tracing::warn!(%region, "a replica was asked for and its region does not answer");
            ApiError::internal()
        }
    }
}

fn too_many_keys() -> ApiError {
    ApiError::new(ErrorCode::LimitExceeded, "The account has as many keys in this region as it may have.")
}

/// AWS answers so when a parameter names what the operation does not support; the model gives ReplicateKey no nearer error.
fn unknown_region(region: &Region) -> ApiError {
    ApiError::new(ErrorCode::UnsupportedOperation, format!("ReplicaRegion {region} is not a region that this one replicates to."))
}
