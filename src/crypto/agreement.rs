//! DeriveSharedSecret: ECDH (NIST SP 800-56A, cofactor 1) of aws-lc with a peer's public key; the secret is the x coordinate.

use aws_lc_rs::agreement::{
    self, Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, ParsedPublicKey, ParsedPublicKeyFormat, PrivateKey, UnparsedPublicKey,
};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use claviger_types::KeySpec;
use zeroize::Zeroizing;

use crate::{CryptoError, SecretBytes, der};

/// A key pair on a NIST curve that agrees on secrets.
pub struct AgreementKey {
    algorithm: &'static Algorithm,
    private: PrivateKey,
    public_key_der: Vec<u8>,
}

impl AgreementKey {
    /// Opens canonical bytes.
    ///
    /// # Errors
    /// [`CryptoError::Material`] when they are no key on the curve of `spec`, or keys of `spec` agree on nothing.
    pub fn open(spec: KeySpec, canonical: &SecretBytes) -> Result<Self, CryptoError> {
        let algorithm = match spec {
            KeySpec::EccNistP256 => &ECDH_P256,
            KeySpec::EccNistP384 => &ECDH_P384,
            KeySpec::EccNistP521 => &ECDH_P521,
            _ => return Err(CryptoError::Material { spec, reason: "keys of this spec agree on no secrets" }),
        };
        let private = PrivateKey::from_private_key_der(algorithm, canonical.expose())
            .map_err(|_| CryptoError::Material { spec, reason: "it is not an ECC key on the curve" })?;
        let unfit = |_| CryptoError::Material { spec, reason: "its public key cannot be encoded" };
        let public_key_der: PublicKeyX509Der<'_> = private.compute_public_key().map_err(unfit)?.as_der().map_err(unfit)?;
        Ok(Self { algorithm, public_key_der: public_key_der.as_ref().to_vec(), private })
    }

    /// The public half as SubjectPublicKeyInfo.
    pub fn public_key_der(&self) -> &[u8] {
        &self.public_key_der
    }

    /// The secret shared with the owner of `peer`, a SubjectPublicKeyInfo in DER: 32, 48 or 66 bytes.
    ///
    /// # Errors
    /// [`CryptoError::PeerKey`] when `peer` is no public key, or one on another curve or off the curve.
    pub fn derive(&self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        // The same object identifiers: aws-lc would take a curve that is spelled out, even without its cofactor (RFC 5480 has none).
        if der::algorithm_identifier(peer).is_none_or(|peer| Some(peer) != der::algorithm_identifier(&self.public_key_der)) {
            return Err(CryptoError::PeerKey);
        }
        let peer = ParsedPublicKey::try_from(UnparsedPublicKey::new(self.algorithm, peer)).map_err(|_| CryptoError::PeerKey)?;
        if peer.format() != ParsedPublicKeyFormat::X509 {
            return Err(CryptoError::PeerKey);
        }
        agreement::agree(&self.private, peer, CryptoError::PeerKey, |secret| Ok(Zeroizing::new(secret.to_vec())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_materials::{Foreign, material};
    use crate::{material as materials, signing};

    const SPECS: [(KeySpec, usize); 3] = [(KeySpec::EccNistP256, 32), (KeySpec::EccNistP384, 48), (KeySpec::EccNistP521, 66)];

    #[test]
    fn both_sides_derive_the_same_secret() {
        for (spec, bytes) in SPECS {
            let one = AgreementKey::open(spec, &material(spec)).unwrap();
            let two = AgreementKey::open(spec, &materials::generate(spec).unwrap()).unwrap();
            let secret = one.derive(two.public_key_der()).unwrap();
            assert_eq!(secret.len(), bytes);
            assert_eq!(*secret, *two.derive(one.public_key_der()).unwrap());
            assert_ne!(*secret, *one.derive(one.public_key_der()).unwrap());
        }
    }

    #[test]
    fn another_program_derives_the_same_secret() {
        let mut derived = 0;
        for vector in Foreign::load().keys {
            let Some(peer) = &vector.peer else { continue };
            if vector.spec() == KeySpec::EccSecgP256k1 {
                assert!(AgreementKey::open(vector.spec(), &vector.canonical()).is_err());
                continue;
            }
            let key = AgreementKey::open(vector.spec(), &vector.canonical()).unwrap();
            assert_eq!(*key.derive(&peer.public_key).unwrap(), peer.secret);
            derived += 1;
        }
        assert_eq!(derived, 3);
    }

    #[test]
    fn only_keys_on_the_curve_are_peers() {
        for (spec, bytes) in SPECS {
            let key = AgreementKey::open(spec, &material(spec)).unwrap();
            for other in KeySpec::ALL.iter().copied().filter(|&other| other != spec && !other.signing_algorithms().is_empty()) {
                let peer = signing::SigningKey::open(other, &material(other)).unwrap();
                assert!(matches!(key.derive(peer.public_key_der()), Err(CryptoError::PeerKey)), "{spec} with {other}");
            }
            let own = key.public_key_der().to_vec();
            let mut off_curve = own.clone();
            *off_curve.last_mut().unwrap() ^= 1;
            for bad in [&[][..], &own[1..], &own[..own.len() - 1], &[&own[..], &[0]].concat(), &off_curve] {
                assert!(matches!(key.derive(bad), Err(CryptoError::PeerKey)));
            }
            // A bare point is no SubjectPublicKeyInfo, though aws-lc would take it.
            let bare = &own[own.len() - (1 + 2 * bytes)..];
            assert_eq!(bare[0], 4);
            assert!(matches!(key.derive(bare), Err(CryptoError::PeerKey)));
        }
    }
}
