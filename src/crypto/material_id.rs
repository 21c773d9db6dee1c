//! KeyMaterialIds: names of materials that are equal in all regions and say nothing of the bytes (DESIGN.md section 6).

use claviger_types::{KeyId, MaterialId};

use crate::{CryptoError, Secret32, SecretBytes, kdf};

const LABEL: &[u8] = b"claviger material id v1";

/// HMAC-SHA256(id secret, label ‖ key id as text ‖ u16 length of the material ‖ material).
///
/// # Errors
/// None that a caller could cause; see [`kdf::hmac_sha256`].
pub fn compute(id_secret: &Secret32, key_id: KeyId, material: &Secret32) -> Result<MaterialId, CryptoError> {
    of_bytes(id_secret, key_id, material.expose())
}

/// As [`compute`], for canonical bytes of any length ([`crate::material`]).
///
/// # Errors
/// As [`compute`].
pub fn of_canonical(id_secret: &Secret32, key_id: KeyId, material: &SecretBytes) -> Result<MaterialId, CryptoError> {
    of_bytes(id_secret, key_id, material.expose())
}

fn of_bytes(id_secret: &Secret32, key_id: KeyId, material: &[u8]) -> Result<MaterialId, CryptoError> {
    let length = u16::try_from(material.len()).map_err(|_| CryptoError::SecretTooLong(material.len()))?;
    let key_id = key_id.to_string();
    kdf::hmac_sha256(id_secret, &[LABEL, key_id.as_bytes(), &length.to_be_bytes(), material]).map(MaterialId::from_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::tests::{Vectors, secret};

    #[test]
    fn known_answers() {
        let vectors = Vectors::load();
        assert_eq!(vectors.material_ids.len(), 3);
        for vector in vectors.material_ids {
            let (id_secret, key_id) = (secret(&vector.id_secret), vector.key_id.parse().unwrap());
            let material = hex::decode(&vector.material).unwrap();
            let id = of_canonical(&id_secret, key_id, &SecretBytes::copy_of(&material).unwrap()).unwrap();
            assert_eq!(id.to_string(), vector.material_id);
            if material.len() == 32 {
                assert_eq!(compute(&id_secret, key_id, &secret(&vector.material)).unwrap(), id);
            }
        }
    }

    #[test]
    fn every_input_counts() {
        let (one, two) = (Secret32::random().unwrap(), Secret32::random().unwrap());
        let (key, replica) = (KeyId::from_parts([1; 16], false), KeyId::from_parts([1; 16], true));
        let ids = [compute(&one, key, &two), compute(&two, key, &two), compute(&one, key, &one), compute(&one, replica, &two)]
            .map(Result::unwrap);
        assert!((0..4).all(|i| (0..i).all(|j| ids[i] != ids[j])));
    }
}
