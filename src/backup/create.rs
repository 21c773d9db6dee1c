//! Making a backup of tables that stand still.

use std::io::Write;
use std::ops::ControlFlow;

use claviger_barrier::Barrier;
use claviger_state::{Table, Tables, read};
use claviger_types::Timestamp;
use sha2::{Digest, Sha256};

use crate::contents::ContentWriter;
use crate::frames::FrameWriter;
use crate::hashing::HashingWriter;
use crate::{BackupError, Footer, Header, PURPOSE, header};

/// Of which moment a backup is, and who makes it.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The last entry of the log that the tables hold.
    pub applied_index: u64,
    /// The wall clock.
    pub created_at: Timestamp,
    /// The version of the program.
    pub program: &'a str,
}

/// Writes every row of every table to `out`. `tables` must show one moment, however long this takes.
///
/// # Errors
/// When the tables cannot be read, `out` cannot be written, or the region has not been founded. What is in `out` then is no
/// backup, and is recognised as none.
pub fn create(tables: &dyn Tables, barrier: &Barrier, moment: Moment<'_>, out: impl Write) -> Result<Footer, BackupError> {
    let region = read::region(tables).map_err(BackupError::State)?.ok_or(BackupError::NotFounded)?;
    let mut out = HashingWriter::new(out);
    let mut written = Ok(());
    let sealer = barrier.seal_stream(PURPOSE, |seed| {
        let header = Header {
            region: region.region,
            partition: region.partition,
            trust_domain: region.trust_domain,
            cluster_id: region.cluster_id,
            incarnation: region.incarnation,
            barrier_id: *barrier.keyring().barrier_id(),
            created_at: moment.created_at,
            applied_index: moment.applied_index,
            program: moment.program.to_owned(),
            keyring: region.keyring,
            stream: *seed,
        };
        written = header.encode().and_then(|encoded| header::write(&mut out, &encoded));
        out.sha256()
    });
    written?;
    let mut frames = FrameWriter::new(out, sealer.map_err(BackupError::Seal)?);
    let mut contents = ContentWriter::new(|bytes: &[u8]| frames.write(bytes));
    for table in Table::ALL {
        contents.table(*table)?;
        let mut failed = None;
        let scanned = tables.scan(*table, &[], &mut |row, record| match contents.row(row, record) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        });
        scanned.map_err(BackupError::State)?;
        failed.map_or(Ok(()), Err)?;
    }
    let (manifest, encoded) = contents.finish()?;
    let footer = Footer { manifest_sha256: Sha256::digest(encoded).into(), rows: manifest.rows() };
    frames.finish(&footer)?;
    Ok(footer)
}
