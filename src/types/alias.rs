//! Alias names: what a request may give an alias, and the row under which it is stored and cached.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::ALIAS_NAME_BYTES_MAX;
use crate::{AccountId, ParseError};

/// An alias's name with its `alias/` prefix: 7 to 256 bytes, ASCII letters, digits, `/`, `_` and `-` (rules page, section 12).
/// Names are case-sensitive and unique in an account and region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AliasName(Box<str>);

impl AliasName {
    /// What every name begins with.
    pub const PREFIX: &str = "alias/";

    /// The name with its prefix.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether AWS keeps the name for itself: `alias/aws/…`.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with("alias/aws/")
    }
}

impl FromStr for AliasName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const BAD: ParseError =
            ParseError::new("alias name", "must be alias/ and 1 to 250 letters, digits, slashes, underscores and hyphens");
        let name = text.strip_prefix(Self::PREFIX).ok_or(BAD)?;
        let shaped = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-'));
        if name.is_empty() || text.len() > ALIAS_NAME_BYTES_MAX || !shaped {
            return Err(BAD);
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for AliasName {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<AliasName> for String {
    fn from(name: AliasName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An alias of an account, in the region that is spoken of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasId {
    /// The owner.
    pub account: AccountId,
    /// The name.
    pub name: AliasName,
}

/// An alias as a table row: the account's 8 bytes, then the name. Built without allocating, for the cache's sake.
#[derive(Clone, Copy, Debug)]
pub struct AliasRow {
    bytes: [u8; Self::ACCOUNT_BYTES + ALIAS_NAME_BYTES_MAX],
    length: usize,
}

impl AliasRow {
    const ACCOUNT_BYTES: usize = 8;

    /// The row of this alias.
    pub fn new(account: AccountId, name: &AliasName) -> Self {
        let (mut bytes, length) = ([0; Self::ACCOUNT_BYTES + ALIAS_NAME_BYTES_MAX], Self::ACCOUNT_BYTES + name.0.len());
        bytes[..Self::ACCOUNT_BYTES].copy_from_slice(&account.to_be_bytes());
        bytes[Self::ACCOUNT_BYTES..length].copy_from_slice(name.0.as_bytes());
        Self { bytes, length }
    }

    /// The row of this alias.
    pub fn of(alias: &AliasId) -> Self {
        Self::new(alias.account, &alias.name)
    }

    /// The row.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_name() {
        let longest = format!("alias/{}", "a".repeat(250));
        for good in ["alias/a", "alias/a/b_C-9", "alias/aws", "alias/aws/s3", "alias//", &longest] {
            assert_eq!(good.parse::<AliasName>().unwrap().as_str(), good);
        }
        for bad in ["", "alias", "alias/", "Alias/a", "a", "alias/a:b", "alias/a b", "alias/\u{e9}", "alias/a\0", &format!("{longest}a")] {
            assert!(bad.parse::<AliasName>().is_err(), "{bad}");
            assert!(AliasName::try_from(bad.to_owned()).is_err(), "{bad}");
        }
        let reserved = |name: &str| name.parse::<AliasName>().unwrap().is_reserved();
        assert!(reserved("alias/aws/s3") && reserved("alias/aws/"));
        assert!(!reserved("alias/aws") && !reserved("alias/awsome/s3") && !reserved("alias/AWS/s3"));
    }

    #[test]
    fn a_row_is_the_account_and_the_name() {
        let name: AliasName = format!("alias/{}", "z".repeat(250)).parse().unwrap();
        let row = AliasRow::new("000000000258".parse().unwrap(), &name);
        assert_eq!(row.as_bytes(), [&[0, 0, 0, 0, 0, 0, 1, 2], name.as_str().as_bytes()].concat());
        let short = AliasRow::new("000000000258".parse().unwrap(), &"alias/a".parse().unwrap());
        assert_eq!(short.as_bytes(), b"\0\0\0\0\0\0\x01\x02alias/a");
    }
}
