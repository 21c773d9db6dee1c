//! Region names in the form of AWS's RegionType.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::ParseError;
use crate::limits::REGION_BYTES_MAX;

/// A region's name, matching `^([a-z]+-){2,3}\d+$` and at most 32 bytes (AWS RegionType), e.g. `eu-west-1`, `on-prem-berlin-1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Region(Arc<str>);

impl Region {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Region {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const SHAPE: ParseError = ParseError::new("region", "must look like eu-west-1: two or three lower-case words and a number");
        if text.is_empty() || text.len() > REGION_BYTES_MAX {
            return Err(ParseError::new("region", "must be 1 to 32 characters"));
        }
        let mut words: Vec<&str> = text.split('-').collect();
        let number = words.pop().unwrap_or_default();
        let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        let lower = words.iter().all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase()));
        if !digits || !lower || !(2..=3).contains(&words.len()) {
            return Err(SHAPE);
        }
        Ok(Self(Arc::from(text)))
    }
}

impl TryFrom<String> for Region {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<Region> for String {
    fn from(region: Region) -> Self {
        region.0.as_ref().to_owned()
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_the_aws_pattern() {
        for good in ["eu-west-1", "dc-north-2", "on-prem-berlin-1", "us-gov-west-12"] {
            assert_eq!(good.parse::<Region>().unwrap().as_str(), good);
        }
        for bad in ["", "dc1", "eu-west", "eu-1", "a-b-c-d-1", "EU-west-1", "eu--west-1", "eu-west-1a", "-eu-west-1"] {
            assert!(bad.parse::<Region>().is_err(), "{bad}");
        }
        assert!(format!("{}-b-1", "a".repeat(40)).parse::<Region>().is_err());
    }
}
