//! Sealing what is too long for one record, piece by piece: a backup.
//!
//! ```text
//! key[32] = HKDF-SHA256(salt, term key, "claviger barrier stream v1" ‖ 0 ‖ purpose)
//! nonce   = u8 1 for the last piece, else 0 ‖ 0[3] ‖ u64 number of the piece, from 0
//! AAD     = "claviger barrier stream v1" ‖ barrier id[16] ‖ term u32 ‖ binding[32]
//! ```
//!
//! Numbers are big-endian. The key serves one stream, whose salt is drawn here, so no nonce is used twice. This is the
//! STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
//! Misuse-Resistance", 2015): a piece that is missing, moved, repeated or added, and an end that came early, do not open.

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, Key, KeyInit, Nonce, Tag};
use claviger_crypto::{Secret32, kdf, random, scrub};
use serde::{Deserialize, Serialize};

use crate::aead::{SALT_BYTES, TAG_BYTES};
use crate::{Barrier, BarrierError};

const LABEL: &[u8] = b"claviger barrier stream v1";
const NONCE_BYTES: usize = 12;

/// What a stream adds to each of its pieces, in bytes.
pub const STREAM_TAG_BYTES: usize = TAG_BYTES;

/// What must be known to open a stream, besides the barrier: kept in clear, in what the stream is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSeed {
    term: u32,
    salt: [u8; SALT_BYTES],
}

/// Seals the pieces of one stream, in order.
pub struct StreamSealer(Stream);

/// Opens the pieces of one stream, in order.
pub struct StreamOpener(Stream);

impl Barrier {
    /// Begins a stream under the current term. `bind` is told the seed, which it has to keep, and gives the hash of
    /// everything in clear that the stream is bound to.
    ///
    /// # Errors
    /// When the random generator fails or no locked memory can be had.
    pub fn seal_stream(&self, purpose: &str, bind: impl FnOnce(&StreamSeed) -> [u8; 32]) -> Result<StreamSealer, BarrierError> {
        let seed = StreamSeed { term: self.keyring().current_term(), salt: random::bytes()? };
        let binding = bind(&seed);
        Ok(StreamSealer(Stream::begin(self, purpose, &seed, &binding)?))
    }

    /// Begins to open a stream. Whether seed and binding are the right ones shows with the first piece.
    ///
    /// # Errors
    /// [`BarrierError::UnknownTerm`], or when no locked memory can be had.
    pub fn open_stream(&self, purpose: &str, seed: &StreamSeed, binding: &[u8; 32]) -> Result<StreamOpener, BarrierError> {
        Ok(StreamOpener(Stream::begin(self, purpose, seed, binding)?))
    }
}

impl StreamSealer {
    /// Seals the next piece in place and adds its tag.
    ///
    /// # Errors
    /// [`BarrierError::StreamEnded`] after the last piece.
    pub fn seal(&mut self, piece: &mut Vec<u8>, is_last: bool) -> Result<(), BarrierError> {
        let tag = self.0.step(is_last, |cipher, nonce, aad| cipher.encrypt_inout_detached(nonce, aad, InOutBuf::from(&mut piece[..])))?;
        piece.extend_from_slice(&tag.map_err(|_| BarrierError::Seal)?);
        Ok(())
    }
}

impl StreamOpener {
    /// Opens the next piece in place and takes its tag off.
    ///
    /// # Errors
    /// [`BarrierError::Stream`] when it is not this stream's next piece as it was sealed.
    pub fn open(&mut self, piece: &mut Vec<u8>, is_last: bool) -> Result<(), BarrierError> {
        let number = self.0.next;
        let refused = BarrierError::Stream { piece: number };
        let Some(length) = piece.len().checked_sub(TAG_BYTES) else { return Err(refused) };
        let tag: [u8; TAG_BYTES] = piece[length..].try_into().map_err(|_| BarrierError::Stream { piece: number })?;
        piece.truncate(length);
        self.0
            .step(is_last, |cipher, nonce, aad| cipher.decrypt_inout_detached(nonce, aad, InOutBuf::from(&mut piece[..]), &Tag::from(tag)))?
            .map_err(|_| refused)
    }
}

struct Stream {
    key: Secret32,
    aad: Vec<u8>,
    next: u64,
    ended: bool,
}

impl Stream {
    fn begin(barrier: &Barrier, purpose: &str, seed: &StreamSeed, binding: &[u8; 32]) -> Result<Self, BarrierError> {
        let term_key = barrier.keyring().term(seed.term).ok_or(BarrierError::UnknownTerm(seed.term))?;
        let key = Secret32::try_new_with(|key| kdf::hkdf_sha256(term_key, &seed.salt, &[LABEL, &[0], purpose.as_bytes()], key))?;
        let aad = [LABEL, barrier.keyring().barrier_id(), &seed.term.to_be_bytes(), binding].concat();
        Ok(Self { key, aad, next: 0, ended: false })
    }

