//! The principals of a statement, and how closely they name a caller.

use claviger_types::{NamedPrincipal, Partition, Principal};

use crate::PolicyError;
use crate::error::Place;
use crate::json::Json;

/// How closely a policy or a grant names the caller, loosest first. What AWS's boundaries and sessions limit follows from it
/// (IAM User Guide, "Policy evaluation for requests within a single account").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Closeness {
    /// By the account: the account's own policies decide.
    Account,
    /// As one of everybody: enough, within the permissions boundary and the session policy.
    Everybody,
    /// By the role of a session: enough, within the same.
    Role,
    /// By name (a user, a session, the root): enough, and neither boundary nor session policy limits it.
    Direct,
}

/// How closely `named` names the caller.
pub(crate) fn closeness(named: &NamedPrincipal, caller: &Principal) -> Option<Closeness> {
    match named {
        NamedPrincipal::Role { .. } if named.is(caller) => Some(Closeness::Role),
        _ if named.is(caller) => Some(Closeness::Direct),
        NamedPrincipal::Account(account) if *account == caller.account() => Some(Closeness::Account),
        _ => None,
    }
}

/// A principal that a key policy names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyPrincipal<'a> {
    /// One that must exist when the policy is set.
    Named(&'a NamedPrincipal),
    /// The unique id that AWS leaves of a deleted user or role (`AIDA…`, `AROA…`). Nobody has it.
    Deleted(&'a str),
}

/// `Principal` or `NotPrincipal`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Principals {
    /// Whether it is a NotPrincipal.
    pub(crate) inverted: bool,
    anyone: bool,
    named: Box<[NamedPrincipal]>,
    deleted: Box<[Box<str>]>,
}

impl Principals {
    pub(crate) fn parse(json: Json, inverted: bool, partition: &Partition, place: &Place) -> Result<Self, PolicyError> {
        let mut anyone = false;
        let mut named = Vec::new();
        let mut deleted = Vec::new();
        let members = match json {
            Json::Text(text) if text == "*" => return Ok(Self { inverted, anyone: true, ..Self::default() }),
            Json::Object(members) if !members.0.is_empty() => members,
            _ => return Err(place.refuse("must be \"*\" or an object that names principals")),
        };
        for (kind, value) in members.0 {
            let place = place.at(&kind);
            let texts = value.into_texts(&place)?;
            match kind.as_str() {
                // Nobody who calls is a service or of another identity provider.
                "Service" | "Federated" | "CanonicalUser" => continue,
                "AWS" => {}
                _ => return Err(place.refuse("must be AWS, Service, Federated or CanonicalUser")),
            }
            for text in texts {
                match NamedPrincipal::parse(&text, partition) {
                    _ if text == "*" => anyone = true,
                    Ok(principal) => named.push(principal),
                    Err(_) if is_unique_id(&text) => deleted.push(text.into()),
                    Err(_) => return Err(PolicyError::Principal { place, principal: text }),
                }
            }
        }
        Ok(Self { inverted, anyone, named: named.into(), deleted: deleted.into() })
    }

    /// How closely a statement with these principals is about the caller; none if it is not.
    ///
    /// NotPrincipal errs towards less: an Allow leaves out everybody of an account that it lists; a Deny spares of an account that it
    /// lists alone the root; and, as AWS has it, nobody whose account it does not list too, no session unless it lists both the session
    /// and its role, and nobody behind a permissions boundary.
    pub(crate) fn closeness(&self, caller: &Principal, denies: bool, bounded: bool) -> Option<Closeness> {
        let closest = self.named.iter().filter_map(|named| closeness(named, caller)).max();
        let closest = closest.max(self.anyone.then_some(Closeness::Everybody));
        if !self.inverted {
            return closest;
        }
        let spared = if denies { !bounded && self.spares(caller) } else { closest.is_some() };
        // Everybody else is who it is about, and nobody of them by name.
        (!spared).then_some(Closeness::Everybody)
    }

    /// Whether a Deny with this NotPrincipal is not about the caller.
    fn spares(&self, caller: &Principal) -> bool {
        self.anyone || NamedPrincipal::of(caller).iter().all(|name| self.named.contains(name))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = PolicyPrincipal<'_>> {
        self.named.iter().map(PolicyPrincipal::Named).chain(self.deleted.iter().map(|id| PolicyPrincipal::Deleted(id)))
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let names = |named: &NamedPrincipal| match named {
            NamedPrincipal::Account(_) => 0,
            NamedPrincipal::User { name, .. } | NamedPrincipal::Role { name, .. } => name.len(),
            NamedPrincipal::AssumedRole { role, session, .. } => role.len() + session.len(),
        };
        let deleted = size_of_val(&*self.deleted) + self.deleted.iter().map(|id| id.len()).sum::<usize>();
        size_of_val(&*self.named) + self.named.iter().map(names).sum::<usize>() + deleted
    }
}

/// IAM's unique ids of users and roles.
fn is_unique_id(text: &str) -> bool {
    let shaped = text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    shaped && (16..=128).contains(&text.len()) && (text.starts_with("AIDA") || text.starts_with("AROA"))
}
