//! A ciphertext opens in every region that was `Active` in the document that made its material `Current` and where the key
//! is enabled.
//!
//! Hence a region is `Active` only once it holds every material of the document (rule 4), and from when its own document
//! says so no Decrypt there is refused but for being disabled.

use std::collections::{BTreeMap, BTreeSet};

use claviger_state::protocol::MemberStatus;
use claviger_state::read;
use claviger_types::{KeyId, MaterialId, Region};

use super::{Commit, Held, Violation};
use crate::history::{Action, History, Moment, Outcome};

pub(crate) const NAME: &str = "decryptable_everywhere";

#[derive(Default)]
pub(crate) struct Watcher {
    /// What a region has ever applied: its log holds it, whatever a crash takes from a node's state.
    held: BTreeMap<(Region, KeyId), BTreeSet<MaterialId>>,
    /// Since when the primary, and the region itself, show it as active.
    active_at_primary: BTreeMap<(Region, KeyId), Moment>,
    active_here: BTreeMap<(Region, KeyId), Moment>,
}

impl Watcher {
    pub(super) fn committed(&mut self, commit: &Commit<'_>) -> Held {
        let (key, document) = (commit.key_id(), &commit.record.document);
        let here = (commit.region().clone(), key);
        self.held.entry(here.clone()).or_default().extend(read::material_ids(commit.tables, &key).unwrap());
        let single = !key.is_multi_region();
        if single || document.members.get(commit.region()).is_some_and(|member| member.status == MemberStatus::Active) {
            self.active_here.entry(here).or_insert(commit.moment);
        }
        for (region, member) in document.members.iter().filter(|(_, member)| member.status == MemberStatus::Active) {
            let there = (region.clone(), key);
            let held = self.held.entry(there.clone()).or_default();
            if !document.material_ids().is_subset(held) {
                let text =
                    format!("{} shows {region} as {:?} in {}, which lacks materials of it", commit.node, member.status, document.version);
                return Err(Violation::new(NAME, text));
            }
            if document.primary() == commit.region() {
                self.active_at_primary.entry(there).or_insert(commit.moment);
            }
        }
        Ok(())
    }

    /// Until the region's own document shows it as active it may answer that the key is on its way, and nothing else.
    pub(super) fn judge(&self, history: &History) -> Held {
        for call in history.calls.iter().filter(|call| call.action == Action::Decrypt) {
            let place = (call.region.clone(), history.keys[call.key].id);
            let since = |moments: &BTreeMap<_, Moment>| moments.get(&place).is_some_and(|moment| *moment < call.begun);
            let tolerated = match &call.outcome {
                Outcome::Done | Outcome::Unknown => true,
                Outcome::Refused(code) if code == "DisabledException" => true,
                Outcome::Refused(code) if code == "KMSInvalidStateException" => !since(&self.active_here),
                Outcome::Refused(_) => !since(&self.active_at_primary) && !since(&self.active_here),
                _ => false,
            };
            if !tolerated {
                return Err(Violation::new(NAME, call.describe(history)));
            }
        }
        Ok(())
    }
}
