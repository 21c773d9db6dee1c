//! [`Secret32`]: the only home of long-lived symmetric secrets, and what protects the process round it.
//!
//! The bytes lie in a slab that is locked into memory and left out of core images; state of the slab is process-wide.
//! All of this crate's `unsafe` is in the files `process.rs` and `slab.rs`. A secret is never put anywhere else when locking fails.

mod bytes;
mod process;
mod slab;

use zeroize::Zeroize;

use crate::{CryptoError, random};

pub use bytes::SecretBytes;
pub use process::{harden_process, swap_is_on};

/// Locks the first part of the slab, so that a process that may lock nothing fails at its start and not later.
///
/// # Errors
/// [`CryptoError::SecretMemoryLock`] says which limit to raise.
pub fn init() -> Result<(), CryptoError> {
    reserve(1)
}

/// Locks memory now for `secrets` [`Secret32`] in all, those that exist already included, so that a process whose limits do
/// not allow them fails at its start and not when the last of them comes. The soft limit is raised as far as the hard one.
///
/// When it fails nothing more is locked than before, and what was reserved before stays.
///
/// # Errors
/// [`CryptoError::SecretMemoryLock`] says how much is needed and which limit to raise; [`CryptoError::SecretMemory`] when
/// there is not that much memory.
pub fn reserve(secrets: usize) -> Result<(), CryptoError> {
    slab::reserve(secrets)
}

/// 32 secret bytes in locked memory, wiped on drop.
///
/// Deliberately without `Debug`, `Clone`, `PartialEq` and serde: to copy one is the named act [`Secret32::duplicate`].
pub struct Secret32(slab::Slot);

impl Secret32 {
    /// A fresh random secret, drawn straight into locked memory.
    ///
    /// # Errors
    /// When no locked memory can be had or the random generator fails.
    pub fn random() -> Result<Self, CryptoError> {
        Self::try_new_with(|bytes| random::fill(bytes))
    }

    /// Moves 32 bytes into locked memory; `source` is wiped in every case.
    ///
    /// # Errors
    /// When `source` does not have 32 bytes or no locked memory can be had.
    pub fn from_slice_zeroizing(source: &mut [u8]) -> Result<Self, CryptoError> {
        let secret = match <&[u8; 32]>::try_from(&*source) {
            Ok(bytes) => Self::try_new_with(|slot| {
                slot.copy_from_slice(bytes);
                Ok(())
            }),
            Err(_) => Err(CryptoError::SecretLength(source.len())),
        };
        source.zeroize();
        secret
    }

    /// A secret that `fill` writes straight into locked memory (decrypts in place, say). When `fill` fails, what it wrote is wiped.
    ///
    /// # Errors
    /// When no locked memory can be had, and whatever `fill` returns.
    pub fn try_new_with<E: From<CryptoError>>(fill: impl FnOnce(&mut [u8; 32]) -> Result<(), E>) -> Result<Self, E> {
        let mut slot = slab::Slot::acquire()?;
        fill(slot.bytes_mut())?;
        Ok(Self(slot))
    }

    /// The bytes, in place. Whoever reads them keeps them out of the heap and scrubs the stack ([`crate::scrub`]).
    #[inline]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.bytes()
    }

    /// A second copy in locked memory.
    ///
    /// # Errors
    /// When no locked memory can be had.
    pub fn duplicate(&self) -> Result<Self, CryptoError> {
        Self::try_new_with(|slot| {
            slot.copy_from_slice(self.expose());
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::memory_scan;

    #[test]
    fn lies_in_locked_memory_that_no_core_image_holds() {
        init().unwrap();
        let secret = Secret32::random().unwrap();
        let mapping = memory_scan::mapping_of(secret.expose().as_ptr() as u64);
        for flag in ["lo", "dd", "dc"] {
            assert!(mapping.has_flag(flag), "VmFlags lack {flag}");
        }
    }

    #[test]
    fn a_dropped_secret_is_wiped() {
        let secret = Secret32::random().unwrap();
        let (address, copy) = (secret.expose().as_ptr() as u64, *secret.expose());
        assert_eq!(memory_scan::read_32(address), copy);
        drop(secret);
        assert_ne!(memory_scan::read_32(address), copy);
    }

    #[test]
    fn a_source_is_wiped_even_when_refused() {
        let mut right = [7_u8; 32];
        assert_eq!(Secret32::from_slice_zeroizing(&mut right).unwrap().expose(), &[7; 32]);
        let mut wrong = [7_u8; 31];
        assert!(matches!(Secret32::from_slice_zeroizing(&mut wrong), Err(CryptoError::SecretLength(31))));
        assert!(right.iter().chain(&wrong).all(|&byte| byte == 0));
    }

    #[test]
    fn a_failed_fill_gives_nothing() {
        let refused = Secret32::try_new_with(|slot| {
            slot.fill(9);
            Err(CryptoError::Random)
        });
        assert!(matches!(refused, Err(CryptoError::Random)));
        let next = Secret32::try_new_with(|slot| if *slot == [0; 32] { Ok(()) } else { Err(CryptoError::Random) });
        assert!(next.is_ok(), "a slot was handed out that was not wiped");
    }

    #[test]
    fn threads_share_the_slab_and_never_a_slot() {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                std::thread::spawn(|| {
                    // More than one growth of the slab, with drops in between.
                    let mut kept = Vec::new();
                    for round in 0..6000 {
                        let secret = Secret32::random().unwrap();
                        if round % 3 != 0 {
                            kept.push((*secret.expose(), secret));
                        }
                    }
                    kept
                })
            })
            .collect();
        let kept: Vec<_> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect();
        assert!(kept.iter().all(|(bytes, secret)| bytes == secret.expose()));
        assert_eq!(kept.iter().map(|(_, secret)| secret.expose().as_ptr()).collect::<HashSet<_>>().len(), kept.len());
    }

    #[test]
    fn a_duplicate_is_equal_and_apart() {
        let secret = Secret32::random().unwrap();
        let copy = secret.duplicate().unwrap();
        assert_eq!(secret.expose(), copy.expose());
        assert_ne!(secret.expose().as_ptr(), copy.expose().as_ptr());
    }
}
