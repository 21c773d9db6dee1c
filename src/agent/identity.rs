//! One identity: its certificate, and its connections to every node of every region.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use claviger_tls::{ApiPool, ApiPoolLimits, ClientTls, IdentityFiles};

use crate::settings::{IdentitySettings, Settings};
use crate::{AgentError, Limits, RegionSettings};

/// Shorter than the nodes' patience with idle connections (two minutes).
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A node's certificate is verified when a connection is made; this is how late a change of it is noticed.
const AGE_MAX: Duration = Duration::from_secs(10 * 60);

/// The pools of one identity: by region, then by node, as in the configuration.
pub(crate) type Pools = Vec<Vec<ApiPool>>;

/// See the module.
pub(crate) struct Identity {
    pub(crate) name: String,
    files: IdentityFiles,
    pools: ArcSwap<Pools>,
}

impl Identity {
    pub(crate) fn load(identity: &IdentitySettings, settings: &Settings) -> Result<Self, AgentError> {
        let pools = make_pools(&identity.name, &identity.files, settings)?;
        Ok(Self { name: identity.name.clone(), files: identity.files.clone(), pools: ArcSwap::from_pointee(pools) })
    }

    /// Takes its certificate from the files anew. Requests in flight end on the old connections; no further one uses them.
    pub(crate) fn reload(&self, settings: &Settings) -> Result<(), AgentError> {
        self.pools.store(Arc::new(make_pools(&self.name, &self.files, settings)?));
        Ok(())
    }

    pub(crate) fn pools(&self) -> Arc<Pools> {
        self.pools.load_full()
    }
}

fn make_pools(name: &str, files: &IdentityFiles, settings: &Settings) -> Result<Pools, AgentError> {
    let unusable = |error| AgentError::Certificate { identity: name.to_owned(), source: Box::new(error) };
    let tls = ClientTls::api(files, &settings.ca).map_err(unusable)?;
    settings.regions.iter().map(|region| region_pools(region, &tls, settings.limits)).collect()
}

fn region_pools(region: &RegionSettings, tls: &ClientTls, limits: Limits) -> Result<Vec<ApiPool>, AgentError> {
    let limits = ApiPoolLimits {
        connections_max: limits.connections_per_node,
        connect_timeout: limits.connect_timeout,
        idle_timeout: IDLE_TIMEOUT,
        age_max: AGE_MAX,
    };
    let pool = |url: &String| {
        let open = metrics::gauge!("claviger_agent_node_connections", "region" => region.name.to_string(), "node" => url.clone());
        ApiPool::new(url, tls.clone(), limits, open)
            .map_err(|error| AgentError::Node { region: region.name.to_string(), source: Box::new(error) })
    };
    region.nodes.iter().map(pool).collect()
}
