//! Follows the files: access keys and certificates are taken anew when they change, or on SIGHUP. What cannot be loaded
//! changes nothing; it is said once, and tried again.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use claviger_tls::IdentityFiles;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tracing::{error, info};

use crate::agent::Agent;
use crate::error::with_sources;
use crate::{AgentError, IdentitySettings, Settings};

/// How often the files are looked at; how long a deleted access key may still work.
const INTERVAL: Duration = Duration::from_secs(1);

/// What a file is known by: a replaced one has another inode; a rewritten one, or one whose mode was changed, another time.
type Stamp = Option<(u64, i64, i64, u64)>;

impl Agent {
    /// Follows the files until the shutdown.
    pub async fn follow_files(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        let mut watched = std::mem::take(&mut *self.watched.lock().unwrap_or_else(PoisonError::into_inner));
        // Without the signal the interval remains.
        let mut hangup = signal(SignalKind::hangup()).ok();
        loop {
            let hung_up = async {
                match &mut hangup {
                    Some(signals) => _ = signals.recv().await,
                    None => std::future::pending().await,
                }
            };
            let all = tokio::select! {
                () = tokio::time::sleep(INTERVAL) => false,
                () = hung_up => true,
                _ = shutdown.wait_for(|stop| *stop) => return,
            };
            let agent = Arc::clone(&self);
            // Files are read off the runtime's threads: they may be on a disk that is slow.
            let looked = tokio::task::spawn_blocking(move || {
                watched.iter_mut().for_each(|watched| watched.look(&agent, all));
                watched
            });
            match looked.await {
                Ok(back) => watched = back,
                Err(_) => return error!("following the files ended; restart the agent to load them anew"),
            }
        }
    }
}

#[derive(Clone, Copy)]
enum What {
    Keys,
    /// An identity by its place in the configuration.
    Identity(usize),
}

/// One thing that is loaded, the files that it comes from, and how they were.
pub(crate) struct Watched {
    what: What,
    paths: Vec<PathBuf>,
    loaded: Vec<Stamp>,
    last_error: Option<String>,
}

impl Watched {
    /// Everything, as it is now.
    pub(crate) fn all(settings: &Settings) -> Vec<Self> {
        let identity = |(place, identity): (usize, &IdentitySettings)| {
            let IdentityFiles { certificate, key } = &identity.files;
            Self::new(What::Identity(place), vec![certificate.clone(), key.clone(), settings.ca.clone()])
        };
        let identities = settings.identities.iter().enumerate().map(identity);
        identities.chain([Self::new(What::Keys, vec![settings.credentials.clone()])]).collect()
    }

    fn new(what: What, paths: Vec<PathBuf>) -> Self {
        Self { what, loaded: stamps(&paths), paths, last_error: None }
    }

    fn look(&mut self, agent: &Agent, anyway: bool) {
        let found = stamps(&self.paths);
        if found == self.loaded && !anyway && self.last_error.is_none() {
            return;
        }
        match self.reload(agent) {
            Ok(()) => {
                self.loaded = found;
                self.last_error = None;
            }
            Err(error) => {
                let text = with_sources(&error);
                if self.last_error.as_ref() != Some(&text) {
                    error!(error = text, "what was loaded before stays in use");
                }
                self.last_error = Some(text);
            }
        }
    }

    fn reload(&self, agent: &Agent) -> Result<(), AgentError> {
        match self.what {
            What::Keys => agent.reload_keys(),
            What::Identity(place) => {
                let identity = &agent.identities[place];
                identity.reload(&agent.settings)?;
                info!(identity = identity.name, "certificate loaded");
                Ok(())
            }
        }
    }
}

fn stamps(paths: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |path: &PathBuf| std::fs::metadata(path).ok().map(|facts| (facts.ino(), facts.ctime(), facts.ctime_nsec(), facts.len()));
    paths.iter().map(stamp).collect()
}
