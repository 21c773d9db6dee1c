//! `convergence`: when faults stop, all regions hold equal documents and materials.

use serde_json::json;

use crate::harness::{Deployment, OpenedNode, eventually};

#[test]
fn a_replica_that_was_down_while_documents_changed_holds_equal_ones_afterwards() {
    let mut deployment = Deployment::start(&["--regions", "eu-west-1,us-east-1,ap-south-1", "--nodes", "1", "--no-scenario"], &[]);
    let replicate = |deployment: &Deployment, key: &str, region: &str| {
        deployment.call("eu-west-1", "ReplicateKey", &json!({ "KeyId": key, "ReplicaRegion": region })).unwrap();
        deployment.await_enabled(region, key);
    };
    let keys: Vec<String> = (0..20)
        .map(|_| {
            let made = deployment.call("eu-west-1", "CreateKey", &json!({ "MultiRegion": true })).unwrap();
            made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned()
        })
        .collect();
    for key in &keys {
        replicate(&deployment, key, "us-east-1");
    }
    let away = deployment.region("us-east-1")["nodes"][0].clone();
    deployment.kill(&away);
    // Every document changes twice while it is away: the third region is added and becomes active.
    for key in &keys {
        replicate(&deployment, key, "ap-south-1");
    }
    deployment.restart(&away);
    for region in ["us-east-1", "ap-south-1"] {
        for key in &keys {
            eventually(&format!("{region} holds the newest document of {key}"), || {
                let described = deployment.call(region, "DescribeKey", &json!({ "KeyId": key })).ok()?;
                let replicas = described["KeyMetadata"]["MultiRegionConfiguration"]["ReplicaKeys"].as_array()?.len();
                (replicas == 2).then_some(())
            });
        }
    }
    // Nothing is owed to anybody any more, statuses included.
    for node in deployment.nodes() {
        eventually("the dirty set is empty", || {
            let socket = node["admin_socket"].as_str().unwrap();
            let output = std::process::Command::new(crate::harness::BINARY).args(["peer", "list", "--json", "--socket", socket]).output();
            let peers: serde_json::Value = serde_json::from_slice(&output.unwrap().stdout).ok()?;
            let peers = peers.as_array()?;
            (peers.len() == 2 && peers.iter().all(|peer| peer["dirty"] == 0)).then_some(())
        });
    }
    deployment.stop();

    let opened: Vec<OpenedNode> = deployment.nodes().into_iter().map(OpenedNode::open).collect();
    let documents = |node: &OpenedNode| node.keys().into_iter().map(|key| key.document).collect::<Vec<_>>();
    assert_eq!(documents(&opened[0]).len(), keys.len());
    for replica in &opened[1..] {
        assert_eq!(documents(&opened[0]), documents(replica), "documents differ");
        assert_eq!(opened[0].secrets(), replica.secrets(), "materials or id secrets differ");
    }
}
