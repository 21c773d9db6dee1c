//! Why a request counts as unsigned, with AWS's codes and, where they are known, its words.
//!
//! A message never quotes the Authorization header, the signature or anything derived from the secret.

/// AWS's error codes for authentication. All answer with HTTP 400 in the JSON protocol (rules page, section 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureErrorCode {
    /// There is no signature.
    MissingAuthenticationToken,
    /// There is something that is not a whole signature.
    IncompleteSignature,
    /// The signature is not good for this request.
    InvalidSignature,
    /// Nobody has this access key.
    UnrecognizedClient,
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No Authorization header.
    #[error("Missing Authentication Token")]
    Missing,
    /// Signed in the query string.
    #[error("Missing Authentication Token: sign in the Authorization header; query-string authentication is not supported.")]
    InQueryString,
    /// A part is missing or malformed.
    #[error("{0}")]
    Incomplete(&'static str),
    /// Signed more than five minutes ago.
    #[error("Signature expired: {signed_at} is now earlier than {oldest} ({now} - 5 min.)")]
    Expired {
        /// `x-amz-date`.
        signed_at: String,
        /// The oldest that would do.
        oldest: String,
        /// The verifier's time.
        now: String,
    },
    /// Signed more than five minutes from now.
    #[error("Signature not yet current: {signed_at} is still later than {newest} ({now} + 5 min.)")]
    NotYetCurrent {
        /// `x-amz-date`.
        signed_at: String,
        /// The newest that would do.
        newest: String,
        /// The verifier's time.
        now: String,
    },
    /// The credential scope is for something else.
    #[error("{0}")]
    Scope(String),
    /// Not `POST /`, or something that must be signed is not.
    #[error("{0}")]
    Shape(String),
    /// The signature is another one.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. \
         Consult the service documentation for details."
    )]
    Mismatch,
    /// No such access key: said by whoever looks the secret up.
    #[error("The security token included in the request is invalid.")]
    UnknownAccessKey,
}

impl SignatureError {
    /// AWS's code.
    pub const fn code(&self) -> SignatureErrorCode {
        match self {
            Self::Missing | Self::InQueryString => SignatureErrorCode::MissingAuthenticationToken,
            Self::Incomplete(_) => SignatureErrorCode::IncompleteSignature,
            Self::Expired { .. } | Self::NotYetCurrent { .. } | Self::Scope(_) | Self::Shape(_) | Self::Mismatch => {
                SignatureErrorCode::InvalidSignature
            }
            Self::UnknownAccessKey => SignatureErrorCode::UnrecognizedClient,
        }
    }

    /// One word for metrics and logs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Missing | Self::InQueryString => "missing",
            Self::Incomplete(_) => "incomplete",
            Self::Expired { .. } => "expired",
            Self::NotYetCurrent { .. } => "not_yet_current",
            Self::Scope(_) => "scope",
            Self::Shape(_) => "shape",
            Self::Mismatch => "mismatch",
            Self::UnknownAccessKey => "unknown_access_key",
        }
    }
}
