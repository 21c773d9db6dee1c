//! Why a document, a file of roots or an envelope came to nothing. None of it is secret: a document's sender is told all of it.

use std::borrow::Cow;

use crate::attestation::{AGE_MAX, AHEAD_MAX, DOCUMENT_BYTES_MAX};
use crate::recipient_key::{MODULUS_BITS_MAX, MODULUS_BITS_MIN};

/// Why a document is not believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    /// More than a request may have.
    #[error("it has {0} bytes and may have {DOCUMENT_BYTES_MAX}")]
    TooLong(usize),
    /// The structure round the document.
    #[error("it is not a COSE_Sign1 structure: its {part} {flaw}")]
    Cose {
        /// Which of its parts.
        part: &'static str,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// Signed with something else, or with more said of it.
    #[error("it is not signed with ES384, which is all that its protected header may say")]
    Algorithm,
    /// The document itself.
    #[error("its {field} {flaw}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// Made too long ago.
    #[error("it was made {} s ago and is good for {} s", .age_millis / 1000, AGE_MAX.as_secs())]
    TooOld {
        /// How long ago.
        age_millis: u64,
    },
    /// Made later than now.
    #[error("it was made {} s from now; the clocks may differ by {} s", .ahead_millis / 1000, AHEAD_MAX.as_secs())]
    FromTheFuture {
        /// How much later.
        ahead_millis: u64,
    },
    /// The certificates do not lead to a root, or are not good at this time.
    #[error("its certificate does not lead to a root that is trusted here: {}", told(.0))]
    Chain(webpki::Error),
    /// Signed by somebody else, or changed.
    #[error("its signature is not its certificate's")]
    Signature,
    /// Nothing can be encrypted for it.
    #[error("it names no public_key, without which nothing can be encrypted for the recipient")]
    NoPublicKey,
    /// A key that is not used here.
    #[error("its public_key is not an RSA key of {MODULUS_BITS_MIN} to {MODULUS_BITS_MAX} bits as a DER SubjectPublicKeyInfo")]
    PublicKey,
}

/// What is told of a chain; webpki has no texts of its own.
fn told(error: &webpki::Error) -> Cow<'static, str> {
    match error {
        webpki::Error::CertExpired { .. } => "a certificate of its chain has expired".into(),
        webpki::Error::CertNotValidYet { .. } => "a certificate of its chain is not good yet".into(),
        webpki::Error::UnknownIssuer => "it was issued by nobody known here".into(),
        webpki::Error::InvalidSignatureForPublicKey => "a certificate of its chain is not signed by its issuer".into(),
        other => format!("{other:?}").into(),
    }
}

/// What is wrong with a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It ends too early, or something else is in its place.
    #[error("is cut off or of another type")]
    Type,
    /// It has more or less than it may have.
    #[error("has a length that it may not have")]
    Length,
    /// It has a value that it may not have.
    #[error("has a value that it may not have")]
    Value,
    /// It is there more than once.
    #[error("is there twice")]
    Twice,
    /// It is not there.
    #[error("is missing")]
    Missing,
    /// Something follows it.
    #[error("has something behind it")]
    Trailing,
}

/// Why a file of roots is refused.
#[derive(Debug, thiserror::Error)]
pub enum TrustRootsError {
    /// Not PEM.
    #[error("it is not PEM: expected -----BEGIN CERTIFICATE-----")]
    Pem,
    /// Nothing is in it.
    #[error("there is no certificate in it: expected -----BEGIN CERTIFICATE-----")]
    Empty,
    /// One of them is no certificate.
    #[error("certificate {position} of it cannot be a root: {source:?}")]
    Certificate {
        /// Counted from 1.
        position: usize,
        /// Why.
        source: webpki::Error,
    },
}

/// Why nothing could be encrypted. None of these comes from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// The random generator failed.
    #[error("no random bytes for an envelope")]
    Random,
    /// AES failed.
    #[error("the content of an envelope could not be encrypted")]
    Content,
    /// RSA failed.
    #[error("the content key of an envelope could not be encrypted")]
    Key,
}
