//! The contents: tables, their rows, the manifest, as bytes.

use std::io::Read;

use claviger_state::Table;
use claviger_types::limits::RECORD_BYTES_MAX;

use crate::BackupError;
use crate::frames::ContentReader;
use crate::manifest::{Manifest, Sums};

const TABLE: u8 = 1;
const ROW: u8 = 2;
const MANIFEST: u8 = 3;

/// The longest rows have a principal's ARN and an invocation id.
const ROW_BYTES_MAX: usize = 64 << 10;
/// A few dozen bytes for each table.
const MANIFEST_BYTES_MAX: usize = 64 << 10;

/// Writes contents part by part into `out`, and keeps count.
pub(crate) struct ContentWriter<F> {
    out: F,
    sums: Sums,
}

impl<F: FnMut(&[u8]) -> Result<(), BackupError>> ContentWriter<F> {
    pub(crate) fn new(out: F) -> Self {
        Self { out, sums: Sums::default() }
    }

    pub(crate) fn table(&mut self, table: Table) -> Result<(), BackupError> {
        self.sums.begin(table);
        let name = table.name().as_bytes();
        let length = u8::try_from(name.len()).map_err(|_| BackupError::Malformed("a table's name is too long"))?;
        (self.out)(&[TABLE, length])?;
        (self.out)(name)
    }

    pub(crate) fn row(&mut self, row: &[u8], record: &[u8]) -> Result<(), BackupError> {
        let (row_length, record_length) = (length(row, ROW_BYTES_MAX)?, length(record, RECORD_BYTES_MAX)?);
        self.sums.row([&row_length, row, &record_length, record]);
        (self.out)(&[ROW])?;
        [&row_length, row, &record_length, record].into_iter().try_for_each(&mut self.out)
    }

    /// Writes the manifest, and says what is in it and how it is encoded.
    pub(crate) fn finish(mut self) -> Result<(Manifest, Vec<u8>), BackupError> {
        let manifest = std::mem::take(&mut self.sums).finish();
        let encoded = manifest.encode()?;
        (self.out)(&[MANIFEST])?;
        (self.out)(&length(&encoded, MANIFEST_BYTES_MAX)?)?;
        (self.out)(&encoded)?;
        Ok((manifest, encoded))
    }
}

fn length(bytes: &[u8], most: usize) -> Result<[u8; 4], BackupError> {
    let length = u32::try_from(bytes.len()).ok().filter(|length| *length as usize <= most);
    Ok(length.ok_or(BackupError::Malformed("a row is too large"))?.to_be_bytes())
}

/// The next part of the contents.
pub(crate) enum Part {
    /// A row of the table, which is now in the parser's buffers.
    Row(Table),
    /// The end; as it was written, and encoded.
    End(Manifest, Vec<u8>),
}

/// Reads contents part by part, and keeps count.
#[derive(Default)]
pub(crate) struct Parser {
    sums: Sums,
    table: Option<Table>,
    pub(crate) row: Vec<u8>,
    pub(crate) record: Vec<u8>,
    has_row: bool,
}

impl Parser {
    pub(crate) fn next<R: Read>(&mut self, input: &mut ContentReader<R>) -> Result<Part, BackupError> {
        loop {
            let [kind] = input.read_array()?;
            match kind {
                TABLE => self.begin_table(input)?,
                ROW => return self.read_row(input).map(Part::Row),
                MANIFEST => return self.read_manifest(input),
                _ => return Err(BackupError::Malformed("the contents have a part of no known kind")),
            }
        }
    }

    fn begin_table<R: Read>(&mut self, input: &mut ContentReader<R>) -> Result<(), BackupError> {
        let [length] = input.read_array()?;
        let mut name = vec![0; usize::from(length)];
        input.read(&mut name)?;
        let known = Table::ALL.iter().find(|table| table.name().as_bytes() == name);
        let Some(table) = known else { return Err(BackupError::UnknownTable(String::from_utf8_lossy(&name).into_owned())) };
        if self.table.is_some_and(|before| before >= *table) {
            return Err(BackupError::Malformed("the tables are out of order"));
        }
        self.table = Some(*table);
        self.has_row = false;
        self.sums.begin(*table);
        Ok(())
    }

    fn read_row<R: Read>(&mut self, input: &mut ContentReader<R>) -> Result<Table, BackupError> {
        let table = self.table.ok_or(BackupError::Malformed("a row stands before any table"))?;
        let row_length = input.read_array()?;
        let mut row = vec![0; bounded(row_length, ROW_BYTES_MAX)?];
        input.read(&mut row)?;
        if self.has_row && self.row >= row {
            return Err(BackupError::Malformed("the rows of a table are out of order"));
        }
        let record_length = input.read_array()?;
        let length = bounded(record_length, RECORD_BYTES_MAX)?;
        self.record.clear();
        self.record.resize(length, 0);
        input.read(&mut self.record)?;
        self.row = row;
        self.has_row = true;
        self.sums.row([&row_length, &self.row, &record_length, &self.record]);
        Ok(table)
    }

    fn read_manifest<R: Read>(&mut self, input: &mut ContentReader<R>) -> Result<Part, BackupError> {
        let mut encoded = vec![0; bounded(input.read_array()?, MANIFEST_BYTES_MAX)?];
        input.read(&mut encoded)?;
        let manifest = Manifest::decode(&encoded)?;
        let found = std::mem::take(&mut self.sums).finish();
        if found != manifest {
            let differing = manifest.tables.iter().find(|table| !found.tables.contains(table));
            return Err(BackupError::Manifest(differing.map_or_else(|| "list".to_owned(), |table| table.name.clone())));
        }
        Ok(Part::End(manifest, encoded))
    }
}

fn bounded(length: [u8; 4], most: usize) -> Result<usize, BackupError> {
    let length = u32::from_be_bytes(length) as usize;
    if length > most { Err(BackupError::Malformed("a part of the contents is too large")) } else { Ok(length) }
}
