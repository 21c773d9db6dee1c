//! Certificates, keys and CAs that are replaced while a process runs: noticed by looking, or at once on request.
//!
//! A change is taken up once the files have been still for one look, so that a certificate is not read beside the key of
//! the one before. What cannot be used is left where it is: the endpoint goes on with what it has, and says so.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::TlsError;
use crate::connection::stopped;
use crate::identity::Certificate;

/// An endpoint whose configuration comes from files.
pub trait Reloadable: Send + Sync + 'static {
    /// Its name in logs and metrics.
    fn name(&self) -> &'static str;

    /// The files as they were when they were loaded.
    fn loaded_from(&self) -> Stamps;

    /// Reads the files again, for connections that begin from now on. Connections whose certificate does not verify by the
    /// new CAs, or would be somebody else's by them, end; the others stay as they are.
    ///
    /// # Errors
    /// When a file cannot be used: then nothing has changed.
    fn reload(&self) -> Result<(), TlsError>;

    /// The certificate that it presents.
    fn certificate(&self) -> Certificate;
}

/// What tells the contents of some files from what they were before, without reading them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamps(Vec<(PathBuf, Option<Stamp>)>);

/// None of it may be the same for another content: a change of mode alone, which can mend a file, changes the ctime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamps {
    /// Of these files, as they are now; links are followed. Take them before reading, so that no change goes unnoticed.
    pub fn of<'a>(files: impl IntoIterator<Item = &'a Path>) -> Self {
        Self(files.into_iter().map(|path| (path.to_owned(), Stamp::of(path))).collect())
    }

    /// These and others.
    #[must_use]
    pub fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// Of the same files, as they are now.
    pub fn again(&self) -> Self {
        Self::of(self.0.iter().map(|(path, _)| path.as_path()))
    }
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let facts = fs::metadata(path).ok()?;
        Some(Self {
            device: facts.dev(),
            inode: facts.ino(),
            bytes: facts.size(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        })
    }
}

/// Looks at the files of all endpoints every so often, and loads again what has changed; everything whenever `at_once` is
/// notified. Returns when `shutdown` becomes true.
pub async fn keep_loaded(endpoints: Vec<Arc<dyn Reloadable>>, every: Duration, at_once: Arc<Notify>, mut shutdown: watch::Receiver<bool>) {
    let mut watched: Vec<_> = endpoints.into_iter().map(Watched::new).collect();
    loop {
        let forced = tokio::select! {
            () = tokio::time::sleep(every) => false,
            () = at_once.notified() => true,
            () = stopped(&mut shutdown) => return,
        };
        let looked = tokio::task::spawn_blocking(move || {
            watched.iter_mut().for_each(|endpoint| endpoint.look(forced));
            watched
        });
        watched = match looked.await {
            Ok(watched) => watched,
            Err(error) => {
                tracing::error!(%error, "certificates are not looked at any more; restart the process");
                return;
            }
        };
    }
}

struct Watched {
    endpoint: Arc<dyn Reloadable>,
    /// When loading was tried last, successfully or not.
    tried: Stamps,
    /// At the last look.
    seen: Stamps,
}

impl Watched {
    fn new(endpoint: Arc<dyn Reloadable>) -> Self {
        let tried = endpoint.loaded_from();
        let watched = Self { seen: tried.clone(), tried, endpoint };
        watched.report_expiry();
        watched
    }

    fn look(&mut self, forced: bool) {
        let now = self.tried.again();
        let still = std::mem::replace(&mut self.seen, now.clone()) == now;
        if forced || still && now != self.tried {
            self.tried = now;
            if self.reload() {
                // It may come from other files now.
                self.tried = self.endpoint.loaded_from();
                self.seen = self.tried.clone();
            }
        }
    }

    /// Whether that has succeeded.
    fn reload(&self) -> bool {
        let name = self.endpoint.name();
        let outcome = self.endpoint.reload();
        let loaded = outcome.is_ok();
        let outcome = match outcome {
            Ok(()) => {
                let Certificate { fingerprint, not_after } = self.endpoint.certificate();
                tracing::info!(listener = name, certificate = %fingerprint, %not_after, "certificates loaded again");
                self.report_expiry();
                "ok"
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(listener = name, error, "certificates cannot be loaded again; those loaded before stay in use");
                "failed"
            }
        };
        metrics::counter!("claviger_tls_reloads_total", "listener" => name, "outcome" => outcome).increment(1);
        loaded
    }

    fn report_expiry(&self) {
        let not_after = self.endpoint.certificate().not_after.as_secs_f64();
        metrics::gauge!("claviger_tls_certificate_expiry_seconds", "listener" => self.endpoint.name()).set(not_after);
    }
}
