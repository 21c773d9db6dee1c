//! Encrypt and Decrypt with RSA keys: RSAES-OAEP (RFC 8017) of aws-lc, the same hash for MGF1, no label.
//!
//! Decryption says only whether it worked; aws-lc removes the padding in constant time.

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
};
use claviger_types::{EncryptionAlgorithm, KeySpec};
use zeroize::Zeroizing;

use crate::material::rsa_modulus_bits;
use crate::{CryptoError, SecretBytes};

/// An RSA key pair that encrypts.
pub struct EncryptionKey {
    spec: KeySpec,
    private: OaepPrivateDecryptingKey,
    public: OaepPublicEncryptingKey,
    public_key_der: Vec<u8>,
}

impl EncryptionKey {
    /// Opens canonical bytes.
    ///
    /// # Errors
    /// [`CryptoError::Material`] when they are no RSA key of `spec`.
    pub fn open(spec: KeySpec, canonical: &SecretBytes) -> Result<Self, CryptoError> {
        let bad = |_| CryptoError::Material { spec, reason: "it is not a consistent RSA key of two primes" };
        let unfit = |_| CryptoError::Material { spec, reason: "aws-lc cannot encrypt with it" };
        let private = PrivateDecryptingKey::from_pkcs8(canonical.expose()).map_err(bad)?;
        if private.key_size_bits() != rsa_modulus_bits(spec)? {
            return Err(CryptoError::Material { spec, reason: "its modulus has another length" });
        }
        let public = private.public_key();
        let public_key_der: PublicKeyX509Der<'_> = public.as_der().map_err(unfit)?;
        Ok(Self {
            spec,
            public_key_der: public_key_der.as_ref().to_vec(),
            public: OaepPublicEncryptingKey::new(public).map_err(unfit)?,
            private: OaepPrivateDecryptingKey::new(private).map_err(unfit)?,
        })
    }

    /// The public half as SubjectPublicKeyInfo.
    pub fn public_key_der(&self) -> &[u8] {
        &self.public_key_der
    }

    /// Encrypts `plaintext`; the ciphertext is as long as the modulus.
    ///
    /// # Errors
    /// [`CryptoError::RsaPlaintextTooLarge`], whose text is AWS's; [`CryptoError::Algorithm`] when the key has no such algorithm.
    pub fn encrypt(&self, algorithm: EncryptionAlgorithm, plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let oaep = self.oaep(algorithm)?;
        let bytes_max = self.public.max_plaintext_size(oaep);
        if plaintext.len() > bytes_max {
            return Err(CryptoError::RsaPlaintextTooLarge { algorithm, spec: self.spec, bytes_max });
        }
        let mut ciphertext = vec![0; self.public.ciphertext_size()];
        let length = self.public.encrypt(oaep, plaintext, &mut ciphertext, None).map_err(|_| CryptoError::Seal)?.len();
        ciphertext.truncate(length);
        Ok(ciphertext)
    }

    /// Decrypts what [`EncryptionKey::encrypt`], or anyone with the public key, encrypted.
    ///
    /// # Errors
    /// [`CryptoError::InvalidCiphertext`], without a reason; [`CryptoError::Algorithm`] when the key has no such algorithm.
    pub fn decrypt(&self, algorithm: EncryptionAlgorithm, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.decrypt_oaep(self.oaep(algorithm)?, ciphertext)
    }

    pub(crate) fn decrypt_oaep(&self, oaep: &'static OaepAlgorithm, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let mut plaintext = Zeroizing::new(vec![0; self.private.key_size_bytes()]);
        let length = self.private.decrypt(oaep, ciphertext, &mut plaintext, None).map_err(|_| CryptoError::InvalidCiphertext)?.len();
        plaintext.truncate(length);
        Ok(plaintext)
    }

    pub(crate) fn modulus_bytes(&self) -> usize {
        self.private.key_size_bytes()
    }

    fn oaep(&self, algorithm: EncryptionAlgorithm) -> Result<&'static OaepAlgorithm, CryptoError> {
        match algorithm {
            EncryptionAlgorithm::RsaesOaepSha1 => Ok(&OAEP_SHA1_MGF1SHA1),
            EncryptionAlgorithm::RsaesOaepSha256 => Ok(&OAEP_SHA256_MGF1SHA256),
            EncryptionAlgorithm::SymmetricDefault => Err(CryptoError::Algorithm { spec: self.spec, algorithm: algorithm.as_str() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::test_materials::{Foreign, material};

    const SPECS: [KeySpec; 3] = [KeySpec::Rsa2048, KeySpec::Rsa3072, KeySpec::Rsa4096];

    fn open(spec: KeySpec) -> EncryptionKey {
        EncryptionKey::open(spec, &material(spec)).unwrap()
    }

    /// AWS's table of the largest plaintexts.
    #[test]
    fn round_trips_up_to_the_largest_plaintext() {
        let largest = [[214, 190], [342, 318], [470, 446]];
        for (spec, largest) in SPECS.into_iter().zip(largest) {
            let key = open(spec);
            for (&algorithm, bytes_max) in spec.encryption_algorithms().iter().zip(largest) {
                for bytes in [0, 1, bytes_max] {
                    let plaintext = vec![3; bytes];
                    let ciphertext = key.encrypt(algorithm, &plaintext).unwrap();
                    assert_eq!(*key.decrypt(algorithm, &ciphertext).unwrap(), plaintext);
                    let other = spec.encryption_algorithms().iter().copied().find(|&other| other != algorithm).unwrap();
                    assert!(matches!(key.decrypt(other, &ciphertext), Err(CryptoError::InvalidCiphertext)));
                }
                let refused = key.encrypt(algorithm, &vec![3; bytes_max + 1]).unwrap_err().to_string();
                let text = format!("Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {bytes_max} bytes.");
                assert_eq!(refused, text);
            }
            let refused = key.encrypt(EncryptionAlgorithm::SymmetricDefault, b"");
            assert!(matches!(refused, Err(CryptoError::Algorithm { .. })));
        }
    }

    #[test]
    fn what_other_programs_encrypted_decrypts() {
        let foreign = Foreign::load();
        let mut decrypted = 0;
        for vector in foreign.keys.iter().filter(|vector| SPECS.contains(&vector.spec())) {
            let key = EncryptionKey::open(vector.spec(), &vector.canonical()).unwrap();
            for (algorithm, ciphertext) in &vector.ciphertexts {
                let plaintext = key.decrypt(algorithm.parse().unwrap(), &hex::decode(ciphertext).unwrap()).unwrap();
                assert_eq!(*plaintext, foreign.message);
                decrypted += 1;
            }
        }
        assert_eq!(decrypted, 6);
    }

    #[test]
    fn keys_of_other_specs_do_not_open() {
        for spec in SPECS {
            for &other in KeySpec::ALL {
                assert_eq!(EncryptionKey::open(spec, &material(other)).is_ok(), spec == other);
            }
        }
    }

    proptest! {
        #[test]
        fn no_changed_ciphertext_decrypts(place in any::<proptest::sample::Index>(), bit in 0..8, cut in 0..3_usize) {
            let (key, algorithm) = (open(KeySpec::Rsa2048), EncryptionAlgorithm::RsaesOaepSha256);
            let mut ciphertext = key.encrypt(algorithm, b"a plaintext").unwrap();
            prop_assert!(cut == 0 || key.decrypt(algorithm, &ciphertext[cut..]).is_err());
            let index = place.index(ciphertext.len());
            ciphertext[index] ^= 1_u8 << bit;
            prop_assert!(key.decrypt(algorithm, &ciphertext).is_err());
        }
    }
}
