//! The `claviger` program: composition and command line. What it composes is in the crates below; nothing is decided here.

mod admin;
mod cli;
mod client_commands;
mod config;
mod demo;
mod founding;
mod hardening;
mod late_router;
mod logging;
mod node;
mod observer;
mod reservations;
mod shutdown;
mod telemetry;

use std::io::Write;
use std::process::ExitCode;

use clap::Parser;
use serde_json::json;

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
        Command::Config(ConfigCommand::Check { file, json }) => {
            let config = Config::load(file)?;
            print(&if *json {
                json!({ "ok": true, "region": config.region.as_str(), "node": config.node.id }).to_string()
            } else {
                format!("{}: in order: node {} of {}", file.display(), config.node.id, config.region)
            })
        }
        Command::Pki(command) => client_commands::pki(command),
        Command::Peer(command) => client_commands::peer(command).await,
        Command::Demo(args) => demo::run(args).await,
    }
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
