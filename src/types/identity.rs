//! Who a certificate says somebody is: SPIFFE URIs, strictly parsed (DESIGN.md section 7).

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{AccountId, NodeId, ParseError, Partition, Region};

/// A SPIFFE trust domain: lower-case letters, digits, dots, hyphens and underscores, at most 255 bytes (SPIFFE-ID, section 2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TrustDomain(Arc<str>);

impl TrustDomain {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TrustDomain {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let shaped = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_'));
        if text.is_empty() || text.len() > 255 || !shaped {
            return Err(ParseError::new("trust domain", "must be 1 to 255 lower-case letters, digits, dots, hyphens and underscores"));
        }
        Ok(Self(Arc::from(text)))
    }
}

impl TryFrom<String> for TrustDomain {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        text.parse()
    }
}

impl From<TrustDomain> for String {
    fn from(domain: TrustDomain) -> Self {
        domain.0.as_ref().to_owned()
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A principal of the API, always of one account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Principal {
    /// The account's root.
    Root {
        /// Its account.
        account: AccountId,
    },
    /// An IAM user.
    User {
        /// Its account.
        account: AccountId,
        /// Its name.
        name: String,
    },
    /// A session of an IAM role.
    AssumedRole {
        /// Its account.
        account: AccountId,
        /// The role's name.
        role: String,
        /// The session's name.
        session: String,
    },
}

impl Principal {
    /// The account that it belongs to.
    pub const fn account(&self) -> AccountId {
        match self {
            Self::Root { account } | Self::User { account, .. } | Self::AssumedRole { account, .. } => *account,
        }
    }

    /// Its ARN: `arn:aws:iam::<account>:root`, `:user/<name>`, `arn:aws:sts::<account>:assumed-role/<role>/<session>`.
    pub fn arn(&self, partition: &Partition) -> String {
        match self {
            Self::Root { account } => format!("arn:{partition}:iam::{account}:root"),
            Self::User { account, name } => format!("arn:{partition}:iam::{account}:user/{name}"),
            Self::AssumedRole { account, role, session } => format!("arn:{partition}:sts::{account}:assumed-role/{role}/{session}"),
        }
    }
}

/// What a certificate's one SPIFFE URI says its holder is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// `/<account>/root`, `/<account>/user/<name>`, `/<account>/role/<name>/<session>`.
    Principal(Principal),
    /// `/carrier/<name>`: no rights of its own.
    Carrier {
        /// Its name.
        name: String,
    },
    /// `/operator/<name>`: the admin API and nothing else.
    Operator {
        /// Its name.
        name: String,
    },
    /// `/region/<region>/node/<id>`: the peer listener and nothing else.
    Node {
        /// The node's region.
        region: Region,
        /// The node's id in its region; not 0.
        id: NodeId,
    },
}

impl Identity {
    /// Parses a SPIFFE URI of the given trust domain.
    ///
    /// # Errors
    /// When the URI is not a SPIFFE id, is of another trust domain, or its path is none of the four forms.
    pub fn from_spiffe(uri: &str, domain: &TrustDomain) -> Result<Self, ParseError> {
        let rest = uri.strip_prefix("spiffe://").ok_or(ParseError::new("SPIFFE id", "must start with spiffe://"))?;
        let (found, path) = rest.split_once('/').ok_or(ParseError::new("SPIFFE id", "has no path"))?;
        if found != domain.as_str() {
            return Err(ParseError::new("SPIFFE id", "is of another trust domain"));
        }
        let segments: Vec<&str> = path.split('/').collect();
        if !segments.iter().all(|segment| is_segment(segment)) {
            return Err(ParseError::new(
                "SPIFFE id",
                "has an empty, relative or overlong path segment, or a character that SPIFFE does not allow",
            ));
        }
        match segments.as_slice() {
            ["carrier", name] => Ok(Self::Carrier { name: (*name).to_owned() }),
            ["operator", name] => Ok(Self::Operator { name: (*name).to_owned() }),
            ["region", region, "node", id] => Ok(Self::Node { region: region.parse()?, id: parse_node_id(id)? }),
            [account, "root"] => Ok(Self::Principal(Principal::Root { account: account.parse()? })),
            [account, "user", name] => Ok(Self::Principal(Principal::User { account: account.parse()?, name: (*name).to_owned() })),
            [account, "role", role, session] => Ok(Self::Principal(Principal::AssumedRole {
                account: account.parse()?,
                role: (*role).to_owned(),
                session: (*session).to_owned(),
            })),
            _ => Err(ParseError::new("SPIFFE id", "names no principal, carrier, operator or node")),
        }
    }

    /// The inverse of [`Identity::from_spiffe`].
    pub fn to_spiffe(&self, domain: &TrustDomain) -> String {
        match self {
            Self::Principal(Principal::Root { account }) => format!("spiffe://{domain}/{account}/root"),
            Self::Principal(Principal::User { account, name }) => format!("spiffe://{domain}/{account}/user/{name}"),
            Self::Principal(Principal::AssumedRole { account, role, session }) => {
                format!("spiffe://{domain}/{account}/role/{role}/{session}")
            }
            Self::Carrier { name } => format!("spiffe://{domain}/carrier/{name}"),
            Self::Operator { name } => format!("spiffe://{domain}/operator/{name}"),
            Self::Node { region, id } => format!("spiffe://{domain}/region/{region}/node/{id}"),
        }
    }
}

/// SPIFFE-ID, section 2.2: letters, digits, dots, hyphens and underscores; never empty, `.` or `..`. IAM names have at most 64 characters.
fn is_segment(segment: &str) -> bool {
    let shaped = segment.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    shaped && (1..=64).contains(&segment.len()) && segment != "." && segment != ".."
}

fn parse_node_id(text: &str) -> Result<NodeId, ParseError> {
    const BAD: ParseError = ParseError::new("node id", "must be a number from 1 without leading zeros");
    if text.starts_with(['0', '+']) {
        return Err(BAD);
    }
    text.parse().map_err(|_| BAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_round_trips() {
        let domain: TrustDomain = "kms.example".parse().unwrap();
        for path in [
            "111122223333/root",
            "111122223333/user/alice",
            "111122223333/role/r/s",
            "carrier/agent-1",
            "operator/ops",
            "region/eu-west-1/node/3",
        ] {
            let uri = format!("spiffe://kms.example/{path}");
            assert_eq!(Identity::from_spiffe(&uri, &domain).unwrap().to_spiffe(&domain), uri);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let domain: TrustDomain = "kms.example".parse().unwrap();
        for bad in [
            "https://kms.example/111122223333/root",
            "spiffe://other.example/111122223333/root",
            "spiffe://kms.example",
            "spiffe://kms.example/",
            "spiffe://kms.example/111122223333/root/",
            "spiffe://kms.example/111122223333//root",
            "spiffe://kms.example/111122223333/user/../root",
            "spiffe://kms.example/111122223333/user/%61lice",
            "spiffe://kms.example/111122223333/user/a?b",
            "spiffe://kms.example/11112222333/root",
            "spiffe://kms.example/region/eu-west-1/node/0",
            "spiffe://kms.example/region/eu-west-1/node/01",
            "spiffe://KMS.example/111122223333/root",
        ] {
            assert!(Identity::from_spiffe(bad, &domain).is_err(), "{bad}");
        }
    }
}
