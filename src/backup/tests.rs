//! What goes in comes out; and whatever was changed, cut, moved, repeated or added on the way is found.

use std::collections::BTreeMap;

use claviger_barrier::{Barrier, Keyring, RecordPlace, RootKey};
use claviger_crypto::Secret32;
use claviger_state::{
    Authorised, Command, CommandBody, CreateKey, FoundRegion, KeyRecord, MaterialRecord, MemoryTables, Once, Operation, Overlay, Record,
    RegionKeysRecord, RegionPublicKeys, SealedMaterial, Table, apply,
};
use claviger_types::{ClusterId, Incarnation, KeyId, KeySpec, KeyUsage, MaterialId, Origin, Sealed, Timestamp, encoding};
use memchr::memmem;
use proptest::prelude::*;

use crate::{Archive, BackupError, FRAME_BYTES, Footer, Manifest, Moment, create};

const FOOTER_BYTES: usize = 32 + 8 + 32;
const FRAME_HEAD_BYTES: usize = 5;
const TAG_BYTES: usize = 16;
const MOMENT: Moment<'static> = Moment { applied_index: 17, created_at: Timestamp::from_millis(5), program: "1.2.3" };

/// A region and what opens it.
struct Fixture {
    root: RootKey,
    barrier: Barrier,
    tables: MemoryTables,
    index: u64,
}

impl Fixture {
    fn founded() -> Self {
        let (keyring, root) = (Keyring::generate().unwrap(), RootKey::generate().unwrap());
        let sealed_keyring = keyring.seal(&root).unwrap();
        let barrier = Barrier::new(keyring);
        let private = barrier.seal(RecordPlace::region_keys().context(), b"private keys").unwrap();
        let mut fixture = Self { root, barrier, tables: MemoryTables::default(), index: 0 };
        fixture.apply(CommandBody::FoundRegion(Box::new(FoundRegion {
            region: "eu-west-1".parse().unwrap(),
            partition: "aws".parse().unwrap(),
            trust_domain: "kms.example.org".parse().unwrap(),
            cluster_id: ClusterId::from_bytes([1; 16]),
            incarnation: Incarnation::from_bytes([2; 16]),
            keyring: sealed_keyring,
            region_keys: RegionKeysRecord {
                public: RegionPublicKeys { version: 1, kem: vec![1], ed25519: vec![2], ml_dsa_65: vec![3] },
                private,
            },
        })));
        fixture
    }

    fn with_keys(count: u8, description: &str) -> Self {
        let mut fixture = Self::founded();
        (0..count).for_each(|number| fixture.create_key(number, description));
        fixture
    }

    fn apply(&mut self, body: CommandBody) {
        self.index += 1;
        let mut overlay = Overlay::new(&self.tables);
        apply(&mut overlay, self.index, &Command { time: Timestamp::from_millis(self.index), body }).unwrap().outcome.unwrap();
        let writes = overlay.into_writes();
        self.tables.commit(writes);
    }

    fn create_key(&mut self, number: u8, description: &str) {
        let (key_id, material_id) = (KeyId::multi_region([number; 16]), MaterialId::from_bytes([number; 32]));
        let seal = |place: RecordPlace| self.barrier.seal(place.context(), Secret32::random().unwrap().expose()).unwrap();
        let create = CreateKey {
            once: Once {
                principal: "arn:aws:iam::111122223333:user/alice".to_owned(),
                invocation_id: format!("invocation-{number}"),
                operation: Operation::CreateKey,
                body_sha256: [0; 32],
                authorised: Authorised::default(),
            },
            key_id,
            account: "111122223333".parse().unwrap(),
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: Origin::AwsKms,
            description: description.to_owned(),
            tags: BTreeMap::from([("project".to_owned(), "moonshot".to_owned())]),
            policy: None,
            id_secret: seal(RecordPlace::id_secret(&key_id)),
            material: Some(SealedMaterial { id: material_id, sealed: seal(RecordPlace::material(&key_id, &material_id)) }),
        };
        self.apply(CommandBody::CreateKey(Box::new(create)));
    }

    fn put(&mut self, table: Table, row: &[u8], record: Vec<u8>) {
        let mut overlay = Overlay::new(&self.tables);
        overlay.put_bytes(table, row, record);
        let writes = overlay.into_writes();
        self.tables.commit(writes);
    }

