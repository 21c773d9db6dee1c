//! Whether what the tables hold sealed opens: a backup whose secrets do not is worth nothing.

use claviger_barrier::{Barrier, RecordPlace};
use claviger_state::{KeyRecord, MaterialRecord, Record, RegionKeysRecord, RegionRecord, Table};
use claviger_types::encoding;
use claviger_types::{KeyId, MaterialId, Sealed};

use crate::{BackupError, Header};

/// Opens the secrets of one row, and lets them go.
pub(crate) fn check(barrier: &Barrier, header: &Header, (table, row): (Table, &[u8]), record: &[u8]) -> Result<(), BackupError> {
    let open = |place: &RecordPlace, sealed: &Sealed| {
        let opened = barrier.unseal(place.context(), sealed);
        opened.map(drop).map_err(|source| BackupError::Secret { table: table.name(), row: hex::encode(row), source })
    };
    match table {
        Table::Meta if row == RegionRecord::ROW => {
            let region: RegionRecord = decode(record)?;
            let said = (&header.region, &header.partition, &header.trust_domain, header.cluster_id, header.incarnation, &header.keyring);
            let found = (&region.region, &region.partition, &region.trust_domain, region.cluster_id, region.incarnation, &region.keyring);
            if said == found { Ok(()) } else { Err(BackupError::OtherRegion) }
        }
        Table::Meta if row == RegionKeysRecord::ROW => {
            let keys: RegionKeysRecord = decode(record)?;
            open(&RecordPlace::region_keys(), &keys.private)
        }
        Table::Keys => {
            let key: KeyRecord = decode(record)?;
            if key.document.key_id.to_row() != row {
                return Err(BackupError::Malformed("a key stands at another key's row"));
            }
            open(&RecordPlace::id_secret(&key.document.key_id), &key.id_secret)
        }
        Table::Materials => {
            let (key_id, material_id) =
                row.split_at_checked(KeyId::ROW_BYTES).ok_or(BackupError::Malformed("a material's row is too short"))?;
            let key_id = KeyId::from_row(key_id).map_err(|_| BackupError::Malformed("a material's row names no key"))?;
            let material_id = material_id.try_into().map_err(|_| BackupError::Malformed("a material's row names no material"))?;
            let material: MaterialRecord = decode(record)?;
            open(&RecordPlace::material(&key_id, &MaterialId::from_bytes(material_id)), &material.sealed)
        }
        _ => Ok(()),
    }
}

fn decode<R: Record>(record: &[u8]) -> Result<R, BackupError> {
    encoding::decode(R::SCHEMA, record).map_err(|source| BackupError::Decode { what: "record", source })
}
