//! Who may import whom (docs/architecture.md): Cargo's own view, of all kinds of dependency, compared with the table.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each crate and the crates of the workspace that it may import. Fewer is fine.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("types", &[]),
    ("shapes", &["types"]),
    ("crypto", &["types"]),
    ("policy", &["types"]),
    ("protocol", &["types"]),
    ("state", &["types", "protocol"]),
    ("storage", &["types", "state"]),
    ("barrier", &["types", "crypto"]),
    ("backup", &["types", "crypto", "barrier", "state"]),
    ("tls", &["types"]),
    ("consensus", &["types", "state", "storage", "tls"]),
    ("replication", &["types", "crypto", "barrier", "protocol", "state", "consensus", "tls"]),
    ("attestation-testing", &["types"]),
    ("attestation", &["types", "attestation-testing"]),
    ("service", &["types", "shapes", "crypto", "barrier", "policy", "state", "consensus", "attestation", "attestation-testing"]),
    ("api", &["types", "shapes", "service", "tls"]),
    ("sigv4", &["types"]),
    ("agent", &["types", "shapes", "tls", "sigv4"]),
    ("bench", &["types", "shapes", "tls"]),
    ("operator", &["types", "shapes", "policy", "tls"]),
    ("chaos", &[]),
    // Tests of what they read, in tests/fuzz. Nothing imports it.
    (
        "fuzz",
        &[
            "types",
            "attestation",
            "attestation-testing",
            "shapes",
            "crypto",
            "policy",
            "state",
            "barrier",
            "backup",
            "tls",
            "consensus",
            "replication",
            "sigv4",
        ],
    ),
];

#[test]
fn every_crate_imports_only_what_its_layer_may() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut seen = BTreeMap::new();
    for package in metadata["packages"].as_array().unwrap() {
        let Some(layer) = package["name"].as_str().unwrap().strip_prefix("claviger-") else { continue };
        let imports: BTreeSet<&str> = package["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|dependency| dependency["name"].as_str().unwrap().strip_prefix("claviger-"))
            .collect();
        seen.insert(layer, imports);
    }
    let table: BTreeMap<&str, BTreeSet<&str>> = MAY_IMPORT.iter().map(|(layer, may)| (*layer, may.iter().copied().collect())).collect();
    assert_eq!(seen.keys().collect::<Vec<_>>(), table.keys().collect::<Vec<_>>(), "the crates differ from the table");
    for (layer, imports) in seen {
        let excess: Vec<_> = imports.difference(&table[layer]).collect();
        assert!(excess.is_empty(), "{layer} imports {excess:?}, which its layer may not");
    }
}

/// The client-side crates must never link the database.
#[test]
fn the_client_side_crates_do_not_link_rocksdb() {
    for layer in ["claviger-agent", "claviger-bench", "claviger-operator"] {
        let output = Command::new(env!("CARGO"))
            .args(["tree", "--locked", "--offline", "--prefix", "none", "--edges", "normal", "-p", layer])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tree = String::from_utf8(output.stdout).unwrap();
        assert!(tree.contains("claviger-tls") && !tree.contains("rocksdb"), "{layer}: {tree}");
    }
}
