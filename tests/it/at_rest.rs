//! `no_plaintext_at_rest`: no byte string of any material, and no root key, occurs in any file, log line, snapshot or core
//! image of a node.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use serde_json::{Value, json};

use crate::harness::{Deployment, OpenedNode, eventually, files_below, metrics_status, pid_of, read_file};

const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];

#[test]
fn no_file_log_snapshot_or_core_image_holds_material_in_clear() {
    // The scenario creates, replicates, encrypts and decrypts, and restarts nodes; then everything stays up.
    let arguments = ["--regions", "eu-west-1,us-east-1", "--nodes", "3"];
    let mut deployment = Deployment::start(&arguments, &[("CLAVIGER_TEST_ALLOW_CORE", "1")]);
    let snapshotter = deployment.region(REGIONS[0])["nodes"][2].clone();
    let restarted = restart_with_snapshots(&mut deployment, &snapshotter);
    for _ in 0..60 {
        for region in REGIONS {
            let key = deployment.call(region, "CreateKey", &json!({ "Description": "searched for" })).unwrap();
            let key = key["KeyMetadata"]["KeyId"].as_str().unwrap();
            let input = json!({ "KeyId": key, "Plaintext": STANDARD.encode("x") });
            deployment.call(region, "Encrypt", &input).unwrap();
        }
    }
    let snapshots = Path::new(snapshotter["data_dir"].as_str().unwrap()).join("snapshots");
    eventually("a snapshot is there", || {
        // One that is being replaced may vanish under the look.
        let found = std::fs::read_dir(&snapshots).ok()?.flatten().any(|entry| entry.path().join("claviger-manifest").is_file());
        found.then_some(())
    });

    let nodes: Vec<Value> = deployment.nodes().into_iter().cloned().collect();
    let cores = deployment.dir.path().join("cores");
    std::fs::create_dir(&cores).unwrap();
    let pids = nodes.iter().map(|node| if node["config"] == snapshotter["config"] { restarted } else { pid_of(node) });
    let images: Vec<PathBuf> = pids.map(|pid| dump(pid, &cores)).collect();
    assert_eq!(images.len(), 6, "a core image of every node");
    deployment.stop();

    let secrets: BTreeSet<[u8; 32]> = nodes.iter().flat_map(|node| OpenedNode::open(node).secrets()).collect();
    assert!(secrets.len() >= 2 * (2 * 60 + 1), "materials and id secrets of 121 keys, and not {}", secrets.len());
    let root_keys: BTreeSet<[u8; 32]> = nodes.iter().map(root_key).collect();
    assert_eq!(root_keys.len(), REGIONS.len(), "each region has its own root key");
    let mut searched = files_below(deployment.dir.path());
    searched.retain(|path| !path.ends_with("root.key"));
    assert!(images.iter().all(|image| searched.contains(image)));
    assert!(searched.iter().filter(|path| path.starts_with(&snapshots)).count() > 1, "a manifest and files");

    // The search works: it finds what is stored and held in clear on purpose.
    let needles = Needles::new(secrets.iter().chain(&root_keys));
    let planted = [&[7; 1000][..], hex::encode(secrets.first().unwrap()).as_bytes(), &[7; 1000]].concat();
    assert!(needles.find(&planted).is_some(), "a secret was not found that was there");
    let described = |path: &PathBuf| memmem::find(&read_file(path), b"searched for").is_some();
    assert!(searched.iter().filter(|path| path.starts_with(&snapshots)).any(described), "no snapshot was searched");
    assert!(searched.iter().filter(|path| path.to_string_lossy().contains("/data/")).any(described), "no data file was searched");
    assert!(images.iter().all(described), "a core image holds nothing of the node");

    for path in &searched {
        if let Some((at, form)) = needles.find(&read_file(path)) {
            panic!("{} holds {form} of a secret at {at}", path.display());
        }
    }
}

