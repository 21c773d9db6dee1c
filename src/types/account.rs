//! Account ids: twelve decimal digits that own keys and identities.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ParseError;

/// An account: exactly twelve decimal digits (AWS `AWSAccountIdType`), kept as a number so that copying is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct AccountId(u64);

impl AccountId {
    /// Big-endian bytes: the account's part of a table row, sorting as the digits do.
    pub const fn to_be_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }
}

impl TryFrom<u64> for AccountId {
    type Error = ParseError;

    fn try_from(number: u64) -> Result<Self, ParseError> {
        if number > 999_999_999_999 {
            return Err(ParseError::new("account id", "more than 12 digits"));
        }
        Ok(Self(number))
    }
}

impl From<AccountId> for u64 {
    fn from(account: AccountId) -> Self {
        account.0
    }
}

impl FromStr for AccountId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.len() != 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(ParseError::new("account id", "must be exactly 12 digits"));
        }
        text.parse().map(Self).map_err(|_| ParseError::new("account id", "must be exactly 12 digits"))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_digits_and_nothing_else() {
        assert_eq!("000000000001".parse::<AccountId>().unwrap().to_string(), "000000000001");
        for bad in ["", "1", "11112222333", "1111222233334", "11112222333a", "+11122223333"] {
            assert!(bad.parse::<AccountId>().is_err(), "{bad}");
        }
    }
}
