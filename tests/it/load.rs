//! A load of writes and reads that minds every answer: keys are created, and what they encrypt is decrypted elsewhere.
//!
//! It goes on to the next node as an SDK behind a balancer does: at once where nobody listens, and after a short pause where
//! the answer invites to try again. What three such attempts do not mend is a failure.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claviger_tls::{ApiClient, ApiClientError, ClientTls};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::{Deployment, eventually};

const WORKERS: usize = 2;
const ATTEMPTS: u32 = 3;
const BACKOFF: Duration = Duration::from_millis(100);

/// A key and what it has encrypted.
#[derive(Clone)]
struct Acknowledged {
    key: String,
    plaintext: String,
    blob: String,
}

struct Shared {
    tls: ClientTls,
    nodes: RwLock<Vec<String>>,
    stop: AtomicBool,
    round: AtomicUsize,
    acknowledged: Mutex<Vec<Acknowledged>>,
    failures: Mutex<Vec<String>>,
}

/// A load that runs until it is ended.
pub(crate) struct Load {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

impl Load {
    /// Begins to use all nodes of a region.
    pub(crate) fn start(deployment: &Deployment, region: &str) -> Self {
        let ca = PathBuf::from(deployment.contract["ca"].as_str().unwrap());
        let nodes = deployment.region(region)["nodes"].as_array().unwrap().iter().map(api_of).collect();
        let shared = Arc::new(Shared {
            tls: ClientTls::api(&deployment.identity("admin"), &ca).unwrap(),
            nodes: RwLock::new(nodes),
            stop: AtomicBool::new(false),
            round: AtomicUsize::new(0),
            acknowledged: Mutex::default(),
            failures: Mutex::default(),
        });
        let workers = (0..WORKERS).map(|_| Arc::clone(&shared)).map(|shared| std::thread::spawn(move || shared.work())).collect();
        Self { shared, workers }
    }

    /// Uses this node too from now on. None is ever taken off the list: a node that is gone is passed over.
    pub(crate) fn use_too(&self, node: &Value) {
        self.shared.nodes.write().unwrap().push(api_of(node));
    }

    /// Waits until so much more was acknowledged, to have what follows happen under load.
    pub(crate) fn await_more(&self, more: usize) {
        let count = || self.shared.acknowledged.lock().unwrap().len();
        let before = count();
        eventually("the load goes on", || {
            self.panic_if_failed();
            (count() >= before + more).then_some(())
        });
    }

    fn panic_if_failed(&self) {
        let failures = self.shared.failures.lock().unwrap();
        assert!(failures.is_empty(), "requests failed: {failures:#?}");
    }

    /// Ends the load and checks that nothing failed, and that each of these nodes opens everything that was acknowledged.
    pub(crate) fn end(mut self, nodes: &[&Value]) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.join().unwrap();
        }
        self.panic_if_failed();
        let acknowledged = self.shared.acknowledged.lock().unwrap().clone();
        assert!(!acknowledged.is_empty());
        let runtime = Runtime::new().unwrap();
        for node in nodes.iter().map(|node| api_of(node)) {
            *self.shared.nodes.write().unwrap() = vec![node.clone()];
            for one in &acknowledged {
                let opened = self.shared.call(&runtime, "Decrypt", &json!({ "CiphertextBlob": one.blob }), None);
                assert!(opened.is_some_and(|opened| opened["Plaintext"] == one.plaintext.as_str()), "{} at {node}", one.key);
            }
        }
        self.panic_if_failed();
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }
}

fn api_of(node: &Value) -> String {
    node["api"].as_str().unwrap().to_owned()
}

impl Shared {
    fn work(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        while !self.stop.load(Ordering::SeqCst) && self.failures.lock().unwrap().is_empty() {
            self.write_and_read(&runtime);
        }
    }

    fn write_and_read(&self, runtime: &Runtime) -> Option<()> {
        let invocation = uuid::Uuid::new_v4().to_string();
        let created = self.call(runtime, "CreateKey", &json!({}), Some(&invocation))?;
        let key = created["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
        let plaintext = STANDARD.encode(&invocation);
        let encrypted = self.call(runtime, "Encrypt", &json!({ "KeyId": key, "Plaintext": plaintext }), None)?;
        let blob = encrypted["CiphertextBlob"].as_str().unwrap().to_owned();
        let opened = self.call(runtime, "Decrypt", &json!({ "CiphertextBlob": blob }), None)?;
        if opened["Plaintext"] != plaintext.as_str() {
            self.failures.lock().unwrap().push(format!("{key} opened {opened}"));
        }
        self.acknowledged.lock().unwrap().push(Acknowledged { key, plaintext, blob });
        Some(())
    }

    /// The answer, or none and a failure noted.
    fn call(&self, runtime: &Runtime, operation: &str, input: &Value, invocation: Option<&str>) -> Option<Value> {
        let mut said = Vec::new();
        for attempt in 0..ATTEMPTS {
            match runtime.block_on(self.attempt(operation, input, invocation)) {
                Ok(answer) => return Some(answer),
                Err(problem) => said.push(problem),
            }
            std::thread::sleep(BACKOFF * (1 << attempt));
        }
        self.failures.lock().unwrap().push(format!("{operation}: {said:#?}"));
        None
    }

    /// At the next node that listens.
    async fn attempt(&self, operation: &str, input: &Value, invocation: Option<&str>) -> Result<Value, String> {
        let nodes = self.nodes.read().unwrap().clone();
        let first = self.round.fetch_add(1, Ordering::SeqCst);
        let mut headers =
            vec![("x-amz-target", format!("TrentService.{operation}")), ("content-type", "application/x-amz-json-1.1".to_owned())];
        headers.extend(invocation.map(|id| ("amz-sdk-invocation-id", id.to_owned())));
        let mut refused = Vec::new();
        for turn in 0..nodes.len() {
            let client = ApiClient::https(&nodes[(first + turn) % nodes.len()], self.tls.clone()).unwrap();
            match client.post_with_headers("/", &headers, input.to_string().into()).await {
                Ok(answer) if answer.status.is_success() => return Ok(serde_json::from_slice(&answer.body).unwrap_or_default()),
                Ok(answer) => {
                    let text = format!("{} {}: {}", client.target(), answer.status, String::from_utf8_lossy(&answer.body));
                    // A client's mistake is not mended by another attempt.
                    if answer.status.is_client_error() && !text.contains("Throttling") {
                        self.failures.lock().unwrap().push(format!("{operation}: {text}"));
                    }
                    return Err(text);
                }
                Err(error @ ApiClientError::Connect { .. }) => refused.push(error.to_string()),
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(format!("nobody listens: {refused:?}"))
    }
}
