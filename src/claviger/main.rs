//! The `claviger` program: composition and command line. What it composes is in the crates below; nothing is decided here.

mod admin;
mod agent;
mod attestation_roots;
mod backup;
mod bench;
mod certificates;
mod cli;
mod client_cas;
mod client_commands;
mod clock;
mod config;
mod demo;
mod founding;
mod hardening;
mod iam_commands;
mod key_commands;
mod late_router;
mod logging;
mod node;
mod observer;
mod policy_commands;
mod region_commands;
mod reservations;
mod restoring;
mod shutdown;
mod telemetry;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use claviger_operator::iam::IamFile;
use serde_json::json;

use agent::config::AgentConfig;
use cli::{Cli, Command, ConfigArg, ConfigCommand};
use config::Config;

fn main() -> ExitCode {
    #[cfg(feature = "known-bugs")]
    if let Err(error) = claviger_types::known_bugs::chosen() {
        return fail(&error.into());
    }
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&anyhow::Error::new(error).context("the asynchronous runtime cannot be started")),
    };
    match runtime.block_on(run(&cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

async fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Serve(ConfigArg { config }) => node::serve(&Config::load(config)?).await,
        Command::Init(args) => founding::init(&Config::load(&args.config)?, args.json).await,
        Command::Join(args) => founding::join(&Config::load(&args.config)?, &args.via, args.json).await,
        Command::Config(ConfigCommand::Check { file, json }) => check(file, *json),
        Command::Pki(command) => client_commands::pki(command),
        Command::Status(target) => client_commands::status(target).await,
        Command::Node(command) => client_commands::nodes(command).await,
        Command::Leader(command) => client_commands::leader(command).await,
        Command::Peer(command) => client_commands::peer(command).await,
        Command::Region(command) => region_commands::run(command).await,
        Command::Crl(command) => client_commands::crl(command).await,
        Command::Backup(command) => backup::run(command).await,
        Command::Key(command) => key_commands::run(command).await,
        Command::Iam(command) => iam_commands::run(command).await,
        Command::Policy(command) => policy_commands::run(command).await,
        Command::Clock(command) => clock::run(command).await,
        Command::Agent(args) => agent::run(args).await,
        Command::Demo(args) => demo::run(args).await,
        Command::Bench(args) => bench::run(args).await,
        Command::BenchBaseline(args) => bench::serve_baseline(args).await,
    }
}

/// `claviger config check`: of a node's file, of an agent's, which has identities, or of identities, which has accounts.
fn check(file: &Path, json: bool) -> anyhow::Result<()> {
    let (facts, text) = if IamFile::is_in(file)? {
        let accounts: Vec<String> = IamFile::load(file)?.accounts().map(|(account, _)| account.to_string()).collect();
        (json!({ "ok": true, "accounts": accounts }), format!("identities of {}", accounts.join(", ")))
    } else if AgentConfig::is_in(file)? {
        let config = AgentConfig::load(file)?;
        let regions: Vec<&str> = config.regions.iter().map(|region| region.name.as_str()).collect();
        (json!({ "ok": true, "regions": regions }), format!("an agent for {}", regions.join(", ")))
    } else {
        let config = Config::load(file)?;
        let (region, node) = (config.region.as_str(), config.node.id);
        (json!({ "ok": true, "region": region, "node": node }), format!("node {node} of {region}"))
    };
    print(&if json { facts.to_string() } else { format!("{}: in order: {text}", file.display()) })
}

/// A line of output; what went wrong goes to standard error by [`fail`].
fn print(text: &str) -> anyhow::Result<()> {
    writeln!(std::io::stdout(), "{}", text.trim_end())?;
    Ok(())
}

fn fail(error: &anyhow::Error) -> ExitCode {
    // Nothing is left to do if standard error is closed.
    let _ = writeln!(std::io::stderr(), "claviger: {error:#}");
    ExitCode::FAILURE
}
