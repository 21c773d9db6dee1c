//! `claviger backup`: what the command line does around the `backup` crate, which knows the file, `storage`, which takes
//! its rows in, and `consensus`, which begins a region with them.

mod create;
mod file;
mod restore;
mod verify;

use std::time::Duration;

use claviger_backup::Header;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::cli::BackupCommand;
use crate::config::Config;

/// `claviger backup …`
///
/// # Errors
/// What is wrong with the backup, the node or the disk.
pub(crate) async fn run(command: &BackupCommand) -> anyhow::Result<()> {
    match command {
        BackupCommand::Create { target, out } => create::create(target, out).await,
        BackupCommand::Verify { file, root_key, json } => verify::verify(file, root_key.as_deref(), *json),
        BackupCommand::Restore { config, file, json } => restore::restore(&Config::load(config)?, file, *json),
    }
}

/// Whose backup it is, and of when, in one line.
fn described(header: &Header) -> String {
    let made = i128::from(header.created_at.as_millis()) * i128::try_from(Duration::from_millis(1).as_nanos()).unwrap_or_default();
    let made = OffsetDateTime::from_unix_timestamp_nanos(made).ok().and_then(|made| made.format(&Rfc3339).ok());
    let made = made.unwrap_or_else(|| header.created_at.to_string());
    format!("{} (cluster {}) of {made}, up to log entry {}", header.region, header.cluster_id, header.applied_index)
}
