//! The two halves of an access key, in AWS's form. Entropy comes from the caller.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// AWS accessKeyIdType: 16 to 128 characters of `\w`; every id that AWS issues has 20.
const ID_BYTES: std::ops::RangeInclusive<usize> = 16..=128;
/// AWS issues 40; room for those who bring their own.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 16..=128;
/// What AWS's ids are made of (RFC 4648 base32).
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A text that is no access key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AccessKeyError(&'static str);

/// The public half: names the key, and travels in every request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccessKeyId(Box<str>);

impl AccessKeyId {
    /// `AKIA` and sixteen letters and digits, as AWS forms the id of a user's key. Five bits of each byte are used.
    pub fn from_entropy(bytes: [u8; 16]) -> Self {
        let letters = bytes.map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
        Self(format!("AKIA{}", String::from_iter(letters)).into_boxed_str())
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether a text has the form of an id.
    pub(crate) fn is_shaped(text: &str) -> bool {
        ID_BYTES.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    }
}

impl FromStr for AccessKeyId {
    type Err = AccessKeyError;

    fn from_str(text: &str) -> Result<Self, AccessKeyError> {
        if !Self::is_shaped(text) {
            return Err(AccessKeyError("an access key id must be 16 to 128 letters, digits and underscores"));
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for AccessKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

// So that a map can be asked with what stands in a request.
impl Borrow<str> for AccessKeyId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The secret half: never sent. Cannot be printed, cloned or serialised; wiped when let go.
pub struct SecretAccessKey(Zeroizing<Box<[u8]>>);

impl SecretAccessKey {
    /// Forty characters of base64, as AWS forms it.
    pub fn from_entropy(bytes: &Zeroizing<[u8; 30]>) -> Self {
        let mut text = Zeroizing::new([0; 40]);
        // 30 bytes are exactly 40 characters, so this cannot fail.
        let _ = STANDARD.encode_slice(**bytes, text.as_mut_slice());
        Self(Zeroizing::new(Box::from(text.as_slice())))
    }

    /// Takes a secret as it was issued.
    ///
    /// # Errors
    /// When it is not 16 to 128 visible ASCII characters.
    pub fn parse(text: &str) -> Result<Self, AccessKeyError> {
        if !SECRET_BYTES.contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AccessKeyError("a secret access key must be 16 to 128 visible ASCII characters"));
        }
        Ok(Self(Zeroizing::new(Box::from(text.as_bytes()))))
    }

    /// The characters, for whoever stores or signs with them.
    pub fn expose(&self) -> &str {
        // Both constructors put ASCII in.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_keys_have_the_form_of_aws() {
        let id = AccessKeyId::from_entropy([0, 25, 26, 31, 32, 63, 255, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(id.as_str(), "AKIAAZ27A77BCDEFGHIJ");
        assert_eq!(id.as_str().parse::<AccessKeyId>().unwrap(), id);
        let secret = SecretAccessKey::from_entropy(&Zeroizing::new([0xff; 30]));
        assert_eq!(secret.expose(), "/".repeat(40));
        assert!(SecretAccessKey::parse(secret.expose()).is_ok());
    }

    #[test]
    fn what_has_another_form_is_refused() {
        for bad in ["", "AKIA", "AKIA/AAAAAAAAAAAAAAA", "AKIA AAAAAAAAAAAAAAA", "AKIAÄAAAAAAAAAAAAAA", &"A".repeat(129)] {
            assert!(bad.parse::<AccessKeyId>().is_err(), "{bad}");
        }
        for bad in ["", "short", "with a space in the middle", "with\na line feed in it", &"a".repeat(129)] {
            assert!(SecretAccessKey::parse(bad).is_err(), "{bad}");
        }
    }
}
