//! `claviger backup restore`: a region of one node out of a backup, in a new life. It can be run twice.
//!
//! The rows go into a state beside the (empty) one of the data directory while they are checked, and take its place in one
//! step once all of them are. So a backup that is damaged, or a crash, leaves an empty directory, and no state of the old
//! life is ever seen by a log, a snapshot or a node.

use std::path::Path;

use anyhow::{Context, bail};
use claviger_backup::{Footer, Header, Manifest};
use claviger_barrier::provider::FileProvider;
use claviger_consensus::begin_with;
use claviger_crypto::random;
use claviger_state::{Overlay, RegisterNode, RestoreRegion, Table, WriteSet, is_carried_over, read, restore_region};
use claviger_storage::{LocalIdentity, StateImport, Storage, StorageOptions};
use claviger_types::{Clock, ClusterId, Incarnation, NodeId, SystemClock};
use serde_json::json;

use super::described;
use super::file::open;
use super::verify::{header_report, hex};
use crate::config::{Config, SealConfig};
use crate::founding::own_identity;
use crate::hardening::harden;
use crate::{logging, print};

/// Makes a region of one node out of the backup `file`.
///
/// # Errors
/// When the backup is not this region's, does not open or is damaged; when the data directory belongs to something; when the
/// node's id was used before.
pub(super) fn restore(config: &Config, file: &Path, json: bool) -> anyhow::Result<()> {
    logging::start(&config.log)?;
    harden(config)?;
    let named = || file.display().to_string();
    let archive = open(file)?;
    let header = archive.header().clone();
    check_region(config, &header)?;
    // First what needs no key: nothing is begun with a damaged file.
    let footer = open(file)?.check().with_context(named)?;
    let SealConfig::File { path } = &config.seal;
    let root_key = FileProvider::load(path)
        .with_context(|| format!("put the region's root key of the day of the backup at {} (mode 0600)", path.display()))?;
    let archive = archive.unseal(&root_key).with_context(named)?;

    let storage = Storage::open(&config.data_dir, StorageOptions::default())?;
    if let Some((cluster, changed)) = restored_before(config, &storage, &footer)? {
        return report(&Report { config, file, header: &header, footer: &footer, cluster, changed, manifest: None }, json);
    }
    let mut import = StateImport::begin(&storage.state())?;
    let (manifest, read_footer) = archive
        .rows(|table, row, record| {
            if is_carried_over(table, row) {
                import.put(table, row, record)?;
            }
            Ok::<_, anyhow::Error>(())
        })
        .with_context(named)?;
    if read_footer != footer {
        bail!("{} has changed while it was read", file.display());
    }
    import.commit(WriteSet::default())?;
    check_node_id(config.node.id, &read::nodes(&import)?.into_iter().map(|(id, _)| id).collect::<Vec<_>>())?;
    // From here on the directory is this node's: nothing can be wrong any more but the disk.
    let identity = own_identity(config, &storage)?;
    let cluster = new_life(&mut import, &identity, &footer)?;
    begin_with(&storage, import, header.applied_index, &config.node.advertise)?;
    storage.local().write_identity(&LocalIdentity { cluster_id: Some(cluster), ..identity })?;
    report(&Report { config, file, header: &header, footer: &footer, cluster, changed: true, manifest: Some(&manifest) }, json)
}

fn check_region(config: &Config, header: &Header) -> anyhow::Result<()> {
    if header.region != config.region || header.trust_domain != config.trust_domain || header.partition != config.partition {
        bail!(
            "the backup is of {} of {} in partition {}, the configuration says {} of {} in partition {}",
            header.region,
            header.trust_domain,
            header.partition,
            config.region,
            config.trust_domain,
            config.partition
        );
    }
    Ok(())
}

