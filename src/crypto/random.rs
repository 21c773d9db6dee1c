//! Random bytes from aws-lc's generator, which the operating system seeds and which the FIPS build of aws-lc covers.

use crate::CryptoError;

/// Fills `bytes` with random bytes.
///
/// # Errors
/// [`CryptoError::Random`] when the generator fails; `bytes` must not be used then.
pub fn fill(bytes: &mut [u8]) -> Result<(), CryptoError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| CryptoError::Random)
}

/// `N` random bytes that are not secret for long (ids, salts); secrets are made by [`crate::Secret32::random`].
///
/// # Errors
/// [`CryptoError::Random`] when the generator fails.
pub fn bytes<const N: usize>() -> Result<[u8; N], CryptoError> {
    let mut bytes = [0; N];
    fill(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_draws_differ() {
        assert_ne!(super::bytes::<16>().unwrap(), super::bytes::<16>().unwrap());
    }
}