    /// Runs the cipher for the next piece. The number is used up even if that fails.
    fn step<R>(
        &mut self,
        is_last: bool,
        run: impl FnOnce(&Aes256Gcm, &Nonce<aes_gcm::aead::consts::U12>, &[u8]) -> R,
    ) -> Result<R, BarrierError> {
        if self.ended {
            return Err(BarrierError::StreamEnded);
        }
        let mut nonce = [0; NONCE_BYTES];
        nonce[0] = u8::from(is_last);
        nonce[4..].copy_from_slice(&self.next.to_be_bytes());
        self.next += 1;
        self.ended = is_last;
        Ok(scrub::shallow(|| run(&Aes256Gcm::new(&Key::<Aes256Gcm>::from(*self.key.expose())), &Nonce::from(nonce), &self.aad)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Keyring, RootKey};

    const PURPOSE: &str = "test";
    const BINDING: [u8; 32] = [7; 32];

    fn sealed(barrier: &Barrier, pieces: &[Vec<u8>]) -> (StreamSeed, Vec<(Vec<u8>, bool)>) {
        let mut seed = None;
        let mut sealer = barrier
            .seal_stream(PURPOSE, |found| {
                seed = Some(*found);
                BINDING
            })
            .unwrap();
        let last = pieces.len() - 1;
        let seal = |(at, piece): (usize, &Vec<u8>)| {
            let mut piece = piece.clone();
            sealer.seal(&mut piece, at == last).unwrap();
            (piece, at == last)
        };
        let sealed = pieces.iter().enumerate().map(seal).collect();
        assert!(matches!(sealer.seal(&mut Vec::new(), false), Err(BarrierError::StreamEnded)));
        (seed.unwrap(), sealed)
    }

    fn opened(
        barrier: &Barrier,
        (purpose, seed, binding): (&str, &StreamSeed, &[u8; 32]),
        pieces: &[(Vec<u8>, bool)],
    ) -> Option<Vec<Vec<u8>>> {
        let mut opener = barrier.open_stream(purpose, seed, binding).ok()?;
        let open = |(piece, is_last): &(Vec<u8>, bool)| {
            let mut piece = piece.clone();
            opener.open(&mut piece, *is_last).ok().map(|()| piece)
        };
        pieces.iter().map(open).collect()
    }

    proptest! {
        #[test]
        fn opens_as_it_was_sealed_and_in_no_other_order(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6),
            (one, other) in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
            bit in any::<prop::sample::Index>(),
        ) {
            let barrier = Barrier::new(Keyring::generate().unwrap());
            let (seed, sealed) = sealed(&barrier, &pieces);
            let place = (PURPOSE, &seed, &BINDING);
            prop_assert_eq!(opened(&barrier, place, &sealed), Some(pieces));
            let (one, other) = (one.index(sealed.len()), other.index(sealed.len()));
            let mut swapped = sealed.clone();
            swapped.swap(one, other);
            prop_assert_eq!(opened(&barrier, place, &swapped).is_none(), one != other);
            let mut missing = sealed.clone();
            missing.remove(one);
            // Only the flag of the last piece, which the caller must look at, tells that the end is missing.
            prop_assert_eq!(opened(&barrier, place, &missing).is_none(), one + 1 != sealed.len());
            let mut repeated = sealed.clone();
            repeated.insert(one, sealed[one].clone());
            prop_assert!(opened(&barrier, place, &repeated).is_none());
            let mut relabelled = sealed.clone();
            relabelled[one].1 = !relabelled[one].1;
            prop_assert!(opened(&barrier, place, &relabelled).is_none());
            let mut flipped = sealed;
            let bit = bit.index(flipped[one].0.len() * 8);
            flipped[one].0[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(opened(&barrier, place, &flipped).is_none());
        }
    }

    #[test]
    fn is_bound_to_its_barrier_purpose_seed_and_what_is_in_clear_and_opens_in_later_terms() {
        let (mut keyring, root) = (Keyring::generate().unwrap(), RootKey::generate().unwrap());
        let barrier = Barrier::new(Keyring::unseal(&keyring.seal(&root).unwrap(), &root).unwrap());
        let pieces = [b"one".to_vec(), b"two".to_vec()];
        let (seed, sealed) = sealed(&barrier, &pieces);
        keyring.start_term().unwrap();
        let later = Barrier::new(keyring);
        assert_eq!(opened(&later, (PURPOSE, &seed, &BINDING), &sealed).unwrap(), pieces);
        assert!(opened(&later, ("other", &seed, &BINDING), &sealed).is_none());
        assert!(opened(&later, (PURPOSE, &seed, &[8; 32]), &sealed).is_none());
        assert!(opened(&later, (PURPOSE, &StreamSeed { term: 2, ..seed }, &BINDING), &sealed).is_none());
        let mut salt = seed.salt;
        salt[0] ^= 1;
        assert!(opened(&later, (PURPOSE, &StreamSeed { salt, ..seed }, &BINDING), &sealed).is_none());
        assert!(opened(&Barrier::new(Keyring::generate().unwrap()), (PURPOSE, &seed, &BINDING), &sealed).is_none());
        assert!(matches!(later.open_stream(PURPOSE, &StreamSeed { term: 9, ..seed }, &BINDING), Err(BarrierError::UnknownTerm(9))));
    }

    #[test]
    fn pieces_shorter_than_a_tag_are_refused() {
        let barrier = Barrier::new(Keyring::generate().unwrap());
        let (seed, _) = sealed(&barrier, &[Vec::new()]);
        for length in 0..TAG_BYTES {
            assert!(opened(&barrier, (PURPOSE, &seed, &BINDING), &[(vec![0; length], true)]).is_none());
        }
    }
}
