//! Sealing records so that each opens in its own place only.
//!
//! A sealed record, big-endian:
//!
//! ```text
//! 0 version=1 | 1 term u32 | 5 salt[32] | 37 ciphertext | tag[16]            +53 bytes
//! key[32] ‖ nonce[12] = HKDF-SHA256(salt, term key, "claviger barrier record v1")
//! AAD = the label again ‖ barrier id[16] ‖ term u32 ‖ schema u8 ‖ u8 0 or 1 and the material id[32]
//!       ‖ u32 length and name of the table ‖ u32 length and row
//! ```

use claviger_crypto::{Secret32, SecretBytes, random};
use claviger_types::limits::RECORD_BYTES_MAX;
use claviger_types::{MaterialId, Sealed};
use zeroize::Zeroizing;

use crate::aead::{SALT_BYTES, SingleUse, TAG_BYTES};
use crate::{BarrierError, Keyring};

const VERSION: u8 = 1;
const LABEL: &[u8] = b"claviger barrier record v1";
const SALT_START: usize = 5;
const CIPHERTEXT_START: usize = SALT_START + SALT_BYTES;
const OVERHEAD_BYTES: usize = CIPHERTEXT_START + TAG_BYTES;

/// Where a record belongs and what it is: it opens under exactly the context under which it was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordContext<'a> {
    /// The table's name.
    pub table: &'a str,
    /// The row's key in that table.
    pub row: &'a [u8],
    /// The material that the record holds, if it holds one.
    pub material_id: Option<MaterialId>,
    /// The version of the plaintext's encoding.
    pub schema: u8,
}

impl RecordContext<'_> {
    fn additional_data(&self, barrier_id: &[u8; 16], term: u32) -> Result<Vec<u8>, BarrierError> {
        let mut aad = Vec::with_capacity(LABEL.len() + 16 + 4 + 1 + 33 + 8 + self.table.len() + self.row.len());
        aad.extend_from_slice(LABEL);
        aad.extend_from_slice(barrier_id);
        aad.extend_from_slice(&term.to_be_bytes());
        aad.push(self.schema);
        match &self.material_id {
            None => aad.push(0),
            Some(id) => {
                aad.push(1);
                aad.extend_from_slice(id.as_bytes());
            }
        }
        for part in [self.table.as_bytes(), self.row] {
            let length = u32::try_from(part.len()).map_err(|_| BarrierError::TooLarge(part.len()))?;
            aad.extend_from_slice(&length.to_be_bytes());
            aad.extend_from_slice(part);
        }
        Ok(aad)
    }
}

/// Seals and opens records with an unsealed keyring.
pub struct Barrier {
    keyring: Keyring,
}

impl Barrier {
    /// A barrier that is open.
    pub const fn new(keyring: Keyring) -> Self {
        Self { keyring }
    }

    /// The keyring, to be sealed again or looked at.
    pub const fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// Seals `plaintext` for its place, under the current term.
    ///
    /// # Errors
    /// When the plaintext is larger than a record may be, or the random generator fails.
    pub fn seal(&self, context: RecordContext<'_>, plaintext: &[u8]) -> Result<Sealed, BarrierError> {
        if plaintext.len() > RECORD_BYTES_MAX {
            return Err(BarrierError::TooLarge(plaintext.len()));
        }
        let (term, term_key) = self.keyring.current();
        let salt: [u8; SALT_BYTES] = random::bytes()?;
        let aad = context.additional_data(self.keyring.barrier_id(), term)?;
        let mut sealed = vec![0; OVERHEAD_BYTES + plaintext.len()];
        sealed[0] = VERSION;
        sealed[1..SALT_START].copy_from_slice(&term.to_be_bytes());
        sealed[SALT_START..CIPHERTEXT_START].copy_from_slice(&salt);
        let mut tag = [0; TAG_BYTES];
        let (ciphertext, tag_place) = sealed[CIPHERTEXT_START..].split_at_mut(plaintext.len());
        SingleUse::derive(term_key, LABEL, &salt)?.seal(&aad, plaintext, ciphertext, &mut tag).map_err(|_| BarrierError::Seal)?;
        tag_place.copy_from_slice(&tag);
        Ok(Sealed::from_bytes(sealed))
    }

    /// Opens a sealed 32-byte secret straight into locked memory.
    ///
    /// # Errors
    /// [`BarrierError::Record`] when it was changed, moved, or has another length; see also [`Barrier::unseal`].
    pub fn unseal32(&self, context: RecordContext<'_>, sealed: &Sealed) -> Result<Secret32, BarrierError> {
        let parts = SealedRecord::parse(sealed.as_bytes())?;
        if parts.ciphertext.len() != 32 {
            return Err(does_not_open(context));
        }
        Secret32::try_new_with(|slot| self.open(context, &parts, slot))
    }

