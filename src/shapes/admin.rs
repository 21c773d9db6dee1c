//! What the admin API and the command line say to each other: plain JSON, snake case, no secrets.
//!
//! Ids and fingerprints are lower-case hex, as they are shown to people. The routes are the api crate's.

pub mod clock;
pub mod iam;
mod keys;
mod node;
pub mod policy;

use claviger_types::{Region, TrustDomain};
use serde::{Deserialize, Serialize};

pub use keys::{AdmitKeys, AdmitKeysResult, AdmitScope, DetachRegion, DetachRegionResult};
pub use node::{
    Disk, Member, MembersChanged, Membership, Node, NodeChange, NodeReport, NodeRole, NodeState, RegionNode, RegionStatus, Status,
    TransferLeader,
};

/// Who a region is: what `claviger peer add` shows on both sides to compare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The region's name.
    pub region: Region,
    /// Its cluster.
    pub cluster_id: String,
    /// New when the region is created or restored.
    pub incarnation: String,
    /// The deployment's trust domain.
    pub trust_domain: TrustDomain,
    /// The version of its region keys.
    pub key_version: u32,
    /// Over region, cluster id and all three public keys.
    pub fingerprint: String,
}

/// A region that this one replicates with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Peer {
    /// Its name.
    pub region: Region,
    /// Its cluster.
    pub cluster_id: String,
    /// The incarnation that was admitted.
    pub incarnation: String,
    /// Peer listeners of its nodes, `https://host:port`.
    pub endpoints: Vec<String>,
    /// The fingerprint that was confirmed.
    pub fingerprint: String,
    /// The version of its region keys that this region uses.
    pub key_version: u32,
    /// Keys for which it is behind this region, or waits for this region's status.
    pub dirty: u64,
    /// Age of the oldest of these, seconds; 0 when there is none.
    pub lag_seconds: f64,
    /// When it was added, milliseconds since the Unix epoch.
    pub added_at_millis: u64,
}

/// Asks to replicate with a region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddPeer {
    /// Peer listeners of its nodes, at most [`claviger_types::limits::PEER_ENDPOINTS_MAX`].
    pub endpoints: Vec<String>,
    /// Its name.
    pub region: Region,
    /// What the operator compared; the region that answers must have it.
    pub fingerprint: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AddPeerResult {
    /// The peer as it is now.
    pub peer: Peer,
    /// False when it was there already, the same.
    pub changed: bool,
}

/// Asks who answers at these endpoints; the answer is its [`Identity`], unconfirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProbePeer {
    /// Peer listeners, at most [`claviger_types::limits::PEER_ENDPOINTS_MAX`].
    pub endpoints: Vec<String>,
    /// The region that is expected there.
    pub region: Region,
}

/// The newest revocation list of a CA, as the region enforces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crl {
    /// The CA: SHA-256 over its subject and public key.
    pub ca: String,
    /// The CA's name.
    pub issuer: String,
    /// The CRL number, decimal.
    pub number: String,
    /// How many certificates it revokes.
    pub revoked: u64,
    /// When the CA made it, milliseconds since the Unix epoch.
    pub this_update_millis: u64,
    /// When the next one is due. A list that is past it is enforced all the same.
    pub next_update_millis: u64,
    /// When it was published to this region.
    pub published_at_millis: u64,
}

/// Publishes a revocation list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishCrl {
    /// The list, PEM or DER of at most [`claviger_types::limits::CRL_BYTES_MAX`], in base64.
    pub crl: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishCrlResult {
    /// The list that is enforced now.
    pub crl: Crl,
    /// False when the region held this very list already.
    pub changed: bool,
}

/// Why the admin API refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminErrorCode {
    /// The request is not what it should be.
    Invalid,
    /// Only operators are served.
    Forbidden,
    /// No such route or object.
    NotFound,
    /// The route does not take this method.
    MethodNotAllowed,
    /// It contradicts what is there: another fingerprint, another incarnation.
    Conflict,
    /// No leader, or the peer does not answer; worth a retry.
    Unavailable,
    /// Something failed here; the log has the reason.
    Internal,
}

impl AdminErrorCode {
    /// The HTTP status that carries it.
    pub const fn http_status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }
}

/// The body of every answer of the admin API that is not 200.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct AdminError {
    /// The kind.
    pub code: AdminErrorCode,
    /// For the operator.
    pub message: String,
}

impl AdminError {
    /// An error of that kind.
    pub fn new(code: AdminErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_reads_what_the_server_writes() {
        let error = AdminError::new(AdminErrorCode::MethodNotAllowed, "no");
        let json = serde_json::to_string(&error).unwrap();
        assert_eq!(json, r#"{"code":"method_not_allowed","message":"no"}"#);
        assert_eq!(serde_json::from_str::<AdminError>(&json).unwrap(), error);
    }

    #[test]
    fn requests_take_no_unknown_members() {
        let good = r#"{"endpoints":["https://10.0.0.1:9000"],"region":"eu-west-1"}"#;
        assert!(serde_json::from_str::<ProbePeer>(good).is_ok());
        assert!(serde_json::from_str::<ProbePeer>(&good.replace("region", "regoin")).is_err());
        assert!(serde_json::from_str::<ProbePeer>(&good.replace("eu-west-1", "dc1")).is_err());
    }
}
