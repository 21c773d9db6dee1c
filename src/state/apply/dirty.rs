//! The dirty set: (peer, key) wherever a peer has not got our document, or a primary our status (DESIGN.md section 5.1).

use claviger_types::{KeyId, Region};

use super::Step;
use crate::read::{self, counter, dirty_age_row, dirty_row};
use crate::{DirtyRecord, StateError, Table};

impl Step<'_> {
    pub(super) fn set_document_dirty(&mut self, peer: &Region, key_id: &KeyId, dirty: bool) -> Result<(), StateError> {
        self.change_dirty(peer, key_id, |entry| entry.document = dirty)
    }

    pub(super) fn set_status_dirty(&mut self, peer: &Region, key_id: &KeyId, dirty: bool) -> Result<(), StateError> {
        self.change_dirty(peer, key_id, |entry| entry.status = dirty)
    }

    /// An entry keeps its age until nothing of it is left, so that the lag of a peer never looks smaller than it is.
    fn change_dirty(&mut self, peer: &Region, key_id: &KeyId, change: impl FnOnce(&mut DirtyRecord)) -> Result<(), StateError> {
        let row = dirty_row(peer, key_id);
        let held: Option<DirtyRecord> = read::record(&self.tables, &row)?;
        let mut entry = held.unwrap_or(DirtyRecord { since: self.now, document: false, status: false });
        change(&mut entry);
        let wanted = entry.document || entry.status;
        let age_row = dirty_age_row(peer, entry.since, key_id);
        match (held.is_some(), wanted) {
            (false, false) => {}
            (true, false) => {
                self.tables.delete(Table::Dirty, &row);
                self.tables.delete(Table::DirtyByAge, &age_row);
                self.add_to_counter(&counter::dirty_of(peer), -1)?;
            }
            (was, true) => {
                self.tables.put(&row, &entry)?;
                if !was {
                    self.tables.put_bytes(Table::DirtyByAge, &age_row, Vec::new());
                    self.add_to_counter(&counter::dirty_of(peer), 1)?;
                }
            }
        }
        self.effects.dirty |= wanted;
        Ok(())
    }
}
