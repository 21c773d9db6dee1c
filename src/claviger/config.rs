//! A node's configuration: TOML with no unknown fields, checked as a whole before anything starts.
//!
//! Relative paths are relative to the configuration file. Every error names the file and, where there is one, the line.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::path::{Path, PathBuf};

use claviger_attestation::TrustRoots;
use claviger_tls::{ClientCa, Stamps};
use claviger_types::{NodeId, Partition, Region, TrustDomain};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::attestation_roots::AttestationConfig;
use crate::client_cas::ApiCa;

/// Everything a node is told.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The region that this node belongs to.
    pub(crate) region: Region,
    /// The partition of all ARNs; the same in all regions of a deployment.
    #[serde(default)]
    pub(crate) partition: Partition,
    /// The SPIFFE trust domain of all certificates.
    pub(crate) trust_domain: TrustDomain,
    /// Where the node keeps its log, its state and its snapshots.
    pub(crate) data_dir: PathBuf,
    /// This node in its region.
    pub(crate) node: NodeConfig,
    /// Where it listens.
    pub(crate) listen: ListenConfig,
    /// Its certificates.
    pub(crate) tls: TlsConfig,
    /// How the keyring is unsealed.
    pub(crate) seal: SealConfig,
    /// Whose attestation documents are believed; nobody's if it is not there.
    attestation: Option<AttestationConfig>,
    /// Raft timings.
    #[serde(default)]
    pub(crate) raft: RaftConfig,
    /// Bounds on memory and load.
    #[serde(default)]
    pub(crate) limits: LimitsConfig,
    /// Logging.
    #[serde(default)]
    pub(crate) log: LogConfig,
    /// Process hardening.
    #[serde(default)]
    pub(crate) security: SecurityConfig,
    /// The CAs of clients, as `tls.api_ca` has them.
    #[serde(skip)]
    pub(crate) client_cas: Vec<ClientCa>,
    /// What `attestation.trust_roots` holds.
    #[serde(skip)]
    pub(crate) attestation_roots: Option<TrustRoots>,
    /// The file that all this is from.
    #[serde(skip)]
    pub(crate) file: PathBuf,
    /// What that was like just before it was read.
    #[serde(skip)]
    pub(crate) read_from: Stamps,
}

/// This node in its region.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NodeConfig {
    /// The id in the node's certificate; never used twice in a region.
    pub(crate) id: NodeId,
    /// The peer listener as other nodes and regions reach it, `https://host:port`.
    pub(crate) advertise: String,
}

/// Where the node listens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenConfig {
    /// Clients, over mutual TLS.
    pub(crate) api: SocketAddr,
    /// Nodes and regions, over mutual TLS with another trust anchor.
    pub(crate) peer: SocketAddr,
    /// `/metrics`, `/livez`, `/readyz`, plain: keep it on a loopback or management address.
    pub(crate) metrics: SocketAddr,
    /// The operator's Unix socket (mode 0600); `admin.sock` in the data directory unless given.
    pub(crate) admin_socket: Option<PathBuf>,
}

/// The node's certificates, as `claviger pki node` writes them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsConfig {
    /// The api listener's certificate chain.
    pub(crate) api_certificate: PathBuf,
    /// Its private key.
    pub(crate) api_key: PathBuf,
    /// Who signs clients and operators; see [`Config::client_cas`].
    api_ca: ApiCa,
    /// The node's own certificate for other nodes and regions.
    pub(crate) peer_certificate: PathBuf,
    /// Its private key.
    pub(crate) peer_key: PathBuf,
    /// Who signs nodes.
    pub(crate) peer_ca: PathBuf,
}

/// How the keyring is unsealed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, tag = "provider", rename_all = "kebab-case")]
pub(crate) enum SealConfig {
    /// A root key file, mode 0600, or a systemd credential.
    File {
        /// Its path.
        path: PathBuf,
    },
}

/// Raft timings, in milliseconds.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RaftConfig {
    /// How often a leader shows itself.
    pub(crate) heartbeat_ms: u64,
    /// The shortest silence after which a follower stands for election.
    pub(crate) election_timeout_min_ms: u64,
    /// The longest.
    pub(crate) election_timeout_max_ms: u64,
    /// Log entries between snapshots.
    pub(crate) snapshot_every_entries: u64,
}

impl Default for RaftConfig {
    fn default() -> Self {
        Self { heartbeat_ms: 100, election_timeout_min_ms: 500, election_timeout_max_ms: 1000, snapshot_every_entries: 100_000 }
    }
}

