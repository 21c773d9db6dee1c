//! [`Caller`]: who asks, as this region knows it: its policies, compiled, its boundary and its tags. [`CachedAccount`] keeps those
//! of one account as of one revision of its identities.
//!
//! An account's callers are read into it one by one, as they ask, each as of one revision of the account. What is read later than
//! the account is never older than it; and once anything of the account changes, the whole of it leaves the cache before the change
//! can be relied upon. So a caller that is found in the cache is as new as the read gate demands.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use claviger_consensus as consensus;
use claviger_policy::{Attached, Policy, PolicyKind};
use claviger_shapes::{ApiError, ErrorCode};
use claviger_state::read::PrincipalIdentity;
use claviger_state::{StateError, Tables, read};
use claviger_types::{Partition, Principal};
use parking_lot::RwLock;

use crate::error::Fault;
use crate::{KeyCache, Service};

/// What a caller takes beside its policies and tags, about.
const CALLER_BYTES: usize = 512;
/// How often a caller is read again because its account changed meanwhile.
const READ_MAX: usize = 8;

/// A principal that the region knows, as of one revision of its account's identities or later.
pub(crate) struct Caller {
    /// The account's revision: a write that was authorised by this is refused once it has changed.
    pub(crate) account_revision: u64,
    /// Its tags, or those of its role.
    pub(crate) tags: BTreeMap<String, String>,
    /// Its own policies, its groups' and those attached.
    pub(crate) policies: Box<[Attached]>,
    /// What bounds them.
    pub(crate) boundary: Option<Attached>,
    /// Operators have denied it everything.
    pub(crate) is_denied: bool,
}

impl Caller {
    /// Reads and compiles; `None` if the region does not know the principal.
    fn read(tables: &impl Tables, partition: &Partition, principal: &Principal) -> Result<Option<Self>, Fault> {
        let Some(identity) = resolve(tables, principal)? else { return Ok(None) };
        let PrincipalIdentity { account_revision, tags, policies, boundary, denied } = identity;
        let compile = |(name, text): (String, String)| {
            let policy = Policy::parse(&text, PolicyKind::Identity, partition).map_err(|source| Fault::Policy(name.clone(), source))?;
            Ok::<_, Fault>(Attached { name: name.into(), policy: Arc::new(policy) })
        };
        Ok(Some(Self {
            account_revision,
            tags,
            policies: policies.into_iter().map(compile).collect::<Result<_, _>>()?,
            boundary: boundary.map(compile).transpose()?,
            is_denied: denied,
        }))
    }

    fn weight_bytes(&self) -> usize {
        let policies = self.policies.iter().chain(&self.boundary).map(|attached| attached.policy.weight_bytes() + attached.name.len());
        let tags = self.tags.iter().map(|(key, value)| key.len() + value.len());
        CALLER_BYTES + policies.chain(tags).sum::<usize>()
    }
}

/// The tables move on while they are read: then the account has another revision, and is read again.
fn resolve(tables: &impl Tables, principal: &Principal) -> Result<Option<PrincipalIdentity>, Fault> {
    let revision = || Ok::<_, StateError>(read::account(tables, principal.account())?.map(|account| account.revision));
    for _ in 0..READ_MAX {
        let before = revision()?;
        let identity = read::principal(tables, principal);
        if revision()? == before {
            return Ok(identity?);
        }
    }
    Err(Fault::Contended(READ_MAX))
}

/// The callers of one account that have asked since its identities last changed.
#[derive(Default)]
pub(crate) struct CachedAccount {
    callers: RwLock<Callers>,
}

#[derive(Default)]
struct Callers {
    by_principal: HashMap<Principal, Arc<Caller>>,
    bytes: usize,
}

impl CachedAccount {
    fn caller(&self, principal: &Principal) -> Option<Arc<Caller>> {
        self.callers.read().by_principal.get(principal).map(Arc::clone)
    }

    /// Keeps a caller where the cache has room. Where it has none for all of the account, the others are read anew.
    fn keep(&self, cache: &KeyCache, principal: &Principal, caller: &Arc<Caller>) {
        let bytes = caller.weight_bytes();
        let mut callers = self.callers.write();
        if callers.by_principal.contains_key(principal) {
            return;
        }
        let has_room = |bytes: usize| cache.make_room_for_callers(principal.account(), self, bytes.div_ceil(1024));
        if !has_room(callers.bytes + bytes) {
            *callers = Callers::default();
            if !has_room(bytes) {
                return;
            }
        }
        callers.by_principal.insert(principal.clone(), Arc::clone(caller));
        callers.bytes += bytes;
    }
}

impl<R: consensus::Region> Service<R> {
    /// Who asks. Call after [`Service::gate`].
    ///
    /// # Errors
    /// When the region does not know the principal.
    pub(crate) fn caller(&self, principal: &Principal) -> Result<Arc<Caller>, ApiError> {
        let account = self.account_of(principal)?.ok_or_else(unknown_principal)?;
        if let Some(caller) = account.caller(principal) {
            return Ok(caller);
        }
        let caller = Caller::read(&self.region.tables(), &self.config.partition, principal)?.ok_or_else(unknown_principal)?;
        let caller = Arc::new(caller);
        account.keep(&self.cache, principal, &caller);
        Ok(caller)
    }

    fn account_of(&self, principal: &Principal) -> Result<Option<Arc<CachedAccount>>, Fault> {
        let id = principal.account();
        if let Some(account) = self.cache.account(id) {
            return Ok(Some(account));
        }
        // Before the tables are looked at: whatever changes from here on makes the insert below a refusal.
        let stamp = self.cache.account_stamp(id);
        if read::account(&self.region.tables(), id)?.is_none() {
            return Ok(None);
        }
        let account = Arc::<CachedAccount>::default();
        self.cache.insert_account(stamp, id, &account);
        Ok(Some(account))
    }
}

fn unknown_principal() -> ApiError {
    ApiError::new(ErrorCode::UnrecognizedClient, "The client certificate names a principal that this region does not know.")
}
