//! The root key: seals the keyring and nothing else.

use claviger_crypto::Secret32;

use crate::BarrierError;

/// 32 secret bytes that a provider brings. Without `Debug`, `Clone` and serde, as every secret.
pub struct RootKey(Secret32);

impl RootKey {
    /// A fresh root key.
    ///
    /// # Errors
    /// When no locked memory can be had or the random generator fails.
    pub fn generate() -> Result<Self, BarrierError> {
        Ok(Self(Secret32::random()?))
    }

    /// The root key that a provider brought.
    pub const fn from_secret(secret: Secret32) -> Self {
        Self(secret)
    }

    pub(crate) const fn secret(&self) -> &Secret32 {
        &self.0
    }
}
