//! What the model has and Claviger does not: refused by name, never ignored.

use crate::{ApiError, ErrorCode};

/// A member that is not supported at all.
pub(crate) fn refuse<T>(name: &str, value: Option<&T>) -> Result<(), ApiError> {
    match value {
        None => Ok(()),
        Some(_) => Err(ApiError::new(ErrorCode::UnsupportedOperation, format!("{name} is not supported: there are no custom key stores."))),
    }
}

/// Operations of the model that Claviger does not do.
const OPERATIONS: &[(&str, &str)] = &[
    ("ConnectCustomKeyStore", NO_STORES),
    ("CreateCustomKeyStore", NO_STORES),
    ("DeleteCustomKeyStore", NO_STORES),
    ("DescribeCustomKeyStores", NO_STORES),
    ("DisconnectCustomKeyStore", NO_STORES),
    ("UpdateCustomKeyStore", NO_STORES),
    ("UpdatePrimaryRegion", "The primary of a multi-Region key cannot be moved yet."),
];
const NO_STORES: &str = "There are no custom key stores: the region keeps all key material itself.";

/// The answer to an operation that the model has and Claviger does not do; `None` for any other name.
pub fn unsupported_operation(name: &str) -> Option<ApiError> {
    let (_, why) = OPERATIONS.iter().find(|(operation, _)| *operation == name)?;
    Some(ApiError::new(ErrorCode::UnsupportedOperation, *why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Operation;

    #[test]
    fn nothing_is_both_supported_and_not() {
        for (name, _) in OPERATIONS {
            assert!(Operation::from_name(name).is_none(), "{name}");
            assert_eq!(unsupported_operation(name).unwrap().code, ErrorCode::UnsupportedOperation);
        }
        assert_eq!(unsupported_operation("Encrypt"), None);
    }

    #[test]
    fn the_page_of_the_api_says_what_is_done() {
        let page = include_str!("../../docs/api.md");
        let mut rows = std::collections::BTreeMap::new();
        for line in page.lines().filter(|line| line.starts_with("| ")) {
            let cells: Vec<_> = line.trim_matches('|').split('|').map(str::trim).collect();
            if let [operation, done @ ("yes" | "no"), _] = cells[..] {
                assert_eq!(rows.insert(operation, done == "yes"), None, "{operation} has two rows");
            }
        }
        assert_eq!(rows.len(), Operation::ALL.len() + OPERATIONS.len());
        assert!(Operation::ALL.iter().all(|operation| rows[operation.as_str()]));
        assert!(OPERATIONS.iter().all(|(operation, _)| !rows[operation]));
    }
}
