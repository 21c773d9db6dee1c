//! From the text of a KeyId member to a parsed reference, with AWS's answers to what is none (rules page, section 2).

use claviger_types::KeyRef;

use crate::decode::Text;
use crate::{ApiError, ErrorCode};

/// Which forms an operation takes, and whether its model has InvalidArnException.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forms {
    /// Cryptographic operations: id, ARN, alias, alias ARN; no InvalidArnException.
    Cryptographic,
    /// DescribeKey: id, ARN, alias, alias ARN.
    Describe,
    /// Management operations: id and ARN.
    Management,
    /// TargetKeyId of the alias operations: id and ARN; no InvalidArnException.
    AliasTarget,
}

/// Parses a reference whose length the model's constraint has accepted.
pub(crate) fn parse(Text(text): &Text<'_>, forms: Forms) -> Result<KeyRef, ApiError> {
    match (text.parse::<KeyRef>(), forms) {
        (Ok(KeyRef::Alias(_)), Forms::Management) => Err(ApiError::invalid_key_id(text)),
        (Ok(KeyRef::AliasArn(_)), Forms::Management) => Err(invalid_arn(text, forms)),
        (Ok(KeyRef::Alias(_) | KeyRef::AliasArn(_)), Forms::AliasTarget) => {
            Err(ApiError::validation("Aliases must refer to keys. Not aliases"))
        }
        (Ok(key), _) => Ok(key),
        (Err(_), _) if text.starts_with("arn:") => Err(malformed_arn(text, forms)),
        (Err(_), _) => Err(ApiError::invalid_key_id(text)),
    }
}

/// An ARN that is right up to its key id names a key that cannot exist; any other is not an ARN.
fn malformed_arn(text: &str, forms: Forms) -> ApiError {
    const ANY_ID: &str = "00000000-0000-4000-8000-000000000000";
    match text.rsplit_once(":key/") {
        Some((prefix, id)) if format!("{prefix}:key/{ANY_ID}").parse::<KeyRef>().is_ok() => ApiError::invalid_key_id(id),
        _ => invalid_arn(text, forms),
    }
}

fn invalid_arn(text: &str, forms: Forms) -> ApiError {
    let code = match forms {
        Forms::Cryptographic | Forms::AliasTarget => ErrorCode::NotFound,
        Forms::Describe | Forms::Management => ErrorCode::InvalidArn,
    };
    ApiError::new(code, format!("Invalid arn {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str, forms: Forms) -> Result<KeyRef, String> {
        parse(&Text(text.into()), forms).map_err(|error| error.to_string())
    }

    #[test]
    fn all_forms_where_aws_takes_them() {
        let id = "mrk-000102030405060708090a0b0c0d0e0f";
        let arn = format!("arn:aws:kms:eu-west-1:111122223333:key/{id}");
        for forms in [Forms::Cryptographic, Forms::Describe, Forms::Management, Forms::AliasTarget] {
            assert!(matches!(parse_text(id, forms), Ok(KeyRef::Id(_))));
            assert!(matches!(parse_text(&arn, forms), Ok(KeyRef::Arn(_))));
        }
        for forms in [Forms::Cryptographic, Forms::Describe] {
            assert!(matches!(parse_text("alias/a", forms), Ok(KeyRef::Alias(_))));
            assert!(matches!(parse_text("arn:aws:kms:eu-west-1:111122223333:alias/a", forms), Ok(KeyRef::AliasArn(_))));
        }
    }

    #[test]
    fn what_is_no_reference() {
        let not_found = |text| Err(format!("NotFoundException: Invalid keyId '{text}'"));
        assert_eq!(parse_text("x", Forms::Cryptographic), not_found("x"));
        assert_eq!(parse_text("alias/a", Forms::Management), not_found("alias/a"));
        for no_name in ["alias/", "alias/a b", "alias/a:b"] {
            assert_eq!(parse_text(no_name, Forms::Cryptographic), not_found(no_name));
        }
        assert_eq!(parse_text("arn:aws:kms:eu-west-1:111122223333:key/x", Forms::Describe), not_found("x"));
        let alias = "arn:aws:kms:eu-west-1:111122223333:alias/a";
        assert_eq!(parse_text(alias, Forms::Management), Err(format!("InvalidArnException: Invalid arn {alias}")));
        for bad in ["arn:", "arn:aws:s3:::b", "arn:aws:kms:dc1:111122223333:key/x", "arn:aws:kms:eu-west-1:1:key/x", "arn:aws:kms:key/x"] {
            assert_eq!(parse_text(bad, Forms::Describe), Err(format!("InvalidArnException: Invalid arn {bad}")));
            assert_eq!(parse_text(bad, Forms::Cryptographic), Err(format!("NotFoundException: Invalid arn {bad}")));
            assert_eq!(parse_text(bad, Forms::AliasTarget), Err(format!("NotFoundException: Invalid arn {bad}")));
        }
    }
}
