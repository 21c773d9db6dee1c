//! `claviger clock`: what operators see of a region's clocks, and their word where there is only one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::Duration;

use claviger_state::{Overlay, Table, read};
use claviger_types::Timestamp;
use serde_json::{Value, json};

use crate::harness::{BINARY, Deployment, OpenedNode, eventually};

fn clock(node: &Value, arguments: &[&str]) -> Output {
    let socket = node["admin_socket"].as_str().unwrap();
    Command::new(BINARY).arg("clock").args(arguments).args(["--socket", socket]).output().unwrap()
}

fn clock_json(node: &Value, arguments: &[&str]) -> Option<Value> {
    serde_json::from_slice(&clock(node, &[arguments, &["--json"]].concat()).stdout).ok()
}

/// The sum of a metric's values at a node.
fn metric(node: &Value, name: &str) -> Option<f64> {
    let address = node["metrics"].as_str()?.strip_prefix("http://")?;
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let values = answer.lines().filter(|line| line.starts_with(name)).map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    values.sum()
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Makes a stopped node's log time so much older, as if the node had been off for that long.
fn age(node: &Value, by: Duration) {
    let opened = OpenedNode::open(node);
    let log_time = read::log_time(&*opened.state).unwrap();
    let older = Timestamp::from_millis(log_time.as_millis() - u64::try_from(by.as_millis()).unwrap());
    let mut overlay = Overlay::new(&*opened.state);
    overlay.put_bytes(Table::Meta, b"log-time", older.as_millis().to_be_bytes().to_vec());
    opened.state.commit(overlay.into_writes(), &[]).unwrap();
    opened.state.flush().unwrap();
    assert_eq!(read::log_time(&*opened.state).unwrap(), older);
}

#[test]
fn a_node_that_was_off_for_two_days_waits_for_an_operators_word_and_serves_meanwhile() {
    let mut deployment = Deployment::start(&["--regions", "eu-west-1", "--nodes", "1", "--no-scenario"], &[]);
    let mut node = deployment.region("eu-west-1")["nodes"][0].clone();
    let create = |deployment: &Deployment| {
        let made = deployment.call("eu-west-1", "CreateKey", &json!({})).ok()?;
        made["KeyMetadata"]["CreationDate"].as_f64()
    };
    let first = create(&deployment).unwrap();
    let status = clock_json(&node, &["status"]).unwrap();
    assert_eq!((&status["due_work_allowed"], &status["leader"]), (&json!(true), &node["id"]));
    eventually("the metric says so", || (metric(&node, "claviger_due_work_allowed")? == 1.0).then_some(()));
    let nothing = clock(&node, &["accept"]);
    assert!(nothing.status.success() && text(&nothing).contains("Nothing was changed"), "{}", text(&nothing));

    deployment.end(&node, rustix::process::Signal::TERM);
    age(&node, Duration::from_secs(48 * 60 * 60));
    node["pid"] = json!(deployment.restart(&node));
    let status = eventually("the node has looked at its clock", || clock_json(&node, &["status"]));
    assert_eq!(status["due_work_allowed"], false);
    let offset = status["voters"][0]["offset_seconds"].as_f64().unwrap();
    assert!((offset / 3600.0 - 48.0).abs() < 0.5, "{status}");
    eventually("the metrics say so", || {
        let offset = metric(&node, "claviger_clock_offset_seconds{node=\"1\"}")?;
        ((offset / 3600.0 - 48.0).abs() < 0.5 && metric(&node, "claviger_due_work_allowed")? == 0.0).then_some(())
    });
    assert!(text(&clock(&node, &["status"])).contains("claviger clock accept"), "an operator is told what to do");
    let old = eventually("it serves", || create(&deployment));
    assert!(old < first - 47.0 * 3600.0, "{old} {first}");

    let shown = clock_json(&node, &["accept", "--dry-run"]).unwrap();
    assert_eq!((&shown["had_jumped"], &shown["changed"]), (&json!(true), &json!(false)));
    let accepted = clock_json(&node, &["accept"]).unwrap();
    assert_eq!(accepted["changed"], true);
    let again = clock_json(&node, &["accept"]).unwrap();
    assert_eq!((&again["had_jumped"], &again["changed"]), (&json!(false), &json!(false)));
    assert!(create(&deployment).unwrap() >= first);

    deployment.kill(&node);
    deployment.restart(&node);
    let after = eventually("it serves after a restart", || create(&deployment));
    assert!(after >= first, "the acceptance is in the log");
    assert_eq!(clock_json(&node, &["status"]).unwrap()["due_work_allowed"], true);
    deployment.stop();
}
