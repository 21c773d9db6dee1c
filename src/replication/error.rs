//! Why replication could not do what it was asked. Texts are for operators and logs; peers and clients see others.

use claviger_barrier::BarrierError;
use claviger_consensus::{ProposeError, Unavailable};
use claviger_crypto::CryptoError;
use claviger_state::{Refusal, StateError};
use claviger_types::Region;
use claviger_types::encoding::EncodingError;
use http::StatusCode;

use crate::TransportError;

/// The error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum ReplicationError {
    /// The region cannot be read now.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
    /// The region took no proposal, or it is not known whether it did.
    #[error("the proposal failed")]
    Propose(#[from] ProposeError),
    /// The state machine refused a command.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The state machine answered something else than its command asks for.
    #[error("the state machine gave an answer of the wrong kind")]
    UnexpectedAnswer,
    /// The tables cannot be read or are damaged.
    #[error("the state cannot be read")]
    State(#[from] StateError),
    /// The region has not been founded.
    #[error("the region has not been founded")]
    NotFounded,
    /// A key or a batch is unusable.
    #[error("region keys or batch")]
    Crypto(#[from] CryptoError),
    /// The barrier is sealed, or a record does not open.
    #[error("the barrier")]
    Barrier(#[from] BarrierError),
    /// A message cannot be written.
    #[error("a message does not encode")]
    Encode(#[source] EncodingError),
    /// The region is not an admitted peer.
    #[error("{0} is not an admitted peer; add it with `claviger peer add`")]
    UnknownPeer(Region),
    /// An endpoint is not `https://host:port`.
    #[error("the endpoint {0:?} must be https://host:port")]
    Endpoint(String),
    /// There is no endpoint to call.
    #[error("{0} has no endpoint")]
    NoEndpoint(Region),
    /// None of the region's endpoints gave an answer.
    #[error("no endpoint of {region} answers")]
    Unreachable {
        /// The region.
        region: Region,
        /// What the last endpoint failed with.
        source: TransportError,
    },
    /// The peer refused a message.
    #[error("{region} refused the message ({status}): {reason}")]
    PeerRefused {
        /// The region.
        region: Region,
        /// The HTTP status.
        status: StatusCode,
        /// What it said, shortened.
        reason: String,
    },
    /// The peer's answer is not one that this version understands.
    #[error("{region} gave an answer that does not decode")]
    Answer {
        /// The region.
        region: Region,
        /// Why.
        source: EncodingError,
    },
    /// Another region answers at the endpoints.
    #[error("expected {expected} at these endpoints, found {found}")]
    WrongRegion {
        /// Who was looked for.
        expected: Region,
        /// Who says it is there.
        found: Region,
    },
    /// The fingerprint is not the one that the operator confirmed.
    #[error("the fingerprint of {region} is {found}, which is not the one given: do not add it before both sides show the same")]
    Fingerprint {
        /// The region.
        region: Region,
        /// The fingerprint of the keys that it shows.
        found: String,
    },
    /// Work was cut off by a panic or by the end of the process.
    #[error("the work was interrupted")]
    Interrupted,
}

impl ReplicationError {
    /// A short, stable word for metrics.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable(_) | Self::Propose(_) => "unavailable",
            Self::Unreachable { .. } | Self::NoEndpoint(_) => "unreachable",
            Self::PeerRefused { .. } => "peer_refused",
            Self::Barrier(_) | Self::Crypto(_) => "crypto",
            Self::State(_) => "state",
            _ => "other",
        }
    }
}
