//! The same (key id, material id) has the same bytes wherever it exists.

use std::collections::BTreeMap;

use claviger_barrier::RecordPlace;
use claviger_state::read;
use claviger_types::{KeyId, MaterialId};
use sha2::{Digest, Sha256};

use super::{Commit, Held, Violation};

pub(crate) const NAME: &str = "material_is_immutable";

#[derive(Default)]
pub(crate) struct Watcher {
    digests: BTreeMap<(KeyId, MaterialId), [u8; 32]>,
}

impl Watcher {
    pub(super) fn committed(&mut self, commit: &Commit<'_>) -> Held {
        let key = commit.key_id();
        for material in read::material_ids(commit.tables, &key).unwrap() {
            let record = read::material(commit.tables, &key, &material).unwrap().unwrap();
            let Ok(opened) = commit.barrier.unseal32(RecordPlace::material(&key, &material).context(), &record.sealed) else {
                return Err(Violation::new(NAME, format!("a material at {} does not open", commit.node)));
            };
            let digest: [u8; 32] = Sha256::digest(opened.expose()).into();
            if *self.digests.entry((key, material)).or_insert(digest) != digest {
                return Err(Violation::new(NAME, format!("a material has other bytes at {}", commit.node)));
            }
        }
        Ok(())
    }
}
