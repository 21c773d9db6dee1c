//! Tests that nothing is left of a secret outside locked memory, by searching the process's own memory for it.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::thread;

use claviger_types::{KeyId, KeySpec, MacAlgorithm, MaterialId, MessageType, SigningAlgorithm};

use crate::mac::MacKey;
use crate::memory_scan::find_copies;
use crate::signing::SigningKey;
use crate::wrap::{self, tests::route};
use crate::{CryptoError, EncryptionContext, Secret32, SecretBytes, blob, import, kdf, material, material_id, memory_scan, scrub};

fn residue_of(secrets: &[&Secret32], work: impl FnOnce() + Send) -> Vec<String> {
    memory_scan::residue_of(&secrets.iter().map(|secret| secret.expose()).collect::<Vec<_>>(), work)
}

#[test]
fn the_search_finds_what_is_left_lying_about() {
    let secret = Secret32::random().unwrap();
    let heap = secret.expose()[16..].to_vec();
    assert!(!find_copies(&[secret.expose()]).is_empty(), "on the heap");
    drop(black_box(heap));

    let padded: Vec<u8> = secret.expose().iter().map(|byte| byte ^ 0x5c).collect();
    assert!(find_copies(&[secret.expose()]).iter().any(|copy| copy.contains("form 2")), "as an HMAC pad");
    drop(black_box(padded));

    let other = Secret32::random().unwrap();
    let on_a_stack = residue_of(&[&other], || {
        black_box(*other.expose());
    });
    assert!(!on_a_stack.is_empty(), "on the stack of a function that returned");
}

#[test]
fn scrubbing_wipes_what_work_left() {
    /// Leaves the secret `COPIES` times on the stack.
    fn litter<const COPIES: usize>(secret: &Secret32) {
        let mut litter = [[0_u8; 32]; COPIES];
        litter.iter_mut().for_each(|copy| copy.copy_from_slice(secret.expose()));
        black_box(&mut litter);
    }
    let secret = Secret32::random().unwrap();
    assert!(!residue_of(&[&secret], || litter::<200>(&secret)).is_empty());
    assert!(residue_of(&[&secret], || scrub::shallow(|| litter::<200>(&secret))).is_empty());
    assert!(residue_of(&[&secret], || scrub::deep(|| litter::<4000>(&secret))).is_empty());
}

/// The lowest byte that `work` touched on a fresh stack, as a distance from where it was called. Fresh stacks are zero.
fn depth_of(work: impl FnOnce() + Send) -> u64 {
    thread::scope(|scope| {
        let measured = thread::Builder::new().stack_size(1 << 20).spawn_scoped(scope, move || {
            let here = 0_u8;
            let top = (&raw const here) as u64;
            work();
            let bottom = memory_scan::mapping_of(top).start;
            top - bottom - memory_scan::zeros_from(bottom)
        });
        measured.unwrap().join().unwrap()
    })
}

#[test]
fn no_work_on_secrets_reaches_below_what_is_wiped() {
    let (secret, key) = (Secret32::random().unwrap(), KeyId::from_parts([3; 16], true));
    let context = EncryptionContext::new(&BTreeMap::new()).unwrap();
    // Wiping reaches exactly that far itself; the rest are the frames of the callers. Without it the depths were 2.5 and 104 KiB,
    // and for the signatures below 18 and 202 KiB.
    let shallow = depth_of(|| {
        let id = material_id::compute(&secret, key, &secret).unwrap();
        let sealed = blob::seal(&secret, key, id, &context, &[1; 100]).unwrap();
        blob::open(&secret, &context, &sealed).unwrap();
    });
    assert!(shallow < scrub::SHALLOW_BYTES as u64 + 2048, "{shallow} bytes");
    let deep = depth_of(|| {
        let keys = wrap::RegionPrivateKeys::generate().unwrap();
        let header = wrap::BatchHeader { route: route(), number: 1 };
        let batch = wrap::seal_batch(&keys, &keys.public(), &header, b"documents", &[secret.duplicate().unwrap().into()]).unwrap();
        wrap::open_batch(&keys, &keys.public(), &header.route, &batch).unwrap();
    });
    assert!(deep < scrub::DEEP_BYTES as u64 + 16384, "{deep} bytes");
    let (seed, digest) = (SecretBytes::from(Secret32::random().unwrap()), [7; 64]);
    let edwards = SigningKey::open(KeySpec::EccNistEdwards25519, &material::generate(KeySpec::EccNistEdwards25519).unwrap()).unwrap();
    let deep = depth_of(|| {
        edwards.sign(SigningAlgorithm::Ed25519PhSha512, MessageType::Digest, &digest).unwrap();
    });
    assert!(deep < scrub::DEEP_BYTES as u64 + 16384, "{deep} bytes");
    let ml_dsa = SigningKey::open(KeySpec::MlDsa87, &seed).unwrap();
    let deeper = depth_of(|| {
        ml_dsa.sign(SigningAlgorithm::MlDsaShake256, MessageType::ExternalMu, &digest).unwrap();
    });
    assert!(deeper < scrub::DEEPER_BYTES as u64 + 16384, "{deeper} bytes");
}

