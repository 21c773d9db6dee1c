//! From the text of an AliasName member to a name, with AWS's answers to what is none (rules page, sections 1 and 12).

use claviger_types::AliasName;

use crate::ApiError;
use crate::decode::Text;

/// Parses a name that the model's constraint has accepted. The constraint also lets colons pass.
pub(crate) fn parse(Text(text): &Text<'_>) -> Result<AliasName, ApiError> {
    match text.strip_prefix(AliasName::PREFIX) {
        Some("") => Err(ApiError::validation("Alias must have a name after the prefix \"alias/\".")),
        Some(_) => text.parse().map_err(|_| ApiError::validation(format!("{text} contains invalid characters for an alias"))),
        None => Err(ApiError::validation(
            "Alias must start with the prefix \"alias/\". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_what_is_none() {
        let of = |text: &'static str| parse(&Text(text.into())).map_err(|error| error.to_string());
        assert_eq!(of("alias/a/B_9-").unwrap().as_str(), "alias/a/B_9-");
        let error = |text| of(text).unwrap_err();
        for text in ["a", "Alias/a", "key/alias/a", "arn:aws:kms:eu-west-1:111122223333:alias/a"] {
            assert!(error(text).starts_with("ValidationException: Alias must start with the prefix \"alias/\". Please see http"), "{text}");
        }
        assert_eq!(error("alias/a:b"), "ValidationException: alias/a:b contains invalid characters for an alias");
        assert_eq!(error("alias/"), "ValidationException: Alias must have a name after the prefix \"alias/\".");
    }
}
