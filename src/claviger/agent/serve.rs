//! `claviger agent --config FILE`: the agent, wired to its listeners.

use std::sync::Arc;

use anyhow::Context;
use claviger_agent::{Agent, bind_loopback};
use claviger_tls::{AcceptLimits, bind_unix, serve_plain};
use claviger_types::SystemClock;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::info;

use super::config::AgentConfig;
use crate::hardening::{LOCAL_CONNECTIONS, forbid_dumps, raise_file_limit};
use crate::{logging, shutdown, telemetry};

/// Files that are neither connections to clients nor to nodes.
const FILES_BESIDE_CONNECTIONS: u64 = 256;

/// Runs the agent until it is asked to stop; requests in flight are finished.
///
/// # Errors
/// What keeps it from starting.
pub(super) async fn serve(config: &AgentConfig) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    forbid_dumps()?;
    let files = u64::try_from(config.connections_max())?.saturating_add(FILES_BESIDE_CONNECTIONS);
    raise_file_limit(files, "limits.connections and limits.connections_per_node")?;
    let metrics = telemetry::start()?;
    let hangups = shutdown::hangups();
    let agent = Arc::new(Agent::new(config.settings(), Arc::new(SystemClock))?);
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();

    let at_most = |connections_max| AcceptLimits { connections_max, ..AcceptLimits::default() };
    let limits = at_most(config.limits.connections);
    if let Some(address) = config.listen.metrics {
        let listener = bind_loopback(address).await.with_context(|| format!("listen.metrics = {address} cannot be bound"))?;
        let router = telemetry::router(metrics.clone(), || None);
        tasks.spawn(serve_plain(listener, "metrics", None, at_most(LOCAL_CONNECTIONS), router, stopping.clone()));
    }
    if let Some(path) = &config.listen.socket {
        let listener = bind_unix(path).with_context(|| format!("listen.socket = {} cannot be bound", path.display()))?;
        tasks.spawn(serve_plain(listener, "agent", None, limits, agent.router(), stopping.clone()));
    }
    if let Some(address) = config.listen.tcp {
        let listener = bind_loopback(address).await.with_context(|| format!("listen.tcp = {address} cannot be bound"))?;
        tasks.spawn(serve_plain(listener, "agent", None, limits, agent.router(), stopping.clone()));
    }
    tasks.spawn(telemetry::upkeep(metrics, stopping.clone()));
    tasks.spawn(agent.follow_files(hangups, stopping));

    info!(tcp = ?config.listen.tcp, socket = ?config.listen.socket, regions = config.regions.len(), "serving");
    shutdown::signal().await;
    info!("stopping");
    stop.send_replace(true);
    while tasks.join_next().await.is_some() {}
    Ok(())
}
