//! Why a request body was not read, and what the client is told.

use claviger_shapes::admin::{AdminError, AdminErrorCode};
use claviger_shapes::{ApiError, ErrorCode};

/// A request body that was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the request body is larger than {0} bytes")]
    TooLarge(usize),
    #[error("the request body did not arrive in time")]
    TooSlow,
    #[error("the request body broke off")]
    Broken(#[source] axum::Error),
    #[error("too many request bodies are being read")]
    NoRoom,
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge(_) => Self::new(ErrorCode::RequestEntityTooLarge, error.to_string()),
            BodyError::TooSlow | BodyError::Broken(_) => Self::new(ErrorCode::RequestTimeout, error.to_string()),
            BodyError::NoRoom => Self::throttling(),
        }
    }
}

impl From<BodyError> for AdminError {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::NoRoom => AdminErrorCode::Unavailable,
            BodyError::TooLarge(_) | BodyError::TooSlow | BodyError::Broken(_) => AdminErrorCode::Invalid,
        };
        Self::new(code, error.to_string())
    }
}
