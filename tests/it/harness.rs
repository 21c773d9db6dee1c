//! A deployment of real processes, started by `claviger demo`, and what tests do to it from outside.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use claviger_barrier::provider::FileProvider;
use claviger_barrier::{Barrier, Keyring, RecordPlace};
use claviger_state::read;
use claviger_storage::{StateStore, Storage, StorageOptions};
use claviger_tls::{ApiClient, ClientTls, IdentityFiles};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_claviger");
const PATIENCE: Duration = Duration::from_secs(120);

/// Runs a command to its end.
pub(crate) fn claviger(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

/// All that it said.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Asks until there is an answer.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(started.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(25));
    }
}

/// A running demo.
pub(crate) struct Deployment {
    pub(crate) dir: TempDir,
    pub(crate) contract: Value,
    demo: Option<Child>,
    restarted: Vec<Child>,
    /// What the demo was started with besides this process's own; nodes that are started again get it too.
    environment: Vec<(String, String)>,
    runtime: tokio::runtime::Runtime,
}

impl Deployment {
    /// Starts a demo and waits until it says that it stays up: the scenario, if it runs, has held by then.
    pub(crate) fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let output = dir.path().join("demo.out");
        let file = std::fs::File::create(&output).unwrap();
        let mut demo = Command::new(BINARY)
            .args(["demo", "--port-base", "0", "--keep-running", "--dir"])
            .arg(dir.path().join("demo"))
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        eventually("the demo stays up", || {
            let said = std::fs::read_to_string(&output).unwrap();
            if let Some(status) = demo.try_wait().unwrap() {
                panic!("the demo ended with {status}:\n{said}");
            }
            said.contains("The deployment runs").then_some(())
        });
        let contract = std::fs::read_to_string(dir.path().join("demo/demo.json")).unwrap();
        let contract = serde_json::from_str(&contract).unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { dir, contract, demo: Some(demo), restarted: Vec::new(), environment, runtime }
    }

    pub(crate) fn nodes(&self) -> Vec<&Value> {
        self.contract["regions"].as_array().unwrap().iter().flat_map(|region| region["nodes"].as_array().unwrap()).collect()
    }

    pub(crate) fn region(&self, name: &str) -> &Value {
        self.contract["regions"].as_array().unwrap().iter().find(|region| region["name"] == name).unwrap()
    }

    /// Calls an operation at the first node of a region as the demo's administrator.
    pub(crate) fn call(&self, region: &str, operation: &str, input: &Value) -> Result<Value, String> {
        self.call_at(self.region(region)["nodes"][0]["api"].as_str().unwrap(), None, operation, input)
    }

    /// Calls an operation at `api` as the demo's administrator, under this invocation id if there is one.
    pub(crate) fn call_at(&self, api: &str, invocation: Option<&str>, operation: &str, input: &Value) -> Result<Value, String> {
        let files = self.identity("admin");
        let tls = ClientTls::api(&files, Path::new(self.contract["ca"].as_str().unwrap())).unwrap();
        let client = ApiClient::https(api, tls).unwrap();
        let mut headers =
            vec![("x-amz-target", format!("TrentService.{operation}")), ("content-type", "application/x-amz-json-1.1".to_owned())];
        headers.extend(invocation.map(|invocation| ("amz-sdk-invocation-id", invocation.to_owned())));
        let body = serde_json::to_vec(input).unwrap();
        let answer = self.runtime.block_on(client.post_with_headers("/", &headers, body.into())).map_err(|error| error.to_string())?;
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        if answer.status.is_success() { Ok(serde_json::from_str(&text).unwrap_or_default()) } else { Err(text) }
    }

    pub(crate) fn identity(&self, name: &str) -> IdentityFiles {
        let identities = self.contract["identities"].as_array().unwrap();
        let identity = identities.iter().find(|identity| identity["name"] == name).unwrap();
        IdentityFiles::new(identity["cert"].as_str().unwrap(), identity["key"].as_str().unwrap())
    }

    /// Waits until a key is usable in a region.
    pub(crate) fn await_enabled(&self, region: &str, key: &str) {
        eventually(&format!("{key} is enabled in {region}"), || {
            let described = self.call(region, "DescribeKey", &serde_json::json!({ "KeyId": key })).ok()?;
            (described["KeyMetadata"]["KeyState"] == "Enabled").then_some(())
        });
    }

    pub(crate) fn kill(&mut self, node: &Value) {
        self.end(node, rustix::process::Signal::KILL);
    }

    /// Ends a node that the demo started, and waits until it is gone. One that is killed may leave its state behind its log.
    pub(crate) fn end(&mut self, node: &Value, with: rustix::process::Signal) {
        signal(pid_of(node), with);
        // Its first thread can be a zombie while others still end and hold its files.
        let (stat, tasks) = (format!("/proc/{}/stat", node["pid"]), format!("/proc/{}/task", node["pid"]));
        eventually("the node is gone", || {
            let is_zombie = std::fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "));
            (is_zombie && std::fs::read_dir(&tasks).map_or(0, Iterator::count) <= 1).then_some(())
        });
    }

    /// Starts a node, or starts it again, as a child of this process, and says which process it is now.
    pub(crate) fn restart(&mut self, node: &Value) -> u32 {
        self.serve(Path::new(node["config"].as_str().unwrap()), Path::new(node["log"].as_str().unwrap()))
    }

    /// Starts a node as a child of this process, and says which process it is.
    pub(crate) fn serve(&mut self, config: &Path, log: &Path) -> u32 {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let child = Command::new(BINARY)
            .args(["serve", "--config"])
            .arg(config)
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let pid = child.id();
        self.restarted.push(child);
        pid
    }

    /// Stops everything, as Ctrl-C does, and checks that it ended well.
    pub(crate) fn stop(&mut self) {
        for child in &mut self.restarted {
            terminate(child);
        }
        self.restarted.clear();
        if let Some(mut demo) = self.demo.take() {
            assert!(terminate(&mut demo).success(), "the demo did not end well");
        }
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        for mut child in self.restarted.drain(..).chain(self.demo.take()) {
            terminate(&mut child);
        }
    }
}

