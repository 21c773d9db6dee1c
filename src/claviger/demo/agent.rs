//! The demo's one agent: for all regions and all identities, a process of its own.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use claviger_agent::credentials::{self, AccessKey};
use claviger_types::{Clock, SystemClock};
use tokio::net::TcpStream;
use tokio::process::Child;

use super::deployment::{DemoIdentity, Deployment, IDENTITIES, eventually};
use super::process::{spawn, stop};
use crate::agent::config::AgentConfig;
use crate::agent::profile;

const START_PATIENCE: Duration = Duration::from_secs(60);

/// The agent's files, ports and process.
pub(super) struct AgentProcess {
    dir: PathBuf,
    aws_config: PathBuf,
    port: u16,
    metrics_port: u16,
    child: Option<Child>,
}

impl AgentProcess {
    /// An agent of the demo in this directory.
    pub(super) fn new(demo: &Path, [port, metrics_port]: [u16; 2]) -> Self {
        Self { dir: demo.join("agent"), aws_config: demo.join("aws-config"), port, metrics_port, child: None }
    }

    /// Where clients find it.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn metrics(&self) -> String {
        format!("http://127.0.0.1:{}", self.metrics_port)
    }

    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("agent.toml")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("agent.log")
    }

    /// The file for AWS's tools.
    pub(super) fn aws_config(&self) -> &Path {
        &self.aws_config
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Every access key, as `claviger agent access-key create` made it.
    pub(super) fn access_keys(&self) -> anyhow::Result<Vec<AccessKey>> {
        Ok(credentials::read(&AgentConfig::load(&self.config())?.credentials)?)
    }

    /// Writes its configuration, makes an access key for each identity and a profile for AWS's tools, and starts it.
    pub(super) async fn start(&mut self, text: &str) -> anyhow::Result<()> {
        std::fs::create_dir_all(&self.dir)?;
        let path = self.config();
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        let config = AgentConfig::load(&path)?;
        for identity in &config.identities {
            credentials::create(&config.credentials, &identity.name, SystemClock.now())?;
        }
        profile::write(&config, &self.aws_config, None)?;
        self.child = Some(spawn(&self.log(), &["agent", "--config", &path.to_string_lossy()])?);
        let (port, log) = (self.port, self.log());
        let child = &mut self.child;
        eventually(START_PATIENCE, "the agent listens", async || {
            if let Some(Ok(Some(status))) = child.as_mut().map(Child::try_wait) {
                bail!("the agent ended with {status}: see {}", log.display());
            }
            Ok(TcpStream::connect(("127.0.0.1", port)).await.is_ok())
        })
        .await
    }

    pub(super) async fn stop(&mut self) {
        stop(self.child.take()).await;
    }
}

/// The agent's configuration. `admin` comes first, so that it is the default profile.
pub(super) fn config_of(deployment: &Deployment, agent: &AgentProcess) -> String {
    let quoted = |path: &Path| format!("{:?}", path.display().to_string());
    let regions = deployment.regions().map(|(name, nodes)| {
        let nodes: Vec<String> = nodes.iter().map(|node| format!("{:?}", node.api())).collect();
        format!("[[regions]]\nname = \"{name}\"\nnodes = [{}]\n\n", nodes.join(", "))
    });
    let mut identities: Vec<&DemoIdentity> = IDENTITIES.iter().collect();
    identities.sort_by_key(|identity| identity.name != "admin");
    let identities = identities.into_iter().map(|identity| {
        let files = deployment.identity_files(identity.name);
        let (certificate, key) = (quoted(&files.certificate), quoted(&files.key));
        format!("[[identities]]\nname = \"{}\"\ncertificate = {certificate}\nkey = {key}\n\n", identity.name)
    });
    format!(
        r#"# Written by `claviger demo`.
ca = {ca}

[listen]
tcp = "127.0.0.1:{port}"
socket = "agent.sock"
metrics = "127.0.0.1:{metrics_port}"

{regions}{identities}[limits]
connections = 256  # so that agent and nodes fit under a common limit of open files
connections_per_node = 32
"#,
        ca = quoted(&deployment.api_ca()),
        port = agent.port,
        metrics_port = agent.metrics_port,
        regions = String::from_iter(regions),
        identities = String::from_iter(identities),
    )
}
