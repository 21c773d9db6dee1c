//! `claviger agent …`: run the agent, make access keys for it, and tell AWS's tools where it is.

mod access_keys;
pub(crate) mod config;
pub(crate) mod profile;
mod serve;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use claviger_sigv4::AccessKeyId;
use claviger_types::Region;

use config::AgentConfig;

/// Without a subcommand the agent is run until SIGTERM or SIGINT.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct AgentArgs {
    #[command(subcommand)]
    command: Option<AgentCommand>,
    /// The agent's configuration file
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum AgentCommand {
    /// The access keys that the agent accepts
    #[command(subcommand)]
    AccessKey(AccessKeyCommand),
    /// Write an AWS configuration file with a profile for each identity
    Profile(ProfileArgs),
}

#[derive(Debug, Args)]
struct Common {
    /// The agent's configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum AccessKeyCommand {
    /// Make an access key, and show its secret this once
    Create {
        #[command(flatten)]
        common: Common,
        /// The identity that it stands for
        #[arg(long)]
        identity: String,
    },
    /// List the access keys, without their secrets
    List(Common),
    /// Delete an access key
    Delete {
        #[command(flatten)]
        common: Common,
        /// Its id
        id: AccessKeyId,
    },
}

#[derive(Debug, Args)]
struct ProfileArgs {
    #[command(flatten)]
    common: Common,
    /// Where the file goes; `aws-config` beside the agent's configuration unless given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The region of all profiles; the first of the configuration unless given
    #[arg(long)]
    region: Option<Region>,
}

/// Does what was asked.
///
/// # Errors
/// Says which file is at fault.
pub(crate) async fn run(args: &AgentArgs) -> anyhow::Result<()> {
    match &args.command {
        None => serve::serve(&AgentConfig::load(args.config.as_deref().context("give --config")?)?).await,
        Some(AgentCommand::AccessKey(command)) => access_keys::run(command),
        Some(AgentCommand::Profile(args)) => profile::run(args),
    }
}
