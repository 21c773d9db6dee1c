//! What a process does before it holds a secret or serves anybody: no core dumps, locked memory, enough file descriptors.

use anyhow::{Context, bail};
use rustix::process::{Resource, Rlimit};
use tracing::warn;

use crate::config::Config;

/// Connections of the peer listener: several lanes from each node of the region and of every peer.
pub(crate) const PEER_CONNECTIONS: usize = 1024;
/// Connections of the metrics listener and of the admin socket, each.
pub(crate) const LOCAL_CONNECTIONS: usize = 64;
/// Files of two databases, logs, sockets to peers, and room.
const FILES_BESIDE_CONNECTIONS: u64 = 2048;

/// Secrets of requests and of batches from and to peers that are worked on at once.
const SECRETS_BESIDE_CACHE: usize = 32_768;

/// Leaves the process dumpable, for the test that searches a core image; every start with it is logged as a warning.
const ALLOW_CORE_ENV: &str = "CLAVIGER_TEST_ALLOW_CORE";

/// Keeps secrets out of core dumps, swap and other processes' reach, before there are any.
///
/// # Errors
/// When the system refuses, or has swap although the configuration forbids it.
pub(crate) fn harden(config: &Config) -> anyhow::Result<()> {
    forbid_dumps()?;
    claviger_crypto::secret::init()?;
    if claviger_crypto::secret::swap_is_on() {
        if config.security.require_no_swap {
            bail!("this machine has swap and security.require_no_swap is set: switch swap off (swapoff -a)");
        }
        warn!("this machine has swap: key material is locked in memory, but request bodies are not; consider swapoff -a");
    }
    Ok(())
}

/// Keeps this process out of core dumps and other processes' reach.
///
/// # Errors
/// When the system refuses.
pub(crate) fn forbid_dumps() -> anyhow::Result<()> {
    let allow_core = std::env::var_os(ALLOW_CORE_ENV).is_some();
    if allow_core {
        warn!("{ALLOW_CORE_ENV} is set: this process may be dumped; never set it outside tests");
    }
    Ok(claviger_crypto::secret::harden_process(allow_core)?)
}

/// Makes sure now, with an error that says what to raise, that what the configuration allows can be held at once: secrets in
/// locked memory, and open files.
///
/// # Errors
/// When a limit of the process is too low and may not be raised.
pub(crate) fn make_room(config: &Config) -> anyhow::Result<()> {
    claviger_crypto::secret::reserve(config.limits.cached_keys.saturating_add(SECRETS_BESIDE_CACHE))?;
    // A database that gets no file stops the node, so clients must not be able to use them all up.
    let connections = config.limits.connections.saturating_add(PEER_CONNECTIONS + 2 * LOCAL_CONNECTIONS);
    raise_file_limit(u64::try_from(connections)?.saturating_add(FILES_BESIDE_CONNECTIONS), "limits.connections")
}

/// Lets this process open as many files as it may need; `setting` is what asks for them.
///
/// # Errors
/// When a limit of the process is too low and may not be raised.
pub(crate) fn raise_file_limit(needed: u64, setting: &str) -> anyhow::Result<()> {
    let held = rustix::process::getrlimit(Resource::Nofile);
    if held.current.is_none_or(|soft| soft >= needed) {
        return Ok(());
    }
    if held.maximum.is_some_and(|hard| hard < needed) {
        bail!(
            "this process may open {} files and needs {needed}: raise the limit (LimitNOFILE= in systemd, ulimit -n) or lower {setting}",
            held.maximum.unwrap_or_default()
        );
    }
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: held.maximum })
        .context("the limit of open files cannot be raised")
}
