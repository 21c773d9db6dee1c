//! Regions grow and shrink, lose a disk and change their leader while they are used, by the commands that operators use.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Deployment, claviger, eventually, metrics_status, said};
use crate::load::Load;

const REGION: &str = "eu-west-1";
/// Below the ports of outgoing connections, as the demo's: a node that is down must find its own free again.
const LISTEN_PORTS: std::ops::Range<u16> = 10_000..30_000;

impl Deployment {
    fn demo_json(&self) -> String {
        self.dir.path().join("demo/demo.json").to_string_lossy().into_owned()
    }

    /// An operator's command at whichever node of the region answers first, and what it said in JSON.
    fn operate(&self, command: &[&str]) -> Value {
        let demo = self.demo_json();
        let output = claviger(&[command, &["--json", "--demo", &demo, "--region", REGION]].concat());
        assert!(output.status.success(), "{command:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn refused(&self, command: &[&str]) -> String {
        let output = claviger(&[command, &["--demo", &self.demo_json()]].concat());
        assert!(!output.status.success(), "{command:?}: {}", said(&output));
        said(&output)
    }

    /// Makes the files of another node of the region, as its operator would.
    fn prepare_node(&self, id: u64) -> Value {
        let first = &self.region(REGION)["nodes"][0];
        let dir = self.dir.path().join(format!("demo/{REGION}/node-{id}"));
        fs::create_dir_all(&dir).unwrap();
        let path = |name: &str| dir.join(name).to_string_lossy().into_owned();
        let pki = self.dir.path().join("demo/pki").to_string_lossy().into_owned();
        let id_text = id.to_string();
        let issue = ["pki", "node", "--dir", &pki, "--out", &path("tls"), "--region", REGION, "--id", &id_text, "--san", "127.0.0.1"];
        let issued = claviger(&issue);
        assert!(issued.status.success(), "{}", said(&issued));

        let model = Path::new(first["config"].as_str().unwrap());
        fs::copy(model.with_file_name("root.key"), path("root.key")).unwrap();
        let mut config = fs::read_to_string(model).unwrap().replace("\nid = 1\n", &format!("\nid = {id}\n"));
        let mut node = json!({
            "id": id, "data_dir": path("data"), "config": path("node.toml"), "log": path("node.log"), "admin_socket": path("admin.sock"),
        });
        let mut ports = free_ports().into_iter();
        for (listener, scheme) in [("api", "https"), ("peer", "https"), ("metrics", "http")] {
            let (_, old) = first[listener].as_str().unwrap().rsplit_once(':').unwrap();
            let port = ports.next().unwrap();
            config = config.replace(&format!("127.0.0.1:{old}"), &format!("127.0.0.1:{port}"));
            node[listener] = format!("{scheme}://127.0.0.1:{port}").into();
        }
        fs::write(path("node.toml"), config).unwrap();
        node
    }

    /// Adds a node to the region and starts it.
    fn grow(&mut self, id: u64) -> Value {
        let node = self.prepare_node(id);
        let added = claviger(&self.join(&node));
        assert!(added.status.success(), "{}", said(&added));
        self.restart(&node);
        node
    }

    fn join<'a>(&'a self, node: &'a Value) -> [&'a str; 6] {
        let via = self.region(REGION)["nodes"][0]["peer"].as_str().unwrap();
        ["node", "add", "--config", node["config"].as_str().unwrap(), "--via", via]
    }

    fn await_voters(&self, voters: &[u64]) {
        eventually(&format!("{voters:?} vote"), || {
            let status = self.operate(&["status"]);
            let of = |node: &Value| (node["membership"] == "voter").then(|| node["id"].as_u64().unwrap());
            let now: Vec<u64> = status["nodes"].as_array().unwrap().iter().filter_map(of).collect();
            (now == voters && status["leader"].is_u64()).then_some(())
        });
    }
}

