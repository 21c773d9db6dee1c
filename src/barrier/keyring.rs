//! The keyring: the term keys of one barrier, sealed by the root key.
//!
//! A sealed keyring, big-endian:
//!
//! ```text
//! 0 version=1 | 1 barrier id[16] | 17 generation u32 | 21 salt[32] | 53 ciphertext | tag[16]
//! key[32] ‖ nonce[12] = HKDF-SHA256(salt, root key, "claviger barrier keyring v1")
//! AAD = the label again ‖ bytes[0..21)
//! plaintext = u32 count, then per term in rising order: term u32, key[32]
//! ```
//!
//! Records are sealed under the newest term; old terms are kept for ever. The barrier id stays the same for the life of
//! a region's data, restores included; the generation counts the changes of the keyring.

use std::collections::BTreeMap;

use claviger_crypto::{Secret32, random};
use claviger_types::Sealed;
use zeroize::Zeroizing;

use crate::aead::{SALT_BYTES, SingleUse, TAG_BYTES};
use crate::{BarrierError, RootKey};

const VERSION: u8 = 1;
const LABEL: &[u8] = b"claviger barrier keyring v1";
const HEADER_BYTES: usize = 21;
const TERM_BYTES: usize = 36;
/// One term a day for a hundred years would not need more.
const TERMS_MAX: usize = 36_525;

/// Term keys, the newest of which seals. Without `Debug`, `Clone` and serde, as every secret.
pub struct Keyring {
    barrier_id: [u8; 16],
    generation: u32,
    /// Never empty.
    terms: BTreeMap<u32, Secret32>,
    current: u32,
}

impl Keyring {
    /// A new barrier's keyring: a random barrier id and one term.
    ///
    /// # Errors
    /// When no locked memory can be had or the random generator fails.
    pub fn generate() -> Result<Self, BarrierError> {
        let terms = BTreeMap::from([(1, Secret32::random()?)]);
        Ok(Self { barrier_id: random::bytes()?, generation: 1, terms, current: 1 })
    }

    /// Adds a term; what is sealed from now on uses it, and what was sealed before stays readable.
    ///
    /// # Errors
    /// [`BarrierError::TermsExhausted`], or when no locked memory can be had or the random generator fails.
    pub fn start_term(&mut self) -> Result<u32, BarrierError> {
        let (Some(term), Some(generation)) = (self.current.checked_add(1), self.generation.checked_add(1)) else {
            return Err(BarrierError::TermsExhausted);
        };
        if self.terms.len() == TERMS_MAX {
            return Err(BarrierError::TermsExhausted);
        }
        self.terms.insert(term, Secret32::random()?);
        (self.current, self.generation) = (term, generation);
        Ok(term)
    }

    /// Names the barrier; part of what every record is bound to.
    pub const fn barrier_id(&self) -> &[u8; 16] {
        &self.barrier_id
    }

    /// How often the keyring was changed, counted from 1.
    pub const fn generation(&self) -> u32 {
        self.generation
    }

    /// The term under which records are sealed.
    pub const fn current_term(&self) -> u32 {
        self.current
    }

    /// Seals the keyring with the root key.
    ///
    /// # Errors
    /// When the random generator fails.
    pub fn seal(&self, root: &RootKey) -> Result<Sealed, BarrierError> {
        let mut plaintext = Zeroizing::new(Vec::with_capacity(4 + self.terms.len() * TERM_BYTES));
        plaintext.extend_from_slice(&u32::try_from(self.terms.len()).map_err(|_| BarrierError::TermsExhausted)?.to_be_bytes());
        for (term, key) in &self.terms {
            plaintext.extend_from_slice(&term.to_be_bytes());
            plaintext.extend_from_slice(key.expose());
        }
        let salt: [u8; SALT_BYTES] = random::bytes()?;
        let mut header = [0; HEADER_BYTES];
        header[0] = VERSION;
        header[1..17].copy_from_slice(&self.barrier_id);
        header[17..].copy_from_slice(&self.generation.to_be_bytes());
        let mut ciphertext = vec![0; plaintext.len()];
        let mut tag = [0; TAG_BYTES];
        SingleUse::derive(root.secret(), LABEL, &salt)?
            .seal(&additional_data(&header), &plaintext, &mut ciphertext, &mut tag)
            .map_err(|_| BarrierError::Seal)?;
        Ok(Sealed::from_bytes([header.as_slice(), &salt, &ciphertext, &tag].concat()))
    }

    /// Opens a sealed keyring.
    ///
    /// # Errors
    /// [`BarrierError::WrongRootKey`] when the root key is another one or the bytes were changed; [`BarrierError::Version`],
    /// [`BarrierError::Truncated`] or [`BarrierError::Keyring`] when they are no keyring.
    pub fn unseal(sealed: &Sealed, root: &RootKey) -> Result<Self, BarrierError> {
        let bytes = sealed.as_bytes();
        let truncated = BarrierError::Truncated(bytes.len());
        match bytes.first() {
            Some(&VERSION) => {}
            Some(&other) => return Err(BarrierError::Version(other)),
            None => return Err(truncated),
        }
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER_BYTES>() else { return Err(truncated) };
        let Some((salt, rest)) = rest.split_first_chunk() else { return Err(truncated) };
        let Some((ciphertext, tag)) = rest.split_last_chunk() else { return Err(truncated) };
        if ciphertext.len() > 4 + TERMS_MAX * TERM_BYTES {
            return Err(BarrierError::TooLarge(ciphertext.len()));
        }
        let mut plaintext = Zeroizing::new(vec![0; ciphertext.len()]);
        SingleUse::derive(root.secret(), LABEL, salt)?
            .open(&additional_data(header), ciphertext, tag, &mut plaintext)
            .map_err(|_| BarrierError::WrongRootKey)?;
        let terms = parse_terms(&mut plaintext)?;
        let current = *terms.keys().next_back().ok_or(BarrierError::Keyring("it has no term"))?;
        let mut barrier_id = [0; 16];
        barrier_id.copy_from_slice(&header[1..17]);
        let mut generation = [0; 4];
        generation.copy_from_slice(&header[17..]);
        Ok(Self { barrier_id, generation: u32::from_be_bytes(generation), terms, current })
    }

