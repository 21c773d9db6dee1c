//! `claviger bench`: its arguments, as a plan for the `bench` crate, and the empty handler that it compares with.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use claviger_bench::{CpuSource, Demo, EmptyHandlerCommand, Load, Patience, Plan, Target, parse_duration, serve_empty};
use claviger_tls::{ClientTls, IdentityFiles};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::certificates::NodeTls;
use crate::config::Config;
use crate::{node, print, shutdown};

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// A demo's demo.json: where the deployment is
    #[arg(long, value_name = "FILE", required_unless_present = "url", conflicts_with = "url")]
    demo: Option<PathBuf>,
    /// The demo's region; its first unless given
    #[arg(long, requires = "demo")]
    region: Option<String>,
    /// The demo's identity that asks
    #[arg(long, default_value = "root")]
    identity: String,
    /// Api listeners of one region's nodes, https://host:port
    #[arg(long, requires_all = ["cert", "key", "ca"])]
    url: Vec<String>,
    /// A principal's certificate
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Who signed the api listeners' certificates
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Metrics listeners of all the region's nodes, http://host:port, to read their CPU time from
    #[arg(long, value_name = "URL", requires = "url")]
    metrics: Vec<String>,
    /// Connect to so many of the nodes; to all unless given
    #[arg(long)]
    nodes: Option<usize>,
    /// Operations to measure, one after the other
    #[arg(long, default_value = "encrypt,decrypt,generate-data-key", conflicts_with = "mix")]
    ops: String,
    /// Operations to measure together, by weight: encrypt=70,decrypt=30
    #[arg(long)]
    mix: Option<String>,
    /// Connections at once; several numbers measure everything with each
    #[arg(long, value_delimiter = ',', default_value = "16", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    connections: Vec<u16>,
    /// Requests a second in all, timed from when they were meant to start; as fast as they are answered unless given
    #[arg(long, value_parser = parse_rate)]
    rate: Option<f64>,
    /// Keys to make and use in turn
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    keys: u32,
    /// Bytes of plaintext
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=4096))]
    size: u16,
    /// Load before anything counts
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    warm_up: Duration,
    /// How long each measurement takes
    #[arg(long, default_value = "8s", value_parser = parse_duration)]
    duration: Duration,
    /// Attempts after the first, as an SDK makes them
    #[arg(long, default_value_t = 2)]
    retries: u32,
    /// How long one attempt may take
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    timeout: Duration,
    /// Threads of the generator; half the processors unless given
    #[arg(long)]
    threads: Option<usize>,
    /// Compare with an empty handler behind the same listener
    #[arg(long)]
    baseline: bool,
    /// The node.toml whose certificate the empty handler shows; the demo's first node's unless given
    #[arg(long, value_name = "FILE", requires = "baseline")]
    baseline_config: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BaselineArgs {
    /// The configuration whose api listener is imitated
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How many bytes an X-Amz-Target is answered with
    #[arg(long = "answer", value_name = "TARGET=BYTES", value_parser = parse_answer)]
    answers: Vec<(String, usize)>,
}

fn parse_rate(text: &str) -> Result<f64, String> {
    let rate = text.parse().ok().filter(|rate: &f64| rate.is_finite() && (0.1..=1e6).contains(rate));
    rate.ok_or_else(|| "a rate is 0.1 to 1000000 requests a second".to_owned())
}

fn parse_answer(text: &str) -> Result<(String, usize), String> {
    let parsed = text.split_once('=').and_then(|(target, bytes)| Some((target.to_owned(), bytes.parse().ok()?)));
    parsed.filter(|(_, bytes)| *bytes <= 1024 * 1024).ok_or_else(|| "an answer is written as TARGET=BYTES, at most 1 MiB".to_owned())
}

/// Measures, and prints the report.
///
/// # Errors
/// When nothing can be measured; and, once it is printed, when requests of the report failed for good.
pub(crate) async fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let plan = plan(args)?;
    let watched = std::io::stderr().is_terminal();
    let tell = |line: &str| {
        if watched {
            // Nothing is lost but the view.
            let _ = writeln!(std::io::stderr(), "{line}");
        }
    };
    let report = claviger_bench::run(&plan, shutdown::signal(), &tell).await?;
    print(&if args.json { report.to_json()? } else { report.to_table() })?;
    ensure!(report.errors() == 0, "{} requests failed for good: the report says how", report.errors());
    Ok(())
}

