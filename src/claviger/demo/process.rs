//! Child processes of the demo: nodes, and how any of them is started and stopped.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use claviger_types::{NodeId, Region};
use tokio::process::{Child, Command};

use super::deployment::eventually;

/// How long a process may take to finish its requests and stop.
const STOP_PATIENCE: Duration = Duration::from_secs(30);

/// A node's files, ports and process.
pub(super) struct NodeProcess {
    pub(super) region: Region,
    pub(super) id: NodeId,
    pub(super) dir: PathBuf,
    pub(super) api_port: u16,
    pub(super) peer_port: u16,
    pub(super) metrics_port: u16,
    child: Option<Child>,
}

impl NodeProcess {
    pub(super) fn new(region: Region, id: NodeId, dir: PathBuf, ports: [u16; 3]) -> Self {
        let [api_port, peer_port, metrics_port] = ports;
        Self { region, id, dir, api_port, peer_port, metrics_port, child: None }
    }

    pub(super) fn config(&self) -> PathBuf {
        self.dir.join("node.toml")
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.dir.join("node.log")
    }

    pub(super) fn admin_socket(&self) -> PathBuf {
        self.dir.join("admin.sock")
    }

    pub(super) fn api(&self) -> String {
        format!("https://127.0.0.1:{}", self.api_port)
    }

    pub(super) fn peer(&self) -> String {
        format!("https://127.0.0.1:{}", self.peer_port)
    }

    pub(super) fn metrics(&self) -> String {
        format!("http://127.0.0.1:{}", self.metrics_port)
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Runs this program with other arguments to its end; its output goes to the node's log.
    pub(super) async fn command(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let status = spawn(&self.log(), arguments)?.wait().await?;
        anyhow::ensure!(status.success(), "`claviger {}` failed: see {}", arguments.join(" "), self.log().display());
        Ok(())
    }

    /// Starts the node.
    pub(super) fn start(&mut self) -> anyhow::Result<()> {
        let config = self.config();
        self.child = Some(spawn(&self.log(), &["serve", "--config", &config.to_string_lossy()])?);
        Ok(())
    }

    /// Says how the process ended, if it did.
    pub(super) fn ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok()??;
        Some(format!("node {} of {} ended with {status}: see {}", self.id, self.region, self.log().display()))
    }

    /// Kills the node without warning (SIGKILL).
    pub(super) async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await.context("the node's process cannot be killed")?;
        }
        Ok(())
    }

    /// Asks the node to stop and waits for it; also when somebody else has killed it and started it again meanwhile.
    pub(super) async fn stop(&mut self) {
        stop(self.child.take()).await;
        let config = self.config();
        let has_stopped = async || Ok(serving(&config).is_none());
        if let Some(pid) = serving(&config) {
            crate::shutdown::terminate(pid);
            // It is not ours to wait for, nor to kill.
            let _ = eventually(STOP_PATIENCE, "a node that was started again stops", has_stopped).await;
        }
    }
}

/// Runs this program with other arguments; its output goes to the log.
pub(super) fn spawn(log: &Path, arguments: &[&str]) -> anyhow::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(log).with_context(|| format!("{} cannot be opened", log.display()))?;
    Command::new(std::env::current_exe()?)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .context("the process cannot be started")
}

/// Asks a process to stop and waits for it.
pub(super) async fn stop(child: Option<Child>) {
    let Some(mut child) = child else { return };
    if let Some(pid) = child.id() {
        crate::shutdown::terminate(pid);
    }
    if tokio::time::timeout(STOP_PATIENCE, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}

/// The process that runs `claviger serve` with this configuration, if any does.
fn serving(config: &Path) -> Option<u32> {
    let arguments = [b"serve".as_slice(), b"--config", config.as_os_str().as_encoded_bytes()];
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        // A zombie's is empty.
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        line.split(|byte| *byte == 0).skip(1).take(3).eq(arguments).then_some(pid)
    })
}