/// Without the test's switch no core can be taken, and what holds secrets is locked and left out of images in any case.
#[test]
fn a_node_is_not_dumpable() {
    let deployment = Deployment::start(&["--regions", "eu-west-1", "--nodes", "1", "--no-scenario"], &[]);
    for node in deployment.nodes() {
        let pid = pid_of(node);
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(cores.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{cores}");
        match std::fs::read_to_string(format!("/proc/{pid}/smaps")) {
            Ok(maps) => {
                let flags = maps.lines().filter_map(|line| line.strip_prefix("VmFlags:"));
                let mut flags = flags.map(|flags| flags.split_whitespace().collect::<Vec<_>>());
                assert!(flags.any(|flags| ["lo", "dd"].iter().all(|flag| flags.contains(flag))), "no mapping is locked and undumped");
            }
            // The maps of a process that is not dumpable are shown to root alone, though it is of the same user.
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{error}");
                assert!(!rustix::process::geteuid().is_root(), "root may read the maps of any process");
            }
        }
    }
}

/// Restarts a node so that it makes a snapshot every 50 entries, and says which process it is now.
fn restart_with_snapshots(deployment: &mut Deployment, node: &Value) -> u32 {
    deployment.kill(node);
    let mut config = std::fs::OpenOptions::new().append(true).open(node["config"].as_str().unwrap()).unwrap();
    config.write_all(b"\n[raft]\nsnapshot_every_entries = 50\n").unwrap();
    drop(config);
    let pid = deployment.restart(node);
    eventually("the restarted node is ready", || (metrics_status(node, "/readyz") == Some(200)).then_some(()));
    pid
}

pub(crate) fn root_key(node: &Value) -> [u8; 32] {
    let text = std::fs::read_to_string(Path::new(node["config"].as_str().unwrap()).with_file_name("root.key")).unwrap();
    hex::decode(text.lines().nth(1).unwrap()).unwrap().try_into().unwrap()
}

/// A core image of a running process, as a crash would leave it: gdb honours `MADV_DONTDUMP`.
fn dump(pid: u32, dir: &Path) -> PathBuf {
    let base = dir.join("core");
    let output = Command::new("gcore").arg("-o").arg(&base).arg(pid.to_string()).output().expect("gcore, of the package gdb");
    let image = dir.join(format!("core.{pid}"));
    assert!(image.exists(), "gcore: {}", String::from_utf8_lossy(&output.stderr));
    image
}

/// All forms of all secrets, looked for in one pass: a file is searched once and not once for each of them.
pub(crate) struct Needles {
    /// The forms that begin with these eight bytes.
    by_prefix: HashMap<[u8; PREFIX], Vec<(Vec<u8>, &'static str)>>,
    /// Which first two bytes any of them has.
    begins: Vec<bool>,
}

const PREFIX: usize = 8;

impl Needles {
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = &'a [u8; 32]>) -> Self {
        let mut needles = Self { by_prefix: HashMap::new(), begins: vec![false; 1 << 16] };
        for secret in secrets {
            // Halves, so that a copy that is cut or overwritten in part is found too.
            needles.add(secret[..16].to_vec(), "the first half");
            needles.add(secret[16..].to_vec(), "the second half");
            needles.add(hex::encode(secret).into_bytes(), "the hexadecimal form");
            needles.add(hex::encode_upper(secret).into_bytes(), "the hexadecimal form");
            needles.add(STANDARD.encode(secret).into_bytes(), "the base64 form");
        }
        needles
    }

    fn add(&mut self, needle: Vec<u8>, form: &'static str) {
        let prefix = *needle.first_chunk().unwrap();
        self.begins[pair(&needle)] = true;
        self.by_prefix.entry(prefix).or_default().push((needle, form));
    }

    /// The first place that holds one, and in which form.
    pub(crate) fn find(&self, bytes: &[u8]) -> Option<(usize, &'static str)> {
        bytes.windows(PREFIX).enumerate().filter(|(_, window)| self.begins[pair(window)]).find_map(|(at, window)| {
            let candidates = self.by_prefix.get(window)?;
            candidates.iter().find(|(needle, _)| bytes[at..].starts_with(needle)).map(|(_, form)| (at, *form))
        })
    }
}

fn pair(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))
}
