//! The demo's deployment: certificates, configuration, processes. Everything is made by the product's own commands.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use claviger_crypto::random;
use claviger_operator::iam::{self, IamFile};
use claviger_operator::{admin, pki};
use claviger_shapes::admin::AddPeer;
use claviger_tls::{ApiClient, ClientTls, IdentityFiles};
use claviger_types::{NodeId, Region};

use super::agent::{self, AgentProcess};
use super::kms::Kms;
use super::process::NodeProcess;
use super::progress::Progress;

pub(super) const TRUST_DOMAIN: &str = "demo.claviger.internal";
const START_PATIENCE: Duration = Duration::from_secs(60);
/// Where free ports are looked for.
const LISTEN_PORTS: std::ops::Range<u16> = 10_000..30_000;
const POLL: Duration = Duration::from_millis(25);

/// A principal of the demo.
pub(super) struct DemoIdentity {
    pub(super) name: &'static str,
    pub(super) account: &'static str,
    /// The path of its SPIFFE id below the account.
    path: &'static str,
}

impl DemoIdentity {
    pub(super) fn arn(&self) -> String {
        format!("arn:aws:iam::{}:{}", self.account, self.path)
    }
}

/// What the regions know of them: admin may do everything by a policy of its own, the other users nothing.
const IAM_FILE: &str = r#"# Written by `claviger demo`. Change it, then: claviger iam apply -f iam.toml --demo demo.json --all

[[account]]
id = "111122223333"

[[account.policy]]
name = "everything"
document = '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'

[[account.user]]
name = "admin"
attach = ["everything"]

[[account.user]]
name = "alice"

[[account.user]]
name = "bob"

[[account]]
id = "444455556666"

[[account.user]]
name = "carol"
"#;

/// Identities of the demo contract.
pub(super) const IDENTITIES: [DemoIdentity; 6] = [
    DemoIdentity { name: "root", account: "111122223333", path: "root" },
    DemoIdentity { name: "admin", account: "111122223333", path: "user/admin" },
    DemoIdentity { name: "alice", account: "111122223333", path: "user/alice" },
    DemoIdentity { name: "bob", account: "111122223333", path: "user/bob" },
    DemoIdentity { name: "other-root", account: "444455556666", path: "root" },
    DemoIdentity { name: "carol", account: "444455556666", path: "user/carol" },
];

pub(super) struct Deployment {
    pub(super) dir: PathBuf,
    pub(super) agent: AgentProcess,
    pub(super) nodes_per_region: u64,
    order: Vec<Region>,
    nodes: BTreeMap<Region, Vec<NodeProcess>>,
}

impl Deployment {
    pub(super) fn new(dir: &Path, regions: &[Region], nodes_per_region: u64, port_base: u16) -> anyhow::Result<Self> {
        let count = regions.len() * usize::try_from(nodes_per_region)?;
        let mut ports = ports(port_base, 3 * count + 2)?.into_iter();
        let mut nodes = BTreeMap::new();
        for region in regions {
            let of_region = (1..=nodes_per_region)
                .map(|id| {
                    let ports = [(); 3].map(|()| ports.next().unwrap_or_default());
                    NodeProcess::new(region.clone(), id, dir.join(region.as_str()).join(format!("node-{id}")), ports)
                })
                .collect();
            ensure!(nodes.insert(region.clone(), of_region).is_none(), "{region} is named twice");
        }
        let agent = AgentProcess::new(dir, [(); 2].map(|()| ports.next().unwrap_or_default()));
        Ok(Self { dir: dir.to_owned(), agent, nodes_per_region, order: regions.to_vec(), nodes })
    }

    /// The regions in the order in which they were asked for.
    pub(super) fn regions(&self) -> impl Iterator<Item = (&Region, &[NodeProcess])> {
        self.order.iter().map(|region| (region, self.nodes[region].as_slice()))
    }

    /// Makes certificates and configuration, starts every node, and introduces the regions to each other.
    pub(super) async fn start(&mut self, progress: &mut Progress) -> anyhow::Result<()> {
        progress.step("make private CAs, certificates and configuration", async { self.prepare() }).await?;
        for region in self.order.clone() {
            let name = format!("start {region}: {} nodes", self.nodes_per_region);
            progress.step(&name, self.start_first_time(&region)).await?;
        }
        progress.step("make accounts and identities known to every region", self.identify()).await?;
        if self.order.len() > 1 {
            progress.step("introduce the regions to each other by their fingerprints", self.introduce()).await?;
        }
        let config = agent::config_of(self, &self.agent);
        progress.step("start the agent: one for all regions and identities", self.agent.start(&config)).await
    }

