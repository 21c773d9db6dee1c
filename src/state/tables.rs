//! The tables that the state machine reads, behind a trait, so that memory and RocksDB serve alike.

use std::ops::ControlFlow;

use crate::StateError;

macro_rules! tables {
    ($($(#[$doc:meta])* $variant:ident = $name:literal),+ $(,)?) => {
        /// A table of the state machine: a sorted map from row to record.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Table { $($(#[$doc])* $variant),+ }

        impl Table {
            /// Every table.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its stable name: the RocksDB column family, and part of what a sealed record is bound to.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

tables! {
    /// Singletons: the region, its keyring, its region keys, the log time.
    Meta = "meta",
    /// Key id row -> `KeyRecord`.
    Keys = "keys",
    /// Account (8 bytes), key id row -> nothing.
    KeysByAccount = "keys-by-account",
    /// Key id row, material id -> `MaterialRecord`.
    Materials = "materials",
    /// Counter name -> u64, big-endian.
    Counters = "counters",
    /// Principal, 0, invocation id -> `InvocationRecord`.
    Invocations = "invocations",
    /// Log time (8 bytes), row of `Invocations` -> nothing.
    InvocationsByTime = "invocations-by-time",
    /// Region -> `PeerRecord`.
    Peers = "peers",
    /// Key id row, region -> `StatusRecord`: what each member last said, at the primary.
    Statuses = "statuses",
    /// Region, 0, key id row -> `DirtyRecord`: what a peer has not got yet.
    Dirty = "dirty",
    /// Region, 0, log time (8 bytes), key id row -> nothing: `Dirty`, oldest first.
    DirtyByAge = "dirty-by-age",
    /// Key id row -> `ReservationRecord`.
    Reservations = "reservations",
    /// Node id (8 bytes) -> `NodeRecord`: every id that was ever used.
    Nodes = "nodes",
    /// Account (8 bytes), alias name -> `AliasRecord`.
    Aliases = "aliases",
    /// Key id row, alias name -> nothing.
    AliasesByKey = "aliases-by-key",
    /// CA (32 bytes) -> `CrlRecord`.
    Crls = "crls",
    /// Key id row, grant id (32 bytes) -> `GrantRecord`.
    Grants = "grants",
    /// Key id row, grantee, 0, grant id -> `GrantRecord`, as in `Grants`: decisions read those of one grantee in one scan.
    GrantsByGrantee = "grants-by-grantee",
    /// Retiring principal, 0, key id row, grant id -> nothing.
    GrantsByRetiring = "grants-by-retiring",
    /// Key id row, SHA-256 of a named grant's contents -> grant id (32 bytes).
    GrantsByContents = "grants-by-contents",
    /// Account (8 bytes) -> `AccountRecord`.
    Accounts = "accounts",
    /// Account (8 bytes), kind (1 byte), name -> `IdentityRecord`.
    Identities = "identities",
    /// Account (8 bytes), kind, name, 0, kind and name of an identity that names this one -> nothing.
    IdentityReferences = "identity-references",
    /// Principal -> `DenialRecord`.
    DeniedPrincipals = "denied-principals",
    /// Time (8 bytes), kind (1 byte), key id row, material id of an expiry -> nothing: what falls due.
    Due = "due",
    /// Key id row -> `LastUsageRecord`.
    LastUsages = "last-usages",
}

/// Called with each row and its record until it breaks.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// Read access to the tables at one point of the log.
pub trait Tables {
    /// The record at `row`.
    ///
    /// # Errors
    /// When the tables cannot be read.
    fn get(&self, table: Table, row: &[u8]) -> Result<Option<Vec<u8>>, StateError>;

    /// Visits the rows from `from` on in ascending order until `visit` breaks or the table ends.
    ///
    /// # Errors
    /// When the tables cannot be read.
    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StateError>;
}

impl<T: Tables + ?Sized> Tables for std::sync::Arc<T> {
    fn get(&self, table: Table, row: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        (**self).get(table, row)
    }

    fn scan(&self, table: Table, from: &[u8], visit: Visit<'_>) -> Result<(), StateError> {
        (**self).scan(table, from, visit)
    }
}
