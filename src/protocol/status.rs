//! The status record that flows back from a member to the primary: acknowledgement and report in one.

use std::collections::BTreeSet;

use claviger_types::{Incarnation, KeyId, MaterialId, Origin, Region};
use serde::{Deserialize, Serialize};

use crate::{Epoch, MemberStatus, SharedDoc, Version};

/// Whether the member still has the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Presence {
    /// It has.
    Present,
    /// It has destroyed it.
    Gone,
}

/// What one region says of one key. Resending, reordering and repeating it is harmless.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StatusRecord {
    /// The key.
    pub key_id: KeyId,
    /// Who says it.
    pub region: Region,
    /// In which life.
    pub incarnation: Incarnation,
    /// Counts this region's records for this key.
    pub revision: u64,
    /// The `since` of its own entry in the document that it holds.
    pub member_since: Option<Version>,
    /// The greatest epoch it has seen or promised.
    pub greatest_epoch: Epoch,
    /// The version that it holds.
    pub version: Version,
    /// The materials that it holds.
    pub materials: BTreeSet<MaterialId>,
    /// Whether it still has the key.
    pub presence: Presence,
    /// Of an imported key: ids that were current or past in a document that it held, and in the present one are not (rule 2).
    pub kept: BTreeSet<MaterialId>,
    /// Members of documents that it held before, which the present one lacks (rule 10).
    pub strays: BTreeSet<Region>,
    /// The epoch whose author it is ready to succeed (rule 6).
    pub consent: Option<Epoch>,
    /// The latest offer that it will never take.
    pub refused: Option<Version>,
}

impl StatusRecord {
    /// Whether this supersedes what is `held` of the same region and key. Another incarnation always does: the caller
    /// has checked that it is the admitted one.
    pub fn supersedes(&self, held: Option<&Self>) -> bool {
        held.is_none_or(|held| self.incarnation != held.incarnation || self.revision > held.revision)
    }
}

impl SharedDoc {
    /// Whether the member `region`, last heard as `status`, has not got this document with all its materials yet. This is
    /// the dirty set's rule.
    pub fn is_owed_to(&self, region: &Region, status: Option<&StatusRecord>) -> bool {
        let Some(member) = self.members.get(region) else { return false };
        if region == self.primary() || member.status == MemberStatus::Gone {
            return false;
        }
        // Imported bytes never cross (rule 9).
        let is_whole = |status: &StatusRecord| self.origin == Origin::External || self.material_ids().is_subset(&status.materials);
        status.is_none_or(|status| status.version < self.version || !is_whole(status))
    }
}
