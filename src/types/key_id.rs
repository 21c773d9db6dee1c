//! Key ids and key material ids.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ParseError;

/// A KMS key's id: 16 bytes and whether it names a multi-region key.
///
/// Text forms (rules page, section 2): a UUID for a single-region key, `mrk-` and 32 hex digits for a multi-region one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyId {
    bytes: [u8; 16],
    multi_region: bool,
}

impl KeyId {
    /// Length of [`KeyId::to_row`].
    pub const ROW_BYTES: usize = 17;

    /// A single-region id from random bytes; version and variant bits are set as UUID v4 wants.
    pub fn single_region(random: [u8; 16]) -> Self {
        Self { bytes: uuid::Builder::from_random_bytes(random).into_uuid().into_bytes(), multi_region: false }
    }

    /// A multi-region id from random bytes.
    pub const fn multi_region(random: [u8; 16]) -> Self {
        Self { bytes: random, multi_region: true }
    }

    /// The id that a message blob's header names: raw bytes and the multi-region flag.
    pub const fn from_parts(bytes: [u8; 16], multi_region: bool) -> Self {
        Self { bytes, multi_region }
    }

    /// The 16 raw bytes, as the message blob carries them.
    pub const fn bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// Whether this names a multi-region key.
    pub const fn is_multi_region(&self) -> bool {
        self.multi_region
    }

    /// The id as a table row: the 16 bytes, then the flag.
    pub fn to_row(&self) -> [u8; Self::ROW_BYTES] {
        let mut row = [0; Self::ROW_BYTES];
        row[..16].copy_from_slice(&self.bytes);
        row[16] = u8::from(self.multi_region);
        row
    }

    /// The inverse of [`KeyId::to_row`].
    ///
    /// # Errors
    /// When the row has another length or an unknown flag.
    pub fn from_row(row: &[u8]) -> Result<Self, ParseError> {
        const BAD: ParseError = ParseError::new("key id row", "must be 16 bytes and a flag of 0 or 1");
        let (bytes, flag) = row.split_first_chunk::<16>().ok_or(BAD)?;
        match flag {
            [flag @ (0 | 1)] => Ok(Self { bytes: *bytes, multi_region: *flag == 1 }),
            _ => Err(BAD),
        }
    }
}

impl FromStr for KeyId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const BAD: ParseError = ParseError::new("key id", "must be a UUID or mrk- and 32 hexadecimal digits");
        if let Some(digits) = text.strip_prefix("mrk-") {
            let mut bytes = [0; 16];
            hex::decode_to_slice(digits, &mut bytes).map_err(|_| BAD)?;
            return Ok(Self { bytes, multi_region: true });
        }
        // `Uuid::parse_str` also takes braces, URNs and bare digits, which AWS does not.
        if text.len() != 36 {
            return Err(BAD);
        }
        let id = Uuid::try_parse(text).map_err(|_| BAD)?;
        Ok(Self { bytes: id.into_bytes(), multi_region: false })
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.multi_region {
            return fmt::Display::fmt(&Uuid::from_bytes(self.bytes).as_hyphenated(), f);
        }
        f.write_str("mrk-")?;
        self.bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A KeyMaterialId: names one version of a key's material (DESIGN.md section 6). 32 bytes, written as 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MaterialId([u8; 32]);

impl MaterialId {
    /// From the raw bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes, as the message blob carries them.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for MaterialId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseError::new("key material id", "must be 64 hexadecimal digits"))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for MaterialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn text_and_row_round_trip(bytes: [u8; 16], multi_region: bool) {
            let id = KeyId::from_parts(bytes, multi_region);
            prop_assert_eq!(id.to_string().parse::<KeyId>().unwrap(), id);
            prop_assert_eq!(KeyId::from_row(&id.to_row()).unwrap(), id);
        }
    }

    #[test]
    fn only_the_two_aws_forms_parse() {
        for bad in ["", "mrk-", "mrk-12", "{ea8ed02a-82a1-4593-8f23-37cd3794c522}", "ea8ed02a82a175930f2337cd3794c522", "alias/x"] {
            assert!(bad.parse::<KeyId>().is_err(), "{bad}");
        }
        assert!(KeyId::single_region([0xff; 16]).to_string().starts_with("ffffffff-ffff-4fff-bfff"));
    }
}