fn plan(args: &BenchArgs) -> anyhow::Result<Plan> {
    let (mut target, own_config) = target(args)?;
    if let Some(nodes) = args.nodes {
        ensure!((1..=target.urls.len()).contains(&nodes), claviger_bench::BenchError::Nodes(target.urls.len()));
        target.urls.truncate(nodes);
    }
    let loads = match &args.mix {
        Some(mix) => vec![Load::mix(mix)?],
        None => Load::each(&args.ops)?,
    };
    let empty_handler = args.baseline.then(|| empty_handler(args.baseline_config.as_deref().or(own_config.as_deref()))).transpose()?;
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(Plan {
        target,
        loads,
        connections: args.connections.iter().map(|connections| usize::from(*connections)).collect(),
        rate_per_s: args.rate,
        keys: usize::try_from(args.keys)?,
        plaintext_bytes: usize::from(args.size),
        warm_up: args.warm_up,
        duration: args.duration,
        patience: Patience { retries: args.retries, timeout: args.timeout },
        threads: args.threads.unwrap_or(processors / 2).max(1),
        empty_handler,
    })
}

/// The deployment, and the configuration of one of its nodes where that is known.
fn target(args: &BenchArgs) -> anyhow::Result<(Target, Option<PathBuf>)> {
    if let Some(path) = &args.demo {
        let demo = Demo::read(path)?;
        let region = args.region.as_deref();
        return Ok((demo.target(region, &args.identity)?, Some(demo.node_config(region)?.to_owned())));
    }
    let missing = "give --demo, or --url with --cert, --key and --ca";
    let (cert, key, ca) = (args.cert.as_deref(), args.key.as_deref(), args.ca.as_deref());
    let files = IdentityFiles::new(cert.context(missing)?, key.context(missing)?);
    let tls = ClientTls::api(&files, ca.context(missing)?)?;
    Ok((Target { urls: args.url.clone(), tls, cpu: args.metrics.iter().cloned().map(CpuSource::Metrics).collect() }, None))
}

fn empty_handler(config: Option<&Path>) -> anyhow::Result<EmptyHandlerCommand> {
    let config =
        config.context("--baseline needs a demo, or --baseline-config with a node.toml whose certificate is good for 127.0.0.1")?;
    let arguments = ["bench-baseline", "--config"].map(OsString::from).into_iter().chain([config.as_os_str().to_owned()]);
    Ok(EmptyHandlerCommand { program: std::env::current_exe()?.into(), arguments: arguments.collect() })
}

/// Serves the empty handler until standard input ends: with the program that measures it, however that ends.
///
/// # Errors
/// When the configuration or its files cannot be used.
pub(crate) async fn serve_baseline(args: &BaselineArgs) -> anyhow::Result<()> {
    let config = Config::load(&args.config)?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("no port can be bound")?;
    let tls = NodeTls::load(&config)?.api;
    print(&format!("https://{}", listener.local_addr()?))?;
    let (stop, stopped) = watch::channel(false);
    let limits = claviger_tls::AcceptLimits { drain_timeout: Duration::ZERO, ..node::at_most(config.limits.connections) };
    let serving = serve_empty(listener, tls, limits, args.answers.clone(), stopped);
    let until_told = async {
        // An interrupt is for the program that measures, which then ends this one.
        let mut input = tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()));
        loop {
            tokio::select! {
                _ = &mut input => break,
                () = shutdown::signal() => {}
            }
        }
        stop.send_replace(true);
    };
    tokio::join!(serving, until_told);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_answers() {
        assert_eq!(parse_rate("2500.5"), Ok(2500.5));
        assert!(["0", "-1", "NaN", "inf", "x", "1e9"].iter().all(|text| parse_rate(text).is_err()));
        assert_eq!(parse_answer("TrentService.Encrypt=345"), Ok(("TrentService.Encrypt".to_owned(), 345)));
        assert!(["", "x", "x=", "x=-1", "x=99999999"].iter().all(|text| parse_answer(text).is_err()));
    }
}
