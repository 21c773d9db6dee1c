//! The signing key of one day, region and service, derived from the secret by a chain of HMACs.

use aws_lc_rs::digest::Digest;
use aws_lc_rs::hmac::{HMAC_SHA256, Key, sign, verify};
use zeroize::Zeroizing;

use crate::SignatureError;
use crate::access_key::SecretAccessKey;
use crate::authorization::{ALGORITHM, TERMINATOR};

/// What a signature is good for.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'a> {
    pub(crate) day: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

impl Scope<'_> {
    /// Whether this is the signature of the canonical request that hashes to `request`; compared in constant time.
    pub(crate) fn verify(
        &self,
        secret: &SecretAccessKey,
        signed_at: &str,
        request: &Digest,
        signature: &[u8],
    ) -> Result<(), SignatureError> {
        let Self { day, region, service } = self;
        let to_sign = format!("{ALGORITHM}\n{signed_at}\n{day}/{region}/{service}/{TERMINATOR}\n{}", hex::encode(request));
        verify(&self.key(secret), to_sign.as_bytes(), signature).map_err(|_| SignatureError::Mismatch)
    }

    fn key(&self, secret: &SecretAccessKey) -> Key {
        let secret = secret.expose();
        let mut first = Zeroizing::new(Vec::with_capacity("AWS4".len() + secret.len()));
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret.as_bytes());
        [self.day, self.region, self.service, TERMINATOR]
            .into_iter()
            .fold(Key::new(HMAC_SHA256, &first), |key, part| Key::new(HMAC_SHA256, sign(&key, part.as_bytes()).as_ref()))
    }
}