/// Bounds on memory and load.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LimitsConfig {
    /// Keys kept unsealed in locked memory.
    pub(crate) cached_keys: usize,
    /// API requests being worked on; more wait, in a queue as long.
    pub(crate) requests_in_flight: usize,
    /// Connections of the api listener.
    pub(crate) connections: usize,
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self { cached_keys: 100_000, requests_in_flight: 1024, connections: 4096 }
    }
}

/// Logging.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LogConfig {
    /// `auto`: for a person on a terminal, JSON otherwise.
    pub(crate) format: LogFormat,
    /// A tracing filter, e.g. `info,claviger_consensus=debug`.
    pub(crate) filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Auto, filter: "info,openraft=warn".to_owned() }
    }
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// `human` on a terminal, `json` otherwise.
    Auto,
    /// For a person.
    Human,
    /// One JSON object a line.
    Json,
}

/// Process hardening.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct SecurityConfig {
    /// Refuse to start while the machine has swap; otherwise the node only warns.
    pub(crate) require_no_swap: bool,
}

/// Why a configuration is refused.
#[derive(Debug)]
pub(crate) struct ConfigError {
    path: PathBuf,
    line: Option<usize>,
    problem: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ConfigError {}

/// A configuration file as text, from which errors know their lines.
pub(crate) struct TomlFile {
    path: PathBuf,
    text: String,
}

impl TomlFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self, ConfigError> {
        let fail = |error| ConfigError { path: path.to_owned(), line: None, problem: format!("cannot be read: {error}") };
        Ok(Self { path: path.to_owned(), text: std::fs::read_to_string(path).map_err(fail)? })
    }

    /// What the file says.
    ///
    /// # Errors
    /// The first problem, with its line.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        toml::from_str(&self.text).map_err(|error| {
            let problem = error.message().to_owned();
            match error.span() {
                Some(span) => self.at(&span, problem),
                None => ConfigError { path: self.path.clone(), line: None, problem },
            }
        })
    }

    /// A problem with what stands at a place in the text.
    pub(crate) fn at(&self, span: &Range<usize>, problem: String) -> ConfigError {
        let line = 1 + self.text[..span.start.min(self.text.len())].matches('\n').count();
        ConfigError { path: self.path.clone(), line: Some(line), problem }
    }

    /// What relative paths are relative to.
    pub(crate) fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// A problem with a field.
    pub(crate) fn at_fault(&self, field: &str, problem: String) -> ConfigError {
        ConfigError { path: self.path.clone(), line: line_of(&self.text, field), problem }
    }
}

impl Config {
    /// Reads and checks a configuration file.
    ///
    /// # Errors
    /// The first problem, with its file and line.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let read_from = Stamps::of([path]);
        let text = TomlFile::read(path)?;
        let mut config: Self = text.parse()?;
        (config.file, config.read_from) = (path.to_owned(), read_from);
        config.resolve_paths(text.directory());
        let client_cas = config.tls.api_ca.client_cas(text.directory(), &config.partition);
        config.client_cas = client_cas.map_err(|(span, problem)| match span {
            Some(span) => text.at(&span, problem),
            None => text.at_fault("api_ca", problem),
        })?;
        let roots = config.attestation.as_ref().map(|attestation| attestation.roots(text.directory()));
        config.attestation_roots = roots.transpose().map_err(|(span, problem)| text.at(&span, problem))?;
        config.check().map_err(|(field, problem)| text.at_fault(field, problem))?;
        Ok(config)
    }

    /// The operator's socket.
    pub(crate) fn admin_socket(&self) -> PathBuf {
        self.listen.admin_socket.clone().unwrap_or_else(|| self.data_dir.join("admin.sock"))
    }

    fn resolve_paths(&mut self, base: &Path) {
        let SealConfig::File { path: root_key } = &mut self.seal;
        let TlsConfig { api_certificate, api_key, api_ca: _, peer_certificate, peer_key, peer_ca } = &mut self.tls;
        let paths = [&mut self.data_dir, root_key, api_certificate, api_key, peer_certificate, peer_key, peer_ca];
        for path in paths.into_iter().chain(&mut self.listen.admin_socket) {
            *path = base.join(&*path);
        }
    }

    /// What no type can say: the field at fault and why.
    fn check(&self) -> Result<(), (&'static str, String)> {
        let RaftConfig { heartbeat_ms, election_timeout_min_ms, election_timeout_max_ms, snapshot_every_entries } = self.raft;
        if self.node.id == 0 {
            return Err(("id", "node.id must be 1 or more".to_owned()));
        }
        if !self.node.advertise.starts_with("https://") {
            return Err(("advertise", "node.advertise must be https://host:port, as other nodes reach the peer listener".to_owned()));
        }
        if heartbeat_ms == 0 || election_timeout_min_ms < 3 * heartbeat_ms {
            let problem = "raft.election_timeout_min_ms must be at least three times raft.heartbeat_ms";
            return Err(("election_timeout_min_ms", problem.to_owned()));
        }
        if election_timeout_max_ms <= election_timeout_min_ms {
            let problem = "raft.election_timeout_max_ms must be greater than raft.election_timeout_min_ms";
            return Err(("election_timeout_max_ms", problem.to_owned()));
        }
        if snapshot_every_entries == 0 {
            return Err(("snapshot_every_entries", "raft.snapshot_every_entries must be 1 or more".to_owned()));
        }
        let limits = [
            ("cached_keys", self.limits.cached_keys),
            ("requests_in_flight", self.limits.requests_in_flight),
            ("connections", self.limits.connections),
        ];
        match limits.into_iter().find(|(_, limit)| *limit == 0) {
            Some((name, _)) => Err((name, format!("limits.{name} must be 1 or more"))),
            None => Ok(()),
        }
    }
}

