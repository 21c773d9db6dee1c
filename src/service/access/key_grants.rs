//! The grants of a key that may cover a caller: read when policies alone do not allow, and kept with the cached key.
//!
//! A change of a key's grants voids the cached key, and with it what is kept here. What is read into a key that has been voided
//! meanwhile serves the request that reads it and nobody else.

use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use claviger_policy::{GrantView, Grants};
use claviger_state::{GrantRecord, StateError, Tables, read};
use claviger_types::{GrantId, KeyId, NamedPrincipal, Principal};
use parking_lot::RwLock;

use crate::error::Fault;

/// Grants that one cached key keeps, of all callers together; past it all are read anew. A caller with more is read each time.
const KEPT_MAX: usize = 1024;

type Held = Arc<[(GrantId, GrantRecord)]>;

/// What a cached key knows of its grants: those of each caller that has needed one.
#[derive(Default)]
pub(crate) struct KeptGrants(RwLock<Kept>);

#[derive(Default)]
struct Kept {
    by_principal: HashMap<Principal, Held>,
    grants: usize,
}

impl KeptGrants {
    fn of(&self, principal: &Principal) -> Option<Held> {
        self.0.read().by_principal.get(principal).map(Arc::clone)
    }

    fn keep(&self, principal: &Principal, grants: &Held) {
        // One that has none counts too.
        let weight = grants.len() + 1;
        let mut kept = self.0.write();
        if kept.grants + weight > KEPT_MAX {
            *kept = Kept::default();
        }
        if kept.by_principal.insert(principal.clone(), Arc::clone(grants)).is_none() {
            kept.grants += weight;
        }
    }
}

/// The grants of one key for one caller, as a decision asks for them.
pub(super) struct CallersGrants<'a, T> {
    pub(super) tables: &'a dyn Fn() -> T,
    pub(super) kept: &'a KeptGrants,
    pub(super) key_id: KeyId,
    pub(super) principal: &'a Principal,
    /// Why they could not be read: then nothing may rest on what was shown.
    pub(super) fault: &'a RefCell<Option<Fault>>,
}

impl<T: Tables> Grants for CallersGrants<'_, T> {
    fn each(&self, visit: &mut dyn FnMut(&GrantView<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        if let Some(held) = self.kept.of(self.principal) {
            return held.iter().try_for_each(|(id, grant)| visit(&view(*id, grant)));
        }
        self.read(visit).unwrap_or_else(|error| {
            self.fault.borrow_mut().get_or_insert(error.into());
            ControlFlow::Break(())
        })
    }
}

impl<T: Tables> CallersGrants<'_, T> {
    /// Reads the first so many; only if there are more, they are shown as they are read.
    fn read(&self, visit: &mut dyn FnMut(&GrantView<'_>) -> ControlFlow<()>) -> Result<ControlFlow<()>, StateError> {
        let tables = (self.tables)();
        let names = NamedPrincipal::of(self.principal);
        let mut found = Vec::new();
        for name in &names {
            read::visit_grants_for(&tables, &self.key_id, name, None, |id, grant| {
                found.push((id, grant));
                if found.len() > KEPT_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        if found.len() <= KEPT_MAX {
            let held: Held = found.into();
            self.kept.keep(self.principal, &held);
            return Ok(held.iter().try_for_each(|(id, grant)| visit(&view(*id, grant))));
        }
        for name in &names {
            let mut flow = ControlFlow::Continue(());
            read::visit_grants_for(&tables, &self.key_id, name, None, |id, grant| {
                flow = visit(&view(id, &grant));
                flow
            })?;
            if flow.is_break() {
                return Ok(flow);
            }
        }
        Ok(ControlFlow::Continue(()))
    }
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
