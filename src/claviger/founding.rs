//! `claviger init` and `claviger join`: how a data directory becomes a node of a region. Both can be run twice.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use claviger_barrier::provider::FileProvider;
use claviger_barrier::{Barrier, Keyring, RecordPlace, RootKey};
use claviger_consensus::{Consensus, NoObserver, join_request};
use claviger_crypto::random;
use claviger_crypto::wrap::RegionPrivateKeys;
use claviger_replication::stored_keys;
use claviger_state::{FoundRegion, RegionKeysRecord, read};
use claviger_storage::{LocalIdentity, Storage, StorageOptions};
use claviger_types::{ClusterId, Incarnation, NodeInstance, SystemClock};
use serde_json::json;

use crate::config::{Config, SealConfig};
use crate::hardening::harden;
use crate::node::{consensus_config, peer_client};
use crate::{logging, print};

/// How long the members of a region may take to let a node in.
const JOIN_PATIENCE: Duration = Duration::from_secs(60);
/// The version of a new region's first region keys.
const FIRST_KEY_VERSION: u32 = 1;

/// Makes a new region whose first node is this one.
///
/// # Errors
/// When the directory belongs to another node, the root key cannot be made or read, or the disk fails.
pub(crate) async fn init(config: &Config, json: bool) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    harden(config)?;
    let storage = Storage::open(&config.data_dir, StorageOptions::default())?;
    check_restored(config, &storage)?;
    let begun = own_identity(config, &storage)?.cluster_id;
    if let Some(cluster) = begun {
        if read::region(&*storage.state())?.is_some() {
            return report(config, cluster, "was made already", false, json);
        }
        // Without a log it may have joined that cluster and not run yet: founding it anew would split it.
        if storage.log().last()?.is_none() {
            bail!(
                "{} belongs to cluster {cluster} and has not run yet: if it has joined, run `claviger serve`; if `claviger init` was \
                 interrupted here, remove the directory and run it again",
                config.data_dir.display()
            );
        }
    }
    let SealConfig::File { path: root_key_path } = &config.seal;
    let root_key = load_or_create_root_key(root_key_path)?;
    let cluster_id = begun.map_or_else(|| random::bytes().map(ClusterId::from_bytes), Ok)?;
    let found = new_region(config, cluster_id, &root_key)?;
    let client = peer_client(config)?;
    let consensus = Consensus::start(consensus_config(config), &storage, client, Arc::new(SystemClock), Arc::new(NoObserver)).await?;
    let founded = consensus.found(found).await;
    consensus.shutdown().await;
    founded?;
    report(config, cluster_id, "was made", true, json)
}

/// The region's first command: who it is, and a new keyring and new region keys, both sealed.
fn new_region(config: &Config, cluster_id: ClusterId, root_key: &RootKey) -> anyhow::Result<FoundRegion> {
    let keyring = Keyring::generate()?;
    let sealed_keyring = keyring.seal(root_key)?;
    let barrier = Barrier::new(keyring);
    let region_keys = RegionPrivateKeys::generate()?;
    let private = barrier.seal(RecordPlace::region_keys().context(), &region_keys.to_secret_bytes())?;
    Ok(FoundRegion {
        region: config.region.clone(),
        partition: config.partition.clone(),
        trust_domain: config.trust_domain.clone(),
        cluster_id,
        incarnation: Incarnation::from_bytes(random::bytes()?),
        keyring: sealed_keyring,
        region_keys: RegionKeysRecord { public: stored_keys(FIRST_KEY_VERSION, &region_keys.public()), private },
    })
}

/// Makes this node a member of a region that runs.
///
/// # Errors
/// When the root key is missing, the region refuses the node, or nobody answers.
pub(crate) async fn join(config: &Config, via: &[String], json: bool) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    harden(config)?;
    let SealConfig::File { path } = &config.seal;
    FileProvider::load(path).with_context(|| format!("copy the region's root key to {} (mode 0600) first", path.display()))?;
    let storage = Storage::open(&config.data_dir, StorageOptions::default())?;
    // Until it has run it may ask again: the answer may have come from a leader that was about to lose the lead.
    let has_run = storage.log().last()?.is_some() || storage.log().last_purged()?.is_some();
    if let Some(cluster) = own_identity(config, &storage)?.cluster_id.filter(|_| has_run) {
        return report(config, cluster, "has this node as a member already", false, json);
    }
    let client = peer_client(config)?;
    let cluster = join_request(&client, &storage, via, &config.node.advertise, JOIN_PATIENCE).await?;
    report(config, cluster, "let this node in; it votes once it runs and has caught up", true, json)
}

fn load_or_create_root_key(path: &Path) -> anyhow::Result<RootKey> {
    if path.exists() {
        return Ok(FileProvider::load(path)?);
    }
    Ok(FileProvider::create(path)?)
}

/// The identity of the data directory: written now if it has none.
pub(crate) fn own_identity(config: &Config, storage: &Storage) -> anyhow::Result<LocalIdentity> {
    if let Some(identity) = storage.local().identity()? {
        if identity.region != config.region || identity.node_id != config.node.id {
            let LocalIdentity { region, node_id, .. } = identity;
            bail!("{} belongs to node {node_id} of {region}: choose another data_dir", config.data_dir.display());
        }
        return Ok(identity);
    }
    let identity = LocalIdentity {
        region: config.region.clone(),
        cluster_id: None,
        node_id: config.node.id,
        instance: NodeInstance::from_bytes(random::bytes()?),
    };
    storage.local().write_identity(&identity)?;
    Ok(identity)
}

/// Refuses a directory in which a restore has put the state in place but not yet noted the cluster as its own.
///
/// # Errors
/// When there is such a state, or the directory cannot be read.
pub(crate) fn check_restored(config: &Config, storage: &Storage) -> anyhow::Result<()> {
    if storage.local().identity()?.is_some_and(|identity| identity.cluster_id.is_none()) && read::region(&*storage.state())?.is_some() {
        bail!("`claviger backup restore` was interrupted in {}: run it again with the same backup", config.data_dir.display());
    }
    Ok(())
}

fn report(config: &Config, cluster: ClusterId, what: &str, changed: bool, json: bool) -> anyhow::Result<()> {
    let (region, node) = (&config.region, config.node.id);
    if json {
        let report = json!({ "region": region.as_str(), "cluster_id": cluster.to_string(), "node": node, "changed": changed });
        return print(&report.to_string());
    }
    let ending = if changed { "" } else { "; nothing was changed" };
    print(&format!("{region} (cluster {cluster}) {what}: node {node}{ending}"))?;
    let SealConfig::File { path } = &config.seal;
    if changed {
        print(&format!("keep {} in a safe as well: without it nothing that the region holds can be opened", path.display()))?;
    }
    Ok(())
}