/// The first line that sets `field`.
fn line_of(text: &str, field: &str) -> Option<usize> {
    let sets = |line: &str| line.trim_start().strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with('='));
    text.lines().position(sets).map(|line| line + 1)
}

#[cfg(test)]
pub(crate) mod tests {
    use claviger_types::Timestamp;

    use super::*;

    pub(crate) fn load(change: impl Fn(String) -> String) -> Result<Config, String> {
        let example = include_str!("../../config/node.toml");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.toml");
        std::fs::write(&path, change(example.to_owned())).unwrap();
        Config::load(&path).map_err(|error| error.to_string().replace(&path.display().to_string(), "node.toml"))
    }

    #[test]
    fn the_example_parses_and_paths_are_relative_to_it() {
        let config = load(|text| text).unwrap();
        assert!(config.data_dir.is_absolute() && config.data_dir.ends_with("data"));
        assert!(config.admin_socket().ends_with("data/admin.sock"));
    }

    #[test]
    fn roots_of_attestation_are_read_with_the_configuration() {
        assert!(load(|text| text).unwrap().attestation_roots.is_none());
        let dir = tempfile::tempdir().unwrap();
        let roots = dir.path().join("roots.pem");
        let with_roots = || {
            let line = format!("\n[attestation]\ntrust_roots = \"{}\"\n", roots.display());
            load(|text| text + &line).map(|config| config.attestation_roots.is_some())
        };
        let refused = |problem: &str| {
            let error = with_roots().unwrap_err();
            let is_whole = error.starts_with("node.toml:") && error.contains("roots.pem") && error.contains("AWS_NitroEnclaves_Root-G1");
            assert!(is_whole && error.contains(problem), "{error}");
        };
        refused("cannot be read");
        std::fs::write(&roots, "junk").unwrap();
        refused("no certificate in it");
        std::fs::write(&roots, vec![b' '; 1024 * 1024 + 1]).unwrap();
        refused("more than 1048576 bytes");
        let now = Timestamp::from_millis(1_800_000_000_000);
        std::fs::write(&roots, claviger_attestation_testing::Hypervisor::new(now).root_pem()).unwrap();
        assert_eq!(with_roots(), Ok(true));
        let unknown = load(|text| text + "\n[attestation]\nroots = \"x\"\n").unwrap_err();
        assert!(unknown.starts_with("node.toml:") && unknown.contains("roots"), "{unknown}");
    }

    #[test]
    fn problems_name_file_and_line() {
        let unknown = load(|text| text.replace("[listen]", "[listen]\napii = 1")).unwrap_err();
        assert!(unknown.starts_with("node.toml:") && unknown.contains("apii"), "{unknown}");
        let region = load(|text| text.replace("eu-west-1", "dc1")).unwrap_err();
        assert!(region.starts_with("node.toml:") && region.contains("region"), "{region}");
        let zero = load(|text| text.replace("\nid = 1", "\nid = 0")).unwrap_err();
        assert!(zero.starts_with("node.toml:") && zero.contains("node.id"), "{zero}");
        let missing = Config::load(Path::new("no-such-file.toml")).unwrap_err().to_string();
        assert!(missing.contains("no-such-file.toml: cannot be read"), "{missing}");
    }
}
