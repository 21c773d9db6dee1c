//! What an operator may set of the storage; everything is bounded.

/// Bounds of memory, files and queues. One set serves both databases of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageOptions {
    /// Blocks, indexes and filters of both databases in memory, in bytes. Write buffers are charged to it too.
    pub block_cache_bytes: usize,
    /// Write buffers of both databases, in bytes.
    pub write_buffer_bytes: usize,
    /// Files that each database keeps open.
    pub open_files_max: i32,
    /// Bytes of log entries that may wait for the disk; past it an append blocks.
    pub log_queue_bytes_max: usize,
    /// Operations that may wait for the disk; past it an append blocks.
    pub log_queue_ops_max: usize,
    /// Bytes of log entries that one synced write takes.
    pub log_batch_bytes_max: usize,
    /// Bytes of a snapshot that is taken from another node.
    pub snapshot_bytes_max: u64,
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self {
            block_cache_bytes: 128 << 20,
            write_buffer_bytes: 64 << 20,
            open_files_max: 512,
            log_queue_bytes_max: 64 << 20,
            log_queue_ops_max: 8192,
            log_batch_bytes_max: 8 << 20,
            snapshot_bytes_max: 256 << 30,
        }
    }
}
