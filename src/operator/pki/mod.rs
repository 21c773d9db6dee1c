//! A deployment's private CAs and the certificates they sign.
//!
//! Two CAs that never vouch for each other: `api-ca` signs what clients meet (servers' names, principals, operators),
//! `peer-ca` signs nodes. All keys are ECDSA P-256, written with mode 0600. Nothing is ever overwritten but a revocation list
//! by the next: what is there and fits is kept and reported, what is there and differs is an error. State lives in the
//! directory alone.

mod authority;
mod crl;
mod issue;
mod store;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use claviger_types::TrustDomain;
use serde::Serialize;
use time::OffsetDateTime;

pub use crl::{CRL_DAYS, Ca, Reason, Revoke, WrittenCrl, crls_to_json, renew_crls, revoke};
pub use issue::{issue_client, issue_node, issue_operator};

use crate::PkiError;
use authority::{API_CA, Authority, PEER_CA};

/// Days that a CA is valid unless the operator says otherwise.
pub const CA_DAYS: u32 = 3650;
/// Days that any other certificate is valid unless the operator says otherwise.
pub const LEAF_DAYS: u32 = 365;

const TRUST_DOMAIN: &str = "trust-domain";
/// Certificates begin a little in the past, since no two machines' clocks agree.
const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// The first moment.
    pub not_before: OffsetDateTime,
    /// The last moment.
    pub not_after: OffsetDateTime,
}

impl Validity {
    /// From now, less some minutes for skewed clocks, for a number of days.
    pub fn days(days: u32) -> Self {
        let now = OffsetDateTime::now_utc();
        let whole = |moment: OffsetDateTime| moment.replace_nanosecond(0).unwrap_or(moment);
        Self { not_before: whole(now - CLOCK_SKEW), not_after: whole(now + time::Duration::days(days.into())) }
    }
}

/// Which files a command made, and which were there already and were left alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Made now.
    pub created: Vec<PathBuf>,
    /// There already.
    pub kept: Vec<PathBuf>,
}

impl Changes {
    /// As JSON for `--json`.
    pub fn to_json(&self) -> String {
        crate::render::json(self)
    }

    fn note(&mut self, path: PathBuf, created: bool) {
        if created { &mut self.created } else { &mut self.kept }.push(path);
    }
}

impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let created = self.created.iter().map(|path| ("created", path));
        let kept = self.kept.iter().map(|path| ("kept   ", path));
        created.chain(kept).try_for_each(|(what, path)| writeln!(f, "{what}  {}", path.display()))?;
        if self.created.is_empty() { f.write_str("Nothing was changed.\n") } else { Ok(()) }
    }
}

/// Makes the two CAs of a deployment in `dir`: `api-ca.pem`, `api-ca.key`, `peer-ca.pem`, `peer-ca.key`, `trust-domain`.
/// A run that was interrupted is completed by the next.
///
/// # Errors
/// When the directory holds the PKI of another trust domain, a certificate without its key, or cannot be written.
pub fn init(dir: &Path, domain: &TrustDomain, validity: Validity) -> Result<Changes, PkiError> {
    store::create_private_dir(dir)?;
    let mut changes = Changes::default();
    let record = dir.join(TRUST_DOMAIN);
    let made = store::create(&record, format!("{domain}\n").as_bytes(), store::Access::Everybody)?;
    if !made && read_trust_domain(dir)? != *domain {
        let found = read_trust_domain(dir)?.to_string();
        return Err(PkiError::OtherTrustDomain { dir: dir.to_owned(), found, wanted: domain.to_string() });
    }
    changes.note(record, made);
    for name in [API_CA, PEER_CA] {
        Authority::create(dir, name, domain, validity, &mut changes)?;
    }
    Ok(changes)
}

/// The trust domain of the PKI in `dir`.
///
/// # Errors
/// When there is no PKI, or the record is damaged.
pub fn read_trust_domain(dir: &Path) -> Result<TrustDomain, PkiError> {
    let path = dir.join(TRUST_DOMAIN);
    let text = store::read(&path)?.ok_or_else(|| PkiError::NotInitialised { dir: dir.to_owned(), missing: TRUST_DOMAIN })?;
    text.trim_end().parse().map_err(|_| PkiError::Unusable { path, what: "trust domain" })
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_crl;
