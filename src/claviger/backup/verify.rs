//! `claviger backup verify`: as much as can be known of a backup without restoring it.

use std::path::Path;

use anyhow::Context;
use claviger_backup::{BackupError, Footer, Header, Manifest};
use claviger_barrier::provider::FileProvider;
use claviger_crypto::secret;
use claviger_state::Table;
use serde_json::{Value, json};

use super::described;
use super::file::open;
use crate::print;

/// Reads a backup to its end. With the root key every secret in it is opened once; without, only damage is found.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn verify(file: &Path, root_key: Option<&Path>, json: bool) -> anyhow::Result<()> {
    let named = || file.display().to_string();
    let archive = open(file)?;
    let header = archive.header().clone();
    let Some(root_key) = root_key else {
        let footer = archive.check().with_context(named)?;
        if json {
            let mut report = header_report(&header, &footer);
            report["opened"] = json!(false);
            return print(&report.to_string());
        }
        print(&format!("{}: undamaged: {} rows of {}", file.display(), footer.rows, described(&header)))?;
        print(&format!("manifest {}", hex(&footer.manifest_sha256)))?;
        return print("Without --root-key nobody can tell whether it is genuine, nor whether it opens.");
    };
    secret::harden_process(false)?;
    secret::init()?;
    let root_key = FileProvider::load(root_key)?;
    let (manifest, footer) =
        archive.unseal(&root_key).and_then(|open| open.rows(|_, _, _| Ok::<_, BackupError>(()))).with_context(named)?;
    if json {
        let mut report = header_report(&header, &footer);
        report["opened"] = json!(true);
        report["tables"] = tables_report(&manifest);
        return print(&report.to_string());
    }
    let (keys, materials) = (manifest.rows_of(Table::Keys), manifest.rows_of(Table::Materials));
    print(&format!("{}: genuine and whole: {}", file.display(), described(&header)))?;
    print(&format!("{keys} keys and {materials} materials, all of which open"))?;
    for table in manifest.tables.iter().filter(|table| table.rows > 0) {
        print(&format!("{:>12} rows {:>14} bytes  {}", table.rows, table.bytes, table.name))?;
    }
    print(&format!("manifest {}", hex(&footer.manifest_sha256)))
}

pub(super) fn header_report(header: &Header, footer: &Footer) -> Value {
    json!({
        "region": header.region.as_str(),
        "cluster_id": header.cluster_id.to_string(),
        "incarnation": header.incarnation.to_string(),
        "barrier_id": hex(&header.barrier_id),
        "created_at_millis": header.created_at.as_millis(),
        "applied_index": header.applied_index,
        "version": header.program,
        "rows": footer.rows,
        "manifest_sha256": hex(&footer.manifest_sha256),
    })
}

pub(super) fn tables_report(manifest: &Manifest) -> Value {
    let table = |table: &claviger_backup::TableSum| json!({ "name": table.name, "rows": table.rows, "bytes": table.bytes, "sha256": hex(&table.sha256) });
    manifest.tables.iter().map(table).collect()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}