    fn backup(&self) -> Vec<u8> {
        self.backup_with_footer().0
    }

    fn backup_with_footer(&self) -> (Vec<u8>, Footer) {
        let mut file = Vec::new();
        let footer = create(&self.tables, &self.barrier, MOMENT, &mut file).unwrap();
        (file, footer)
    }

    fn opened(&self, file: &[u8]) -> Result<(MemoryTables, Manifest, Footer), BackupError> {
        let empty = MemoryTables::default();
        let mut rows = Overlay::new(&empty);
        let (manifest, footer) = Archive::begin(file)?.unseal(&self.root)?.rows(|table, row, record| {
            rows.put_bytes(table, row, record.to_vec());
            Ok::<_, BackupError>(())
        })?;
        let mut tables = MemoryTables::default();
        tables.commit(rows.into_writes());
        Ok((tables, manifest, footer))
    }
}

fn checked(file: &[u8]) -> Result<Footer, BackupError> {
    Archive::begin(file)?.check()
}

/// Where the frames of a file are, heads included.
fn frames(file: &[u8]) -> Vec<std::ops::Range<usize>> {
    let number = |at: usize| u32::from_be_bytes(file[at..at + 4].try_into().unwrap()) as usize;
    let mut at = 21 + number(17);
    let mut frames = Vec::new();
    while at < file.len() - FOOTER_BYTES {
        let end = at + FRAME_HEAD_BYTES + number(at + 1);
        frames.push(at..end);
        at = end;
    }
    assert_eq!(at, file.len() - FOOTER_BYTES);
    frames
}

/// The file with another hash at its end: somebody means harm.
fn rehashed(mut file: Vec<u8>) -> Vec<u8> {
    use sha2::Digest;
    let end = file.len() - 32;
    let sha256 = sha2::Sha256::digest(&file[..end]);
    file[end..].copy_from_slice(&sha256);
    file
}

#[test]
fn every_row_comes_back_and_nothing_is_told_in_clear_but_whose_it_is() {
    // More than one frame, and records that lie in two.
    let fixture = Fixture::with_keys(200, &"secret plans ".repeat(800));
    let (file, footer) = fixture.backup_with_footer();
    assert!(frames(&file).len() > 2);
    let (tables, manifest, opened_footer) = fixture.opened(&file).unwrap();
    assert!(tables == fixture.tables, "the tables differ");
    assert_eq!((opened_footer, checked(&file).unwrap()), (footer, footer));
    assert_eq!((manifest.rows_of(Table::Keys), manifest.rows_of(Table::Materials), manifest.rows_of(Table::Peers)), (200, 200, 0));
    assert_eq!(manifest.tables.len(), Table::ALL.len());
    assert_eq!((manifest.rows(), footer.rows), (fixture.tables.rows().count() as u64, manifest.rows()));
    let header = Archive::begin(&file[..]).unwrap().header().clone();
    assert_eq!((header.region.as_str(), header.applied_index, header.program.as_str()), ("eu-west-1", 17, "1.2.3"));
    assert_eq!(header.barrier_id, *fixture.barrier.keyring().barrier_id());
    for metadata in ["secret plans", "moonshot", "alice", "111122223333"] {
        assert!(memmem::find(&file, metadata.as_bytes()).is_none(), "{metadata} stands in the file in clear");
    }
}

#[test]
fn full_frames_may_be_the_last_ones() {
    for over in [0, 1, FRAME_BYTES - 1, FRAME_BYTES] {
        let mut fixture = Fixture::with_keys(1, "x");
        let empty = {
            fixture.put(Table::KeysByAccount, b"filler", Vec::new());
            let file = fixture.backup();
            frames(&file)[0].len() - FRAME_HEAD_BYTES - TAG_BYTES
        };
        fixture.put(Table::KeysByAccount, b"filler", vec![7; FRAME_BYTES - empty + over]);
        let file = fixture.backup();
        let lengths: Vec<usize> = frames(&file).iter().map(|frame| frame.len() - FRAME_HEAD_BYTES - TAG_BYTES).collect();
        // The manifest's own length depends on the filler's by a few bytes.
        assert!(lengths.iter().sum::<usize>().abs_diff(FRAME_BYTES + over) < 16, "{lengths:?}");
        assert!(fixture.opened(&file).unwrap().0 == fixture.tables);
    }
}

