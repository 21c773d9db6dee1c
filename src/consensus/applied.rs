//! How far this node has applied the log: the one number that reads wait for.

use tokio::sync::watch;

/// Published by the state machine once an entry's writes are committed and its observer has been told.
#[derive(Clone, Debug)]
pub(crate) struct AppliedIndex {
    /// One more than the index, so that 0 is "nothing".
    next: watch::Sender<u64>,
}

impl AppliedIndex {
    pub(crate) fn new(index: Option<u64>) -> Self {
        Self { next: watch::Sender::new(index.map_or(0, |index| index + 1)) }
    }

    pub(crate) fn publish(&self, index: u64) {
        self.next.send_if_modified(|next| {
            let grew = index + 1 > *next;
            *next = (*next).max(index + 1);
            grew
        });
    }

    /// The index of the last entry applied.
    pub(crate) fn get(&self) -> Option<u64> {
        self.next.borrow().checked_sub(1)
    }

    pub(crate) fn covers(&self, index: u64) -> bool {
        *self.next.borrow() > index
    }

    pub(crate) async fn wait(&self, index: u64) {
        // The sender is ours, so waiting cannot fail.
        let _ = self.next.subscribe().wait_for(|next| *next > index).await;
    }
}
