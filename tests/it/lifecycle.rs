//! Making, joining and stopping nodes by the commands that an operator uses; each can be run twice.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{BINARY, Deployment, claviger, eventually, metrics_status, said, signal};

#[test]
fn commands_say_what_they_changed_and_can_be_run_twice() {
    let mut deployment = Deployment::start(&["--regions", "eu-west-1,us-east-1", "--nodes", "1", "--no-scenario"], &[]);
    let first = deployment.region("eu-west-1")["nodes"][0].clone();
    let other = deployment.region("us-east-1")["nodes"][0].clone();
    let text = |node: &serde_json::Value, field: &str| node[field].as_str().unwrap().to_owned();

    let identity = claviger(&["peer", "identity", "--json", "--socket", &text(&other, "admin_socket")]);
    let identity: serde_json::Value = serde_json::from_slice(&identity.stdout).unwrap();
    let fingerprint = identity["fingerprint"].as_str().unwrap();
    let (socket, endpoint) = (text(&first, "admin_socket"), text(&other, "peer"));
    let add = ["peer", "add", "us-east-1", "--socket", &socket, "--endpoint", &endpoint];
    let again = claviger(&[&add[..], &["--fingerprint", fingerprint]].concat());
    assert!(again.status.success() && said(&again).contains("Nothing was changed"), "{}", said(&again));
    let unconfirmed = claviger(&add);
    assert!(!unconfirmed.status.success() && said(&unconfirmed).contains(fingerprint), "{}", said(&unconfirmed));
    let wrong = claviger(&[&add[..], &["--fingerprint", "0000"]].concat());
    assert!(!wrong.status.success(), "{}", said(&wrong));

    // The same over the api listener, as an operator; and refused to a principal.
    let url = text(&first, "api");
    let ca = deployment.contract["ca"].as_str().unwrap().to_owned();
    let operator = &deployment.contract["operator"];
    let (cert, key) = (text(operator, "cert"), text(operator, "key"));
    let list = claviger(&["peer", "list", "--url", &url, "--cert", &cert, "--key", &key, "--ca", &ca]);
    assert!(list.status.success() && said(&list).contains("us-east-1"), "{}", said(&list));
    let admin = deployment.identity("admin");
    let (cert, key) = (admin.certificate.to_string_lossy().into_owned(), admin.key.to_string_lossy().into_owned());
    let refused = claviger(&["peer", "list", "--url", &url, "--cert", &cert, "--key", &key, "--ca", &ca]);
    assert!(!refused.status.success() && said(&refused).contains("only operators"), "{}", said(&refused));

    // While the node runs its data directory is taken; stopped, `init` says that there is nothing to do.
    let config = text(&first, "config");
    let running = claviger(&["init", "--config", &config]);
    assert!(!running.status.success() && said(&running).contains("another process"), "{}", said(&running));
    deployment.stop();
    let init = claviger(&["init", "--json", "--config", &config]);
    let report: serde_json::Value = serde_json::from_slice(&init.stdout).unwrap_or_else(|_| panic!("{}", said(&init)));
    assert_eq!(report["changed"], false);
}

#[test]
fn a_node_with_another_regions_root_key_stays_sealed_until_it_has_its_own() {
    let mut deployment = Deployment::start(&["--regions", "eu-west-1,us-east-1", "--nodes", "1", "--no-scenario"], &[]);
    let key = deployment.call("eu-west-1", "CreateKey", &json!({})).unwrap()["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
    let [node, other] = ["eu-west-1", "us-east-1"].map(|region| deployment.region(region)["nodes"][0].clone());
    let [root_key, other_root_key] = [&node, &other].map(|node| Path::new(node["config"].as_str().unwrap()).with_file_name("root.key"));
    deployment.kill(&node);
    let kept = root_key.with_file_name("root.key.kept");
    std::fs::rename(&root_key, &kept).unwrap();
    std::fs::copy(other_root_key, &root_key).unwrap();

    let log = node["log"].as_str().unwrap();
    let before = std::fs::read_to_string(log).unwrap().len();
    deployment.restart(&node);
    eventually("the node says that it is sealed, and why", || {
        let log = std::fs::read_to_string(log).unwrap();
        let mut lines = log[before..].lines();
        lines.any(|line| line.contains("sealed") && line.contains("root.key")).then_some(())
    });
    // It is alive and says that it is not ready; whoever asks it for a key is refused.
    assert_eq!(metrics_status(&node, "/livez"), Some(200));
    assert_eq!(metrics_status(&node, "/readyz"), Some(503));
    deployment.call("eu-west-1", "DescribeKey", &json!({ "KeyId": key })).unwrap_err();

    std::fs::rename(&kept, &root_key).unwrap();
    eventually("the node opens its barrier by itself", || (metrics_status(&node, "/readyz") == Some(200)).then_some(()));
    deployment.call("eu-west-1", "Encrypt", &json!({ "KeyId": key, "Plaintext": "eA==" })).unwrap();
    deployment.stop();
}

#[test]
fn a_node_that_was_never_made_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    let (pki, config) = (path("pki"), path("node.toml"));
    let made = claviger(&["pki", "init", "--dir", &pki, "--trust-domain", "kms.example.com"]);
    assert!(made.status.success(), "{}", said(&made));
    let made = claviger(&["pki", "node", "--dir", &pki, "--out", &path("tls"), "--region", "eu-west-1", "--id", "1", "--san", "127.0.0.1"]);
    assert!(made.status.success(), "{}", said(&made));
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/node.toml")).unwrap();
    let free = ["0.0.0.0:8443", "0.0.0.0:7443", "127.0.0.1:9443"];
    let text = free.iter().fold(example, |text, address| {
        assert!(text.contains(address), "the example listens elsewhere");
        text.replace(address, "127.0.0.1:0")
    });
    std::fs::write(&config, text).unwrap();
    let output = claviger(&["serve", "--config", &config]);
    assert!(!output.status.success());
    assert!(said(&output).contains("claviger init"), "{}", said(&output));
}

#[test]
fn a_demo_that_is_interrupted_while_it_starts_fails_and_leaves_nothing_running() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("demo");
    let mut demo = Command::new(BINARY)
        .args(["demo", "--port-base", "0", "--keep-running", "--regions", "eu-west-1,us-east-1", "--nodes", "3", "--dir"])
        .arg(&place)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The contract is written once all nodes run.
    eventually("a node runs", || running_in(&place).iter().any(|line| line.contains("serve")).then_some(()));
    assert!(!place.join("demo.json").exists(), "it had started already");
    signal(demo.id(), rustix::process::Signal::INT);
    let status = demo.wait().unwrap();
    assert!(status.code().is_some_and(|code| code != 0), "{status}");
    assert_eq!(running_in(&place), Vec::<String>::new(), "left behind");
}

/// The command lines of all nodes whose files are below a directory.
fn running_in(dir: &Path) -> Vec<String> {
    let lines = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        // A process that ends meanwhile, and a zombie, have none.
        let line = std::fs::read(entry.unwrap().path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    let below = format!("{}/", dir.display());
    lines.filter(|line| line.contains(&below)).collect()
}
