//! The seeds of a target: files of `tests/fuzz/seeds/<target>`. One that is called `ok-…` is taken for what it should be, one
//! that is called `bad-…` is not, and one that is called `found-…` once broke something.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::TARGETS;

/// A file of seeds.
#[derive(Clone, Debug)]
pub struct Seed {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Where this crate is.
pub fn directory() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where the seeds of a target are.
pub fn seeds_of(target: &str) -> PathBuf {
    directory().join("seeds").join(target)
}

/// The seeds of a target, by name.
///
/// # Panics
/// When there are none.
pub fn seeds(target: &str) -> Vec<Seed> {
    let directory = seeds_of(target);
    let files = std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut seeds: Vec<Seed> = files
        .map(|file| file.expect("the directory is readable").path())
        .map(|path| Seed {
            name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            bytes: std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
        })
        .collect();
    seeds.sort_by(|one, other| one.name.cmp(&other.name));
    seeds
}

/// Whether a target's input is, byte by byte, one of those that were sealed or signed by who alone can: its `ok-` seeds.
pub(crate) fn is_genuine(target: &str, input: &[u8]) -> bool {
    static GENUINE: LazyLock<BTreeMap<&str, HashSet<Vec<u8>>>> = LazyLock::new(|| {
        let ok = |target| seeds(target).into_iter().filter(|seed| seed.name.starts_with("ok-")).map(|seed| seed.bytes);
        TARGETS.iter().map(|target| (target.name, ok(target.name).collect())).collect()
    });
    GENUINE.get(target).is_some_and(|genuine| genuine.contains(input))
}