/// The cluster that this very backup has become in this data directory, and whether that had to be noted yet.
fn restored_before(config: &Config, storage: &Storage, footer: &Footer) -> anyhow::Result<Option<(ClusterId, bool)>> {
    if storage.local().identity()?.is_none() {
        return Ok(None);
    }
    let identity = own_identity(config, storage)?;
    let record = read::region(&*storage.state())?;
    match (record, identity.cluster_id) {
        // Interrupted before anything was in its place.
        (None, None) => Ok(None),
        (Some(record), None) if record.restored.is_some_and(|from| from.backup == footer.manifest_sha256) => {
            storage.local().write_identity(&LocalIdentity { cluster_id: Some(record.cluster_id), ..identity })?;
            Ok(Some((record.cluster_id, true)))
        }
        (Some(record), Some(cluster)) if record.restored.is_some_and(|from| from.backup == footer.manifest_sha256) => {
            Ok(Some((cluster, false)))
        }
        (record, cluster) => {
            let cluster = cluster.or(record.map(|record| record.cluster_id)).map_or_else(String::new, |cluster| format!(" {cluster}"));
            bail!("{} belongs to cluster{cluster}: name an empty data_dir", config.data_dir.display())
        }
    }
}

/// Before the directory is anybody's, so that another id can be tried.
fn check_node_id(id: NodeId, used: &[NodeId]) -> anyhow::Result<()> {
    if used.contains(&id) {
        let used: Vec<String> = used.iter().map(NodeId::to_string).collect();
        bail!(
            "node id {id} belonged to a node of the lost cluster: give this node a certificate and a node.id that were never used; used are {}",
            used.join(", ")
        );
    }
    Ok(())
}

/// The new cluster, in its first life.
fn new_life(import: &mut StateImport, identity: &LocalIdentity, footer: &Footer) -> anyhow::Result<ClusterId> {
    let cluster_id = ClusterId::from_bytes(random::bytes()?);
    let restore = RestoreRegion {
        cluster_id,
        incarnation: Incarnation::from_bytes(random::bytes()?),
        backup: footer.manifest_sha256,
        at: SystemClock.now(),
        node: RegisterNode { id: identity.node_id, instance: identity.instance },
    };
    let mut overlay = Overlay::new(&*import);
    restore_region(&mut overlay, &restore)?.context("the backup cannot be restored")?;
    let writes = overlay.into_writes();
    import.commit(writes)?;
    Ok(cluster_id)
}

struct Report<'a> {
    config: &'a Config,
    file: &'a Path,
    header: &'a Header,
    footer: &'a Footer,
    cluster: ClusterId,
    changed: bool,
    manifest: Option<&'a Manifest>,
}

fn report(done: &Report<'_>, json: bool) -> anyhow::Result<()> {
    let Report { config, file, header, footer, cluster, changed, manifest } = done;
    let (region, node) = (&config.region, config.node.id);
    if json {
        let mut report = json!({ "region": region.as_str(), "cluster_id": cluster.to_string(), "node": node, "changed": changed });
        report["backup"] = header_report(header, footer);
        if let Some(manifest) = manifest {
            report["keys"] = json!(manifest.rows_of(Table::Keys));
        }
        return print(&report.to_string());
    }
    let Some(manifest) = manifest else {
        let ending = if *changed { "" } else { "; nothing was changed" };
        return print(&format!("{region} (cluster {cluster}) was restored already from {}: node {node}{ending}", file.display()));
    };
    print(&format!("{region} was restored from {}: {}", file.display(), described(header)))?;
    print(&format!("manifest {}", hex(&footer.manifest_sha256)))?;
    print(&format!("It is cluster {cluster} now, and node {node} is its only member: run it, then let others join it."))?;
    print("Before anybody else reaches it: claviger crl publish the newest revocation list of each CA.")?;
    print(&format!(
        "All its {} keys are disabled until they are admitted: claviger key admit. Peer regions refuse it until they admit it again.",
        manifest.rows_of(Table::Keys)
    ))
}

#[cfg(test)]
mod tests {
    use claviger_state::{RegionRecord, RestoredFrom};
    use claviger_types::Sealed;

