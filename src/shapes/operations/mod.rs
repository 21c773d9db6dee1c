//! One file per operation: the wire form, its checks, the parsed request, the response.

pub(crate) mod create_key;
pub(crate) mod data_key;
pub(crate) mod decrypt;
pub(crate) mod describe_key;
pub(crate) mod encrypt;
pub(crate) mod generate_random;
pub(crate) mod key_switch;
pub(crate) mod list_keys;
pub(crate) mod re_encrypt;
pub(crate) mod replicate_key;

use claviger_types::limits::ENCRYPTION_CONTEXT_BYTES_MAX;

use crate::decode::{Context, Text};
use crate::{ApiError, EncryptionContext};

/// GrantTokens as they stand in the request.
pub(crate) type GrantTokensWire<'a> = Vec<Option<Text<'a>>>;

/// The context, and the size limit that the model does not state (rules page, section 11): pair count, then length and
/// bytes of each key and value, as the message blob serialises it.
pub(crate) fn encryption_context(context: Option<Context>) -> Result<EncryptionContext, ApiError> {
    let context = context.map_or_else(EncryptionContext::new, |Context(context)| context);
    let bytes = context.iter().fold(2, |sum: usize, (key, value)| sum + 4 + key.len() + value.len());
    if bytes > ENCRYPTION_CONTEXT_BYTES_MAX {
        return Err(ApiError::validation(format!("EncryptionContext must not be larger than {ENCRYPTION_CONTEXT_BYTES_MAX} bytes.")));
    }
    Ok(context)
}
