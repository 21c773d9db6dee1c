//! How the values of responses are written as JSON: blobs and names. Nothing is copied on the way.

use std::fmt::Display;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};

/// A blob, as standard base64 with padding, encoded straight into the body.
pub(crate) fn blob<S: Serializer>(bytes: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Base64Display::new(bytes.as_ref(), &STANDARD))
}

/// A secret blob.
pub(crate) fn secret<S: Serializer>(bytes: &zeroize::Zeroizing<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
    blob(&bytes.as_slice(), serializer)
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
