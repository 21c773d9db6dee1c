//! Making, joining and stopping nodes by the commands that an operator uses; each can be run twice.

use std::process::{Command, Output};

use crate::harness::{BINARY, Deployment};

fn claviger(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

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
    let add = ["peer", "add", "--socket", &socket, "--region", "us-east-1", "--endpoint", &endpoint];
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

    // Another region's root key does not open this one, and the error says which file.
    let own_key = std::path::Path::new(&config).with_file_name("root.key");
    let other_key = std::path::Path::new(&text(&other, "config")).with_file_name("root.key");
    std::fs::copy(other_key, &own_key).unwrap();
    let sealed = claviger(&["serve", "--config", &config]);
    assert!(!sealed.status.success() && said(&sealed).contains("root.key"), "{}", said(&sealed));
}

#[test]
fn a_node_that_was_never_made_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("node.toml");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/config/node.toml"), &config).unwrap();
    let output = claviger(&["serve", "--config", &config.to_string_lossy()]);
    assert!(!output.status.success());
    assert!(
        said(&output).contains("node.toml") || said(&output).contains("tls/peer.pem") || said(&output).contains("claviger init"),
        "{}",
        said(&output)
    );
}
