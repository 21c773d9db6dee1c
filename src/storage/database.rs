//! How the databases are opened: bounded memory and files, no compression (what is stored is ciphertext), every check on.

use std::path::Path;

use rocksdb::{
    BlockBasedOptions, BottommostLevelCompaction, Cache, ColumnFamily, ColumnFamilyDescriptor, CompactOptions, DB, DBRecoveryMode,
    LogLevel, Options, ReadOptions, WriteBufferManager,
};

use crate::{StorageError, StorageOptions};

const MIB: usize = 1 << 20;
/// Bits of a bloom filter for each row: about one in a hundred reads of an absent row goes to the disk.
const BLOOM_BITS: f64 = 10.0;
/// No row has more bytes after the prefix that names a key.
const ROW_REST_BYTES_MAX: usize = 256;

/// What both databases share.
#[derive(Clone)]
pub(crate) struct Resources {
    cache: Cache,
    buffers: WriteBufferManager,
    pub(crate) options: StorageOptions,
}

impl Resources {
    pub(crate) fn new(options: &StorageOptions) -> Self {
        let cache = Cache::new_lru_cache(options.block_cache_bytes);
        let buffers = WriteBufferManager::new_write_buffer_manager_with_cache(options.write_buffer_bytes, false, cache.clone());
        Self { cache, buffers, options: options.clone() }
    }

    fn database_options(&self) -> Options {
        let mut options = Options::default();
        options.set_paranoid_checks(true);
        options.set_max_open_files(self.options.open_files_max);
        options.set_max_background_jobs(2);
        options.set_write_buffer_manager(&self.buffers);
        options.set_keep_log_file_num(4);
        options.set_max_log_file_size(MIB);
        options.set_log_level(LogLevel::Warn);
        options.set_stats_dump_period_sec(0);
        options.set_stats_persist_period_sec(0);
        options
    }

    /// For the log: what was synced is there after a crash, and recovery drops an unfinished write at the end. A record that
    /// is damaged before the end stops the opening: it and what follows may have been acknowledged.
    pub(crate) fn log_options(&self) -> Options {
        let mut options = self.database_options();
        options.set_wal_recovery_mode(DBRecoveryMode::TolerateCorruptedTailRecords);
        options.set_max_total_wal_size(64 << 20);
        options
    }

    /// For the state: all column families are flushed together or not at all, so that with no write-ahead log a crash
    /// loses a suffix of the commits and never a middle.
    pub(crate) fn state_options(&self) -> Options {
        let mut options = self.database_options();
        options.set_atomic_flush(true);
        options
    }

    /// A column family; `points` when single rows are asked for, also absent ones.
    pub(crate) fn column_family(&self, name: &str, points: bool) -> ColumnFamilyDescriptor {
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&self.cache);
        table.set_cache_index_and_filter_blocks(true);
        table.set_pin_l0_filter_and_index_blocks_in_cache(true);
        if points {
            table.set_bloom_filter(BLOOM_BITS, false);
        }
        let mut options = Options::default();
        options.set_block_based_table_factory(&table);
        options.set_write_buffer_size(self.options.write_buffer_bytes / 4);
        options.set_compression_type(rocksdb::DBCompressionType::None);
        ColumnFamilyDescriptor::new(name, options)
    }
}

/// Opens a database with exactly these column families; creates it if it is `new`.
///
/// That no other process uses it is the data directory's lock to say, never RocksDB's text, which may name any path.
pub(crate) fn open(path: &Path, mut options: Options, new: bool, families: Vec<ColumnFamilyDescriptor>) -> Result<DB, StorageError> {
    if !new && !path.join("CURRENT").exists() {
        return Err(StorageError::damaged(path, "the database is missing"));
    }
    options.create_if_missing(new);
    options.create_missing_column_families(new);
    DB::open_cf_descriptors(&options, path, families).map_err(|source| match source.kind() {
        rocksdb::ErrorKind::Corruption => StorageError::damaged(path, source.into_string()),
        _ => StorageError::database("open", path)(source),
    })
}

/// A column family that the database was opened with.
pub(crate) fn family<'a>(db: &'a DB, name: &str) -> Result<&'a ColumnFamily, StorageError> {
    db.cf_handle(name).ok_or_else(|| StorageError::damaged(db.path(), format!("column family {name} is missing")))
}

/// Reads in the order of the rows, whatever a column family's options become.
pub(crate) fn scan_options() -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_total_order_seek(true);
    options
}

/// Rewrites the files that have rows with this prefix, or all of a column family: what was deleted or replaced there is in no file
/// afterwards, unless a reader holds it. RocksDB gives no outcome of it; if it fails, so does every later write.
pub(crate) fn rewrite(db: &DB, family: &ColumnFamily, prefix: Option<&[u8]>) {
    let mut options = CompactOptions::default();
    // Else files of the last level stay as they are when nothing lies above them.
    options.set_bottommost_level_compaction(BottommostLevelCompaction::Force);
    options.set_exclusive_manual_compaction(false);
    let end = prefix.map(|prefix| [prefix, &[0xff; ROW_REST_BYTES_MAX]].concat());
    db.compact_range_cf_opt(family, prefix, end, &options);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_path_that_speaks_of_locks_does_not_make_a_fault_one() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("block-storage");
        let options = || Resources::new(&StorageOptions::default()).log_options();
        drop(open(&path, options(), true, Vec::new()).unwrap());
        // What it needs for its own lock cannot be opened.
        fs::remove_file(path.join("LOCK")).unwrap();
        fs::create_dir(path.join("LOCK")).unwrap();
        let error = open(&path, options(), false, Vec::new()).unwrap_err();
        let StorageError::Database { doing: "open", source, .. } = &error else { panic!("{error}") };
        assert!(source.as_ref().contains("block-storage") && source.as_ref().contains("lock"), "{source}");
    }
}
