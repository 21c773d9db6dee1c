//! `claviger backup` and `claviger key`: backups, restores and what follows one, and keys whose policy has locked everybody out.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use claviger_types::AccountId;

use super::Target;

#[derive(Debug, Subcommand)]
pub(crate) enum BackupCommand {
    /// Have a running node write a backup of its region
    Create {
        #[command(flatten)]
        target: Target,
        /// Where to; a file that is there is never overwritten
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Say whether a backup is whole and, with the root key, whether everything in it opens; needs no node
    Verify {
        /// The backup
        file: PathBuf,
        /// The region's root key of the day when the backup was made
        #[arg(long, value_name = "FILE")]
        root_key: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a region of one node out of a backup, in the empty data directory of a node that does not run
    Restore {
        /// The node's configuration file: its region's, with a node id that was never used
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// The backup
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Let keys be used again that a restore disabled, as the backup has them
    Admit {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        which: AdmitWhich,
    },
    /// Put the default policy back on a key whose policy has locked everybody out; prints the policy that it had
    ResetPolicy {
        /// The key: its id or ARN
        #[arg(long, value_name = "KEY")]
        key_id: String,
        /// Why, for those who come after
        #[arg(long, value_name = "TEXT")]
        reason: String,
        #[command(flatten)]
        target: Target,
    },
}

/// Which keys are admitted.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct AdmitWhich {
    /// One key: its id or ARN
    #[arg(long, value_name = "KEY")]
    pub(crate) key_id: Option<String>,
    /// All keys of an account
    #[arg(long)]
    pub(crate) account: Option<AccountId>,
    /// All keys of the region
    #[arg(long)]
    pub(crate) all: bool,
}
