//! How the values of responses are written as JSON: blobs and names. Nothing is copied on the way.

use std::fmt::Display;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use claviger_types::Timestamp;
use serde::ser::Error as _;
use serde::{Serialize, Serializer};

/// A blob, as standard base64 with padding, encoded straight into the body.
pub(crate) fn blob<S: Serializer>(bytes: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(bytes.as_ref(), &STANDARD))
}

/// A secret blob.
pub(crate) fn secret<S: Serializer>(bytes: &zeroize::Zeroizing<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    blob(&bytes.as_slice(), serializer)
}

/// A secret blob that may be absent; serde skips it then.
pub(crate) fn optional_secret<S: Serializer>(bytes: &Option<zeroize::Zeroizing<Vec<u8>>>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes.as_ref().map_or_else(|| Err(S::Error::custom("absent")), |bytes| secret(bytes, serializer))
}

/// A blob that may be absent; serde skips it then.
pub(crate) fn optional_blob<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    bytes.as_ref().map_or_else(|| Err(S::Error::custom("absent")), |bytes| blob(bytes, serializer))
}

/// A text that may be absent; serde skips it then.
pub(crate) fn optional_text<S: Serializer>(value: &Option<impl Display>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map_or_else(|| Err(S::Error::custom("absent")), |value| text(value, serializer))
}

/// A time: seconds since the Unix epoch with a fraction.
pub(crate) fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// A time that may be absent; serde skips it then.
pub(crate) fn optional_time<S: Serializer>(at: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    at.as_ref().map_or_else(|| Err(S::Error::custom("absent")), |at| time(at, serializer))
}

/// Anything that AWS writes as the text that `Display` gives: ARNs, ids, enums.
pub(crate) fn text<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

/// The same as a value.
pub(crate) struct AsText<'a, T>(pub(crate) &'a T);

impl<T: Display> Serialize for AsText<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        text(self.0, serializer)
    }
}

/// A blob as a value.
pub(crate) struct AsBlob<'a>(pub(crate) &'a [u8]);

impl Serialize for AsBlob<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        blob(&self.0, serializer)
    }
}