    /// Opens a sealed secret of any length that a material may have: 32 bytes straight into locked memory.
    ///
    /// # Errors
    /// As [`Barrier::unseal32`]; also when it is longer than a material may be.
    pub fn unseal_secret(&self, context: RecordContext<'_>, sealed: &Sealed) -> Result<SecretBytes, BarrierError> {
        let parts = SealedRecord::parse(sealed.as_bytes())?;
        SecretBytes::try_new_with(parts.ciphertext.len(), |plaintext| self.open(context, &parts, plaintext))
    }

    /// Opens a sealed record into a buffer that is zeroized on drop.
    ///
    /// # Errors
    /// [`BarrierError::Record`] when it was changed or moved; [`BarrierError::UnknownTerm`], [`BarrierError::Version`] or
    /// [`BarrierError::Truncated`] when it says so itself.
    pub fn unseal(&self, context: RecordContext<'_>, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, BarrierError> {
        let parts = SealedRecord::parse(sealed.as_bytes())?;
        let mut plaintext = Zeroizing::new(vec![0; parts.ciphertext.len()]);
        self.open(context, &parts, &mut plaintext)?;
        Ok(plaintext)
    }

    fn open(&self, context: RecordContext<'_>, parts: &SealedRecord<'_>, plaintext: &mut [u8]) -> Result<(), BarrierError> {
        let term_key = self.keyring.term(parts.term).ok_or(BarrierError::UnknownTerm(parts.term))?;
        let aad = context.additional_data(self.keyring.barrier_id(), parts.term)?;
        let single_use = SingleUse::derive(term_key, LABEL, parts.salt)?;
        single_use.open(&aad, parts.ciphertext, parts.tag, plaintext).map_err(|_| does_not_open(context))
    }
}

fn does_not_open(context: RecordContext<'_>) -> BarrierError {
    BarrierError::Record { table: context.table.to_owned() }
}

struct SealedRecord<'a> {
    term: u32,
    salt: &'a [u8; SALT_BYTES],
    ciphertext: &'a [u8],
    tag: &'a [u8; TAG_BYTES],
}

impl<'a> SealedRecord<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, BarrierError> {
        let truncated = BarrierError::Truncated(bytes.len());
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&other) => return Err(BarrierError::Version(other)),
            None => return Err(truncated),
        }
        let Some((term, rest)) = bytes[1..].split_first_chunk::<4>() else { return Err(truncated) };
        let Some((salt, rest)) = rest.split_first_chunk() else { return Err(truncated) };
        let Some((ciphertext, tag)) = rest.split_last_chunk() else { return Err(truncated) };
        Ok(Self { term: u32::from_be_bytes(*term), salt, ciphertext, tag })
    }
}

#[cfg(test)]
mod tests {
    use claviger_types::limits::MATERIAL_BYTES_MAX;
    use proptest::prelude::*;

    use super::*;

    const CONTEXT: RecordContext<'_> =
        RecordContext { table: "materials", row: b"row", material_id: Some(MaterialId::from_bytes([7; 32])), schema: 1 };

    fn barrier() -> Barrier {
        Barrier::new(Keyring::generate().unwrap())
    }

    #[test]
    fn a_secret_comes_back_into_locked_memory() {
        let (barrier, secret) = (barrier(), Secret32::random().unwrap());
        let sealed = barrier.seal(CONTEXT, secret.expose()).unwrap();
        assert_eq!(barrier.unseal32(CONTEXT, &sealed).unwrap().expose(), secret.expose());
        assert!(!sealed.as_bytes().windows(8).any(|window| secret.expose().starts_with(window)));
        assert_ne!(barrier.seal(CONTEXT, secret.expose()).unwrap(), sealed);
        let longer = barrier.seal(CONTEXT, &[1; 33]).unwrap();
        assert!(matches!(barrier.unseal32(CONTEXT, &longer), Err(BarrierError::Record { .. })));
    }

    #[test]
    fn a_secret_of_any_length_that_a_material_may_have_comes_back() {
        let barrier = barrier();
        for length in [0, 1, 31, 32, 33, 64, MATERIAL_BYTES_MAX] {
            let secret = SecretBytes::try_new_with(length, random::fill).unwrap();
            let sealed = barrier.seal(CONTEXT, secret.expose()).unwrap();
            assert_eq!(barrier.unseal_secret(CONTEXT, &sealed).unwrap().expose(), secret.expose());
            let elsewhere = RecordContext { row: b"another row", ..CONTEXT };
            assert!(matches!(barrier.unseal_secret(elsewhere, &sealed), Err(BarrierError::Record { .. })), "{length}");
        }
        let longer = barrier.seal(CONTEXT, &[1; MATERIAL_BYTES_MAX + 1]).unwrap();
        assert!(barrier.unseal_secret(CONTEXT, &longer).is_err());
    }