    use super::*;
    use crate::founding::check_restored;

    const CLUSTER: ClusterId = ClusterId::from_bytes([1; 16]);
    const FOOTER: Footer = Footer { manifest_sha256: [2; 32], rows: 1 };

    /// A new data directory and what is configured for it.
    fn directory() -> (tempfile::TempDir, Config, Storage) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.toml");
        std::fs::write(&path, include_str!("../../../config/node.toml")).unwrap();
        let config = Config::load(&path).unwrap();
        let storage = Storage::open(&config.data_dir, StorageOptions::default()).unwrap();
        (dir, config, storage)
    }

    /// As a restore of this backup leaves the state, before the identity has the cluster.
    fn put_in_place(config: &Config, storage: &Storage, backup: [u8; 32]) {
        let incarnation = Incarnation::from_bytes([3; 16]);
        let record = RegionRecord {
            region: config.region.clone(),
            partition: config.partition.clone(),
            trust_domain: config.trust_domain.clone(),
            cluster_id: CLUSTER,
            incarnation,
            keyring: Sealed::from_bytes(vec![1]),
            restored: Some(RestoredFrom { cluster_id: ClusterId::from_bytes([4; 16]), incarnation, backup, at: SystemClock.now() }),
        };
        let mut import = StateImport::begin(&storage.state()).unwrap();
        let mut overlay = Overlay::new(&import);
        overlay.put(RegionRecord::ROW, &record).unwrap();
        let writes = overlay.into_writes();
        import.commit(writes).unwrap();
        own_identity(config, storage).unwrap();
        begin_with(storage, import, 5, "https://127.0.0.1:1").unwrap();
    }

    #[test]
    fn a_restore_that_was_interrupted_goes_on_and_one_that_is_done_says_so() {
        let (_dir, config, storage) = directory();
        assert!(restored_before(&config, &storage, &FOOTER).unwrap().is_none());
        own_identity(&config, &storage).unwrap();
        assert!(restored_before(&config, &storage, &FOOTER).unwrap().is_none(), "interrupted before anything was in its place");
        check_restored(&config, &storage).unwrap();
        put_in_place(&config, &storage, FOOTER.manifest_sha256);
        let interrupted = check_restored(&config, &storage).unwrap_err().to_string();
        assert!(interrupted.contains("run it again"), "neither a new region nor a node may come of it: {interrupted}");
        assert_eq!(restored_before(&config, &storage, &FOOTER).unwrap(), Some((CLUSTER, true)));
        check_restored(&config, &storage).unwrap();
        assert_eq!(storage.local().identity().unwrap().unwrap().cluster_id, Some(CLUSTER));
        assert_eq!(restored_before(&config, &storage, &FOOTER).unwrap(), Some((CLUSTER, false)));
        let other = Footer { manifest_sha256: [9; 32], ..FOOTER };
        let refused = restored_before(&config, &storage, &other).unwrap_err().to_string();
        assert!(refused.contains(&CLUSTER.to_string()) && refused.contains("empty data_dir"), "{refused}");
    }

    #[test]
    fn a_directory_that_belongs_to_something_is_left_alone() {
        // One that another backup is in, one that has joined a cluster, one of another node.
        let (_dir, config, storage) = directory();
        put_in_place(&config, &storage, [9; 32]);
        restored_before(&config, &storage, &FOOTER).unwrap_err();
        let (_dir, config, storage) = directory();
        let identity = own_identity(&config, &storage).unwrap();
        storage.local().write_identity(&LocalIdentity { cluster_id: Some(CLUSTER), ..identity }).unwrap();
        restored_before(&config, &storage, &FOOTER).unwrap_err();
        let (_dir, mut config, storage) = directory();
        own_identity(&config, &storage).unwrap();
        config.node.id += 1;
        let refused = restored_before(&config, &storage, &FOOTER).unwrap_err().to_string();
        assert!(refused.contains("belongs to node"), "{refused}");
    }
}
