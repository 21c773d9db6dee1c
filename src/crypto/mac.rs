//! GenerateMac and VerifyMac: HMAC (RFC 2104) with aws-lc.
//!
//! Keys stay as their bytes, wiped on drop; what HMAC makes of them is made for each call and scrubbed off the stack, which
//! costs a microsecond.

use aws_lc_rs::hmac::{self, HMAC_SHA224, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512};
use claviger_types::{KeySpec, MacAlgorithm};

use crate::{CryptoError, SecretBytes, import, scrub};

/// An HMAC key.
pub struct MacKey {
    spec: KeySpec,
    algorithm: MacAlgorithm,
    key: SecretBytes,
}

impl MacKey {
    /// Opens canonical bytes.
    ///
    /// # Errors
    /// [`CryptoError::Material`] when `spec` has no MACs or allows no keys of that length.
    pub fn open(spec: KeySpec, canonical: SecretBytes) -> Result<Self, CryptoError> {
        let algorithm = spec.mac_algorithm().ok_or(CryptoError::Material { spec, reason: "keys of this spec make no MACs" })?;
        import::check_hmac_length(spec, canonical.expose().len())?;
        Ok(Self { spec, algorithm, key: canonical })
    }

    /// For test vectors, whose keys have lengths that no key of a spec has.
    #[cfg(test)]
    pub(crate) fn of_any_length(spec: KeySpec, key: SecretBytes) -> Self {
        Self { spec, algorithm: spec.mac_algorithm().unwrap(), key }
    }

    /// The MAC of `message`, as long as the hash.
    ///
    /// # Errors
    /// [`CryptoError::Algorithm`] when `algorithm` is not the key's.
    pub fn generate(&self, algorithm: MacAlgorithm, message: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.check(algorithm)?;
        Ok(scrub::shallow(|| hmac::sign(&self.expand(), message).as_ref().to_vec()))
    }

    /// Whether `mac` is the MAC of `message`, whole, compared in constant time.
    ///
    /// # Errors
    /// [`CryptoError::Algorithm`] when `algorithm` is not the key's.
    pub fn verify(&self, algorithm: MacAlgorithm, message: &[u8], mac: &[u8]) -> Result<bool, CryptoError> {
        self.check(algorithm)?;
        Ok(scrub::shallow(|| hmac::verify(&self.expand(), message, mac).is_ok()))
    }

    fn check(&self, algorithm: MacAlgorithm) -> Result<(), CryptoError> {
        if algorithm == self.algorithm { Ok(()) } else { Err(CryptoError::Algorithm { spec: self.spec, algorithm: algorithm.as_str() }) }
    }

    fn expand(&self) -> hmac::Key {
        let algorithm = match self.algorithm {
            MacAlgorithm::HmacSha224 => HMAC_SHA224,
            MacAlgorithm::HmacSha256 => HMAC_SHA256,
            MacAlgorithm::HmacSha384 => HMAC_SHA384,
            MacAlgorithm::HmacSha512 => HMAC_SHA512,
        };
        hmac::Key::new(algorithm, self.key.expose())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_materials::material;

    const SPECS: [(KeySpec, usize); 4] = [(KeySpec::Hmac224, 28), (KeySpec::Hmac256, 32), (KeySpec::Hmac384, 48), (KeySpec::Hmac512, 64)];

    #[test]
    fn each_spec_has_its_one_algorithm() {
        for (spec, bytes) in SPECS {
            let key = MacKey::open(spec, material(spec)).unwrap();
            for &algorithm in MacAlgorithm::ALL {
                let generated = key.generate(algorithm, b"a message");
                if Some(algorithm) == spec.mac_algorithm() {
                    let mac = generated.unwrap();
                    assert_eq!(mac.len(), bytes);
                    assert!(key.verify(algorithm, b"a message", &mac).unwrap());
                    // A beginning of a MAC is none.
                    for bad in [&[][..], &mac[..bytes - 1], &mac[..bytes / 2], &[&mac[..], &[0]].concat()] {
                        assert!(!key.verify(algorithm, b"a message", bad).unwrap());
                    }
                } else {
                    assert!(matches!(generated, Err(CryptoError::Algorithm { .. })));
                    assert!(matches!(key.verify(algorithm, b"a message", &[0; 64]), Err(CryptoError::Algorithm { .. })));
                }
            }
        }
    }

    #[test]
    fn keys_of_other_lengths_do_not_open() {
        for (spec, _) in SPECS {
            for bytes in [0, 27, 129, 200] {
                assert!(matches!(MacKey::open(spec, SecretBytes::copy_of(&vec![1; bytes]).unwrap()), Err(CryptoError::Material { .. })));
            }
        }
        assert!(MacKey::open(KeySpec::SymmetricDefault, material(KeySpec::SymmetricDefault)).is_err());
    }

    proptest! {
        #[test]
        fn no_changed_bit_verifies(
            message in proptest::collection::vec(any::<u8>(), 1..300), place in any::<proptest::sample::Index>(), bit in 0..8,
        ) {
            for (spec, bytes) in SPECS {
                let key = MacKey::open(spec, material(spec)).unwrap();
                let algorithm = spec.mac_algorithm().unwrap();
                let mut mac = key.generate(algorithm, &message).unwrap();
                let mut changed = message.clone();
                changed[place.index(message.len())] ^= 1_u8 << bit;
                prop_assert!(!key.verify(algorithm, &changed, &mac).unwrap());
                mac[place.index(bytes)] ^= 1_u8 << bit;
                prop_assert!(!key.verify(algorithm, &message, &mac).unwrap());
            }
        }
    }
}
