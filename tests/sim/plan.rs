//! What a seed decides before anything runs: the shape of the deployment, how fast its parts are, how rough its life is.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use claviger_types::{AccountId, Identity, NodeId, Principal, Region};

use crate::rng::Rng;

/// The regions' names; a deployment of one region has the first.
const REGIONS: [&str; 3] = ["eu-west-1", "dc-north-2", "on-prem-berlin-1"];
/// Of so many seeds one has three regions; the others have one, which is cheaper and rougher.
const ONE_OF: u64 = 4;
/// Nodes of a region.
pub(crate) const NODES: NodeId = 3;

/// Everything of one run that is not decided while it runs.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) regions: Vec<Region>,
    pub(crate) clients: u64,
    /// How long the faults last.
    pub(crate) work: Duration,
    /// A fault begins about so often, in milliseconds.
    pub(crate) fault_every_ms: u64,
    /// Messages inside a region take at most so long.
    pub(crate) near_ms_max: u64,
    /// Messages between regions take at most so long.
    pub(crate) far_ms_max: u64,
    /// A synced write takes at most so long, mostly.
    pub(crate) disk_ms_max: u64,
    /// A snapshot is taken after so many entries.
    pub(crate) snapshot_every: u64,
    /// Clocks are at most so far from the truth.
    pub(crate) skew_ms_max: u64,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed, "plan");
        let regions = if seed % ONE_OF == ONE_OF - 1 { REGIONS.len() } else { 1 };
        Self {
            seed,
            regions: REGIONS[..regions].iter().map(|name| name.parse().unwrap()).collect(),
            clients: rng.between(3, 6),
            work: Duration::from_secs(rng.between(10, 20)),
            fault_every_ms: rng.between(600, 2500),
            near_ms_max: rng.between(2, 25),
            far_ms_max: rng.between(20, 120),
            disk_ms_max: rng.between(2, 40),
            snapshot_every: if rng.percent(60) { rng.between(15, 90) } else { 100_000 },
            skew_ms_max: rng.between(0, 1500),
        }
    }

    pub(crate) fn nodes(&self) -> Vec<Node> {
        self.regions.iter().flat_map(Node::all_of).collect()
    }
}

/// A node, whose host has this name in the simulated network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Node {
    pub(crate) region: Region,
    pub(crate) id: NodeId,
}

/// Where a node listens for other nodes.
pub(crate) const PEER_PORT: u16 = 8443;
/// Where a node listens for clients.
pub(crate) const API_PORT: u16 = 443;

impl Node {
    pub(crate) fn all_of(region: &Region) -> Vec<Self> {
        (1..=NODES).map(|id| Self { region: region.clone(), id }).collect()
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("https://{self}:{PEER_PORT}")
    }

    pub(crate) fn identity(&self) -> Identity {
        Identity::Node { region: self.region.clone(), id: self.id }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-n{}", self.region, self.id)
    }
}

impl FromStr for Node {
    type Err = ();

    fn from_str(host: &str) -> Result<Self, ()> {
        let (region, id) = host.rsplit_once("-n").ok_or(())?;
        Ok(Self { region: region.parse().map_err(|_| ())?, id: id.parse().map_err(|_| ())? })
    }
}

/// The account of all clients.
pub(crate) fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

/// The host of a client.
pub(crate) fn client_host(number: u64) -> String {
    format!("client-{number}")
}

/// Who the certificate of a host would say it is.
pub(crate) fn identity_of(host: &str) -> Option<Identity> {
    if host.starts_with("client-") {
        return Some(Identity::Principal(Principal::User { account: account(), name: host.to_owned() }));
    }
    host.parse::<Node>().ok().map(|node| node.identity())
}
