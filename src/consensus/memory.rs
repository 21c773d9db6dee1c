//! A region of one node with its tables in memory: what the layers above are tested and simulated on.

use std::sync::Arc;

use claviger_state::{Command, CommandBody, MemoryTables, Outcome, Overlay, apply, read};
use claviger_types::Clock;
use parking_lot::Mutex;

use crate::{Observer, ProposeError, Region, Unavailable};

/// One node, no log, no disk: commands are applied as they come.
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
}
