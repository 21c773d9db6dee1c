//! What an agent is told. Where it comes from (a configuration file) is the program's matter.

use std::path::PathBuf;
use std::time::Duration;

use claviger_tls::IdentityFiles;
use claviger_types::Region;

/// Everything but the addresses it listens on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who signs the nodes' api certificates.
    pub ca: PathBuf,
    /// The file of access keys ([`crate::credentials`]).
    pub credentials: PathBuf,
    /// The regions that are served.
    pub regions: Vec<RegionSettings>,
    /// Whom access keys may stand for.
    pub identities: Vec<IdentitySettings>,
    /// Bounds.
    pub limits: Limits,
}

/// One region.
#[derive(Clone, Debug)]
pub struct RegionSettings {
    /// Its name, as signatures scope to it.
    pub name: Region,
    /// The api listeners of its nodes, `https://host:port`.
    pub nodes: Vec<String>,
}

/// One identity.
#[derive(Clone, Debug)]
pub struct IdentitySettings {
    /// What access keys and AWS profiles call it.
    pub name: String,
    /// Its client certificate and private key.
    pub files: IdentityFiles,
}

/// What clients and nodes can make the agent use up.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests being forwarded at once; more wait.
    pub requests_in_flight: usize,
    /// Connections of each identity to each node.
    pub connections_per_node: usize,
    /// From the name lookup to the end of the TLS handshake.
    pub connect_timeout: Duration,
    /// How long one node may take to answer. Longer than a node holds requests while its region has no leader.
    pub answer_timeout: Duration,
    /// How long a request may take in all. Shorter than SDKs wait.
    pub request_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_in_flight: 256,
            connections_per_node: 64,
            connect_timeout: Duration::from_secs(3),
            answer_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
        }
    }
}
