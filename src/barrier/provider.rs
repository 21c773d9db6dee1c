//! Where the root key comes from. A provider brings it and knows nothing of what it seals.

mod file;

pub use file::FileProvider;
