//! Who is told when the region's state changes: the cache and the listeners, before anybody can rely on the change, and the
//! shipper.

use std::sync::Arc;

use claviger_consensus::{Observer, ObserverError};
use claviger_service::KeyCache;
use claviger_state::CrlRecord;
use claviger_types::{AccountId, AliasId, KeyId};
use tokio::sync::Notify;

use crate::certificates::NodeTls;

/// Passes changes on.
pub(crate) struct NodeObserver {
    pub(crate) cache: Arc<KeyCache>,
    pub(crate) shipper: Arc<Notify>,
    pub(crate) tls: Arc<NodeTls>,
}

impl Observer for NodeObserver {
    fn keys_changed(&self, keys: &[KeyId]) {
        self.cache.keys_changed(keys);
    }

    fn aliases_changed(&self, aliases: &[AliasId]) {
        self.cache.aliases_changed(aliases);
    }

    fn accounts_changed(&self, accounts: &[AccountId]) {
        self.cache.accounts_changed(accounts);
    }

    fn everything_changed(&self) {
        self.cache.everything_changed();
        self.shipper.notify_one();
    }

    fn dirty_grew(&self) {
        self.shipper.notify_one();
    }

    fn crls_changed(&self, crls: &[CrlRecord]) -> Result<(), ObserverError> {
        Ok(self.tls.enforce(crls)?)
    }
}
