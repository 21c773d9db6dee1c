//! The vocabulary that every layer shares: identifiers, ARNs, regions, principals, specs, states, limits, time.
//!
//! Everything here is a value that was parsed once and is valid from then on ("parse, don't validate"). This crate does
//! no I/O, knows no secrets and depends on no other layer. `encoding` is the one place that sees bincode.

mod account;
mod alias;
mod arn;
pub mod encoding;
mod error;
mod grant;
mod identity;
mod ids;
pub mod jitter;
mod key_id;
#[cfg(feature = "known-bugs")]
pub mod known_bugs;
pub mod limits;
mod named_principal;
mod region;
mod revocation;
mod sealed;
mod spec;
mod time;

pub use account::AccountId;
pub use alias::{AliasId, AliasName, AliasRow};
pub use arn::{AliasArn, KeyArn, KeyRef, Partition};
pub use error::ParseError;
pub use grant::{GrantConstraint, GrantId, GrantOperation, GrantOperations};
pub use identity::{Identity, Principal, TrustDomain};
pub use ids::{ClusterId, Incarnation, NodeId, NodeInstance};
pub use key_id::{KeyId, MaterialId};
pub use named_principal::NamedPrincipal;
pub use region::Region;
pub use revocation::RevocationFlag;
pub use sealed::Sealed;
pub use spec::{
    DataKeyPairSpec, EncryptionAlgorithm, ExpirationModel, ImportState, ImportType, KeyAgreementAlgorithm, KeyClass, KeyMaterialState,
    KeySpec, KeyState, KeyUsage, MacAlgorithm, MessageType, Origin, RotationType, SigningAlgorithm, WrappingAlgorithm, WrappingKeySpec,
};
pub use time::{Clock, SystemClock, Timestamp};

/// Whether the named [`known_bugs::KnownBug`] is planted in this process.
#[cfg(feature = "known-bugs")]
#[macro_export]
macro_rules! known_bug {
    ($bug:ident) => {
        $crate::known_bugs::is_planted($crate::known_bugs::KnownBug::$bug)
    };
}

/// Whether a known bug is planted: never, in a build without the feature `known-bugs`.
#[cfg(not(feature = "known-bugs"))]
#[macro_export]
macro_rules! known_bug {
    ($bug:ident) => {
        false
    };
}
