//! One file per operation, or per few that go together: the wire form, its checks, the parsed request, the response.

pub(crate) mod alias_target;
pub(crate) mod create_grant;
pub(crate) mod create_key;
pub(crate) mod data_key;
pub(crate) mod data_key_pair;
pub(crate) mod decrypt;
pub(crate) mod delete_alias;
pub(crate) mod derive_shared_secret;
pub(crate) mod describe_key;
pub(crate) mod encrypt;
pub(crate) mod generate_random;
pub(crate) mod get_key_last_usage;
pub(crate) mod get_key_policy;
pub(crate) mod get_public_key;
pub(crate) mod grant_page;
pub(crate) mod import;
pub(crate) mod key_rotation;
pub(crate) mod list_aliases;
pub(crate) mod list_grants;
pub(crate) mod list_key_policies;
pub(crate) mod list_keys;
pub(crate) mod list_resource_tags;
pub(crate) mod list_retirable_grants;
pub(crate) mod mac;
pub(crate) mod one_key;
pub(crate) mod paging;
pub(crate) mod put_key_policy;
pub(crate) mod re_encrypt;
pub(crate) mod replicate_key;
pub(crate) mod retire_grant;
pub(crate) mod revoke_grant;
pub(crate) mod schedule_key_deletion;
pub(crate) mod sign;
pub(crate) mod tag_resource;
pub(crate) mod untag_resource;
pub(crate) mod update_key_description;

use claviger_types::GrantId;
use claviger_types::limits::{ENCRYPTION_CONTEXT_BYTES_MAX, GRANT_TOKENS_MAX};

use crate::constraint::present;
use crate::decode::{Context, List, Text, context_bytes};
use crate::{ApiError, EncryptionContext, GrantTokens};

/// The name of the one policy of every key.
pub(crate) const POLICY_NAME: &str = "default";

/// GrantTokens as they stand in the request.
pub(crate) type GrantTokensWire<'a> = List<Option<Text<'a>>, GRANT_TOKENS_MAX>;

/// The tokens, after the model's constraints have accepted them.
pub(crate) fn grant_tokens(tokens: Option<GrantTokensWire<'_>>) -> Result<GrantTokens, ApiError> {
    let tokens = tokens.map(List::into_items).unwrap_or_default();
    tokens.into_iter().map(|token| Ok(present(token)?.0.into_owned())).collect()
}

/// The id of a grant, after the model's constraint has accepted it.
pub(crate) fn grant_id(Text(text): &Text<'_>) -> Result<GrantId, ApiError> {
    GrantId::parse(text).ok_or_else(|| ApiError::invalid_grant_id(text))
}

/// The context, and the size limit that the model does not state (rules page, section 11).
pub(crate) fn encryption_context(context: Option<Context>) -> Result<EncryptionContext, ApiError> {
    let context = context.map_or_else(EncryptionContext::new, |Context(context)| context);
    if context_bytes(&context) > ENCRYPTION_CONTEXT_BYTES_MAX {
        return Err(ApiError::validation(format!("EncryptionContext must not be larger than {ENCRYPTION_CONTEXT_BYTES_MAX} bytes.")));
    }
    Ok(context)
}