    #[test]
    fn any_one_flipped_bit_and_any_cut_is_refused() {
        let barrier = barrier();
        let sealed = barrier.seal(CONTEXT, b"record").unwrap();
        let bytes = sealed.as_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(barrier.unseal(CONTEXT, &Sealed::from_bytes(flipped)).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(barrier.unseal(CONTEXT, &Sealed::from_bytes(bytes[..length].to_vec())).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn what_is_wrong_with_a_record_has_a_name() {
        let barrier = barrier();
        let with_byte = |position: usize, byte: u8| {
            let mut bytes = barrier.seal(CONTEXT, b"record").unwrap().as_bytes().to_vec();
            bytes[position] = byte;
            barrier.unseal(CONTEXT, &Sealed::from_bytes(bytes)).map(|_| ())
        };
        assert!(matches!(with_byte(0, 2), Err(BarrierError::Version(2))));
        assert!(matches!(with_byte(4, 9), Err(BarrierError::UnknownTerm(9))));
        assert!(matches!(barrier.unseal(CONTEXT, &Sealed::from_bytes(vec![1; 52])), Err(BarrierError::Truncated(52))));
        assert!(matches!(barrier.unseal(CONTEXT, &Sealed::from_bytes(Vec::new())), Err(BarrierError::Truncated(0))));
        assert!(matches!(barrier.seal(CONTEXT, &vec![0; RECORD_BYTES_MAX + 1]), Err(BarrierError::TooLarge(_))));
    }

    #[test]
    fn old_terms_stay_readable_and_new_records_use_the_new_one() {
        let mut keyring = Keyring::generate().unwrap();
        let root = crate::RootKey::generate().unwrap();
        let before = Barrier::new(Keyring::unseal(&keyring.seal(&root).unwrap(), &root).unwrap());
        let old = before.seal(CONTEXT, b"old").unwrap();
        keyring.start_term().unwrap();
        let after = Barrier::new(keyring);
        assert_eq!(after.unseal(CONTEXT, &old).unwrap().as_slice(), b"old");
        let new = after.seal(CONTEXT, b"new").unwrap();
        assert!(matches!(before.unseal(CONTEXT, &new), Err(BarrierError::UnknownTerm(2))));
        // The same bytes under the other term's number do not open either.
        let mut relabelled = old.as_bytes().to_vec();
        relabelled[4] = 2;
        assert!(matches!(after.unseal(CONTEXT, &Sealed::from_bytes(relabelled)), Err(BarrierError::Record { .. })));
    }

    #[test]
    fn another_barrier_does_not_open_it() {
        let sealed = barrier().seal(CONTEXT, b"record").unwrap();
        assert!(matches!(barrier().unseal(CONTEXT, &sealed), Err(BarrierError::Record { .. })));
    }

    /// Few values, so that parts are often equal, and texts that could run into one another.
    fn place() -> impl Strategy<Value = (String, Vec<u8>, Option<MaterialId>, u8)> {
        let material = proptest::option::of((0..2_u8).prop_map(|byte| MaterialId::from_bytes([byte; 32])));
        let row = proptest::collection::vec(97..100_u8, 0..4);
        (row.clone().prop_map(|table| String::from_utf8(table).unwrap()), row, material, 0..3_u8)
    }

    fn context((table, row, material_id, schema): &(String, Vec<u8>, Option<MaterialId>, u8)) -> RecordContext<'_> {
        RecordContext { table, row, material_id: *material_id, schema: *schema }
    }

    proptest! {
        #[test]
        fn a_record_opens_in_its_own_place_and_in_no_other(own in place(), other in place(), plaintext: Vec<u8>) {
            let barrier = barrier();
            let sealed = barrier.seal(context(&own), &plaintext).unwrap();
            prop_assert_eq!(&*barrier.unseal(context(&own), &sealed).unwrap(), &plaintext);
            prop_assert_eq!(barrier.unseal(context(&other), &sealed).is_ok(), own == other);
        }

        #[test]
        fn a_record_moved_to_the_next_row_is_refused(own in place()) {
            let barrier = barrier();
            let sealed = barrier.seal(context(&own), b"record").unwrap();
            let mut moved = own.clone();
            moved.1.push(b'a');
            prop_assert!(barrier.unseal(context(&moved), &sealed).is_err());
            let mut moved = own.clone();
            moved.0.push('a');
            prop_assert!(barrier.unseal(context(&moved), &sealed).is_err());
            // One byte from the table's name to the row's: only the lengths tell.
            let mut moved = own;
            if let Some(last) = moved.0.pop() {
                moved.1.insert(0, last as u8);
                prop_assert!(barrier.unseal(context(&moved), &sealed).is_err());
            }
        }

        #[test]
        fn hostile_bytes_never_panic_or_open(bytes: Vec<u8>) {
            prop_assert!(barrier().unseal(CONTEXT, &Sealed::from_bytes(bytes)).is_err());
        }
    }
}
