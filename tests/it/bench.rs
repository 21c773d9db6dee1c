//! `claviger bench` against a real deployment: what it reports is what the nodes counted; and the same while nodes are
//! killed, when nothing may fail for good.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::harness::{BINARY, Deployment, ask_metrics, eventually, signal};

/// Successful requests for an operation, as all nodes counted them.
fn served(deployment: &Deployment, operation: &str) -> u64 {
    let wanted = format!("claviger_requests_total{{operation=\"{operation}\",code=\"OK\"}} ");
    let of = |node: &Value| {
        let text = ask_metrics(node, "/metrics").unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(&wanted));
        value.map_or(0, |value| value.parse::<u64>().unwrap())
    };
    deployment.nodes().into_iter().map(of).sum()
}

fn bench(deployment: &Deployment, arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command.args(["bench", "--demo"]).arg(deployment.dir.path().join("demo/demo.json")).args(["--json", "--keys", "2"]).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn report(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_report_agrees_with_what_the_nodes_counted() {
    let mut deployment = Deployment::start(&["--regions", "eu-west-1", "--nodes", "3", "--no-scenario"], &[]);
    let ops = ["encrypt", "decrypt", "create-key"];
    let arguments = ["--ops", &ops.join(","), "--connections", "3", "--warm-up", "100ms", "--duration", "700ms", "--baseline"];
    let measured = report(&bench(&deployment, &arguments).output().unwrap());
    let results = measured["results"].as_array().unwrap();
    assert_eq!(results.iter().map(|result| result["op"].as_str().unwrap()).collect::<Vec<_>>(), ops);
    for (result, operation) in results.iter().zip(["Encrypt", "Decrypt", "CreateKey"]) {
        let number = |name: &str| result[name].as_f64().unwrap_or_else(|| panic!("{name}: {result}"));
        assert!(number("throughput_per_s") > 0.0 && number("server_cpu_s_per_k") > 0.0, "{result}");
        assert!(0.0 < number("p50_ms") && number("p50_ms") <= number("p99_ms"), "{result}");
        // Of so short a run no figure is worth anything; that a KMS costs more than nothing holds even here.
        assert!((0.0..1.0).contains(&number("ratio_to_baseline")), "{result}");
        assert!(result["errors"].as_object().unwrap().is_empty(), "{result}");
        // Two keys and two ciphertexts are made first; one request of each kind tells the empty handler its length.
        let preparation = if operation == "Decrypt" { 1 } else { 3 };
        let counted = result["requests"].as_u64().unwrap() + result["warm_up_requests"].as_u64().unwrap() + preparation;
        assert_eq!(counted, served(&deployment, operation), "{operation}: {result}");
    }

    // The same by explicit addresses, one node of three, in an open loop; CPU time from the metrics listeners.
    let before = served(&deployment, "Encrypt");
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let nodes: Vec<Value> = deployment.nodes().into_iter().cloned().collect();
    let root = deployment.identity("root");
    let mut command = Command::new(BINARY);
    command.args(["bench", "--json", "--mix", "encrypt=1,describe-key=1", "--rate", "100", "--duration", "1s", "--warm-up", "100ms"]);
    command.args(["--connections", "1"]);
    command.arg("--cert").arg(&root.certificate).arg("--key").arg(&root.key).args(["--ca", &text(&deployment.contract["ca"])]);
    command.args(["--url", &text(&nodes[0]["api"])]);
    nodes.iter().for_each(|node| {
        command.args(["--metrics", &text(&node["metrics"])]);
    });
    let measured = report(&command.output().unwrap());
    let result = &measured["results"][0];
    assert_eq!((result["requests"].as_u64(), result["nodes"].as_u64()), (Some(100), Some(1)), "{result}");
    assert!(result["server_cpu_s_per_k"].as_f64().unwrap() > 0.0, "{result}");
    // A hundred in the measured second, ten before it, half of them to encrypt; and one to prepare.
    assert_eq!(served(&deployment, "Encrypt") - before, 55 + 1);
    deployment.stop();
}

#[test]
fn an_interrupted_run_reports_what_it_has_measured() {
    let mut deployment = Deployment::start(&["--regions", "eu-west-1", "--nodes", "1", "--no-scenario"], &[]);
    let running = bench(&deployment, &["--ops", "encrypt", "--duration", "60m", "--warm-up", "1ms", "--baseline"]).spawn().unwrap();
    // The empty handler goes first, for as long.
    let empty = || children_of(running.id()).into_iter().find(|(_, line)| line.contains("bench-baseline"));
    eventually("the empty handler runs", empty);
    signal(running.id(), rustix::process::Signal::INT);
    let measured = report(&running.wait_with_output().unwrap());
    assert_eq!(measured["results"], serde_json::json!([]), "only the baseline had begun");

    let running = bench(&deployment, &["--ops", "encrypt", "--duration", "60m", "--warm-up", "1ms"]).spawn().unwrap();
    let before = served(&deployment, "Encrypt");
    eventually("requests are served", || (served(&deployment, "Encrypt") > before + 10).then_some(()));
    signal(running.id(), rustix::process::Signal::INT);
    let measured = report(&running.wait_with_output().unwrap());
    assert!(measured["results"][0]["requests"].as_u64().unwrap() > 5, "{measured}");
    deployment.stop();
}

fn children_of(parent: u32) -> Vec<(u32, String)> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).into_iter().flatten().flatten();
    let children = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let pids: Vec<u32> = children.flat_map(|pids| pids.split_whitespace().map(|pid| pid.parse().unwrap()).collect::<Vec<_>>()).collect();
    let line = |pid: &u32| String::from_utf8_lossy(&std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()).replace('\0', " ");
    pids.into_iter().map(|pid| (pid, line(&pid))).collect()
}

/// The short form of `make chaos`: two kills under load, of a leader and of another node.
#[test]
fn what_fails_while_nodes_are_killed_is_mended_by_retries() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/chaos/run.py");
    let output = Command::new("python3")
        .args([script, "--claviger", BINARY, "--every", "6s", "--duration", "17s", "--connections", "8"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the leader: ready again after") && said.contains("2 kills in"), "{said}");
    assert!(said.contains("requests that failed for good: none"), "{said}");
}

/// A node that somebody else killed and started again is stopped with the demo all the same.
#[test]
fn the_demo_stops_nodes_that_were_started_again() {
    let mut deployment = Deployment::start(&["--regions", "eu-west-1", "--nodes", "1", "--no-scenario"], &[]);
    let node = deployment.nodes()[0].clone();
    deployment.kill(&node);
    let orphan = Command::new("setsid")
        .args(["--fork", BINARY, "serve", "--config", node["config"].as_str().unwrap()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(orphan.success());
    let runs = || ask_metrics(&node, "/livez");
    eventually("the node runs again", runs);
    deployment.stop();
    assert!(runs().is_none(), "it outlives the demo");
}
