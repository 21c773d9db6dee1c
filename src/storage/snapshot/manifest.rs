//! What a snapshot consists of. No I/O here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use claviger_types::encoding;
use serde::{Deserialize, Serialize};

use crate::StorageError;

const SCHEMA: u8 = 1;
/// Files of one snapshot: at 64 MiB a file, a state of 1 TiB.
const FILES_MAX: usize = 16_384;
/// Names in the metadata; the caller uses a handful.
const META_MAX: usize = 64;
const NAME_BYTES_MAX: usize = 128;

/// One file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotFile {
    /// Its name, without any directory.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

/// The list of a snapshot's files and the metadata that its database holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) name: String,
    pub(super) meta: BTreeMap<String, Vec<u8>>,
    /// Sorted by name.
    pub(super) files: Vec<SnapshotFile>,
}

impl Manifest {
    pub(super) fn encode(&self) -> Result<Vec<u8>, StorageError> {
        encoding::encode(SCHEMA, self).map_err(|source| StorageError::Encode { what: "manifest of a snapshot", source: Arc::new(source) })
    }

    /// Decodes and checks everything that can be checked without the files.
    pub(super) fn decode(name: &str, bytes: &[u8], bytes_max: u64) -> Result<Self, StorageError> {
        let refuse = |reason: String| StorageError::snapshot(name, reason);
        let manifest: Self = encoding::decode(SCHEMA, bytes).map_err(|error| refuse(format!("the manifest does not decode: {error}")))?;
        if !is_name(&manifest.name) {
            return Err(refuse("the manifest's name is malformed".to_owned()));
        }
        if manifest.files.len() > FILES_MAX || manifest.meta.len() > META_MAX {
            return Err(refuse("it has more files than a snapshot may have".to_owned()));
        }
        let mut seen = BTreeSet::new();
        let mut total = 0_u64;
        for file in &manifest.files {
            if !is_name(&file.name) || file.name == super::dir::MANIFEST_FILE {
                return Err(refuse(format!("the file name {:?} is not allowed", file.name)));
            }
            if !seen.insert(&file.name) {
                return Err(refuse(format!("the file {} is named twice", file.name)));
            }
            total = total.saturating_add(file.size);
        }
        if total > bytes_max {
            return Err(refuse(format!("it has {total} bytes, more than the {bytes_max} that are allowed")));
        }
        Ok(manifest)
    }
}

/// Whether a name, joined to a directory, stays a plain file in it.
pub(super) fn is_name(name: &str) -> bool {
    let shaped = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
    shaped && !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(names: &[&str]) -> Vec<u8> {
        let files = names.iter().map(|name| SnapshotFile { name: (*name).to_owned(), size: 5, sha256: [0; 32] }).collect();
        Manifest { name: "s".to_owned(), meta: BTreeMap::new(), files }.encode().unwrap()
    }

    #[test]
    fn hostile_manifests_are_refused() {
        assert!(Manifest::decode("s", &manifest(&["000001.sst", "CURRENT"]), 10).is_ok());
        for bad in [&["../x"][..], &["a/b"], &[""], &[".."], &[".x"], &["a\0"], &["claviger-manifest"], &["a", "a"], &["a", "b", "c"]] {
            assert!(Manifest::decode("s", &manifest(bad), 10).is_err(), "{bad:?}");
        }
        assert!(Manifest::decode("s", &[1, 2, 3], 10).is_err());
        assert!(Manifest::decode("s", &[], 10).is_err());
    }
}
