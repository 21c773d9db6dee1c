//! What a client CA may say: of which accounts, whether of operators and carriers, and who its certificates without an
//! identity are.
//!
//! Pure data over a certificate that is verified already. Which CA verified it is `authority`'s matter.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use claviger_types::{AccountId, Identity, Principal, TrustDomain};
use x509_parser::prelude::{GeneralName, X509Certificate};

use crate::distinguished_name::DistinguishedName;
use crate::error::BindingError;
use crate::identity::{IdentityError, certificate_identity, parse};

/// A CA of clients, or several that are one to their owner (an old one and its successor), and what it may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCa {
    /// Their certificates, PEM.
    pub file: PathBuf,
    /// What they may say.
    pub binding: Binding,
}

/// Which accounts a CA speaks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accounts {
    /// All of them.
    All,
    /// These alone.
    Only(BTreeSet<AccountId>),
}

impl Accounts {
    fn contains(&self, account: AccountId) -> bool {
        match self {
            Self::All => true,
            Self::Only(accounts) => accounts.contains(&account),
        }
    }
}

/// What a client CA may say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    accounts: Accounts,
    operators: bool,
    carriers: bool,
    mappings: BTreeMap<Holder, Principal>,
}

/// Whose certificate a mapping is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder(Kind);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Subject(DistinguishedName),
    Dns(String),
}

impl Holder {
    /// By the whole subject, as RFC 4514 writes it: `CN=backup,O=Example`.
    ///
    /// # Errors
    /// When the text is no such name.
    pub fn by_subject(text: &str) -> Result<Self, BindingError> {
        DistinguishedName::parse(text).map(|name| Self(Kind::Subject(name))).map_err(BindingError::Subject)
    }

    /// By one DNS name among the certificate's SANs: `backup.example`.
    ///
    /// # Errors
    /// When the text is no DNS name in lower case. Wildcards name nobody.
    pub fn by_dns(text: &str) -> Result<Self, BindingError> {
        let is_label = |label: &str| {
            let shaped = label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
            shaped && (1..=63).contains(&label.len())
        };
        if text.len() > 253 || !text.split('.').all(is_label) {
            return Err(BindingError::Dns);
        }
        Ok(Self(Kind::Dns(text.to_owned())))
    }
}

impl Binding {
    /// Everything that the listener admits: for a deployment's one CA.
    pub const fn everything() -> Self {
        Self { accounts: Accounts::All, operators: true, carriers: true, mappings: BTreeMap::new() }
    }

    /// Principals of these accounts, and operators and carriers or not.
    ///
    /// # Errors
    /// [`BindingError::Nothing`].
    pub fn new(accounts: Accounts, operators: bool, carriers: bool) -> Result<Self, BindingError> {
        if !operators && !carriers && accounts == Accounts::Only(BTreeSet::new()) {
            return Err(BindingError::Nothing);
        }
        Ok(Self { accounts, operators, carriers, mappings: BTreeMap::new() })
    }

    /// Takes the CA's certificates of this holder, if they have no URI SAN, to be this principal's.
    ///
    /// # Errors
    /// When the CA does not speak for the principal's account, or the holder is somebody already.
    pub fn map(&mut self, holder: Holder, principal: Principal) -> Result<(), BindingError> {
        if !self.accounts.contains(principal.account()) {
            return Err(BindingError::Account(principal.account()));
        }
        match self.mappings.insert(holder, principal) {
            Some(_) => Err(BindingError::MappedTwice),
            None => Ok(()),
        }
    }

    /// Who the holder of a certificate of this CA is: by its one URI SAN, and only without any by the mappings. Does not ask
    /// whether the CA may say so.
    pub(crate) fn identity(&self, der: &[u8], domain: &TrustDomain) -> Result<Identity, IdentityError> {
        match certificate_identity(der, domain) {
            Err(IdentityError::NoUri) if !self.mappings.is_empty() => self.mapped(&parse(der)?).map(Identity::Principal),
            outcome => outcome,
        }
    }

    fn mapped(&self, certificate: &X509Certificate<'_>) -> Result<Principal, IdentityError> {
        let names = certificate.subject_alternative_name().map_err(|_| IdentityError::Malformed)?;
        let names = names.map_or(&[][..], |names| names.value.general_names.as_slice());
        let dns = names.iter().filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(Kind::Dns(name.to_ascii_lowercase())),
            _ => None,
        });
        let subject = DistinguishedName::of(certificate.subject()).map(Kind::Subject);
        // A name that stands twice in the certificate is one name.
        let holders: BTreeSet<Holder> = dns.chain(subject).map(Holder).collect();
        let mut found = holders.iter().filter_map(|holder| self.mappings.get(holder));
        let principal = found.next().ok_or(IdentityError::NotMapped)?;
        match found.next() {
            Some(_) => Err(IdentityError::SeveralMappings),
            None => Ok(principal.clone()),
        }
    }

    /// Whether the CA may say of somebody that this is who it is.
    pub(crate) fn may_say(&self, identity: &Identity) -> bool {
        match identity {
            Identity::Principal(principal) => self.accounts.contains(principal.account()),
            Identity::Operator { .. } => self.operators,
            Identity::Carrier { .. } => self.carriers,
            // The api listener has refused it by now; the CAs of the peer listener have no binding.
            Identity::Node { .. } => true,
        }
    }
}