#[test]
fn signing_with_seeds_and_making_macs_leave_neither() {
    let [seed, edwards_seed, mac_key] = [0; 3].map(|_| Secret32::random().unwrap());
    let digest = [7; 64];
    let found = residue_of(&[&seed, &edwards_seed, &mac_key], || {
        let canonical = SecretBytes::try_new_with(48, |bytes| {
            bytes[..16].copy_from_slice(&[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]);
            bytes[16..].copy_from_slice(edwards_seed.expose());
            Ok::<_, CryptoError>(())
        });
        let imported = import::parse(KeySpec::EccNistEdwards25519, canonical.unwrap().expose()).unwrap();
        let edwards = SigningKey::open(KeySpec::EccNistEdwards25519, &imported).unwrap();
        drop(imported);
        for (algorithm, message_type) in
            [(SigningAlgorithm::Ed25519Sha512, MessageType::Raw), (SigningAlgorithm::Ed25519PhSha512, MessageType::Digest)]
        {
            let signature = edwards.sign(algorithm, message_type, &digest).unwrap();
            assert!(edwards.verify(algorithm, message_type, &digest, &signature).unwrap());
        }
        drop(edwards);
        let ml_dsa = SigningKey::open(KeySpec::MlDsa65, &seed.duplicate().unwrap().into()).unwrap();
        let signature = ml_dsa.sign(SigningAlgorithm::MlDsaShake256, MessageType::ExternalMu, &digest).unwrap();
        assert!(ml_dsa.verify(SigningAlgorithm::MlDsaShake256, MessageType::ExternalMu, &digest, &signature).unwrap());
        let key = MacKey::open(KeySpec::Hmac256, mac_key.duplicate().unwrap().into()).unwrap();
        let mac = key.generate(MacAlgorithm::HmacSha256, b"a message").unwrap();
        assert!(key.verify(MacAlgorithm::HmacSha256, b"a message", &mac).unwrap());
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn sealing_opening_and_naming_leave_no_material() {
    let (material, id_secret, key) = (Secret32::random().unwrap(), Secret32::random().unwrap(), KeyId::from_parts([3; 16], true));
    let found = residue_of(&[&material, &id_secret], || {
        let context = EncryptionContext::new(&BTreeMap::from([("purpose".to_owned(), "residue".to_owned())])).unwrap();
        for round in 0..200_usize {
            let id = material_id::compute(&id_secret, key, &material).unwrap();
            let sealed = blob::seal(&material, key, id, &context, &vec![7; round]).unwrap();
            assert_eq!(blob::open(&material, &context, &sealed).unwrap().len(), round);
            assert!(blob::open(&id_secret, &context, &sealed).is_err());
        }
        blob::seal(&material, key, MaterialId::from_bytes([0; 32]), &context, b"last").unwrap();
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn deriving_duplicating_and_dropping_leave_nothing() {
    let (secret, dropped) = (Secret32::random().unwrap(), Secret32::random().unwrap());
    let found = residue_of(&[&secret, &dropped], || {
        let mut okm = [0; 44];
        kdf::hkdf_sha256(&secret, &[1; 32], &[b"label"], &mut okm).unwrap();
        kdf::hmac_sha256(&secret, &[dropped.expose()]).unwrap();
        drop(dropped.duplicate().unwrap());
    });
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn wrapping_and_unwrapping_leave_neither_materials_nor_region_keys() {
    let (source, target) = (wrap::RegionPrivateKeys::generate().unwrap(), wrap::RegionPrivateKeys::generate().unwrap());
    let material = Secret32::random().unwrap();
    let secrets: Vec<&Secret32> = [&material].into_iter().chain(source.seeds()).chain(target.seeds()).collect();
    let found = residue_of(&secrets, || {
        let header = wrap::BatchHeader { route: route(), number: 1 };
        let pair = [material.duplicate().unwrap().into(), material.duplicate().unwrap().into()];
        for _ in 0..5 {
            let batch = wrap::seal_batch(&source, &target.public(), &header, b"documents", &pair).unwrap();
            let opened = wrap::open_batch(&target, &source.public(), &header.route, &batch).unwrap();
            assert_eq!(opened[1].expose(), material.expose());
            drop(wrap::RegionPrivateKeys::from_secret_bytes(&target.to_secret_bytes()).unwrap());
        }
    });
    assert!(found.is_empty(), "{found:?}");
}
