//! Where a demo's deployment is: its `demo.json`.

use std::path::{Path, PathBuf};

use claviger_tls::{ClientTls, IdentityFiles};
use serde::Deserialize;

use crate::cpu::CpuSource;
use crate::{BenchError, Target};

/// What the generator reads of `demo.json`.
#[derive(Debug, Deserialize)]
pub struct Demo {
    ca: PathBuf,
    regions: Vec<Region>,
    identities: Vec<Identity>,
}

#[derive(Debug, Deserialize)]
struct Region {
    name: String,
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    pid: Option<u32>,
    api: String,
    metrics: String,
    config: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Identity {
    name: String,
    cert: PathBuf,
    key: PathBuf,
}

impl Demo {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is not there, or the demo did not write it.
    pub fn read(path: &Path) -> Result<Self, BenchError> {
        let text = std::fs::read(path).map_err(|source| BenchError::DemoRead { path: path.to_owned(), source })?;
        serde_json::from_slice(&text).map_err(|source| BenchError::DemoParse { path: path.to_owned(), source })
    }

    /// A region, the first one unless named, as one of its identities.
    ///
    /// # Errors
    /// When there is no such region or identity, or its files cannot be used.
    pub fn target(&self, region: Option<&str>, identity: &str) -> Result<Target, BenchError> {
        let nodes = &self.region(region)?.nodes;
        let lacks = || {
            let found = self.identities.iter().map(|identity| identity.name.as_str()).collect::<Vec<_>>().join(", ");
            BenchError::DemoLacks { what: "identity", name: identity.to_owned(), found }
        };
        let identity = self.identities.iter().find(|found| found.name == identity).ok_or_else(lacks)?;
        let tls = ClientTls::api(&IdentityFiles::new(&identity.cert, &identity.key), &self.ca)?;
        let cpu = nodes.iter().map(|node| match node.pid {
            Some(pid) if is_node(pid, &node.config) => CpuSource::Process(pid),
            _ => CpuSource::Metrics(node.metrics.clone()),
        });
        Ok(Target { urls: nodes.iter().map(|node| node.api.clone()).collect(), tls, cpu: cpu.collect() })
    }

    /// A node's configuration: the empty handler shows the same certificate and trusts the same clients.
    ///
    /// # Errors
    /// When there is no such region.
    pub fn node_config(&self, region: Option<&str>) -> Result<&Path, BenchError> {
        let node = self.region(region)?.nodes.first().ok_or(BenchError::Nodes(0))?;
        Ok(&node.config)
    }

    fn region(&self, name: Option<&str>) -> Result<&Region, BenchError> {
        let lacks = || {
            let found = self.regions.iter().map(|region| region.name.as_str()).collect::<Vec<_>>().join(", ");
            BenchError::DemoLacks { what: "region", name: name.unwrap_or_default().to_owned(), found }
        };
        self.regions.iter().find(|region| name.is_none_or(|name| region.name == name)).ok_or_else(lacks)
    }
}

/// Whether a process still is the node of that configuration: it may have been started again under another id.
fn is_node(pid: u32, config: &Path) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).any(|argument| argument == config.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_and_identities_are_named_when_one_is_not_there() {
        let text = r#"{ "trust_domain": "x", "ca": "/ca.pem", "identities": [{ "name": "root", "cert": "/a.pem", "key": "/a.key" }],
            "regions": [{ "name": "eu-west-1", "nodes": [{ "id": 1, "pid": null, "api": "https://127.0.0.1:1",
                "metrics": "http://127.0.0.1:2", "config": "/node.toml" }] }] }"#;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("demo.json");
        std::fs::write(&path, text).unwrap();
        let demo = Demo::read(&path).unwrap();
        assert_eq!(demo.node_config(None).unwrap(), Path::new("/node.toml"));
        let region = demo.node_config(Some("us-east-1")).unwrap_err().to_string();
        assert!(region.contains("us-east-1") && region.contains("it has: eu-west-1"), "{region}");
        let identity = demo.target(Some("eu-west-1"), "nobody").err().unwrap().to_string();
        assert!(identity.contains("nobody") && identity.contains("it has: root"), "{identity}");
        std::fs::write(&path, "{}").unwrap();
        assert!(matches!(Demo::read(&path), Err(BenchError::DemoParse { .. })));
        assert!(matches!(Demo::read(&dir.path().join("none")), Err(BenchError::DemoRead { .. })));
    }
}
