//! [`Caller`]: who asks, as this region knows it: its policies, compiled, its boundary and its tags. [`CachedAccount`] keeps those
//! of one account as of one revision of its identities.
//!
//! An account's callers are read into it one by one, as they ask. What is read later than the account is never older than it; and
//! once anything of the account changes, the whole of it leaves the cache before the change can be relied upon. So a caller that is
//! found in the cache is as new as the read gate demands, and one that mixes two revisions counts as of the older: a write that
//! rests on it is refused as stale.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use claviger_consensus as consensus;
use claviger_policy::{Attached, Policy, PolicyKind};
use claviger_shapes::{ApiError, ErrorCode};
use claviger_state::read::PrincipalIdentity;
use claviger_state::{StateError, Tables, read};
use claviger_types::{Partition, Principal};
use parking_lot::RwLock;

use crate::Service;
use crate::error::Fault;

/// Memory that the callers of one cached account may take; past it all of them are read anew.
const CALLERS_BYTES_MAX: usize = 32 << 20;
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
        let Some(PrincipalIdentity { account_revision, tags, policies, boundary, denied }) = resolve(tables, principal)? else {
            return Ok(None);
        };
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

/// The tables move on while they are read, so a name may lead nowhere: then the account has changed, and is read again.
fn resolve(tables: &impl Tables, principal: &Principal) -> Result<Option<PrincipalIdentity>, StateError> {
    let revision = || Ok::<_, StateError>(read::account(tables, principal.account())?.map(|account| account.revision));
    for _ in 1..READ_MAX {
        let before = revision()?;
        match read::principal(tables, principal) {
            Err(error) if revision()? == before => return Err(error),
            Err(_) => {}
            read => return read,
        }
    }
    read::principal(tables, principal)
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

    fn keep(&self, principal: &Principal, caller: &Arc<Caller>) {
        let bytes = caller.weight_bytes();
        let mut callers = self.callers.write();
        if callers.bytes.saturating_add(bytes) > CALLERS_BYTES_MAX {
            *callers = Callers::default();
        }
        if callers.by_principal.insert(principal.clone(), Arc::clone(caller)).is_none() {
            callers.bytes += bytes;
        }
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
        account.keep(principal, &caller);
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