#[test]
fn any_flipped_bit_and_any_cut_of_a_small_backup_is_found_with_and_without_the_root_key() {
    let fixture = Fixture::with_keys(1, "x");
    let file = fixture.backup();
    fixture.opened(&file).unwrap();
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(checked(&flipped).is_err(), "bit {bit} without the root key");
        assert!(fixture.opened(&flipped).is_err(), "bit {bit}");
    }
    for length in 0..file.len() {
        assert!(checked(&file[..length]).is_err(), "{length} bytes without the root key");
        assert!(fixture.opened(&file[..length]).is_err(), "{length} bytes");
    }
    let longer = [&file[..], b"x"].concat();
    assert!(matches!(checked(&longer), Err(BackupError::Trailing)));
    assert!(matches!(fixture.opened(&longer), Err(BackupError::Trailing)));
}

/// With the hash at the end put right again: the seal alone must find it.
#[test]
fn whatever_is_done_to_the_frames_on_purpose_is_found() {
    let fixture = Fixture::with_keys(200, &"y".repeat(12_000));
    let file = fixture.backup();
    let frames = frames(&file);
    assert!(frames.len() > 3);
    let refused = |file: Vec<u8>, what: &str| {
        let file = rehashed(file);
        assert!(matches!(fixture.opened(&file), Err(BackupError::Frame { .. })), "{what}");
    };
    let part = |range: &std::ops::Range<usize>| file[range.clone()].to_vec();
    let (before, after) = (file[..frames[0].start].to_vec(), file[file.len() - FOOTER_BYTES..].to_vec());
    let build = |order: &[usize]| {
        let middle: Vec<u8> = order.iter().flat_map(|at| part(&frames[*at])).collect();
        [&before[..], &middle, &after].concat()
    };
    let last = frames.len() - 1;
    let all: Vec<usize> = (0..=last).collect();
    assert_eq!(build(&all), file);
    refused(build(&[&[1, 0], &all[2..]].concat()), "two frames change places");
    refused(build(&[&[0, 0], &all[1..]].concat()), "a frame is there twice");
    refused(build(&all[1..]), "the first frame is missing");
    refused(build(&[&all[..1], &all[2..]].concat()), "a frame in the middle is missing");
    // The last frame that remains is called the last.
    let mut cut = build(&all[..last]);
    cut[frames[last - 1].start] = 1;
    refused(cut, "the end is missing");
    let mut footer = file.clone();
    let rows = footer.len() - 33;
    footer[rows] ^= 1;
    assert!(matches!(fixture.opened(&rehashed(footer)), Err(BackupError::Checksum)));
    // The header of another backup of the same region.
    let other = fixture.backup();
    let mut exchanged = other[..frames[0].start].to_vec();
    exchanged.extend_from_slice(&file[frames[0].start..]);
    refused(exchanged, "the header is another backup's");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_changed_byte_is_found_wherever_it_is(at in any::<prop::sample::Index>(), xor in 1_u8..) {
        thread_local! {
            static BACKUP: (Fixture, Vec<u8>) = {
                let fixture = Fixture::with_keys(200, &"z".repeat(8000));
                let file = fixture.backup();
                (fixture, file)
            };
        }
        BACKUP.with(|(fixture, file)| {
            let mut file = file.clone();
            let at = at.index(file.len());
            file[at] ^= xor;
            assert!(checked(&file).is_err());
            assert!(fixture.opened(&file).is_err());
            let footer = file.len() - FOOTER_BYTES;
            assert!(at >= footer || fixture.opened(&rehashed(file)).is_err());
        });
    }

    #[test]
    fn hostile_bytes_are_an_error_and_never_a_panic(bytes: Vec<u8>, keep in any::<prop::sample::Index>()) {
        prop_assert!(checked(&bytes).is_err());
        let file = Fixture::founded().backup();
        let hostile = [&file[..keep.index(file.len())], &bytes].concat();
        prop_assert!(hostile == file || checked(&hostile).is_err());
    }
}

