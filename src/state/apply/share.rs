//! Between the rows that hold a key and what `claviger_protocol` knows of it: a share is read, one of its functions decides, and what
//! comes back is written in the same step.
//!
//! What this region is told and what it makes of it goes one way, [`Step::settle`]: whatever has changed, all rules are asked.

use std::collections::BTreeMap;

use claviger_protocol::{Author, Here, Holding, Leaving, Lives, Statuses};
use claviger_types::KeyId;

use super::Step;
use crate::read;
use crate::{KeyRecord, RegionRecord, StateError};

/// This region in its present life, and its peers in theirs.
pub(super) struct Lived {
    me: Author,
    lives: Lives,
}

impl Lived {
    pub(super) const fn author(&self) -> &Author {
        &self.me
    }
}

impl Step<'_> {
    pub(super) fn lived(&self, me: &RegionRecord) -> Result<Lived, StateError> {
        let peers = read::peers(&self.tables)?.into_iter();
        Ok(Lived { me: me.author(), lives: peers.map(|peer| (peer.region, peer.incarnation)).collect() })
    }

    pub(super) const fn here<'a>(&self, lived: &'a Lived) -> Here<'a> {
        Here { me: &lived.me, lives: &lived.lives, now: self.now }
    }

    /// A key as the protocol sees it. No region is asked to succeed another, nor promises to (rules 6 and 7): those parts are as of a
    /// key that never was.
    pub(super) fn holding(&self, record: &KeyRecord) -> Result<Holding, StateError> {
        Ok(Holding {
            materials: read::material_ids(&self.tables, &record.document.key_id)?,
            greatest_epoch: record.greatest_epoch.clone(),
            status_revision: record.status_revision,
            leaving: Leaving::Stays,
            ..Holding::created(record.document.clone())
        })
    }

    /// What this region makes of a key of its own after something has changed, `holding`, in which `record` is as the rows are. Says
    /// whether that is anything: then it is written, and every member that is owed it is noted.
    pub(super) fn settle(&mut self, lived: &Lived, mut record: KeyRecord, holding: &Holding) -> Result<bool, StateError> {
        let statuses = self.statuses(&record.document.key_id)?;
        // Bytes that others have and this region lacks (rule 2) come about by promotions alone, of which there are none.
        let next = holding.settle(&self.here(lived), &statuses).next;
        if next.document == record.document && next.greatest_epoch == record.greatest_epoch {
            return Ok(false);
        }
        (record.document, record.greatest_epoch) = (next.document, next.greatest_epoch);
        self.put_key(record.clone())?;
        self.mark_owed_members(&record.document)?;
        Ok(true)
    }

    fn statuses(&self, key_id: &KeyId) -> Result<Statuses, StateError> {
        let mut statuses = BTreeMap::new();
        for region in read::status_regions(&self.tables, key_id)? {
            if let Some(status) = read::status(&self.tables, key_id, &region)? {
                statuses.insert(region, status);
            }
        }
        Ok(statuses)
    }
}
