//! `claviger backup create`: a running node makes the backup, this writes it down.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use claviger_operator::admin;
use serde_json::json;

use super::file::{PartialFile, open};
use super::{described, verify};
use crate::cli::Target;
use crate::client_commands::node;
use crate::print;

const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// Writes a backup of the node's region to `out`.
///
/// # Errors
/// When the node does not answer, breaks off or refuses, or the file cannot be written: there is no file then.
pub(super) async fn create(target: &Target, out: &Path) -> anyhow::Result<()> {
    let node = node(target).await?;
    let mut file = PartialFile::begin(out)?;
    let mut progress = Progress::new(target.json);
    let written = admin::backup(&node, |bytes| {
        progress.advance(bytes.len());
        file.write(bytes)
    });
    let written = written.await;
    progress.end();
    written.context("no backup was made; if it broke off, the node's log says why")?;
    let bytes = progress.bytes;
    // What was received is what was sent: read it once more from where it will be read one day.
    let archive = open(file.sync()?)?;
    let header = archive.header().clone();
    let footer = archive.check().context("no backup was made: what arrived is damaged")?;
    file.place()?;
    let manifest = verify::hex(&footer.manifest_sha256);
    if target.json {
        let mut report = verify::header_report(&header, &footer);
        report["file"] = json!(out);
        report["bytes"] = json!(bytes);
        return print(&report.to_string());
    }
    print(&format!("{}: {} rows, {} of {}", out.display(), footer.rows, size(bytes), described(&header)))?;
    print(&format!("manifest {manifest}"))?;
    print("It opens with this region's present root key and no other: keep both, apart. Check it: claviger backup verify --root-key …")
}

/// A line on a terminal that is written over and over.
struct Progress {
    bytes: u64,
    begun: Instant,
    shown: Option<Instant>,
    is_shown: bool,
}

impl Progress {
    fn new(quiet: bool) -> Self {
        Self { bytes: 0, begun: Instant::now(), shown: None, is_shown: !quiet && std::io::stderr().is_terminal() }
    }

    fn advance(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        if self.is_shown && self.shown.is_none_or(|shown| shown.elapsed() >= PROGRESS_EVERY) {
            self.shown = Some(Instant::now());
            // Nothing depends on whether it is seen.
            let _ = write!(std::io::stderr(), "\r{} in {} s ", size(self.bytes), self.begun.elapsed().as_secs());
        }
    }

    fn end(&self) {
        if self.shown.is_some() {
            let _ = write!(std::io::stderr(), "\r{:40}\r", "");
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn size(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
