//! The grants of a key that may cover a caller: read when policies alone do not allow, and kept with the cached key.
//!
//! A change of a key's grants voids the cached key, and with it what is kept here. What is read into a key that has been voided
//! meanwhile serves the request that reads it and nobody else.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use claviger_consensus as consensus;
use claviger_policy::{GrantView, Grants};
use claviger_state::{GrantRecord, Tables, read};
use claviger_types::{GrantId, NamedPrincipal, Principal};
use parking_lot::RwLock;

use crate::KeyCache;
use crate::cached_key::CachedKey;
use crate::error::Fault;

/// What one cached key keeps of grants, of all callers together; past it all are read anew. A caller with more is read each time.
const KEPT_BYTES_MAX: usize = 256 << 10;
/// What a grant takes beside its texts, about; and a caller that has none.
const GRANT_BYTES: usize = 512;

type Held = Arc<[(GrantId, GrantRecord)]>;

/// What a cached key knows of its grants: those of each caller that has needed one.
#[derive(Default)]
pub(crate) struct KeptGrants(RwLock<Kept>);

#[derive(Default)]
struct Kept {
    by_principal: HashMap<Principal, Held>,
    bytes: usize,
}

impl KeptGrants {
    fn of(&self, principal: &Principal) -> Option<Held> {
        self.0.read().by_principal.get(principal).map(Arc::clone)
    }

    /// Keeps the grants of a caller, so many bytes, if `has_room` for all that is kept then, in KiB.
    fn keep(&self, principal: &Principal, grants: Held, bytes: usize, has_room: impl FnOnce(usize) -> bool) {
        let mut kept = self.0.write();
        if kept.by_principal.contains_key(principal) {
            return;
        }
        if kept.bytes + bytes > KEPT_BYTES_MAX {
            *kept = Kept::default();
        }
        if has_room((kept.bytes + bytes).div_ceil(1024)) {
            kept.by_principal.insert(principal.clone(), grants);
            kept.bytes += bytes;
        }
    }
}

/// The grants of one key for one caller, as a decision asks for them.
pub(super) struct CallersGrants<'a, T> {
    pub(super) tables: &'a dyn Fn() -> T,
    pub(super) cache: &'a KeyCache,
    pub(super) key: &'a CachedKey,
    pub(super) principal: &'a Principal,
    /// Of the caller's account, as of which the rest of the decision is.
    pub(super) account_revision: u64,
    /// Why they could not be read: then nothing may rest on what was shown.
    pub(super) fault: &'a RefCell<Option<Fault>>,
}

impl<T: Tables> Grants for CallersGrants<'_, T> {
    fn each(&self, visit: &mut dyn FnMut(&GrantView<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        if let Some(held) = self.key.grants.of(self.principal) {
            return held.iter().try_for_each(|(id, grant)| visit(&view(*id, grant)));
        }
        // Nobody else waits for one who has been given tens of thousands.
        consensus::in_place(|| self.read(visit)).unwrap_or_else(|fault| {
            self.fault.borrow_mut().get_or_insert(fault);
            ControlFlow::Break(())
        })
    }
}

impl<T: Tables> CallersGrants<'_, T> {
    /// Shows the grants as they are read, and keeps them if they are not too many.
    fn read(&self, visit: &mut dyn FnMut(&GrantView<'_>) -> ControlFlow<()>) -> Result<ControlFlow<()>, Fault> {
        let tables = (self.tables)();
        let mut flow = ControlFlow::Continue(());
        let (mut held, mut bytes) = (Some(Vec::new()), GRANT_BYTES);
        for name in NamedPrincipal::of(self.principal) {
            read::visit_grants_for(&tables, &self.key.arn.key_id, &name, None, |id, grant| {
                if flow.is_continue() {
                    flow = visit(&view(id, &grant));
                }
                bytes += weight_bytes(&grant);
                held = held.take().filter(|_| bytes <= KEPT_BYTES_MAX);
                match &mut held {
                    Some(held) => held.push((id, grant)),
                    None => return flow,
                }
                ControlFlow::Continue(())
            })?;
        }
        // The tables are ahead of the cache while a change is told.
        let account = read::account(&tables, self.principal.account())?.map(|account| account.revision);
        let key = read::key(&tables, &self.key.arn.key_id)?.map(|key| key.revision);
        if (account, key) != (Some(self.account_revision), Some(self.key.revision)) {
            return Err(Fault::Moved);
        }
        if let Some(held) = held {
            self.key.grants.keep(self.principal, held.into(), bytes, |kib| self.cache.make_room(self.key, kib));
        }
        Ok(flow)
    }
}

fn weight_bytes(grant: &GrantRecord) -> usize {
    let constraint = grant.constraint.iter().flat_map(|constraint| constraint.pairs());
    GRANT_BYTES + grant.name.as_ref().map_or(0, String::len) + constraint.map(|(key, value)| 64 + key.len() + value.len()).sum::<usize>()
}

/// A grant as a decision sees it.
pub(crate) fn view(id: GrantId, grant: &GrantRecord) -> GrantView<'_> {
    GrantView {
        id,
        grantee: &grant.grantee,
        retiring: grant.retiring.as_ref(),
        issuer: grant.issuing_account,
        operations: &grant.operations,
        constraint: grant.constraint.as_ref(),
    }
}
