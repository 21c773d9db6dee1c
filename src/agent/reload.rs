//! Follows the files: access keys and certificates are taken anew when they change, or at once on request. What cannot be
//! loaded changes nothing, and is said.

use std::sync::Arc;
use std::time::Duration;

use claviger_tls::{Reloadable, keep_loaded};
use tokio::sync::{Notify, watch};
use tracing::error;

use crate::agent::Agent;
use crate::error::with_sources;

/// How often the files are looked at; how long a deleted access key may still work.
const EVERY: Duration = Duration::from_secs(1);

impl Agent {
    /// Follows the files until the shutdown; loads everything again whenever `at_once` is notified.
    pub async fn follow_files(self: Arc<Self>, at_once: Arc<Notify>, shutdown: watch::Receiver<bool>) {
        let endpoints = self.identities.iter().map(|identity| Arc::clone(identity) as Arc<dyn Reloadable>).collect();
        let certificates = Arc::new(Notify::new());
        tokio::join!(
            keep_loaded(endpoints, EVERY, Arc::clone(&certificates), shutdown.clone()),
            self.follow_keys(&at_once, &certificates, shutdown),
        );
    }

    async fn follow_keys(&self, at_once: &Notify, certificates: &Notify, mut shutdown: watch::Receiver<bool>) {
        let mut tried = self.keys_from.clone();
        loop {
            let forced = tokio::select! {
                () = tokio::time::sleep(EVERY) => false,
                () = at_once.notified() => true,
                _ = shutdown.wait_for(|stop| *stop) => return,
            };
            if forced {
                certificates.notify_one();
            }
            // The file is small, and replaced whole: unlike certificates it needs no second look.
            let now = tried.again();
            if !forced && now == tried {
                continue;
            }
            tried = now;
            if let Err(error) = self.reload_keys() {
                error!(error = with_sources(&error), "access keys cannot be loaded again; those loaded before stay in use");
            }
        }
    }
}