fn free_ports() -> Vec<u16> {
    // Those that are taken here are held until all are found.
    let begin = LISTEN_PORTS.start + u16::try_from(uuid::Uuid::new_v4().as_u128() % 20_000).unwrap();
    let candidates = (begin..LISTEN_PORTS.end).chain(LISTEN_PORTS.start..begin);
    let held: Vec<TcpListener> = candidates.filter_map(|port| TcpListener::bind(("127.0.0.1", port)).ok()).take(3).collect();
    held.iter().map(|listener| listener.local_addr().unwrap().port()).collect()
}

fn keys_of(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn a_region_of_one_grows_to_five_and_shrinks_to_three_while_it_is_used() {
    let mut deployment = Deployment::start(&["--regions", REGION, "--nodes", "1", "--no-scenario"], &[]);
    let first = deployment.region(REGION)["nodes"][0].clone();
    assert!(deployment.refused(&["node", "remove", "1"]).contains("last voter"));
    let load = Load::start(&deployment, REGION);
    load.await_more(5);
    let mut nodes = vec![first];
    for size in [3, 5] {
        while nodes.len() < size {
            let node = deployment.grow(nodes.len() as u64 + 1);
            load.use_too(&node);
            nodes.push(node);
        }
        deployment.await_voters(&(1..=size as u64).collect::<Vec<_>>());
        load.await_more(10);
    }
    assert_eq!(deployment.operate(&["status"])["losses_survived"], 2);

    // A voter stops voting, and votes again; saying so twice changes nothing.
    for (change, voters) in [("demote", &[1, 2, 3, 4][..]), ("promote", &[1, 2, 3, 4, 5])] {
        assert_eq!(deployment.operate(&["node", change, "5"])["changed"], true, "{change}");
        deployment.await_voters(voters);
        assert_eq!(deployment.operate(&["node", change, "5"])["changed"], false, "{change}");
    }
    load.await_more(5);
    // The lead goes where it is told, and the node that has it is removed.
    assert_eq!(deployment.operate(&["leader", "transfer", "--to", "4"])["leader"], 4);
    assert_eq!(deployment.operate(&["leader", "transfer", "--to", "4"])["changed"], false);
    load.await_more(5);
    for leaving in ["4", "5"] {
        let removed = deployment.operate(&["node", "remove", leaving]);
        assert_eq!((&removed["changed"], &removed["pending"]), (&true.into(), &Value::Null), "{removed}");
        assert_eq!(deployment.operate(&["node", "remove", leaving])["changed"], false);
        load.await_more(5);
    }
    deployment.await_voters(&[1, 2, 3]);

    // A removed node says so, serves no client, and is still its operator's to ask.
    for node in &nodes[3..] {
        eventually("a removed node is not ready", || (metrics_status(node, "/readyz") == Some(503)).then_some(()));
        let address = node["api"].as_str().unwrap().strip_prefix("https://").unwrap();
        eventually("its api listener is closed", || std::net::TcpStream::connect(address).is_err().then_some(()));
        let log = fs::read_to_string(node["log"].as_str().unwrap()).unwrap();
        assert!(log.contains("removed from its region"), "{log}");
        let socket = node["admin_socket"].as_str().unwrap();
        let own = claviger(&["status", "--json", "--socket", socket]);
        let own: Value = serde_json::from_slice(&own.stdout).unwrap_or_else(|_| panic!("{}", said(&own)));
        let id = &node["id"];
        let itself = own["nodes"].as_array().unwrap().iter().find(|shown| shown["id"] == *id);
        assert!(itself.is_none_or(|shown| shown["report"]["state"] == "removed"), "{own}");
        let through_it = claviger(&["node", "remove", "3", "--socket", socket]);
        assert!(!through_it.status.success() && said(&through_it).contains("ask another"), "{}", said(&through_it));
    }
    let listed = deployment.operate(&["node", "list"]);
    let wanted: Vec<&str> = listed.as_array().unwrap().iter().map(|node| node["wanted"].as_str().unwrap()).collect();
    assert_eq!(wanted, ["voter", "voter", "voter", "removed", "removed"]);
    load.end(&nodes.iter().take(3).collect::<Vec<_>>());
    deployment.stop();
}

#[test]
fn a_node_that_lost_its_disk_is_replaced_by_a_new_one_while_the_region_is_used() {
    let mut deployment = Deployment::start(&["--regions", REGION, "--nodes", "3", "--no-scenario"], &[]);
    let load = Load::start(&deployment, REGION);
    load.await_more(10);
    deployment.operate(&["leader", "transfer", "--to", "3"]);
    let lost = deployment.region(REGION)["nodes"][2].clone();
    deployment.kill(&lost);
    fs::remove_dir_all(lost["data_dir"].as_str().unwrap()).unwrap();
    load.await_more(5);
    eventually("the loss is seen", || {
        let status = deployment.operate(&["status"]);
        (status["nodes"][2]["unreachable"].is_string() && status["leader"].is_u64()).then_some(())
    });

    // Its id is bound to the disk that is gone: while it is a member, and after.
    let again = claviger(&deployment.join(&lost));
    assert!(!again.status.success() && said(&again).contains("another data directory"), "{}", said(&again));
    assert!(deployment.refused(&["node", "remove", "2"]).contains("only 1 of the 2 voters"));
    assert_eq!(deployment.operate(&["node", "remove", "3"])["changed"], true);
    let again = claviger(&deployment.join(&lost));
    assert!(!again.status.success() && said(&again).contains("never used again"), "{}", said(&again));
    load.await_more(5);

    let new = deployment.grow(4);
    load.use_too(&new);
    deployment.await_voters(&[1, 2, 4]);
    load.await_more(10);
    let status = deployment.operate(&["status"]);
    check_status(&status);
    let stay = deployment.region(REGION)["nodes"].as_array().unwrap().clone();
    load.end(&[&stay[0], &stay[1], &new]);

    let human = claviger(&["status", "--demo", &deployment.demo_json()]);
    let human = said(&human);
    assert!(human.contains("NODE  ROLE") && human.contains("Removed, their ids are never used again: 3."), "{human}");
    deployment.stop();
}

/// What programs read of `claviger status --json`.
fn check_status(status: &Value) {
    let members = ["answered_by", "leader", "losses_survived", "nodes", "peers", "region", "removed"];
    assert_eq!(keys_of(status), BTreeSet::from(members));
    assert_eq!((&status["region"], &status["removed"], &status["losses_survived"]), (&REGION.into(), &json!([3]), &json!(1)));
    let nodes = status["nodes"].as_array().unwrap();
    assert_eq!(nodes.iter().map(|node| node["id"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 4]);
    for node in nodes {
        let of_node = ["endpoint", "id", "lag_entries", "membership", "report", "unreachable", "wanted"];
        assert_eq!(keys_of(node), BTreeSet::from(of_node));
        assert!(node["unreachable"].is_null() && node["lag_entries"].is_u64() && node["wanted"] == "voter", "{node}");
        let report = &node["report"];
        let of_report = [
            "applied",
            "committed",
            "disk",
            "last_log",
            "leader",
            "node",
            "purged",
            "role",
            "snapshot",
            "state",
            "term",
            "uptime_seconds",
            "version",
        ];
        assert_eq!(keys_of(report), BTreeSet::from(of_report));
        assert_eq!((&report["state"], &report["leader"]), (&"serving".into(), &status["leader"]));
        let is_leader = node["id"] == status["leader"];
        assert_eq!(report["role"], if is_leader { "leader" } else { "follower" });
        assert!(report["applied"].as_u64().unwrap() > 0 && report["disk"]["used_bytes"].as_u64().unwrap() > 0, "{report}");
    }
}
