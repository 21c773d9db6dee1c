//! The one place that sees bincode: how commands, records and messages become bytes.
//!
//! Every encoding starts with a byte that names its schema version, which the owner of the type chooses, and is followed
//! by bincode 2 (standard configuration: little-endian, variable-length integers) under a size limit. A reader takes
//! only the versions it names; anything else is a typed error, never a guess. Fields are never reordered: golden files
//! hold every encoding fast. bincode is unmaintained (RUSTSEC-2025-0141, reasoned in deny.toml); this module is where
//! another format would take over.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::RECORD_BYTES_MAX;

const CONFIG: Configuration<LittleEndian, Varint, Limit<RECORD_BYTES_MAX>> = bincode::config::standard().with_limit::<RECORD_BYTES_MAX>();

/// Why bytes are not the value they should be, or the value cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodingError {
    /// No bytes at all: not even a version.
    #[error("the encoding is empty")]
    Empty,
    /// A schema version that this build does not read.
    #[error("schema version {found}, this build reads {expected}")]
    Version {
        /// What the bytes say.
        found: u8,
        /// What the reader takes.
        expected: u8,
    },
    /// The bytes after the version do not decode.
    #[error("the bytes do not decode")]
    Decode(#[source] bincode::error::DecodeError),
    /// Bytes remain after the value.
    #[error("{0} bytes remain after the value")]
    Trailing(usize),
    /// The value cannot be encoded, or is larger than [`RECORD_BYTES_MAX`].
    #[error("the value does not encode")]
    Encode(#[source] bincode::error::EncodeError),
    /// The encoding is larger than [`RECORD_BYTES_MAX`].
    #[error("the encoding has {0} bytes, more than a record may have")]
    TooLarge(usize),
}

/// Encodes `value` behind the byte `version`.
///
/// # Errors
/// When the value does not encode or is too large.
pub fn encode<T: Serialize + ?Sized>(version: u8, value: &T) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = vec![version];
    bincode::serde::encode_into_std_write(value, &mut bytes, CONFIG).map_err(EncodingError::Encode)?;
    if bytes.len() > RECORD_BYTES_MAX {
        return Err(EncodingError::TooLarge(bytes.len()));
    }
    Ok(bytes)
}

/// Decodes what [`encode`] wrote with the same `version`; all bytes must be used.
///
/// # Errors
/// When the version differs, the bytes do not decode, or some remain.
pub fn decode<T: DeserializeOwned>(version: u8, bytes: &[u8]) -> Result<T, EncodingError> {
    let (&found, rest) = bytes.split_first().ok_or(EncodingError::Empty)?;
    if found != version {
        return Err(EncodingError::Version { found, expected: version });
    }
    let (value, used) = bincode::serde::decode_from_slice(rest, CONFIG).map_err(EncodingError::Decode)?;
    match rest.len() - used {
        0 => Ok(value),
        remaining => Err(EncodingError::Trailing(remaining)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trips(value: (u64, String, Vec<u8>, Option<bool>)) {
            let bytes = encode(7, &value).unwrap();
            prop_assert_eq!(bytes[0], 7);
            prop_assert_eq!(decode::<(u64, String, Vec<u8>, Option<bool>)>(7, &bytes).unwrap(), value);
        }

        #[test]
        fn hostile_bytes_are_an_error_and_never_a_panic(bytes: Vec<u8>) {
            let _ = decode::<(String, Vec<Vec<u64>>, Option<String>)>(1, &bytes);
        }
    }

    #[test]
    fn refuses_other_versions_and_trailing_bytes() {
        let mut bytes = encode(1, &5_u64).unwrap();
        assert!(matches!(decode::<u64>(2, &bytes), Err(EncodingError::Version { found: 1, expected: 2 })));
        bytes.push(0);
        assert!(matches!(decode::<u64>(1, &bytes), Err(EncodingError::Trailing(1))));
        assert!(matches!(decode::<u64>(1, &[]), Err(EncodingError::Empty)));
        // A length of 2^60 must not be allocated.
        let huge = [1, 253, 0, 0, 0, 0, 0, 0, 0, 16];
        assert!(decode::<Vec<u8>>(1, &huge).is_err());
    }
}