#[test]
fn another_root_key_is_told_apart_from_damage() {
    let fixture = Fixture::with_keys(1, "x");
    let file = fixture.backup();
    let other = RootKey::generate().unwrap();
    let Err(error) = Archive::begin(&file[..]).unwrap().unseal(&other) else { panic!("another root key opens it") };
    assert!(matches!(error, BackupError::RootKey(_)));
    assert!(error.to_string().contains("root key of its day"));
    assert!(checked(&file).is_ok(), "it is whole all the same");
    assert!(matches!(checked(b"claviger backup\n\x02and more"), Err(BackupError::Format(2))));
    assert!(matches!(checked(b"something else, and long enough"), Err(BackupError::NotABackup)));
    assert!(matches!(checked(b""), Err(BackupError::NotABackup)));
}

/// The seal says that the region's own barrier wrote it; still it must be of use.
#[test]
fn a_backup_whose_secrets_or_records_do_not_open_is_refused() {
    let key = KeyId::multi_region([0; 16]);
    let material = [key.to_row().as_slice(), &[0; 32]].concat();
    let row = |fixture: &Fixture, table: Table, row: &[u8]| {
        let found = fixture.tables.rows().find(|(at, key, _)| *at == table && *key == row);
        found.unwrap().2.to_vec()
    };
    let flipped = |sealed: &Sealed| {
        let mut bytes = sealed.as_bytes().to_vec();
        bytes[60] ^= 1;
        Sealed::from_bytes(bytes)
    };
    let refused = |fixture: &Fixture, in_table: &str| {
        let opened = fixture.opened(&fixture.backup());
        assert!(matches!(opened, Err(BackupError::Secret { table, .. }) if table == in_table), "{in_table}");
    };
    let mut fixture = Fixture::with_keys(1, "x");
    let mut record: KeyRecord = encoding::decode(KeyRecord::SCHEMA, &row(&fixture, Table::Keys, &key.to_row())).unwrap();
    record.id_secret = flipped(&record.id_secret);
    fixture.put(Table::Keys, &key.to_row(), encoding::encode(KeyRecord::SCHEMA, &record).unwrap());
    refused(&fixture, "keys");
    let mut fixture = Fixture::with_keys(1, "x");
    let mut record: MaterialRecord = encoding::decode(MaterialRecord::SCHEMA, &row(&fixture, Table::Materials, &material)).unwrap();
    record.sealed = flipped(&record.sealed);
    fixture.put(Table::Materials, &material, encoding::encode(MaterialRecord::SCHEMA, &record).unwrap());
    refused(&fixture, "materials");
    let mut fixture = Fixture::founded();
    let at = RegionKeysRecord::ROW;
    let mut record: RegionKeysRecord = encoding::decode(RegionKeysRecord::SCHEMA, &row(&fixture, Table::Meta, at)).unwrap();
    record.private = flipped(&record.private);
    fixture.put(Table::Meta, at, encoding::encode(RegionKeysRecord::SCHEMA, &record).unwrap());
    refused(&fixture, "meta");
    // A secret in another's place.
    let mut fixture = Fixture::with_keys(2, "x");
    let other = [KeyId::multi_region([1; 16]).to_row().as_slice(), &[1; 32]].concat();
    let moved = row(&fixture, Table::Materials, &other);
    fixture.put(Table::Materials, &material, moved);
    refused(&fixture, "materials");
    // A record that this version does not read.
    let mut fixture = Fixture::with_keys(1, "x");
    fixture.put(Table::Peers, b"dc-north-1", vec![99, 1, 2]);
    let error = fixture.opened(&fixture.backup()).unwrap_err();
    assert!(matches!(error, BackupError::Record(_)), "{error}");
}

#[test]
fn a_region_that_is_not_founded_has_no_backup_and_a_disk_that_is_full_is_told() {
    let fixture = Fixture::founded();
    let nothing = create(&MemoryTables::default(), &fixture.barrier, MOMENT, Vec::new());
    assert!(matches!(nothing, Err(BackupError::NotFounded)));
    let mut small = [0; 1000];
    assert!(matches!(create(&fixture.tables, &fixture.barrier, MOMENT, &mut small[..]), Err(BackupError::Io { .. })));
}
