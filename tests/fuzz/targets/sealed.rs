//! What the barrier sealed: its keyring, records, backups. Nothing opens that was changed.

use std::sync::LazyLock;

use claviger_backup::{Archive, BackupError};
use claviger_barrier::{Barrier, Keyring, RecordPlace, RootKey};
use claviger_state::check_row;
use claviger_types::{KeyId, MaterialId, Sealed};

use crate::corpus::{is_genuine, seeds_of};
use crate::first_line;
use crate::targets::keys::secret;

/// The root key of the keyring among the seeds.
///
/// # Panics
/// When there is no locked memory.
pub fn root_key() -> RootKey {
    RootKey::from_secret(secret(9))
}

/// The keyring among the seeds, sealed.
///
/// # Panics
/// When it is not there.
pub fn sealed_keyring() -> Sealed {
    let seed = std::fs::read(seeds_of("sealed_record").join("ok-keyring")).expect("the keyring is there");
    Sealed::from_bytes(seed["keyring\n".len()..].to_vec())
}

/// Of that keyring.
///
/// # Panics
/// When it does not open.
pub fn barrier() -> Barrier {
    Barrier::new(Keyring::unseal(&sealed_keyring(), &root_key()).expect("the keyring opens"))
}

/// Where the sealed records among the seeds belong.
pub fn place(kind: &str) -> Option<RecordPlace> {
    let key_id = KeyId::multi_region([0x22; 16]);
    match kind {
        "material" => Some(RecordPlace::material(&key_id, &MaterialId::from_bytes([5; 32]))),
        "id-secret" => Some(RecordPlace::id_secret(&key_id)),
        "region-keys" => Some(RecordPlace::region_keys()),
        _ => None,
    }
}

/// A keyring or a record; before it, which, and a line feed.
pub fn sealed_record(input: &[u8]) -> bool {
    static BARRIER: LazyLock<Barrier> = LazyLock::new(barrier);
    static ROOT_KEY: LazyLock<RootKey> = LazyLock::new(root_key);
    let Some((kind, sealed)) = first_line(input) else { return false };
    let sealed = Sealed::from_bytes(sealed.to_vec());
    let opened = match place(kind) {
        Some(place) => {
            let opened = BARRIER.unseal(place.context(), &sealed).is_ok();
            assert_eq!(BARRIER.unseal_secret(place.context(), &sealed).is_ok(), opened);
            opened
        }
        None if kind == "keyring" => Keyring::unseal(&sealed, &ROOT_KEY).is_ok(),
        None => false,
    };
    assert!(!opened || is_genuine("sealed_record", input), "a forged record opened");
    opened
}

/// A backup. Whoever has not the root key can tell whether it is whole; with it, it opens if it is one that was made.
pub fn backup(input: &[u8]) -> bool {
    static ROOT_KEY: LazyLock<RootKey> = LazyLock::new(root_key);
    let Ok(archive) = Archive::begin(input) else { return false };
    let whole = archive.check().is_ok();
    let Ok(opened) = Archive::begin(input).and_then(|archive| archive.unseal(&ROOT_KEY)) else { return false };
    let rows = opened.rows::<BackupError>(|table, row, record| {
        check_row(table, row, record).expect("only rows that can be read are shown");
        Ok(())
    });
    assert!(rows.is_err() || whole && is_genuine("backup", input), "a forged backup opened");
    rows.is_ok()
}
