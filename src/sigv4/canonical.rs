//! The canonical request, hashed as it is built and never held in memory (SigV4, "Create a canonical request").
//!
//! Of a header's value, spaces at both ends go and runs of spaces become one; several values of one name are joined by
//! commas in their order. Nothing else is changed: bytes are compared as they came.

use aws_lc_rs::digest::{Context, Digest, SHA256};
use http::{HeaderMap, Method};

/// What is hashed of a request to `/` without a query string.
pub(crate) struct CanonicalRequest<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    /// Stands in for the `host` header of an HTTP/2 request, which has an authority instead.
    pub(crate) authority: Option<&'a str>,
    /// Lower-case names in order, as the signer lists them.
    pub(crate) signed_headers: &'a str,
}

impl CanonicalRequest<'_> {
    /// SHA-256 of the canonical request with a body of this hash.
    pub(crate) fn hash(&self, body_sha256: &str) -> Digest {
        let mut hash = Context::new(&SHA256);
        hash.update(self.method.as_str().as_bytes());
        // The path is `/`, and the query string is empty.
        hash.update(b"\n/\n\n");
        for name in self.signed_headers.split(';') {
            hash.update(name.as_bytes());
            hash.update(b":");
            self.values(&mut hash, name);
            hash.update(b"\n");
        }
        hash.update(b"\n");
        hash.update(self.signed_headers.as_bytes());
        hash.update(b"\n");
        hash.update(body_sha256.as_bytes());
        hash.finish()
    }

    fn values(&self, hash: &mut Context, name: &str) {
        let mut values = self.headers.get_all(name).iter().map(http::HeaderValue::as_bytes).peekable();
        if name == "host"
            && values.peek().is_none()
            && let Some(authority) = self.authority
        {
            fold(hash, authority.as_bytes());
        }
        for (position, value) in values.enumerate() {
            if position > 0 {
                hash.update(b",");
            }
            fold(hash, value);
        }
    }
}

fn fold(hash: &mut Context, value: &[u8]) {
    let words = value.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    for (position, word) in words.enumerate() {
        if position > 0 {
            hash.update(b" ");
        }
        hash.update(word);
    }
}