    pub(crate) fn current(&self) -> (u32, &Secret32) {
        // `current` names a term of the map in every constructor, and terms are never removed.
        (self.current, &self.terms[&self.current])
    }

    pub(crate) fn term(&self, term: u32) -> Option<&Secret32> {
        self.terms.get(&term)
    }
}

fn additional_data(header: &[u8; HEADER_BYTES]) -> Vec<u8> {
    [LABEL, header].concat()
}

/// Moves the term keys out of `plaintext` into locked memory.
fn parse_terms(plaintext: &mut [u8]) -> Result<BTreeMap<u32, Secret32>, BarrierError> {
    const LENGTH: BarrierError = BarrierError::Keyring("its length does not fit its count of terms");
    let (count, entries) = plaintext.split_first_chunk_mut::<4>().ok_or(LENGTH)?;
    let count = usize::try_from(u32::from_be_bytes(*count)).map_err(|_| LENGTH)?;
    if count.checked_mul(TERM_BYTES) != Some(entries.len()) {
        return Err(LENGTH);
    }
    let mut terms = BTreeMap::new();
    for entry in entries.chunks_exact_mut(TERM_BYTES) {
        let (term, key) = entry.split_first_chunk_mut::<4>().ok_or(LENGTH)?;
        let term = u32::from_be_bytes(*term);
        if terms.last_key_value().is_some_and(|(&last, _)| last >= term) {
            return Err(BarrierError::Keyring("its terms are not in rising order"));
        }
        terms.insert(term, Secret32::from_slice_zeroizing(key)?);
    }
    Ok(terms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Barrier, RecordContext};

    #[test]
    fn survives_sealing_with_all_its_terms() {
        let (mut keyring, root) = (Keyring::generate().unwrap(), RootKey::generate().unwrap());
        assert_eq!(keyring.start_term().unwrap(), 2);
        let sealed = keyring.seal(&root).unwrap();
        let opened = Keyring::unseal(&sealed, &root).unwrap();
        assert_eq!((opened.barrier_id(), opened.generation(), opened.current_term()), (keyring.barrier_id(), 2, 2));
        for term in [1, 2] {
            let (sent, opened) = (keyring.term(term).unwrap(), opened.term(term).unwrap());
            assert_eq!(sent.expose(), opened.expose());
            assert!(!sealed.as_bytes().windows(32).any(|window| window == sent.expose()));
        }
        assert!(opened.term(3).is_none());
    }

    #[test]
    fn another_root_key_and_any_flipped_bit_are_refused() {
        let (keyring, root) = (Keyring::generate().unwrap(), RootKey::generate().unwrap());
        let sealed = keyring.seal(&root).unwrap();
        assert!(matches!(Keyring::unseal(&sealed, &RootKey::generate().unwrap()), Err(BarrierError::WrongRootKey)));
        let bytes = sealed.as_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let opened = Keyring::unseal(&Sealed::from_bytes(flipped), &root);
            assert!(matches!(opened, Err(BarrierError::WrongRootKey | BarrierError::Version(_))), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(Keyring::unseal(&Sealed::from_bytes(bytes[..length].to_vec()), &root).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn records_are_bound_to_the_barrier_id_even_under_equal_term_keys() {
        let (keyring, root) = (Keyring::generate().unwrap(), RootKey::generate().unwrap());
        let mut twin = Keyring::unseal(&keyring.seal(&root).unwrap(), &root).unwrap();
        twin.barrier_id[0] ^= 1;
        let context = RecordContext { table: "keys", row: b"row", material_id: None, schema: 1 };
        let sealed = Barrier::new(keyring).seal(context, b"record").unwrap();
        assert!(matches!(Barrier::new(twin).unseal(context, &sealed), Err(BarrierError::Record { .. })));
    }

    #[test]
    fn malformed_contents_are_refused() {
        let entry = |term: u32| [term.to_be_bytes().as_slice(), &[1; 32]].concat();
        let plaintext = |count: u32, entries: &[Vec<u8>]| [count.to_be_bytes().to_vec(), entries.concat()].concat();
        assert_eq!(parse_terms(&mut plaintext(2, &[entry(1), entry(2)])).unwrap().len(), 2);
        let bad = [
            Vec::new(),
            vec![0; 3],
            plaintext(2, &[entry(1)]),
            plaintext(u32::MAX, &[entry(1)]),
            plaintext(1, &[entry(1), entry(2)]),
            plaintext(2, &[entry(2), entry(1)]),
            plaintext(2, &[entry(1), entry(1)]),
        ];
        for mut bytes in bad {
            assert!(matches!(parse_terms(&mut bytes), Err(BarrierError::Keyring(_))));
        }
    }
}
