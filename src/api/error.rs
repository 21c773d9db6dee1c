//! What the client is told when its request's body was not read.

use claviger_shapes::admin::{AdminError, AdminErrorCode};
use claviger_shapes::{ApiError, ErrorCode};
use claviger_tls::BodyError;

/// For a client of the KMS API.
pub(crate) fn not_read(error: &BodyError) -> ApiError {
    match error {
        BodyError::TooLarge(_) => ApiError::new(ErrorCode::RequestEntityTooLarge, error.to_string()),
        BodyError::TooSlow | BodyError::Broken(_) => ApiError::new(ErrorCode::RequestTimeout, error.to_string()),
        BodyError::NoRoom => ApiError::throttling(),
    }
}

/// For an operator.
pub(crate) fn not_read_admin(error: &BodyError) -> AdminError {
    let code = match error {
        BodyError::NoRoom => AdminErrorCode::Unavailable,
        BodyError::TooLarge(_) | BodyError::TooSlow | BodyError::Broken(_) => AdminErrorCode::Invalid,
    };
    AdminError::new(code, error.to_string())
}
