//! An agent's configuration: TOML with no unknown fields, checked as a whole before anything starts.
//!
//! Relative paths are relative to the configuration file. Every error names the file and, where there is one, the line.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use claviger_agent::{IdentitySettings, Limits, RegionSettings, Settings, is_loopback};
use claviger_tls::{ApiPool, IdentityFiles};
use claviger_types::Region;
use claviger_types::limits::{PEER_ENDPOINTS_MAX, REGIONS_MAX};
use serde::Deserialize;

use crate::config::{ConfigError, LogConfig, TomlFile};

/// AWS profiles are named after identities.
const NAME_BYTES_MAX: usize = 64;
/// Identities of one agent.
const IDENTITIES_MAX: usize = 1024;

/// Everything an agent is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentConfig {
    /// Who signs the nodes' api certificates.
    ca: PathBuf,
    /// The file of access keys; `agent-credentials` unless given.
    #[serde(default = "default_credentials")]
    pub(crate) credentials: PathBuf,
    /// Where it listens.
    pub(crate) listen: AgentListen,
    /// The regions that it serves.
    pub(crate) regions: Vec<RegionConfig>,
    /// Whom access keys may stand for.
    pub(crate) identities: Vec<IdentityConfig>,
    /// Bounds on memory and load.
    #[serde(default)]
    pub(crate) limits: AgentLimits,
    /// Logging.
    #[serde(default)]
    pub(crate) log: LogConfig,
}

fn default_credentials() -> PathBuf {
    PathBuf::from("agent-credentials")
}

/// Where the agent listens: on this machine alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentListen {
    /// Clients, over loopback TCP.
    pub(crate) tcp: Option<SocketAddr>,
    /// Clients, over a Unix socket of mode 0600.
    pub(crate) socket: Option<PathBuf>,
    /// `/metrics`, `/livez`, `/readyz`, over loopback TCP.
    pub(crate) metrics: Option<SocketAddr>,
}

/// One region.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegionConfig {
    /// Its name.
    pub(crate) name: Region,
    /// The api listeners of its nodes, `https://host:port`.
    nodes: Vec<String>,
}

/// One identity.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdentityConfig {
    /// What access keys and AWS profiles call it.
    pub(crate) name: String,
    /// Its client certificate, as `claviger pki client` writes it.
    certificate: PathBuf,
    /// Its private key.
    key: PathBuf,
}

/// Bounds on memory and load.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AgentLimits {
    /// Connections of each listener.
    pub(crate) connections: usize,
    /// Requests being forwarded at once; more wait.
    requests_in_flight: usize,
    /// Connections of each identity to each node.
    connections_per_node: usize,
    /// To a node, TLS included.
    connect_timeout_ms: u64,
    /// Of one node to one request.
    answer_timeout_ms: u64,
    /// Of a request in all.
    request_timeout_ms: u64,
}

impl Default for AgentLimits {
    fn default() -> Self {
        Self {
            connections: 1024,
            requests_in_flight: 256,
            connections_per_node: 64,
            connect_timeout_ms: 3_000,
            answer_timeout_ms: 10_000,
            request_timeout_ms: 30_000,
        }
    }
}

