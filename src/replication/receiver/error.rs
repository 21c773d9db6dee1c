//! Why a message from a peer is not taken. The text goes to the peer; what it must not learn is in the log alone.

use claviger_consensus::ProposeError;
use claviger_crypto::CryptoError;
use claviger_state::{Refusal, StateError};
use claviger_tls::Peer;
use claviger_types::encoding::EncodingError;
use http::StatusCode;

use crate::ReplicationError;
use crate::transport::with_sources;

#[derive(Debug, thiserror::Error)]
pub(super) enum ReceiveError {
    #[error("only nodes of regions are answered here")]
    NotANode,
    #[error("the region of your certificate is not an admitted peer here")]
    UnknownPeer,
    #[error("this message is not from the admitted life of your region, or not for the present life of this one")]
    WrongLife,
    #[error("the body is too large or was cut")]
    Body,
    #[error("the message does not decode: its version or form is unknown here")]
    Decode(#[source] EncodingError),
    #[error("the message is malformed: {0}")]
    Malformed(&'static str),
    #[error("the batch is refused: {0}")]
    Batch(CryptoError),
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error("too much is being received; come back")]
    Busy,
    #[error("it cannot be decided now whether the caller may have the replica")]
    Undecided,
    #[error("this region has not been founded")]
    NotFounded,
    #[error("this region cannot answer now")]
    Unavailable(#[source] ReplicationError),
    #[error("internal error")]
    Internal(#[source] ReplicationError),
    #[error("internal error")]
    Encode(#[source] EncodingError),
}

impl ReceiveError {
    /// 4xx: the same message would be refused again, by every node of this region. 5xx: another node, or later.
    pub(super) const fn status(&self) -> StatusCode {
        match self {
            Self::NotANode | Self::UnknownPeer => StatusCode::FORBIDDEN,
            Self::WrongLife | Self::Refused(_) => StatusCode::CONFLICT,
            Self::Body => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Decode(_) | Self::Malformed(_) | Self::Batch(_) => StatusCode::BAD_REQUEST,
            Self::Busy | Self::Undecided | Self::NotFounded | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) | Self::Encode(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// A short, stable word for metrics.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::NotANode => "not_a_node",
            Self::UnknownPeer => "unknown_peer",
            Self::WrongLife => "wrong_life",
            Self::Body => "body",
            Self::Decode(_) | Self::Malformed(_) => "malformed",
            Self::Batch(_) => "batch",
            Self::Refused(_) => "refused",
            Self::Busy => "busy",
            Self::Undecided | Self::NotFounded | Self::Unavailable(_) => "unavailable",
            Self::Internal(_) | Self::Encode(_) => "internal",
        }
    }

    /// A node's own fault is worth an error; a peer can cause the others at will.
    pub(super) fn log(&self, peer: &Peer, kind: &'static str) {
        let error = with_sources(self);
        if self.status() == StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(?peer.identity, kind, %error, "a message from a peer failed");
        } else {
            tracing::debug!(?peer.identity, kind, %error, "a message from a peer was not taken");
        }
    }
}

impl From<ReplicationError> for ReceiveError {
    fn from(error: ReplicationError) -> Self {
        match error {
            ReplicationError::Refused(refusal) => Self::Refused(refusal),
            ReplicationError::NotFounded => Self::NotFounded,
            ReplicationError::Propose(ProposeError::TooLarge) => Self::Malformed("it is larger than one proposal may be"),
            error @ (ReplicationError::Unavailable(_) | ReplicationError::Propose(_)) => Self::Unavailable(error),
            error => Self::Internal(error),
        }
    }
}

impl From<StateError> for ReceiveError {
    fn from(error: StateError) -> Self {
        Self::Internal(error.into())
    }
}
