//! `no_plaintext_at_rest`: no byte string of any material occurs in any file, log line or core image of a node.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

use crate::harness::{Deployment, OpenedNode, files_below, read_file};

#[test]
fn no_file_log_or_core_image_holds_material_in_clear() {
    // The scenario creates, replicates, encrypts and decrypts, and restarts nodes; then everything stays up.
    let mut deployment = Deployment::start(&["--regions", "eu-west-1,us-east-1", "--nodes", "1"], &[("CLAVIGER_TEST_ALLOW_CORE", "1")]);
    for _ in 0..50 {
        for region in ["eu-west-1", "us-east-1"] {
            let key = deployment.call(region, "CreateKey", &serde_json::json!({ "Description": "searched for" })).unwrap();
            let key = key["KeyMetadata"]["KeyId"].as_str().unwrap();
            let input = serde_json::json!({ "KeyId": key, "Plaintext": STANDARD.encode("x") });
            deployment.call(region, "Encrypt", &input).unwrap();
        }
    }
    let cores = deployment.dir.path().join("cores");
    std::fs::create_dir(&cores).unwrap();
    // The first region was killed and started again by the scenario: its pids are found anew.
    let nodes: Vec<_> = deployment.nodes().into_iter().cloned().collect();
    let images: Vec<PathBuf> = children_of(deployment.demo_pid()).into_iter().map(|pid| dump(pid, &cores)).collect();
    assert_eq!(images.len(), nodes.len(), "a core image of every node");
    deployment.stop();

    let secrets: Vec<[u8; 32]> = nodes.iter().flat_map(|node| OpenedNode::open(node).secrets()).collect();
    assert!(secrets.len() > 200, "materials and id secrets of 101 keys");
    let mut searched = files_below(deployment.dir.path());
    searched.retain(|path| !path.ends_with("root.key"));
    assert!(images.iter().all(|image| searched.contains(image)));

    // The search works: it finds what is stored and held in clear on purpose.
    let described = |path: &PathBuf| memmem::find(&read_file(path), b"searched for").is_some();
    assert!(searched.iter().filter(|path| path.to_string_lossy().contains("/data/")).any(described), "no data file was searched");
    assert!(images.iter().all(described), "a core image holds nothing of the node");

    for path in &searched {
        let bytes = read_file(path);
        for secret in &secrets {
            // Halves, so that a copy that is cut or overwritten in part is found too.
            for half in [&secret[..16], &secret[16..]] {
                assert!(memmem::find(&bytes, half).is_none(), "{} holds a secret in clear", path.display());
            }
            for text in [hex::encode(secret), STANDARD.encode(secret)] {
                assert!(memmem::find(&bytes, text.as_bytes()).is_none(), "{} holds a secret as text", path.display());
            }
        }
    }
}

/// Without the test's switch no core can be taken and no memory read by others of the same user.
#[test]
fn a_node_is_not_dumpable() {
    let deployment = Deployment::start(&["--regions", "eu-west-1", "--nodes", "1", "--no-scenario"], &[]);
    for pid in children_of(deployment.demo_pid()) {
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
        let cores = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(cores.split_whitespace().nth(4), Some("0"), "{cores}");
        // The files in /proc of a process that is not dumpable belong to root, and the coredump filter cannot be read.
        let filter = std::fs::read_to_string(format!("/proc/{pid}/coredump_filter"));
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let locked = status.lines().find(|line| line.starts_with("VmLck")).unwrap();
        assert!(filter.is_err() || !locked.contains(" 0 kB"), "the slab is not locked: {locked}");
    }
}

fn children_of(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap());
    children.flat_map(|text| text.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<u32>>()).collect()
}

/// A core image of a running process, as a crash would leave it: gdb honours `MADV_DONTDUMP`.
fn dump(pid: u32, dir: &Path) -> PathBuf {
    let base = dir.join("core");
    let output = Command::new("gcore").arg("-o").arg(&base).arg(pid.to_string()).output().expect("gcore, of the package gdb");
    let image = dir.join(format!("core.{pid}"));
    assert!(image.exists(), "gcore: {}", String::from_utf8_lossy(&output.stderr));
    image
}
