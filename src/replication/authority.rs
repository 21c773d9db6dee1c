//! [`ReplicaAuthority`]: who decides, in the target's region, whether a caller of another region may have a replica here.

use std::future::Future;
use std::pin::Pin;

use claviger_state::Authorised;

use crate::{ReplicaDenial, ReplicaReservation};

/// What [`ReplicaAuthority::authorise`] returns.
pub type AuthorityFuture<'a> = Pin<Box<dyn Future<Output = Result<Authorised, NotAuthorised>> + Send + 'a>>;

/// Decides by this region's own identities (DESIGN.md section 5.2, rule 10); the root wires it to the service.
///
/// It is asked once the sender is known to be a peer that may act for the account.
pub trait ReplicaAuthority: Send + Sync + 'static {
    /// Whether the principal may have this replica here, as of after this region's read gate; and what the decision rests on.
    ///
    /// # Errors
    /// When it may not, or when that cannot be decided now.
    fn authorise<'a>(&'a self, replica: &'a ReplicaReservation) -> AuthorityFuture<'a>;
}

/// Why there is no leave for a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAuthorised {
    /// It is decided.
    Denied(ReplicaDenial),
    /// This node cannot decide now; another may, or this one later.
    Unavailable,
}
