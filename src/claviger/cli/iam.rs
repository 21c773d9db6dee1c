//! `claviger iam`: the identities of accounts, and who is denied everything.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use claviger_types::AccountId;

use super::Target;

#[derive(Debug, Subcommand)]
pub(crate) enum IamCommand {
    /// Make the identities of accounts what a file says: prints the plan, and what came of it
    Apply {
        /// The identities: see config/iam.toml
        #[arg(short, long, value_name = "FILE")]
        file: PathBuf,
        /// Delete the accounts that the file does not name, unless they own keys in the region
        #[arg(long)]
        prune: bool,
        /// Only print the plan
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        regions: RegionsArg,
    },
    /// Show identities, and who is denied everything
    Show {
        /// One account alone
        #[arg(long)]
        account: Option<AccountId>,
        #[command(flatten)]
        regions: RegionsArg,
    },
    /// Compare regions with the first of them, or with a file; exits with 0 only if nothing differs
    Diff {
        /// What to compare with, instead of the first region
        #[arg(short, long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// Accounts that the file does not name are a difference
        #[arg(long, requires = "file")]
        prune: bool,
        #[command(flatten)]
        regions: RegionsArg,
    },
    /// Deny a principal everything, whatever any policy or grant says: once this returns with 0, no node that it names serves it
    Revoke(DenialArgs),
    /// Deny a principal no longer what it may do by policies and grants
    Reinstate(DenialArgs),
}

/// Which regions a command is for: one, as any operator's command, or all at once.
#[derive(Debug, Args)]
pub(crate) struct RegionsArg {
    #[command(flatten)]
    pub(crate) target: Target,
    /// All regions of the demo, or all of which a --url is given. A --url written REGION=URL says whose it is, so that it need
    /// not answer as long as another of that region does
    #[arg(long, conflicts_with_all = ["region", "socket"])]
    pub(crate) all: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DenialArgs {
    /// The ARN of a user, a role (all its sessions), a session, or an account's root (all the account); or an account's digits
    #[arg(value_name = "PRINCIPAL")]
    pub(crate) principal: String,
    /// Why, for those who come after
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) regions: RegionsArg,
}
