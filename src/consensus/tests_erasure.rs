//! Deleted is gone: the sealed bytes of destroyed material are looked for in every file of every node.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use claviger_state::{
    Authorised, CommandBody, CreateKey, DeleteImportedKeyMaterial, Expected, ImportKeyMaterial, Once, Operation, Response, SealedMaterial,
    read,
};
use claviger_types::{KeyId, KeySpec, KeyUsage, MaterialId, NodeId, Origin, Sealed};

use crate::testing::{Cluster, within};
use crate::{Limits, Region};

const SOON: Duration = Duration::from_millis(50);
const LATE: Duration = Duration::from_secs(60 * 60);

/// The `number`th key of these tests, whose material is imported.
struct Key {
    id: KeyId,
    material: MaterialId,
    /// Stands for its sealed bytes, and is nowhere else.
    sealed: Vec<u8>,
}

impl Key {
    fn new(number: u8) -> Self {
        let sealed = (0..64).map(|at: u8| at.wrapping_mul(37) ^ number).collect();
        Self { id: KeyId::single_region([number; 16]), material: MaterialId::from_bytes([number; 32]), sealed }
    }

    fn once(&self, operation: Operation) -> Once {
        Once {
            principal: "arn:aws:iam::111122223333:root".to_owned(),
            invocation_id: format!("{operation:?} {}", self.id),
            operation,
            body_sha256: [0; 32],
            authorised: Authorised::default(),
        }
    }

    async fn create(&self, cluster: &Cluster) {
        let create = CreateKey {
            once: self.once(Operation::CreateKey),
            key_id: self.id,
            account: "111122223333".parse().unwrap(),
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: Origin::External,
            description: String::new(),
            tags: BTreeMap::new(),
            policy: None,
            id_secret: Sealed::from_bytes(vec![5]),
            material: None,
        };
        propose(cluster, CommandBody::CreateKey(Box::new(create))).await;
        let import = ImportKeyMaterial {
            once: self.once(Operation::ImportKeyMaterial),
            key: self.expected(cluster).await,
            material: SealedMaterial { id: self.material, sealed: Sealed::from_bytes(self.sealed.clone()) },
            import_type: None,
            expires_at: None,
            description: None,
        };
        propose(cluster, CommandBody::ImportKeyMaterial(Box::new(import))).await;
    }

    async fn delete_material(&self, cluster: &Cluster) {
        let delete = DeleteImportedKeyMaterial {
            once: self.once(Operation::DeleteImportedKeyMaterial),
            key: self.expected(cluster).await,
            material_id: None,
        };
        propose(cluster, CommandBody::DeleteImportedKeyMaterial(delete)).await;
    }

    async fn expected(&self, cluster: &Cluster) -> Expected {
        let leader = cluster.node(cluster.leader().await);
        within("a read", async { while leader.read().await.is_err() {} }).await;
        let revision = read::key(&*leader.tables(), &self.id).unwrap().unwrap().revision;
        Expected { key_id: self.id, revision }
    }

    /// Whether any file of a node holds its sealed bytes.
    fn is_in_files(&self, cluster: &Cluster, id: NodeId) -> bool {
        holds(&cluster.path_of(id), &self.sealed)
    }

    fn is_in_tables(&self, cluster: &Cluster, id: NodeId) -> bool {
        read::material(&*cluster.node(id).tables(), &self.id, &self.material).unwrap().is_some()
    }
}

/// Files come and go while they are looked at.
fn holds(path: &Path, bytes: &[u8]) -> bool {
    if path.is_dir() {
        return fs::read_dir(path).is_ok_and(|entries| entries.flatten().any(|entry| holds(&entry.path(), bytes)));
    }
    fs::read(path).is_ok_and(|contents| contents.windows(bytes.len()).any(|part| part == bytes))
}

async fn propose(cluster: &Cluster, body: CommandBody) -> Response {
    let node = cluster.node(cluster.leader().await);
    within("a write", async {
        loop {
            if let Ok(outcome) = node.propose(body.clone()).await {
                return outcome.unwrap();
            }
        }
    })
    .await
}

/// Has every node build a snapshot of what it has applied.
async fn snapshots(cluster: &Cluster) {
    for node in cluster.nodes.values() {
        node.consensus.0.raft.trigger().snapshot().await.unwrap();
    }
}

async fn region(erase_after: Duration) -> Cluster {
    let mut cluster = Cluster::new(Limits::default());
    cluster.timings.erase_after = erase_after;
    cluster.found().await;
    cluster.grow(3).await;
    cluster
}

#[tokio::test(flavor = "multi_thread")]
async fn destroyed_material_leaves_every_file_of_every_node_and_other_material_stays() {
    let cluster = region(SOON).await;
    let (destroyed, kept) = (Key::new(1), Key::new(2));
    destroyed.create(&cluster).await;
    kept.create(&cluster).await;
    snapshots(&cluster).await;
    let in_snapshots = |cluster: &Cluster| (1..=3).all(|id| holds(&cluster.path_of(id).join("snapshots"), &destroyed.sealed));
    cluster.until("every node has it in a snapshot", in_snapshots).await;
    destroyed.delete_material(&cluster).await;
    for id in 1..=3 {
        cluster.until("it is in no file", |cluster| !destroyed.is_in_files(cluster, id)).await;
        assert!(kept.is_in_files(&cluster, id) && kept.is_in_tables(&cluster, id) && !destroyed.is_in_tables(&cluster, id));
    }
    // The region goes on, with what its log and its snapshots have lost.
    let later = Key::new(3);
    later.create(&cluster).await;
    for id in 1..=3 {
        cluster.until("it is everywhere", |cluster| later.is_in_tables(cluster, id)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_before_it_has_erased_does_so_when_it_is_started_again() {
    let mut cluster = region(LATE).await;
    let destroyed = Key::new(1);
    destroyed.create(&cluster).await;
    destroyed.delete_material(&cluster).await;
    let follower = cluster.follower().await;
    cluster.until("the follower has applied it", |cluster| cluster.node(follower).0.local.owes_erasure().unwrap()).await;
    cluster.kill(follower).await;
    assert!(destroyed.is_in_files(&cluster, follower));
    cluster.timings.erase_after = SOON;
    cluster.start(follower).await;
    cluster.until("it is in no file", |cluster| !destroyed.is_in_files(cluster, follower)).await;
    cluster.until("nothing is owed", |cluster| !cluster.node(follower).0.local.owes_erasure().unwrap()).await;
    assert!(destroyed.is_in_files(&cluster, cluster.leader().await), "which waits its time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_away_holds_up_nobody_and_erases_when_it_is_back() {
    let mut cluster = region(SOON).await;
    let (destroyed, kept) = (Key::new(1), Key::new(2));
    destroyed.create(&cluster).await;
    kept.create(&cluster).await;
    let away = cluster.follower().await;
    cluster.until("the follower has them", |cluster| kept.is_in_tables(cluster, away)).await;
    cluster.kill(away).await;
    destroyed.delete_material(&cluster).await;
    let others: Vec<NodeId> = cluster.nodes.keys().copied().collect();
    for id in others {
        cluster.until("it is in no file of the others", |cluster| !destroyed.is_in_files(cluster, id)).await;
    }
    assert!(destroyed.is_in_files(&cluster, away));
    // What it has missed is in the others' logs no more, so it takes a snapshot.
    cluster.start(away).await;
    cluster.until("it is in no file", |cluster| !destroyed.is_in_files(cluster, away)).await;
    assert!(kept.is_in_tables(&cluster, away) && !destroyed.is_in_tables(&cluster, away));
}
