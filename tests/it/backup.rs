//! The drill of docs/operations.md: a region is lost with all its nodes and made again out of a backup.

use std::path::{Path, PathBuf};

use claviger_operator::admin;
use claviger_state::protocol::SharedDoc;
use claviger_tls::ApiClient;
use memchr::memmem;
use serde_json::{Value, json};

use crate::at_rest::{Needles, root_key};
use crate::harness::{Deployment, OpenedNode, claviger, eventually, metrics_status, read_file, said};

const REGION: &str = "eu-west-1";
const PEER: &str = "us-east-1";
const ALIAS: &str = "alias/drill/plans";
const INVOCATION: &str = "0b5c6a1e-9f64-4f1c-8f6e-3f2f8a1f9a01";

/// Runs a command that must succeed, and reads its JSON.
fn report(arguments: &[&str]) -> Value {
    let output = claviger(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", said(&output)))
}

/// Runs a command that must fail, and says what it said.
fn refusal(arguments: &[&str]) -> String {
    let output = claviger(arguments);
    assert!(!output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap().to_owned()
}

/// A node that the demo did not start.
struct NewNode {
    id: u64,
    dir: PathBuf,
    api: String,
    peer: String,
    metrics: Value,
}

impl NewNode {
    /// Certificates, configuration and root key of a node that listens where `old` did, or on free ports.
    fn prepare(deployment: &Deployment, id: u64, old: &Value, same_ports: bool) -> Self {
        let demo = deployment.dir.path().join("demo");
        let dir = demo.join(format!("{REGION}/node-{id}"));
        std::fs::create_dir_all(&dir).unwrap();
        let path = |path: PathBuf| path.to_string_lossy().into_owned();
        let (pki, tls, number) = (path(demo.join("pki")), path(dir.join("tls")), id.to_string());
        let node = ["pki", "node", "--dir", &pki, "--out", &tls, "--region", REGION, "--id", &number];
        let made = claviger(&[&node[..], &["--san", "127.0.0.1", "--san", "localhost"]].concat());
        assert!(made.status.success(), "{}", said(&made));
        let old_config = PathBuf::from(text(old, "config"));
        let mut config = std::fs::read_to_string(&old_config).unwrap().replace(&format!("id = {}", old["id"]), &format!("id = {id}"));
        let mut urls = ["api", "peer", "metrics"].map(|listener| text(old, listener));
        if !same_ports {
            // Held all at once, so that they differ.
            let listeners = [(); 3].map(|()| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
            for (url, listener) in urls.iter_mut().zip(&listeners) {
                let (base, port) = url.rsplit_once(':').unwrap();
                let free = listener.local_addr().unwrap().port().to_string();
                config = config.replace(&format!(":{port}"), &format!(":{free}"));
                *url = format!("{base}:{free}");
            }
        }
        std::fs::write(dir.join("node.toml"), config).unwrap();
        std::fs::copy(old_config.with_file_name("root.key"), dir.join("root.key")).unwrap();
        let [api, peer, metrics] = urls;
        Self { id, dir, api, peer, metrics: json!({ "metrics": metrics }) }
    }

    fn config(&self) -> String {
        self.dir.join("node.toml").to_string_lossy().into_owned()
    }

    fn socket(&self) -> String {
        self.dir.join("admin.sock").to_string_lossy().into_owned()
    }

    fn serve(&self, deployment: &mut Deployment) {
        deployment.serve(&self.dir.join("node.toml"), &self.dir.join("node.log"));
        eventually(&format!("node {} is ready", self.id), || (metrics_status(&self.metrics, "/readyz") == Some(200)).then_some(()));
    }

    fn voters(&self) -> Vec<u64> {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let status = runtime.block_on(admin::status(&ApiClient::unix(Path::new(&self.socket()))));
        status.map(|status| status.voters.iter().map(|voter| voter.id).collect()).unwrap_or_default()
    }
}

/// The keys of the drill, with something that each encrypted.
struct Keys {
    ids: Vec<String>,
    blobs: Vec<String>,
    /// Of each, whether it is enabled when the backup is made.
    enabled: Vec<bool>,
}

impl Keys {
    fn state(deployment: &Deployment, api: &str, key: &str) -> String {
        let described = deployment.call_at(api, None, "DescribeKey", &json!({ "KeyId": key })).unwrap();
        text(&described["KeyMetadata"], "KeyState")
    }

    fn create(deployment: &Deployment) -> Self {
        let input = json!({ "Description": "secret plans", "Tags": [{ "TagKey": "project", "TagValue": "moonshot" }] });
        let created = |region: &str, input: &Value| text(&deployment.call(region, "CreateKey", input).unwrap()["KeyMetadata"], "KeyId");
        let mut ids: Vec<String> = (0..4).map(|_| created(REGION, &input)).collect();
        let api = text(&deployment.region(REGION)["nodes"][0], "api");
        let once = deployment.call_at(&api, Some(INVOCATION), "CreateKey", &input).unwrap();
        ids.push(text(&once["KeyMetadata"], "KeyId"));
        // One whose primary is here, one whose primary is there.
        for (primary, replica) in [(REGION, PEER), (PEER, REGION)] {
            let id = created(primary, &json!({ "MultiRegion": true }));
            deployment.call(primary, "ReplicateKey", &json!({ "KeyId": id, "ReplicaRegion": replica })).unwrap();
            deployment.await_enabled(replica, &id);
            ids.push(id);
        }
        let encrypt = |id: &String| {
            text(&deployment.call(REGION, "Encrypt", &json!({ "KeyId": id, "Plaintext": "eA==" })).unwrap(), "CiphertextBlob")
        };
        let blobs = ids.iter().map(encrypt).collect();
        deployment.call(REGION, "DisableKey", &json!({ "KeyId": ids[1] })).unwrap();
        deployment.call(REGION, "CreateAlias", &json!({ "AliasName": ALIAS, "TargetKeyId": ids[3] })).unwrap();
        let enabled = (0..ids.len()).map(|at| at != 1).collect();
        Self { ids, blobs, enabled }
    }

    fn assert_all_withheld(&self, deployment: &Deployment, api: &str) {
        for (id, blob) in self.ids.iter().zip(&self.blobs) {
            assert_eq!(Self::state(deployment, api, id), "Disabled");
            let refused = deployment.call_at(api, None, "Decrypt", &json!({ "CiphertextBlob": blob })).unwrap_err();
            assert!(refused.contains("DisabledException"), "{refused}");
            let refused = deployment.call_at(api, None, "EnableKey", &json!({ "KeyId": id })).unwrap_err();
            assert!(refused.contains("KMSInvalidStateException") && refused.contains("operator"), "{refused}");
        }
    }

    fn assert_as_in_the_backup(&self, deployment: &Deployment, api: &str) {
        for ((id, blob), enabled) in self.ids.iter().zip(&self.blobs).zip(&self.enabled) {
            assert_eq!(Self::state(deployment, api, id), if *enabled { "Enabled" } else { "Disabled" }, "{id}");
            let decrypted = deployment.call_at(api, None, "Decrypt", &json!({ "CiphertextBlob": blob }));
            assert_eq!(decrypted.is_ok(), *enabled, "{decrypted:?}");
            if let Ok(decrypted) = decrypted {
                assert_eq!(decrypted["Plaintext"], "eA==");
            }
        }
        let aliased = deployment.call_at(api, None, "DescribeKey", &json!({ "KeyId": ALIAS })).unwrap();
        assert_eq!(aliased["KeyMetadata"]["KeyId"], json!(self.ids[3]));
        assert_eq!(aliased["KeyMetadata"]["Description"], "secret plans");
        let tags = deployment.call_at(api, None, "ListResourceTags", &json!({ "KeyId": self.ids[3] })).unwrap();
        assert_eq!(tags["Tags"], json!([{ "TagKey": "project", "TagValue": "moonshot" }]));
    }
}

fn documents(opened: &OpenedNode) -> Vec<SharedDoc> {
    opened.keys().into_iter().map(|key| key.document).collect()
}

#[test]
fn a_region_that_lost_every_node_lives_again_out_of_a_backup() {
    let mut deployment = Deployment::start(&["--regions", "eu-west-1,us-east-1", "--nodes", "3", "--no-scenario"], &[]);
    let nodes: Vec<Value> = deployment.region(REGION)["nodes"].as_array().unwrap().clone();
    let keys = Keys::create(&deployment);
    let backup = deployment.dir.path().join("region.backup").to_string_lossy().into_owned();

    make_and_check(&deployment, &nodes, &backup);
    // Acknowledged after the backup, and lost with the region.
    deployment.call(REGION, "DisableKey", &json!({ "KeyId": keys.ids[0] })).unwrap();
    // The first in order, so that its state is on the disk and can be looked into.
    deployment.end(&nodes[0], rustix::process::Signal::TERM);
    nodes[1..].iter().for_each(|node| deployment.kill(node));
    let before = nothing_in_clear(&nodes[0], &backup);
    for node in [&nodes[0], &nodes[2]] {
        std::fs::remove_dir_all(text(node, "data_dir")).unwrap();
    }

    let fourth = NewNode::prepare(&deployment, 4, &nodes[0], true);
    restore(&fourth, &nodes[0], &backup);
    fourth.serve(&mut deployment);
    keys.assert_all_withheld(&deployment, &fourth.api);
    let joined = [5, 6].map(|id| {
        let node = NewNode::prepare(&deployment, id, if id == 5 { &nodes[2] } else { &nodes[1] }, id == 5);
        report(&["join", "--json", "--config", &node.config(), "--via", &fourth.peer]);
        node.serve(&mut deployment);
        node
    });
    eventually("all three vote", || (fourth.voters() == [4, 5, 6]).then_some(()));
    joined.iter().for_each(|node| keys.assert_all_withheld(&deployment, &node.api));

    // A retry of what was done before the loss is answered from memory, and makes nothing.
    let input = json!({ "Description": "secret plans", "Tags": [{ "TagKey": "project", "TagValue": "moonshot" }] });
    let again = deployment.call_at(&joined[0].api, Some(INVOCATION), "CreateKey", &input).unwrap();
    assert_eq!(text(&again["KeyMetadata"], "KeyId"), keys.ids[4]);
    let listed = deployment.call(REGION, "ListKeys", &json!({})).unwrap();
    assert_eq!(listed["Keys"].as_array().unwrap().len(), keys.ids.len());

    admit(&deployment, &keys, &fourth, &joined);
    strangers_stay_outside(&mut deployment, &nodes[1], &fourth);
    peers_refuse(&deployment, &keys);
    deployment.stop();

    let after = OpenedNode::open(&json!({ "data_dir": fourth.dir.join("data") }));
    let restored = documents(&after);
    assert!(before.iter().all(|document| restored.contains(document)), "a restore changes no document");
}

/// A backup is made once, is whole, opens with its own root key alone, and shows where it was damaged.
fn make_and_check(deployment: &Deployment, nodes: &[Value], backup: &str) {
    let operator = &deployment.contract["operator"];
    let (cert, key, ca) = (text(operator, "cert"), text(operator, "key"), text(&deployment.contract, "ca"));
    let url = text(&nodes[1], "api");
    let made = report(&["backup", "create", "--json", "--out", backup, "--url", &url, "--cert", &cert, "--key", &key, "--ca", &ca]);
    assert_eq!(made["region"], REGION);
    let socket = text(&nodes[0], "admin_socket");
    let twice = refusal(&["backup", "create", "--out", backup, "--socket", &socket]);
    assert!(twice.contains("never overwritten"), "{twice}");
    assert_eq!(made["bytes"], read_file(Path::new(backup)).len());

    let [own, other] = [REGION, PEER].map(|region| {
        let config = PathBuf::from(text(&deployment.region(region)["nodes"][0], "config"));
        config.with_file_name("root.key").to_string_lossy().into_owned()
    });
    let unopened = report(&["backup", "verify", "--json", backup]);
    assert_eq!((&unopened["opened"], &unopened["manifest_sha256"]), (&json!(false), &made["manifest_sha256"]));
    let opened = report(&["backup", "verify", "--json", backup, "--root-key", &own]);
    assert_eq!((&opened["opened"], &opened["manifest_sha256"]), (&json!(true), &made["manifest_sha256"]));
    let tables = opened["tables"].as_array().unwrap();
    let rows = |name: &str| tables.iter().find(|table| table["name"] == name).unwrap()["rows"].as_u64().unwrap();
    assert_eq!((rows("keys"), rows("materials"), rows("aliases"), rows("nodes"), rows("peers")), (7, 7, 1, 3, 1));
    let refused = refusal(&["backup", "verify", backup, "--root-key", &other]);
    assert!(refused.contains("does not open with this root key"), "{refused}");

    let damaged = format!("{backup}.damaged");
    let whole = read_file(Path::new(backup));
    for at in [40, whole.len() / 2, whole.len() - 50] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&damaged, bytes).unwrap();
        refusal(&["backup", "verify", &damaged]);
        refusal(&["backup", "verify", &damaged, "--root-key", &own]);
    }
}

/// Neither material nor metadata. Gives the documents as they were when the region was lost.
fn nothing_in_clear(node: &Value, backup: &str) -> Vec<SharedDoc> {
    let opened = OpenedNode::open(node);
    let secrets = opened.secrets();
    assert_eq!(secrets.len(), 14);
    let bytes = read_file(Path::new(backup));
    if let Some((at, form)) = Needles::new(secrets.iter().chain([&root_key(node)])).find(&bytes) {
        panic!("the backup holds {form} of a secret at {at}");
    }
    for metadata in ["secret plans", "moonshot", "drill/plans", "111122223333"] {
        assert!(memmem::find(&bytes, metadata.as_bytes()).is_none(), "the backup holds {metadata} in clear");
    }
    documents(&opened)
}

/// Refused where it must not happen, done once, and said to be done the second time.
fn restore(node: &NewNode, old: &Value, backup: &str) {
    let used = refusal(&["backup", "restore", "--config", &text(old, "config"), backup]);
    assert!(used.contains("used are 1, 2, 3"), "{used}");
    let damaged = refusal(&["backup", "restore", "--config", &node.config(), &format!("{backup}.damaged")]);
    assert!(damaged.contains("damaged") || damaged.contains("changed"), "{damaged}");
    let root_key = node.dir.join("root.key");
    let kept = root_key.with_extension("kept");
    std::fs::rename(&root_key, &kept).unwrap();
    let keyless = refusal(&["backup", "restore", "--config", &node.config(), backup]);
    assert!(keyless.contains("root key of the day"), "{keyless}");
    std::fs::rename(&kept, &root_key).unwrap();

    let done = report(&["backup", "restore", "--json", "--config", &node.config(), backup]);
    assert_eq!((&done["changed"], &done["keys"], &done["node"]), (&json!(true), &json!(7), &json!(4)));
    assert_ne!(done["cluster_id"], done["backup"]["cluster_id"]);
    let again = report(&["backup", "restore", "--json", "--config", &node.config(), backup]);
    assert_eq!((&again["changed"], &again["cluster_id"]), (&json!(false), &done["cluster_id"]));
    let init = report(&["init", "--json", "--config", &node.config()]);
    assert_eq!((&init["changed"], &init["cluster_id"]), (&json!(false), &done["cluster_id"]));
}

fn admit(deployment: &Deployment, keys: &Keys, first: &NewNode, others: &[NewNode]) {
    let admit = |which: &[&str]| report(&[&["key", "admit", "--json", "--socket", &first.socket()], which].concat());
    assert_eq!(admit(&["--key-id", &keys.ids[2]])["admitted"], 1);
    assert_eq!(Keys::state(deployment, &others[0].api, &keys.ids[2]), "Enabled");
    assert_eq!(Keys::state(deployment, &others[0].api, &keys.ids[3]), "Disabled");
    assert_eq!(admit(&["--account", "444455556666"])["admitted"], 0);
    let rest = admit(&["--account", "111122223333"]);
    assert_eq!((&rest["admitted"], &rest["unchanged"]), (&json!(6), &json!(1)));
    let again = admit(&["--all"]);
    assert_eq!((&again["admitted"], &again["changed"]), (&json!(0), &json!(false)));
    let unknown = refusal(&["key", "admit", "--socket", &first.socket(), "--key-id", "00000000-0000-4000-8000-000000000000"]);
    assert!(unknown.contains("there is no key"), "{unknown}");
    for node in others.iter().chain([first]) {
        keys.assert_as_in_the_backup(deployment, &node.api);
    }
    // The account is its keys' master again, and new keys need nobody.
    deployment.call(REGION, "EnableKey", &json!({ "KeyId": keys.ids[1] })).unwrap();
    let new = deployment.call(REGION, "CreateKey", &json!({})).unwrap();
    assert_eq!(new["KeyMetadata"]["KeyState"], "Enabled");
}

/// A node of the lost cluster comes back with its disk, and one with its id and an empty disk: to the restored region they
/// are removed nodes.
fn strangers_stay_outside(deployment: &mut Deployment, old: &Value, first: &NewNode) {
    deployment.restart(old);
    eventually("the old node runs", || (metrics_status(old, "/livez") == Some(200)).then_some(()));
    deployment.call_at(&text(old, "api"), None, "ListKeys", &json!({})).unwrap_err();
    assert_eq!(metrics_status(old, "/readyz"), Some(503));
    let config = PathBuf::from(text(old, "config"));
    let fresh = config.with_file_name("fresh.toml");
    std::fs::write(&fresh, std::fs::read_to_string(&config).unwrap().replace("data_dir = \"data\"", "data_dir = \"fresh\"")).unwrap();
    let refused = refusal(&["join", "--config", &fresh.to_string_lossy(), "--via", &first.peer]);
    assert!(refused.contains("was removed from the region"), "{refused}");
    assert_eq!(first.voters(), [4, 5, 6]);
    deployment.call(REGION, "CreateKey", &json!({})).unwrap();
}

/// Until its operator admits the region again, and the region is primary of nothing that it authored before.
fn peers_refuse(deployment: &Deployment, keys: &Keys) {
    let replicate = |region: &str, key: &str, to: &str| {
        deployment.call(region, "ReplicateKey", &json!({ "KeyId": key, "ReplicaRegion": to })).unwrap_err()
    };
    let refused = replicate(REGION, &keys.ids[5], "ap-south-1");
    assert!(refused.contains("not a multi-region primary key"), "{refused}");
    let new = deployment.call(REGION, "CreateKey", &json!({ "MultiRegion": true })).unwrap();
    replicate(REGION, &text(&new["KeyMetadata"], "KeyId"), PEER);
    let there = deployment.call(PEER, "CreateKey", &json!({ "MultiRegion": true })).unwrap();
    replicate(PEER, &text(&there["KeyMetadata"], "KeyId"), REGION);
    // What the peer has goes on.
    let decrypted = deployment.call(PEER, "Decrypt", &json!({ "CiphertextBlob": keys.blobs[5] })).unwrap();
    assert_eq!(decrypted["Plaintext"], "eA==");
}
