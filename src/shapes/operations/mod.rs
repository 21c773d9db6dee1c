//! One file per operation: the wire form, its checks, the parsed request, the response.

pub(crate) mod alias_target;
pub(crate) mod create_key;
pub(crate) mod data_key;
pub(crate) mod decrypt;
pub(crate) mod delete_alias;
pub(crate) mod describe_key;
pub(crate) mod encrypt;
pub(crate) mod generate_random;
pub(crate) mod key_switch;
pub(crate) mod list_aliases;
pub(crate) mod list_keys;
pub(crate) mod list_resource_tags;
pub(crate) mod paging;
pub(crate) mod re_encrypt;
pub(crate) mod replicate_key;
pub(crate) mod tag_resource;
pub(crate) mod untag_resource;
pub(crate) mod update_key_description;

use claviger_types::limits::ENCRYPTION_CONTEXT_BYTES_MAX;

use crate::decode::{Context, List, Text, context_bytes};
use crate::{ApiError, EncryptionContext, model};

/// GrantTokens as they stand in the request.
pub(crate) type GrantTokensWire<'a> = List<Option<Text<'a>>, { model::GRANT_TOKENS_MAX }>;

/// DryRunModifiers as they stand in the request.
pub(crate) type DryRunModifiersWire<'a> = List<Option<Text<'a>>, { model::DRY_RUN_MODIFIERS_MAX }>;

/// The context, and the size limit that the model does not state (rules page, section 11).
pub(crate) fn encryption_context(context: Option<Context>) -> Result<EncryptionContext, ApiError> {
    let context = context.map_or_else(EncryptionContext::new, |Context(context)| context);
    if context_bytes(&context) > ENCRYPTION_CONTEXT_BYTES_MAX {
        return Err(ApiError::validation(format!("EncryptionContext must not be larger than {ENCRYPTION_CONTEXT_BYTES_MAX} bytes.")));
    }
    Ok(context)
}
