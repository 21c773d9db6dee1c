//! ARNs and the four forms in which a request may name a key.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::KEY_REF_BYTES_MAX;
use crate::{AccountId, AliasName, KeyId, ParseError, Region};

/// The partition of every ARN of a deployment; `aws` unless configured otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Partition(Arc<str>);

impl Partition {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Partition {
    fn default() -> Self {
        Self(Arc::from("aws"))
    }
}

impl FromStr for Partition {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let shaped = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if text.is_empty() || text.len() > 32 || !shaped {
            return Err(ParseError::new("partition", "must be 1 to 32 lower-case letters, digits and hyphens"));
        }
        Ok(Self(Arc::from(text)))
    }
}

impl TryFrom<String> for Partition {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Partition> for String {
    fn from(partition: Partition) -> Self {
        partition.0.as_ref().to_owned()
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `arn:<partition>:kms:<region>:<account>:key/<key id>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct KeyArn {
    /// The deployment's partition.
    pub partition: Partition,
    /// The region that holds this key, or this replica of it.
    pub region: Region,
    /// The owner.
    pub account: AccountId,
    /// The key.
    pub key_id: KeyId,
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:kms:{}:{}:key/{}", self.partition, self.region, self.account, self.key_id)
    }
}

/// `arn:<partition>:kms:<region>:<account>:alias/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AliasArn {
    /// The deployment's partition.
    pub partition: Partition,
    /// The region that holds the alias.
    pub region: Region,
    /// The owner.
    pub account: AccountId,
    /// The name with its `alias/` prefix.
    pub name: AliasName,
}

impl fmt::Display for AliasArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{}:kms:{}:{}:{}", self.partition, self.region, self.account, self.name)
    }
}

/// How a request names a key: by id, ARN, alias or alias ARN.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KeyRef {
    /// A bare key id.
    Id(KeyId),
    /// A key ARN.
    Arn(KeyArn),
    /// A bare alias with its `alias/` prefix.
    Alias(AliasName),
    /// An alias ARN.
    AliasArn(AliasArn),
}

impl FromStr for KeyRef {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const SHAPE: ParseError = ParseError::new("key ARN", "must be arn:<partition>:kms:<region>:<account>:key/<id>");
        if text.is_empty() || text.len() > KEY_REF_BYTES_MAX {
            return Err(ParseError::new("key reference", "must be 1 to 2048 characters"));
        }
        if text.starts_with(AliasName::PREFIX) {
            return text.parse().map(Self::Alias);
        }
        let Some(arn) = text.strip_prefix("arn:") else {
            return text.parse().map(Self::Id);
        };
        let mut parts = arn.splitn(5, ':');
        let mut next = || parts.next().ok_or(SHAPE);
        let partition: Partition = next()?.parse()?;
        if next()? != "kms" {
            return Err(SHAPE);
        }
        let region: Region = next()?.parse()?;
        let account: AccountId = next()?.parse()?;
        let resource = next()?;
        if resource.starts_with(AliasName::PREFIX) {
            return Ok(Self::AliasArn(AliasArn { partition, region, account, name: resource.parse()? }));
        }
        let key_id = resource.strip_prefix("key/").ok_or(SHAPE)?.parse()?;
        Ok(Self::Arn(KeyArn { partition, region, account, key_id }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_four_forms_parse() {
        let arn = "arn:aws:kms:eu-west-1:111122223333:key/mrk-000102030405060708090a0b0c0d0e0f";
        let KeyRef::Arn(parsed) = arn.parse().unwrap() else { panic!("not an ARN") };
        assert_eq!(parsed.to_string(), arn);
        assert!(matches!("mrk-000102030405060708090a0b0c0d0e0f".parse(), Ok(KeyRef::Id(_))));
        assert!(matches!("alias/x".parse(), Ok(KeyRef::Alias(_))));
        let alias_arn = "arn:aws:kms:eu-west-1:111122223333:alias/x/y";
        let KeyRef::AliasArn(parsed) = alias_arn.parse().unwrap() else { panic!("not an alias ARN") };
        assert_eq!((parsed.to_string().as_str(), parsed.name.as_str()), (alias_arn, "alias/x/y"));
        for bad in ["alias/", "alias/a b", "arn:aws:kms:eu-west-1:111122223333:alias/", "arn:aws:kms:eu-west-1:111122223333:alias/a:b"] {
            assert!(bad.parse::<KeyRef>().is_err(), "{bad}");
        }
        for bad in ["", "x", "arn:", "arn:aws:s3:eu-west-1:111122223333:key/x", "arn:aws:kms:eu-west-1:1:key/x", "arn:aws:kms"] {
            assert!(bad.parse::<KeyRef>().is_err(), "{bad}");
        }
    }
}
