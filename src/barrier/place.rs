//! Where the records that hold secrets belong: the one place that spells out tables, rows and schemas for the barrier.

use claviger_types::{KeyId, MaterialId};

use crate::RecordContext;

/// Version of the plaintext's encoding: the bare bytes of the secret.
const SCHEMA: u8 = 1;

/// A record's place, with its row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPlace {
    table: &'static str,
    row: Vec<u8>,
    material_id: Option<MaterialId>,
}

impl RecordPlace {
    /// One version of a key's material.
    pub fn material(key_id: &KeyId, material_id: &MaterialId) -> Self {
        let row = [key_id.to_row().as_slice(), material_id.as_bytes()].concat();
        Self { table: "materials", row, material_id: Some(*material_id) }
    }

    /// A key's id secret.
    pub fn id_secret(key_id: &KeyId) -> Self {
        Self { table: "keys", row: key_id.to_row().to_vec(), material_id: None }
    }

    /// The region's own private keys.
    pub fn region_keys() -> Self {
        Self { table: "meta", row: b"region-keys".to_vec(), material_id: None }
    }

    /// The context under which the record is sealed.
    pub fn context(&self) -> RecordContext<'_> {
        RecordContext { table: self.table, row: &self.row, material_id: self.material_id, schema: SCHEMA }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_spelt_as_the_tables_are() {
        let (key, material) = (KeyId::from_parts([1; 16], true), MaterialId::from_bytes([2; 32]));
        let row = [[1; 16].as_slice(), &[1], &[2; 32]].concat();
        let context = RecordContext { table: "materials", row: &row, material_id: Some(material), schema: 1 };
        assert_eq!(RecordPlace::material(&key, &material).context(), context);
        let context = RecordContext { table: "keys", row: &row[..17], material_id: None, schema: 1 };
        assert_eq!(RecordPlace::id_secret(&key).context(), context);
        let context = RecordContext { table: "meta", row: b"region-keys", material_id: None, schema: 1 };
        assert_eq!(RecordPlace::region_keys().context(), context);
    }
}
