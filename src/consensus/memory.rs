//! A region of one node with its tables in memory: what the layers above are tested and simulated on.

use std::sync::Arc;

use claviger_state::{Command, CommandBody, MemoryTables, Outcome, Overlay, StateError, apply, read};
use claviger_types::{Clock, Timestamp};
use parking_lot::Mutex;

use crate::{DuePermit, NoDueWork, Observer, ProposeError, Region, Unavailable};

/// One node, no log, no disk: commands are applied as they come, at the time of a clock that is always right.
pub struct MemoryRegion {
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    state: Mutex<(Arc<MemoryTables>, u64)>,
}

impl MemoryRegion {
    /// An empty region.
    pub fn new(clock: Arc<dyn Clock>, observer: Arc<dyn Observer>) -> Self {
        Self { clock, observer, state: Mutex::default() }
    }
}

impl Region for MemoryRegion {
    type Tables = Arc<MemoryTables>;

    async fn read(&self) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn propose(&self, body: CommandBody) -> Result<Outcome, ProposeError> {
        let mut state = self.state.lock();
        let (tables, index) = &mut *state;
        *index += 1;
        let command = Command { time: self.clock.now(), body };
        let mut overlay = Overlay::new(&**tables);
        let applied = apply(&mut overlay, *index, &command).map_err(|_| ProposeError::Unknown)?;
        let writes = overlay.into_writes();
        Arc::make_mut(tables).commit(writes);
        self.observer.keys_changed(&applied.effects.keys);
        self.observer.aliases_changed(&applied.effects.aliases);
        self.observer.accounts_changed(&applied.effects.accounts);
        if applied.effects.dirty {
            self.observer.dirty_grew();
        }
        if applied.effects.crls {
            let crls = read::crls(&**tables).map_err(|_| ProposeError::Unknown)?;
            self.observer.crls_changed(&crls).map_err(|_| ProposeError::Unknown)?;
        }
        Ok(applied.outcome)
    }

    fn tables(&self) -> Self::Tables {
        Arc::clone(&self.state.lock().0)
    }

    fn log_time(&self) -> Result<Timestamp, StateError> {
        Ok(read::log_time(&*self.tables())?.max(self.clock.now()))
    }

    fn due_permit(&self) -> Result<DuePermit, NoDueWork> {
        let time = self.log_time().map_err(|_| NoDueWork::NotFounded)?;
        Ok(DuePermit { term: 0, time })
    }

    async fn propose_due(&self, _permit: &DuePermit, body: CommandBody) -> Result<Outcome, ProposeError> {
        self.propose(body).await
    }
}
