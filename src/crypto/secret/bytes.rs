//! [`SecretBytes`]: a secret of any length, the canonical bytes of a material above all.
//!
//! Secrets of 32 bytes, which are most, lie in the locked slab like every [`Secret32`]; longer and shorter ones on the heap,
//! wiped on drop, where they stay only as long as it takes to seal or open them (DESIGN.md section 6).

use claviger_types::limits::MATERIAL_BYTES_MAX;
use zeroize::{Zeroize, Zeroizing};

use super::Secret32;
use crate::CryptoError;

/// Secret bytes. Which of the two homes they have follows from the length alone.
///
/// Deliberately without `Debug`, `Clone`, `PartialEq` and serde, as every secret.
pub struct SecretBytes(Home);

enum Home {
    Slab(Secret32),
    Heap(Zeroizing<Box<[u8]>>),
}

impl SecretBytes {
    /// A secret of `length` bytes that `fill` writes in place. When `fill` fails, what it wrote is wiped.
    ///
    /// # Errors
    /// [`CryptoError::SecretTooLong`] above `limits::MATERIAL_BYTES_MAX`; when no locked memory can be had, and whatever `fill` returns.
    pub fn try_new_with<E: From<CryptoError>>(length: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        if length > MATERIAL_BYTES_MAX {
            return Err(CryptoError::SecretTooLong(length).into());
        }
        if length == 32 {
            return Secret32::try_new_with(|bytes| fill(bytes)).map(Self::from);
        }
        let mut bytes = Zeroizing::new(vec![0; length].into_boxed_slice());
        fill(&mut bytes)?;
        Ok(Self(Home::Heap(bytes)))
    }

    /// A copy of `source`, whose owner wipes it.
    ///
    /// # Errors
    /// [`CryptoError::SecretTooLong`], or when no locked memory can be had.
    pub fn copy_of(source: &[u8]) -> Result<Self, CryptoError> {
        Self::try_new_with(source.len(), |bytes| {
            bytes.copy_from_slice(source);
            Ok(())
        })
    }

    /// Moves `source`, which is wiped in every case.
    ///
    /// # Errors
    /// As [`SecretBytes::copy_of`].
    pub fn from_slice_zeroizing(source: &mut [u8]) -> Result<Self, CryptoError> {
        let secret = Self::copy_of(source);
        source.zeroize();
        secret
    }

    /// The bytes, in place. Whoever reads them keeps them from where they are not wiped.
    #[inline]
    pub fn expose(&self) -> &[u8] {
        match &self.0 {
            Home::Slab(secret) => secret.expose(),
            Home::Heap(bytes) => bytes,
        }
    }

    /// The secret as one of 32 bytes, if it is one.
    pub fn as_secret32(&self) -> Option<&Secret32> {
        match &self.0 {
            Home::Slab(secret) => Some(secret),
            Home::Heap(_) => None,
        }
    }

    /// The secret as one of 32 bytes.
    ///
    /// # Errors
    /// [`CryptoError::SecretLength`] when it is not one.
    pub fn into_secret32(self) -> Result<Secret32, CryptoError> {
        match self.0 {
            Home::Slab(secret) => Ok(secret),
            Home::Heap(bytes) => Err(CryptoError::SecretLength(bytes.len())),
        }
    }

    /// A second copy.
    ///
    /// # Errors
    /// When no locked memory can be had.
    pub fn duplicate(&self) -> Result<Self, CryptoError> {
        Self::copy_of(self.expose())
    }
}

impl From<Secret32> for SecretBytes {
    fn from(secret: Secret32) -> Self {
        Self(Home::Slab(secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_decides_the_home() {
        for length in [0, 1, 31, 32, 33, MATERIAL_BYTES_MAX] {
            let secret = SecretBytes::copy_of(&vec![7; length]).unwrap();
            assert_eq!(secret.expose(), vec![7; length]);
            assert_eq!(secret.as_secret32().is_some(), length == 32);
            assert_eq!(secret.duplicate().unwrap().expose(), secret.expose());
            assert_eq!(secret.into_secret32().is_ok(), length == 32);
        }
        let too_long = SecretBytes::copy_of(&vec![7; MATERIAL_BYTES_MAX + 1]);
        assert!(matches!(too_long, Err(CryptoError::SecretTooLong(_))));
    }

    #[test]
    fn a_source_is_wiped_even_when_refused() {
        for length in [32, 64, MATERIAL_BYTES_MAX + 1] {
            let mut source = vec![7_u8; length];
            assert_eq!(SecretBytes::from_slice_zeroizing(&mut source).is_ok(), length <= MATERIAL_BYTES_MAX);
            assert!(source.iter().all(|&byte| byte == 0));
        }
    }
}