    fn prepare(&self) -> anyhow::Result<()> {
        pki::init(&self.pki(), &TRUST_DOMAIN.parse()?, pki::Validity::days(3650))?;
        for node in self.nodes.values().flatten() {
            fs::create_dir_all(&node.dir)?;
            let sans = ["127.0.0.1".to_owned(), "localhost".to_owned()];
            pki::issue_node(&self.pki(), &node.dir.join("tls"), &node.region, node.id, &sans, pki::Validity::days(365))?;
            fs::write(node.config(), config_of(node)).with_context(|| format!("{} cannot be written", node.config().display()))?;
        }
        fs::create_dir_all(self.dir.join("identities"))?;
        for identity in &IDENTITIES {
            let path = format!("{}/{}", identity.account, identity.path);
            pki::issue_client(&self.pki(), &self.dir.join("identities").join(identity.name), &path, pki::Validity::days(365))?;
        }
        fs::write(self.iam_file(), IAM_FILE).with_context(|| format!("{} cannot be written", self.iam_file().display()))?;
        pki::issue_operator(&self.pki(), &self.dir.join("identities").join("operator"), "demo", pki::Validity::days(365))?;
        Ok(())
    }

    fn iam_file(&self) -> PathBuf {
        self.dir.join("iam.toml")
    }

    fn pki(&self) -> PathBuf {
        self.dir.join("pki")
    }

    pub(super) fn api_ca(&self) -> PathBuf {
        self.pki().join("api-ca.pem")
    }

    pub(super) fn identity_files(&self, name: &str) -> IdentityFiles {
        let base = self.dir.join("identities").join(name);
        IdentityFiles::new(base.with_extension("pem"), base.with_extension("key"))
    }

    /// The first node makes the region, the others join it; the root key is copied as an operator would.
    async fn start_first_time(&mut self, region: &Region) -> anyhow::Result<()> {
        let nodes = self.nodes.get_mut(region).context("no such region")?;
        let (first, others) = nodes.split_first_mut().context("a region has nodes")?;
        first.command(&["init", "--config", &first.config().to_string_lossy()]).await?;
        first.start()?;
        await_all_ready(std::slice::from_mut(first)).await?;
        for node in others {
            let root_key = node.dir.join("root.key");
            fs::copy(first.dir.join("root.key"), &root_key).context("the root key cannot be copied")?;
            let config = node.config();
            node.command(&["join", "--config", &config.to_string_lossy(), "--via", &first.peer()]).await?;
            node.start()?;
        }
        self.await_ready(region).await?;
        let expected = usize::try_from(self.nodes_per_region)?;
        let client = self.admin(region, 1)?;
        eventually(START_PATIENCE, &format!("all nodes of {region} vote"), async || {
            Ok(admin::status(&client).await.is_ok_and(|status| status.voters.len() == expected))
        })
        .await
    }

    /// As `claviger iam apply -f DIR/iam.toml --all` does.
    async fn identify(&self) -> anyhow::Result<()> {
        let file = IamFile::load(&self.iam_file())?;
        for name in &self.order {
            let (regions, unknown) = iam::regions(vec![(Some(name.clone()), self.admin(name, 1)?)]).await;
            ensure!(unknown.is_empty(), "{name} does not answer");
            for region in regions {
                for plan in region.plans(&file, false).await? {
                    region.apply(&plan).await.map_err(|failed| failed.error)?;
                }
            }
        }
        Ok(())
    }

    async fn introduce(&self) -> anyhow::Result<()> {
        let mut identities = BTreeMap::new();
        for region in &self.order {
            identities.insert(region, admin::identity(&self.admin(region, 1)?).await?);
        }
        for region in &self.order {
            let client = self.admin(region, 1)?;
            for (peer, identity) in identities.iter().filter(|(peer, _)| **peer != region) {
                let endpoints = self.nodes[*peer].iter().map(NodeProcess::peer).collect();
                let request = AddPeer { endpoints, region: (*peer).clone(), fingerprint: identity.fingerprint.clone() };
                admin::add_peer(&client, &request).await?;
            }
        }
        Ok(())
    }

    fn admin(&self, region: &Region, id: NodeId) -> anyhow::Result<ApiClient> {
        Ok(ApiClient::unix(&self.node(region, id)?.admin_socket()))
    }

    fn node(&self, region: &Region, id: NodeId) -> anyhow::Result<&NodeProcess> {
        self.nodes.get(region).and_then(|nodes| nodes.iter().find(|node| node.id == id)).context("no such node")
    }

    pub(super) fn node_mut(&mut self, region: &Region, id: NodeId) -> anyhow::Result<&mut NodeProcess> {
        self.nodes.get_mut(region).and_then(|nodes| nodes.iter_mut().find(|node| node.id == id)).context("no such node")
    }

    /// Account 111122223333's administrator at a region.
    pub(super) fn kms(&self, region: &Region) -> anyhow::Result<Kms> {
        self.kms_as("admin", region)
    }

