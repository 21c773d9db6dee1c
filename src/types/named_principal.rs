//! Principals as policies and grants name them: by ARN, or an account by its number (rules page, sections 9 and 10).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AccountId, ParseError, Partition, Principal};

/// IAM's limit for the names of users, roles and sessions.
const NAME_BYTES_MAX: usize = 64;

/// A principal that a policy or grant names. Unlike a [`Principal`], which is who asks, it may be a whole account or a role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum NamedPrincipal {
    /// `arn:aws:iam::<account>:root`: the account's root, and a delegation to the account's own policies.
    Account(AccountId),
    /// `arn:aws:iam::<account>:user/<name>`.
    User {
        /// Its account.
        account: AccountId,
        /// Its name.
        name: String,
    },
    /// `arn:aws:iam::<account>:role/<name>`: every session of the role.
    Role {
        /// Its account.
        account: AccountId,
        /// Its name.
        name: String,
    },
    /// `arn:aws:sts::<account>:assumed-role/<role>/<session>`: one session of a role.
    AssumedRole {
        /// Its account.
        account: AccountId,
        /// The role's name.
        role: String,
        /// The session's name.
        session: String,
    },
}

impl NamedPrincipal {
    /// Parses an ARN of the deployment's partition, or twelve digits.
    ///
    /// # Errors
    /// When the text names no account, user, role or session of a role in this partition.
    pub fn parse(text: &str, partition: &Partition) -> Result<Self, ParseError> {
        const SHAPE: ParseError =
            ParseError::new("principal", "must be the ARN of an account's root, a user, a role or a session of a role");
        if let Ok(account) = text.parse() {
            return Ok(Self::Account(account));
        }
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().ok_or(SHAPE);
        if next()? != "arn" || next()? != partition.as_str() {
            return Err(SHAPE);
        }
        let (service, region, account, resource) = (next()?, next()?, next()?.parse()?, next()?);
        if !region.is_empty() {
            return Err(SHAPE);
        }
        let segments: Vec<&str> = resource.split('/').collect();
        let named = |name: &str| if is_name(name) { Ok(name.to_owned()) } else { Err(SHAPE) };
        match (service, segments.as_slice()) {
            ("iam", ["root"]) => Ok(Self::Account(account)),
            ("iam", ["user", name]) => Ok(Self::User { account, name: named(name)? }),
            ("iam", ["role", name]) => Ok(Self::Role { account, name: named(name)? }),
            ("sts", ["assumed-role", role, session]) => Ok(Self::AssumedRole { account, role: named(role)?, session: named(session)? }),
            _ => Err(SHAPE),
        }
    }

    /// The account that it is, or belongs to.
    pub const fn account(&self) -> AccountId {
        match self {
            Self::Account(account) | Self::User { account, .. } | Self::Role { account, .. } | Self::AssumedRole { account, .. } => {
                *account
            }
        }
    }

    /// Its ARN.
    pub fn arn(&self, partition: &Partition) -> String {
        match self {
            Self::Account(account) => format!("arn:{partition}:iam::{account}:root"),
            Self::User { account, name } => format!("arn:{partition}:iam::{account}:user/{name}"),
            Self::Role { account, name } => format!("arn:{partition}:iam::{account}:role/{name}"),
            Self::AssumedRole { account, role, session } => format!("arn:{partition}:sts::{account}:assumed-role/{role}/{session}"),
        }
    }

    /// Whether `principal` is the one that is named: of an account its root alone, of a role every session.
    pub fn is(&self, principal: &Principal) -> bool {
        match (self, principal) {
            (Self::Account(named), Principal::Root { account }) => named == account,
            (Self::User { account, name }, Principal::User { account: of, name: is }) => account == of && name == is,
            (Self::Role { account, name }, Principal::AssumedRole { account: of, role, .. }) => account == of && name == role,
            (Self::AssumedRole { account, role, session }, Principal::AssumedRole { account: of, role: is, session: running }) => {
                account == of && role == is && session == running
            }
            _ => false,
        }
    }

    /// Every name that means `principal`: its own, that of its role if it is a session, and its account's.
    pub fn of(principal: &Principal) -> Vec<Self> {
        match principal {
            Principal::Root { account } => vec![Self::Account(*account)],
            Principal::User { account, name } => vec![Self::User { account: *account, name: name.clone() }, Self::Account(*account)],
            Principal::AssumedRole { account, role, session } => vec![
                Self::AssumedRole { account: *account, role: role.clone(), session: session.clone() },
                Self::Role { account: *account, name: role.clone() },
                Self::Account(*account),
            ],
        }
    }
}

/// Without a partition, for logs and rows: what stands behind it in the ARN.
impl fmt::Display for NamedPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(account) => write!(f, "{account}:root"),
            Self::User { account, name } => write!(f, "{account}:user/{name}"),
            Self::Role { account, name } => write!(f, "{account}:role/{name}"),
            Self::AssumedRole { account, role, session } => write!(f, "{account}:assumed-role/{role}/{session}"),
        }
    }
}

/// IAM's characters of names: letters, digits and `+=,.@_-`.
fn is_name(text: &str) -> bool {
    let shaped = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b));
    shaped && (1..=NAME_BYTES_MAX).contains(&text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_parses_and_comes_back() {
        let partition = Partition::default();
        for arn in [
            "arn:aws:iam::111122223333:root",
            "arn:aws:iam::111122223333:user/alice",
            "arn:aws:iam::111122223333:role/app",
            "arn:aws:sts::111122223333:assumed-role/app/one",
        ] {
            assert_eq!(NamedPrincipal::parse(arn, &partition).unwrap().arn(&partition), arn);
        }
        let account = NamedPrincipal::parse("111122223333", &partition).unwrap();
        assert_eq!(account.arn(&partition), "arn:aws:iam::111122223333:root");
        for bad in [
            "",
            "*",
            "1111",
            "arn:aws:iam::111122223333:group/staff",
            "arn:aws:iam::111122223333:user/",
            "arn:aws:iam::111122223333:user/a/b",
            "arn:aws:iam::111122223333:user/a b",
            "arn:aws:iam::111122223333:user/*",
            "arn:aws:iam:eu-west-1:111122223333:user/a",
            "arn:aws-cn:iam::111122223333:user/a",
            "arn:aws:sts::111122223333:assumed-role/app",
            "arn:aws:sts::111122223333:user/alice",
        ] {
            assert!(NamedPrincipal::parse(bad, &partition).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_principal_is_each_of_its_names_but_no_account_is_its_users() {
        let account = "111122223333".parse().unwrap();
        let session = Principal::AssumedRole { account, role: "app".into(), session: "one".into() };
        let names = NamedPrincipal::of(&session);
        assert_eq!(names.len(), 3);
        assert!(names[0].is(&session) && names[1].is(&session) && !names[2].is(&session));
        assert!(names[2].is(&Principal::Root { account }));
    }
}
