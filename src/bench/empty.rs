//! The empty handler to compare with: the same listener, the same request bodies read, the same number of bytes answered,
//! and nothing in between. It runs in a process of its own, so that its CPU time can be told from the generator's.

use std::collections::HashMap;
use std::ffi::OsString;
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use bytes::Bytes;
use claviger_tls::{AcceptLimits, ServerTls, serve};
use http::HeaderMap;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;

use crate::BenchError;
use crate::cpu::CpuSource;

/// How the process is started: a program and arguments to which `--answer X-Amz-Target=BYTES` are added. It serves
/// [`serve_empty`], prints its `https://host:port` on one line, and ends when its standard input does.
#[derive(Clone, Debug)]
pub struct EmptyHandlerCommand {
    /// The program.
    pub program: OsString,
    /// Its first arguments.
    pub arguments: Vec<OsString>,
}

/// Serves the empty handler: what a request's `X-Amz-Target` names is answered with as many bytes as `answers` says.
pub async fn serve_empty(
    listener: TcpListener,
    tls: Arc<ServerTls>,
    limits: AcceptLimits,
    answers: Vec<(String, usize)>,
    shutdown: watch::Receiver<bool>,
) {
    let answers: HashMap<String, Bytes> = answers.into_iter().map(|(target, bytes)| (target, vec![b' '; bytes].into())).collect();
    let router = Router::new().route("/", post(answer)).with_state(Arc::new(answers));
    serve(listener, tls, limits, router, shutdown).await;
}

async fn answer(State(answers): State<Arc<HashMap<String, Bytes>>>, headers: HeaderMap, _body: Bytes) -> Bytes {
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    target.and_then(|target| answers.get(target)).cloned().unwrap_or_default()
}

/// The process that serves it; it ends with this value.
pub(crate) struct EmptyHandler {
    pub(crate) url: String,
    pub(crate) cpu: CpuSource,
    process: Child,
    // Its end is what tells the process to end, however this one does.
    input: Option<ChildStdin>,
}

impl EmptyHandler {
    pub(crate) async fn start(command: &EmptyHandlerCommand, answers: &[(String, usize)]) -> Result<Self, BenchError> {
        let arguments = answers.iter().flat_map(|(target, bytes)| ["--answer".to_owned(), format!("{target}={bytes}")]);
        let mut process = Command::new(&command.program)
            .args(&command.arguments)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(BenchError::EmptyHandler)?;
        let silent = || BenchError::EmptyHandler(std::io::Error::other("it ended without saying where it listens"));
        let input = process.stdin.take();
        let output = process.stdout.take().ok_or_else(silent)?;
        let said = BufReader::new(output).lines().next_line().await.map_err(BenchError::EmptyHandler)?;
        let url = said.filter(|url| url.starts_with("https://")).ok_or_else(silent)?;
        let cpu = CpuSource::Process(process.id().ok_or_else(silent)?);
        Ok(Self { url, cpu, process, input })
    }

    pub(crate) async fn stop(mut self) {
        drop(self.input.take());
        // If it does not end by itself, dropping it kills it.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), self.process.wait()).await;
    }
}
