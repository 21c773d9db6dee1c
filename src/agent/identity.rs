//! One identity: its certificate, and its connections to every node of every region.

use std::time::Duration;

use claviger_tls::{ApiPool, ApiPoolLimits, Certificate, ClientTls, Reloadable, Stamps, TlsError};

use crate::settings::{IdentitySettings, Settings};
use crate::{AgentError, Limits, RegionSettings};

/// Shorter than the nodes' patience with idle connections (two minutes).
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// A node's certificate is verified when a connection is made; this is how late a change of it is noticed.
const AGE_MAX: Duration = Duration::from_secs(10 * 60);

/// See the module.
pub(crate) struct Identity {
    /// In the metrics and logs of reloads; it lives as long as the process, as identities do.
    name: &'static str,
    tls: ClientTls,
    /// By region, then by node, as in the configuration.
    pub(crate) pools: Vec<Vec<ApiPool>>,
}

impl Identity {
    pub(crate) fn load(identity: &IdentitySettings, settings: &Settings) -> Result<Self, AgentError> {
        let IdentitySettings { name, files } = identity;
        let unusable = |error| AgentError::Certificate { identity: name.clone(), source: Box::new(error) };
        let tls = ClientTls::api(files, &settings.ca).map_err(unusable)?;
        let pools = settings.regions.iter().map(|region| region_pools(region, &tls, settings.limits)).collect::<Result<_, _>>()?;
        Ok(Self { name: Box::leak(name.clone().into_boxed_str()), tls, pools })
    }
}

impl Reloadable for Identity {
    fn name(&self) -> &'static str {
        self.name
    }

    fn loaded_from(&self) -> Stamps {
        self.tls.loaded_from()
    }

    fn reload(&self) -> Result<(), TlsError> {
        self.tls.reload()
    }

    fn certificate(&self) -> Certificate {
        self.tls.certificate()
    }
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