    /// One of the identities at a region.
    pub(super) fn kms_as(&self, identity: &str, region: &Region) -> anyhow::Result<Kms> {
        let tls = ClientTls::api(&self.identity_files(identity), &self.api_ca())?;
        Kms::new(self.nodes[region].iter().map(NodeProcess::api), &tls)
    }

    /// Waits until every node of a region says that it is ready.
    pub(super) async fn await_ready(&mut self, region: &Region) -> anyhow::Result<()> {
        await_all_ready(self.nodes.get_mut(region).context("no such region")?).await
    }

    /// The id of the node that leads a region.
    pub(super) async fn leader(&self, region: &Region) -> anyhow::Result<NodeId> {
        for node in &self.nodes[region] {
            if let Ok(status) = admin::status(&ApiClient::unix(&node.admin_socket())).await
                && let Some(leader) = status.report.leader
            {
                return Ok(leader);
            }
        }
        bail!("{region} has no leader")
    }

    pub(super) async fn kill_region(&mut self, region: &Region) -> anyhow::Result<()> {
        for node in self.nodes.get_mut(region).context("no such region")? {
            node.kill().await?;
        }
        Ok(())
    }

    pub(super) fn start_region(&mut self, region: &Region) -> anyhow::Result<()> {
        self.nodes.get_mut(region).context("no such region")?.iter_mut().try_for_each(NodeProcess::start)
    }

    /// Stops the agent, then every node, all at once.
    pub(super) async fn stop(&mut self) {
        self.agent.stop().await;
        futures::future::join_all(self.nodes.values_mut().flatten().map(NodeProcess::stop)).await;
    }
}

/// Waits until every node says that it is ready; one that has ended instead is an error at once.
async fn await_all_ready(nodes: &mut [NodeProcess]) -> anyhow::Result<()> {
    let clients: Vec<ApiClient> = nodes.iter().map(|node| ApiClient::unix(&node.admin_socket())).collect();
    eventually(START_PATIENCE, "every node is ready", async || {
        if let Some(ended) = nodes.iter_mut().find_map(NodeProcess::ended) {
            bail!(ended);
        }
        for client in &clients {
            if !admin::status(client).await.is_ok_and(|status| status.ready) {
                return Ok(false);
            }
        }
        Ok(true)
    })
    .await
}

/// Asks until the condition holds.
///
/// # Errors
/// When the condition fails for good, or does not hold within `patience`.
pub(super) async fn eventually(patience: Duration, what: &str, mut holds: impl AsyncFnMut() -> anyhow::Result<bool>) -> anyhow::Result<()> {
    let started = Instant::now();
    while !holds().await? {
        ensure!(started.elapsed() < patience, "not within {} s: {what}", patience.as_secs());
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Ports in a row from `base`, or free ones when it is 0.
fn ports(base: u16, count: usize) -> anyhow::Result<Vec<u16>> {
    if base != 0 {
        let last = usize::from(base) + count;
        ensure!(last <= usize::from(u16::MAX), "--port-base {base} leaves no room for {count} ports");
        return Ok((base..).take(count).collect());
    }
    // Below the range from which outgoing connections take theirs: a node that is down must find its ports free again.
    let first = LISTEN_PORTS.start + u16::from_be_bytes(random::bytes()?) % (LISTEN_PORTS.end - LISTEN_PORTS.start);
    let candidates = (first..LISTEN_PORTS.end).chain(LISTEN_PORTS.start..first);
    let free: Vec<u16> = candidates.filter(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).take(count).collect();
    ensure!(free.len() == count, "there are no {count} free ports from {} to {}", LISTEN_PORTS.start, LISTEN_PORTS.end);
    Ok(free)
}

fn config_of(node: &NodeProcess) -> String {
    let NodeProcess { region, id, api_port, peer_port, metrics_port, .. } = node;
    let accounts: BTreeSet<String> = IDENTITIES.iter().map(|identity| format!("\"{}\"", identity.account)).collect();
    let accounts = Vec::from_iter(accounts).join(", ");
    format!(
        r#"# Written by `claviger demo`.
region = "{region}"
trust_domain = "{TRUST_DOMAIN}"
data_dir = "data"

[node]
id = {id}
advertise = "https://127.0.0.1:{peer_port}"

[listen]
api = "127.0.0.1:{api_port}"
peer = "127.0.0.1:{peer_port}"
metrics = "127.0.0.1:{metrics_port}"
admin_socket = "admin.sock"

[tls]
api_certificate = "tls/api.pem"
api_key = "tls/api.key"
peer_certificate = "tls/peer.pem"
peer_key = "tls/peer.key"
peer_ca = "tls/peer-ca.pem"

[[tls.api_ca]]
file = "tls/api-ca.pem"
accounts = [{accounts}]
operators = true

[seal]
provider = "file"
path = "root.key"

[limits]
connections = 512  # so that many nodes fit under a common limit of open files
"#
    )
}
