//! Tests that sealing and opening leave no key and no material outside locked memory, by searching the process's own memory.

use claviger_crypto::{Secret32, SecretBytes, random};

use crate::memory_scan::residue_of;
use crate::provider::FileProvider;
use crate::{Barrier, Keyring, RecordContext, RootKey};

#[test]
fn nothing_is_left_of_materials_and_keys() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("root.key");
    let root = FileProvider::create(&path).unwrap();
    // The beginning of secrets that have no home in locked memory, and so are made anew where their end is looked for.
    let beginning = Secret32::random().unwrap();
    let (material, mut keyring) = (Secret32::random().unwrap(), Keyring::generate().unwrap());
    keyring.start_term().unwrap();
    let sealed_keyring = keyring.seal(&root).unwrap();
    let terms = [keyring.term(1).unwrap().expose(), keyring.term(2).unwrap().expose()];
    let found = residue_of(&[material.expose(), beginning.expose(), root.secret().expose(), terms[0], terms[1]], || {
        let context = RecordContext { table: "materials", row: b"row", material_id: None, schema: 1 };
        for _ in 0..50 {
            let root: RootKey = FileProvider::load(&path).unwrap();
            let barrier = Barrier::new(Keyring::unseal(&sealed_keyring, &root).unwrap());
            let sealed = barrier.seal(context, material.expose()).unwrap();
            assert_eq!(barrier.unseal32(context, &sealed).unwrap().expose(), material.expose());
            drop(barrier.unseal(context, &sealed).unwrap());
            let long = SecretBytes::try_new_with(1700, |bytes| {
                bytes[..32].copy_from_slice(beginning.expose());
                random::fill(&mut bytes[32..])
            });
            let long = long.unwrap();
            let sealed = barrier.seal(context, long.expose()).unwrap();
            assert_eq!(barrier.unseal_secret(context, &sealed).unwrap().expose(), long.expose());
            let mut piece = vec![0; 1000];
            barrier.seal_stream("test", |_| [0; 32]).unwrap().seal(&mut piece, true).unwrap();
            barrier.keyring().seal(&root).unwrap();
        }
    });
    assert!(found.is_empty(), "{found:?}");
}
