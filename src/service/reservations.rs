//! What ReplicateKey needs of the target region (DESIGN.md section 5.2, rule 10); the root wires it to replication.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use claviger_types::{AccountId, KeyId, KeySpec, KeyUsage, Origin, Principal, Region, Timestamp};

/// What [`ReplicaReservations::reserve`] returns.
pub type ReservationFuture<'a> = Pin<Box<dyn Future<Output = Result<(), ReservationError>> + Send + 'a>>;

/// Asks other regions to hold a place for a replica.
pub trait ReplicaReservations: Send + Sync + 'static {
    /// Asks `target` to check that it would create this replica, and to hold its place until the deadline has passed here.
    ///
    /// Asking again for the same key replaces the older reservation.
    ///
    /// # Errors
    /// When the target refuses, is not a peer, or does not answer.
    fn reserve<'a>(&'a self, target: &'a Region, request: ReservationRequest) -> ReservationFuture<'a>;
}

/// The replica to be, and who asks for it: what the target decides about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReservationRequest {
    /// The key, of which this region is the primary.
    pub key_id: KeyId,
    /// Its owner.
    pub account: AccountId,
    /// The replica's description.
    pub description: String,
    /// The replica's tags.
    pub tags: BTreeMap<String, String>,
    /// The replica's policy; `None` is the default policy.
    pub policy: Option<String>,
    /// Whether the policy may lock the caller out of changing it.
    pub bypass_policy_lockout_safety_check: bool,
    /// What kind of key it is.
    pub spec: KeySpec,
    /// What it is for.
    pub usage: KeyUsage,
    /// Where its material comes from.
    pub origin: Origin,
    /// Who asks: the target decides about it by its own identities.
    pub principal: Principal,
    /// Where the request comes from, for the target's policies.
    pub source_ip: Option<IpAddr>,
    /// This region commits before its log time passes this, or never.
    pub deadline: Timestamp,
}

/// Why there is no reservation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReservationError {
    /// The target has the key, or holds a place for it for another region.
    #[error("the target region has the key")]
    AlreadyExists,
    /// The account has as many keys there as it may have, or this region as many reservations.
    #[error("a quota of the target region is used up")]
    LimitExceeded,
    /// The target does not let the caller have the replica, or this region act for the account; the text is for the client.
    #[error("the target region does not allow it: {0}")]
    NotAllowed(String),
    /// The target does not know the caller.
    #[error("the target region does not know the principal")]
    UnknownPrincipal,
    /// The policy is none in the target, names who is not known there, or locks the caller out; the text is for the client.
    #[error("the target region does not take the policy: {0}")]
    MalformedPolicy(String),
    /// The policy is larger than one may be; the text is for the client.
    #[error("the target region does not take the policy: {0}")]
    PolicyTooLarge(String),
    /// The target is not a peer of this region.
    #[error("the target region is not a peer")]
    UnknownRegion,
    /// The target holds a place for another request for the same replica, which lapses unless that one commits.
    #[error("the target region holds a place for another request")]
    Busy,
    /// The target did not answer in time.
    #[error("the target region does not answer")]
    Unreachable,
}