fn terminate(child: &mut Child) -> std::process::ExitStatus {
    signal(child.id(), rustix::process::Signal::TERM);
    child.wait().unwrap()
}

/// The process that a node was when the contract was read.
pub(crate) fn pid_of(node: &Value) -> u32 {
    u32::try_from(node["pid"].as_u64().unwrap()).unwrap()
}

pub(crate) fn signal(pid: u32, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    // It may have ended already.
    let _ = rustix::process::kill_process(pid, signal);
}

/// The status of a path of a node's metrics listener; none while nothing listens there.
pub(crate) fn metrics_status(node: &Value, path: &str) -> Option<u16> {
    ask_metrics(node, path)?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

/// What a node's metrics listener answers, head and all.
pub(crate) fn ask_metrics(node: &Value, path: &str) -> Option<String> {
    let address = node["metrics"].as_str().unwrap().strip_prefix("http://").unwrap();
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

/// A stopped node's data, opened as only the holder of its root key can.
pub(crate) struct OpenedNode {
    pub(crate) state: std::sync::Arc<StateStore>,
    pub(crate) barrier: Barrier,
    _storage: Storage,
}

impl OpenedNode {
    pub(crate) fn open(node: &Value) -> Self {
        let data_dir = PathBuf::from(node["data_dir"].as_str().unwrap());
        let root_key = FileProvider::load(&data_dir.with_file_name("root.key")).unwrap();
        let storage = Storage::open(&data_dir, StorageOptions::default()).unwrap();
        let state = storage.state();
        let record = read::region(&*state).unwrap().expect("the node has its region's record");
        let barrier = Barrier::new(Keyring::unseal(&record.keyring, &root_key).unwrap());
        Self { state, barrier, _storage: storage }
    }

    /// The account's keys.
    pub(crate) fn keys(&self) -> Vec<claviger_state::KeyRecord> {
        let ids = read::keys_of(&*self.state, "111122223333".parse().unwrap(), None, 10_000).unwrap();
        ids.iter().map(|id| read::key(&*self.state, id).unwrap().unwrap()).collect()
    }

    /// Everything secret of all keys, in clear: materials and id secrets.
    pub(crate) fn secrets(&self) -> Vec<[u8; 32]> {
        let mut secrets = Vec::new();
        for key in self.keys() {
            let id = key.document.key_id;
            secrets.push(*self.barrier.unseal32(RecordPlace::id_secret(&id).context(), &key.id_secret).unwrap().expose());
            for material_id in read::material_ids(&*self.state, &id).unwrap() {
                let material = read::material(&*self.state, &id, &material_id).unwrap().unwrap();
                let place = RecordPlace::material(&id, &material_id);
                secrets.push(*self.barrier.unseal32(place.context(), &material.sealed).unwrap().expose());
            }
        }
        secrets
    }
}

/// All regular files below a directory.
pub(crate) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(files_below(&entry.path()));
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found
}

pub(crate) fn read_file(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::fs::File::open(path).unwrap().read_to_end(&mut bytes).unwrap();
    bytes
}