impl AgentConfig {
    /// Whether a file is an agent's configuration rather than a node's.
    ///
    /// # Errors
    /// When it cannot be read, or is not TOML.
    pub(crate) fn is_in(path: &Path) -> Result<bool, ConfigError> {
        Ok(TomlFile::read(path)?.parse::<toml::Table>()?.contains_key("identities"))
    }

    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// The first problem, with its file and line.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = TomlFile::read(path)?;
        let mut config: Self = text.parse()?;
        config.resolve_paths(text.directory());
        config.check().map_err(|(field, problem)| text.at_fault(field, problem))?;
        Ok(config)
    }

    /// What the agent itself is told.
    pub(crate) fn settings(&self) -> Settings {
        let region = |region: &RegionConfig| RegionSettings { name: region.name.clone(), nodes: region.nodes.clone() };
        let identity = |identity: &IdentityConfig| IdentitySettings {
            name: identity.name.clone(),
            files: IdentityFiles::new(&identity.certificate, &identity.key),
        };
        Settings {
            ca: self.ca.clone(),
            credentials: self.credentials.clone(),
            regions: self.regions.iter().map(region).collect(),
            identities: self.identities.iter().map(identity).collect(),
            limits: Limits {
                requests_in_flight: self.limits.requests_in_flight,
                connections_per_node: self.limits.connections_per_node,
                connect_timeout: Duration::from_millis(self.limits.connect_timeout_ms),
                answer_timeout: Duration::from_millis(self.limits.answer_timeout_ms),
                request_timeout: Duration::from_millis(self.limits.request_timeout_ms),
            },
        }
    }

    /// Connections that can be open at once, to clients and to nodes.
    pub(crate) fn connections_max(&self) -> usize {
        let nodes: usize = self.regions.iter().map(|region| region.nodes.len()).sum();
        let to_nodes = self.limits.connections_per_node.saturating_mul(nodes).saturating_mul(self.identities.len());
        self.limits.connections.saturating_mul(2).saturating_add(to_nodes)
    }

    fn resolve_paths(&mut self, base: &Path) {
        let identities = self.identities.iter_mut().flat_map(|identity| [&mut identity.certificate, &mut identity.key]);
        for path in [&mut self.ca, &mut self.credentials].into_iter().chain(&mut self.listen.socket).chain(identities) {
            *path = base.join(&*path);
        }
    }

    /// What no type can say: the field at fault and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        self.check_listen()?;
        self.check_regions()?;
        self.check_identities()?;
        let AgentLimits { connections, requests_in_flight, connections_per_node, .. } = self.limits;
        let AgentLimits { connect_timeout_ms, answer_timeout_ms, request_timeout_ms, .. } = self.limits;
        let is_zero = [
            ("connections", connections == 0),
            ("requests_in_flight", requests_in_flight == 0),
            ("connections_per_node", connections_per_node == 0),
            ("connect_timeout_ms", connect_timeout_ms == 0),
            ("answer_timeout_ms", answer_timeout_ms == 0),
        ];
        if let Some((name, _)) = is_zero.into_iter().find(|(_, zero)| *zero) {
            return Err((name, format!("limits.{name} must be 1 or more")));
        }
        if request_timeout_ms < answer_timeout_ms {
            return Err(("request_timeout_ms", "limits.request_timeout_ms must not be less than limits.answer_timeout_ms".to_owned()));
        }
        Ok(())
    }

    fn check_listen(&self) -> Result<(), (&'static str, String)> {
        let AgentListen { tcp, socket, metrics } = &self.listen;
        if tcp.is_none() && socket.is_none() {
            return Err(("listen", "listen.tcp or listen.socket must be given".to_owned()));
        }
        for (field, address) in [("tcp", tcp), ("metrics", metrics)] {
            let Some(address) = address else { continue };
            if !is_loopback(*address) {
                return Err((field, format!("listen.{field} must be a loopback address, as 127.0.0.1: the agent speaks plain HTTP")));
            }
            if address.port() == 0 {
                return Err((field, format!("listen.{field} must name a port: clients have to find it")));
            }
        }
        Ok(())
    }

    fn check_regions(&self) -> Result<(), (&'static str, String)> {
        let names: BTreeSet<_> = self.regions.iter().map(|region| &region.name).collect();
        if names.len() != self.regions.len() || names.is_empty() || names.len() > REGIONS_MAX {
            return Err(("regions", format!("there must be 1 to {REGIONS_MAX} regions, each named once")));
        }
        for RegionConfig { name, nodes } in &self.regions {
            if nodes.is_empty() || nodes.len() > PEER_ENDPOINTS_MAX {
                return Err(("nodes", format!("{name} must have 1 to {PEER_ENDPOINTS_MAX} nodes")));
            }
            if let Some(node) = nodes.iter().find(|node| !ApiPool::takes(node)) {
                return Err(("nodes", format!("{node} must be https://host:port, the api listener of a node of {name}")));
            }
        }
        Ok(())
    }

    fn check_identities(&self) -> Result<(), (&'static str, String)> {
        let names: BTreeSet<_> = self.identities.iter().map(|identity| identity.name.as_str()).collect();
        if names.len() != self.identities.len() || names.is_empty() || names.len() > IDENTITIES_MAX {
            return Err(("identities", format!("there must be 1 to {IDENTITIES_MAX} identities, each named once")));
        }
        let is_name = |name: &&str| {
            let shaped = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
            shaped && (1..=NAME_BYTES_MAX).contains(&name.len()) && *name != "default"
        };
        match names.into_iter().find(|name| !is_name(name)) {
            Some(name) => {
                let problem =
                    format!("{name:?} must be 1 to {NAME_BYTES_MAX} letters, digits, dots, hyphens or underscores, and not \"default\"");
                Err(("name", problem))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(change: impl Fn(String) -> String) -> Result<AgentConfig, String> {
        let example = include_str!("../../../config/agent.toml");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.toml");
        std::fs::write(&path, change(example.to_owned())).unwrap();
        assert!(AgentConfig::is_in(&path).unwrap());
        AgentConfig::load(&path).map_err(|error| error.to_string().replace(&path.display().to_string(), "agent.toml"))
    }

    #[test]
    fn the_example_parses_and_says_the_defaults() {
        let config = load(|text| text).unwrap();
        assert!(config.credentials.is_absolute() && config.credentials.ends_with("agent-credentials"));
        let (given, default) = (config.limits, AgentLimits::default());
        assert_eq!(format!("{given:?}"), format!("{default:?}"));
        assert_eq!(format!("{:?}", config.settings().limits), format!("{:?}", Limits::default()));
        assert!(!AgentConfig::is_in(&Path::new(env!("CARGO_MANIFEST_DIR")).join("config/node.toml")).unwrap());
    }

    #[test]
    fn problems_name_file_line_and_remedy() {
        let cases: [(&str, &str, &str); 9] = [
            ("tcp = \"127.0.0.1:8300\"", "tcp = \"0.0.0.0:8300\"", "must be a loopback address"),
            ("tcp = \"127.0.0.1:8300\"", "tcp = \"127.0.0.1:0\"", "must name a port"),
            ("metrics = \"127.0.0.1:9444\"", "metrics = \"192.0.2.7:9444\"", "must be a loopback address"),
            ("https://10.0.0.1:8443", "http://10.0.0.1:8443", "must be https://host:port"),
            ("name = \"us-east-1\"", "name = \"eu-west-1\"", "each named once"),
            ("name = \"us-east-1\"", "name = \"dc1\"", "region"),
            ("name = \"alice\"", "name = \"default\"", "not \"default\""),
            ("connections_per_node = 64", "connections_per_node = 0", "1 or more"),
            ("answer_timeout_ms = 10000", "answer_timeout_ms = 60000", "must not be less"),
        ];
        for (from, to, words) in cases {
            let error = load(|text| {
                assert!(text.contains(from), "{from}");
                text.replace(from, to)
            });
            let error = error.unwrap_err();
            assert!(error.starts_with("agent.toml:") && error.contains(words), "{to}: {error}");
        }
    }
}
