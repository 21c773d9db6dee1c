//! Keys that every node of a region can make for itself, for what is authenticated but not sealed.

use claviger_crypto::{Secret32, kdf};

use crate::{Barrier, BarrierError};

const LABEL: &[u8] = b"claviger barrier derived key v1\0";
/// The first term is kept for ever, so a derived key never changes while the barrier lives.
const FIRST_TERM: u32 = 1;

impl Barrier {
    /// A key for the one purpose that `label` names: the same on every node of the region, in every term.
    ///
    /// # Errors
    /// [`BarrierError::UnknownTerm`] when the keyring lacks its first term, or when no locked memory can be had.
    pub fn derive(&self, label: &str) -> Result<Secret32, BarrierError> {
        let first = self.keyring().term(FIRST_TERM).ok_or(BarrierError::UnknownTerm(FIRST_TERM))?;
        Ok(Secret32::try_new_with(|key| kdf::hkdf_sha256(first, &[0; 32], &[LABEL, label.as_bytes()], key))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Keyring, RootKey};

    #[test]
    fn depends_on_barrier_and_label_and_not_on_the_term() {
        let (mut keyring, root) = (Keyring::generate().unwrap(), RootKey::generate().unwrap());
        let before = Barrier::new(Keyring::unseal(&keyring.seal(&root).unwrap(), &root).unwrap());
        keyring.start_term().unwrap();
        let after = Barrier::new(keyring);
        let other = Barrier::new(Keyring::generate().unwrap());
        let key = *before.derive("a").unwrap().expose();
        assert_eq!(after.derive("a").unwrap().expose(), &key);
        assert_ne!(after.derive("b").unwrap().expose(), &key);
        assert_ne!(other.derive("a").unwrap().expose(), &key);
    }
}
