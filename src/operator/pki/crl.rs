//! The revocation lists of the two CAs, `api-crl.pem` and `peer-crl.pem` beside them.
//!
//! A list is its own record: the next one has all of its entries and a greater number. Nothing is ever taken off it. A list
//! that is lost begins again at number 1, which no region takes in place of a later one: restore it from a copy.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use claviger_types::limits::CRL_BYTES_MAX;
use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevocationReason, RevokedCertParams, SerialNumber};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::authority::{API_CA, Authority, Name, PEER_CA, parse_pem, unusable};
use super::store::{self, Access};
use crate::PkiError;

/// Days until the next list is due unless the operator says otherwise.
pub const CRL_DAYS: u32 = 30;

/// One of the two CAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ca {
    /// Of clients, operators and api listeners.
    Api,
    /// Of nodes.
    Peer,
}

impl Ca {
    const fn name(self) -> Name {
        match self {
            Self::Api => API_CA,
            Self::Peer => PEER_CA,
        }
    }
}

impl FromStr for Ca {
    type Err = PkiError;

    fn from_str(text: &str) -> Result<Self, PkiError> {
        match text {
            "api" => Ok(Self::Api),
            "peer" => Ok(Self::Peer),
            _ => Err(PkiError::Invalid("the CA is api or peer".to_owned())),
        }
    }
}

/// Why a certificate is revoked (RFC 5280 section 5.3.1), of those reasons that end it for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reason(Option<RevocationReason>);

const REASONS: [(&str, Option<RevocationReason>); 6] = [
    ("unspecified", None),
    ("key-compromise", Some(RevocationReason::KeyCompromise)),
    ("affiliation-changed", Some(RevocationReason::AffiliationChanged)),
    ("superseded", Some(RevocationReason::Superseded)),
    ("cessation-of-operation", Some(RevocationReason::CessationOfOperation)),
    ("privilege-withdrawn", Some(RevocationReason::PrivilegeWithdrawn)),
];

impl FromStr for Reason {
    type Err = PkiError;

    fn from_str(text: &str) -> Result<Self, PkiError> {
        let found = REASONS.iter().find(|(name, _)| *name == text);
        let names = || PkiError::Invalid(format!("the reason is one of {}", REASONS.map(|(name, _)| name).join(", ")));
        found.map(|(_, reason)| Self(*reason)).ok_or_else(names)
    }
}

/// Which certificate is to be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Revoke {
    /// The one in this file, of whichever CA signed it.
    Certificate(PathBuf),
    /// The one of this CA with this serial number, hexadecimal, with or without colons.
    Serial(Ca, String),
}

/// A list as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WrittenCrl {
    /// Its file.
    pub path: PathBuf,
    /// The serial number that was to be on it, hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Its number.
    pub number: String,
    /// How many certificates it revokes.
    pub revoked: usize,
    /// When the next one is due.
    pub next_update: String,
    /// False when the certificate was on it already.
    pub changed: bool,
}

/// Lists as JSON for `--json`.
pub fn crls_to_json(written: &[WrittenCrl]) -> String {
    crate::render::json(&written)
}

impl fmt::Display for WrittenCrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, serial, number, revoked, next_update, changed } = self;
        match serial {
            Some(serial) if *changed => writeln!(f, "revoked  certificate {serial}")?,
            Some(serial) => writeln!(f, "Certificate {serial} is on the list already. Nothing was changed.")?,
            None => {}
        }
        let what = if *changed { "wrote  " } else { "kept   " };
        writeln!(f, "{what}  {}: number {number}, {revoked} revoked, next due {next_update}", path.display())?;
        writeln!(f, "Revocations take effect in a region once it has the list: claviger crl publish {}", path.display())
    }
}

/// Puts a certificate on its CA's list. One that is on it stays as it is.
///
/// # Errors
/// When there is no PKI in `dir`, the certificate is none of its own or a CA's, or a file cannot be used.
pub fn revoke(dir: &Path, what: &Revoke, reason: Reason, days: u32) -> Result<WrittenCrl, PkiError> {
    let (name, serial) = match what {
        Revoke::Certificate(path) => serial_in(dir, path)?,
        Revoke::Serial(ca, text) => (ca.name(), parse_serial(text)?),
    };
    List::locked(dir, name)?.add(serial, reason, days)
}

/// Makes a new list of each CA with the entries of the one before, so that the next is due later.
///
/// # Errors
/// As [`revoke`].
pub fn renew_crls(dir: &Path, days: u32) -> Result<Vec<WrittenCrl>, PkiError> {
    [API_CA, PEER_CA].into_iter().map(|name| List::locked(dir, name)?.write(None, days)).collect()
}

/// The CA that signed the certificate in a file, and its serial number.
fn serial_in(dir: &Path, path: &Path) -> Result<(Name, Vec<u8>), PkiError> {
    let missing = || PkiError::Invalid(format!("{} does not exist", path.display()));
    let pem = store::read(path)?.ok_or_else(missing)?;
    let parsed = parse_pem(&pem, path)?;
    let certificate = parsed.parse_x509().map_err(|_| unusable(path))?;
    if certificate.is_ca() {
        let text = format!("{} is a CA's: give the nodes a CA file without it, and they honour nothing that it signed", path.display());
        return Err(PkiError::Invalid(text));
    }
    for name in [API_CA, PEER_CA] {
        if Authority::load(dir, name)?.subject == certificate.issuer().as_raw() {
            return Ok((name, certificate.raw_serial().to_vec()));
        }
    }
    Err(PkiError::Invalid(format!("{} was signed by neither CA of {}", path.display(), dir.display())))
}

fn parse_serial(text: &str) -> Result<Vec<u8>, PkiError> {
    let invalid = || PkiError::Invalid(format!("{text:?} is not a serial number: 1 to 20 bytes, hexadecimal"));
    let digits: String = text.chars().filter(|c| *c != ':').collect();
    let padded = if digits.len().is_multiple_of(2) { digits } else { format!("0{digits}") };
    let bytes = hex::decode(padded).map_err(|_| invalid())?;
    if significant(&bytes).is_empty() || significant(&bytes).len() > 20 { Err(invalid()) } else { Ok(bytes) }
}

/// Without leading zeros, which say nothing.
fn significant(serial: &[u8]) -> &[u8] {
    &serial[serial.iter().take_while(|byte| **byte == 0).count()..]
}

/// A CA's list in the making. Nobody else changes it meanwhile.
struct List {
    path: PathBuf,
    ca: Authority,
    held: Vec<RevokedCertParams>,
    /// Of the list that is there, big-endian.
    number: Vec<u8>,
    next_update: Option<OffsetDateTime>,
    _lock: File,
}

impl List {
    fn locked(dir: &Path, name: Name) -> Result<Self, PkiError> {
        let ca = Authority::load(dir, name)?;
        let lock = store::lock(&dir.join(name.certificate))?;
        let path = dir.join(name.crl);
        let mut list = Self { path, ca, held: Vec::new(), number: Vec::new(), next_update: None, _lock: lock };
        list.read()?;
        Ok(list)
    }

    fn read(&mut self) -> Result<(), PkiError> {
        let Some(pem) = store::read(&self.path)? else { return Ok(()) };
        let unusable = || PkiError::Unusable { path: self.path.clone(), what: "revocation list" };
        let pem = parse_pem(&pem, &self.path).map_err(|_| unusable())?;
        let (_, list) = CertificateRevocationList::from_der(&pem.contents).map_err(|_| unusable())?;
        if list.issuer().as_raw() != self.ca.subject {
            return Err(PkiError::Different { path: self.path.clone(), difference: "it is another CA's revocation list" });
        }
        self.number = list.crl_number().ok_or_else(unusable)?.to_bytes_be();
        self.next_update = list.next_update().map(|at| at.to_datetime());
        let entries = list.iter_revoked_certificates().map(|entry| RevokedCertParams {
            serial_number: SerialNumber::from(entry.raw_serial().to_vec()),
            revocation_time: entry.revocation_date.to_datetime(),
            reason_code: entry
                .reason_code()
                .and_then(|(_, code)| REASONS.iter().filter_map(|(_, reason)| *reason).find(|reason| *reason as u8 == code.0)),
            invalidity_date: None,
        });
        self.held = entries.collect();
        Ok(())
    }

    fn add(mut self, serial: Vec<u8>, reason: Reason, days: u32) -> Result<WrittenCrl, PkiError> {
        let text = hex::encode(significant(&serial));
        if self.held.iter().any(|held| significant(held.serial_number.as_ref()) == significant(&serial)) {
            let next_update = self.next_update.unwrap_or(OffsetDateTime::UNIX_EPOCH);
            return Ok(self.written(Some(text), &self.number, next_update, false));
        }
        self.held.push(RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: whole_seconds(OffsetDateTime::now_utc()),
            reason_code: reason.0,
            invalidity_date: None,
        });
        self.write(Some(text), days)
    }

    /// Signs what is held under the next number, and puts it in the place of the list before.
    fn write(mut self, serial: Option<String>, days: u32) -> Result<WrittenCrl, PkiError> {
        let now = whole_seconds(OffsetDateTime::now_utc());
        let (number, next_update) = (next(&self.number), now + time::Duration::days(days.max(1).into()));
        let params = CertificateRevocationListParams {
            this_update: now,
            next_update,
            crl_number: SerialNumber::from(number.clone()),
            issuing_distribution_point: None,
            revoked_certs: std::mem::take(&mut self.held),
            key_identifier_method: KeyIdMethod::PreSpecified(self.ca.key_id.clone()),
        };
        let signed = params.signed_by(&self.ca.issuer).map_err(PkiError::Issue)?;
        self.held = params.revoked_certs;
        if signed.der().len() > CRL_BYTES_MAX {
            let text = format!(
                "{} would be larger than {CRL_BYTES_MAX} bytes, which no region takes: begin anew with new CAs",
                self.path.display()
            );
            return Err(PkiError::Invalid(text));
        }
        store::replace(&self.path, signed.pem().map_err(PkiError::Issue)?.as_bytes(), Access::Everybody)?;
        Ok(self.written(serial, &number, next_update, true))
    }

    fn written(&self, serial: Option<String>, number: &[u8], next_update: OffsetDateTime, changed: bool) -> WrittenCrl {
        WrittenCrl {
            path: self.path.clone(),
            serial,
            number: x509_parser::num_bigint::BigUint::from_bytes_be(number).to_string(),
            revoked: self.held.len(),
            next_update: next_update.format(&Rfc3339).unwrap_or_default(),
            changed,
        }
    }
}

/// The number after this one, big-endian.
fn next(number: &[u8]) -> Vec<u8> {
    let mut next = number.to_vec();
    for byte in next.iter_mut().rev() {
        *byte = byte.wrapping_add(1);
        if *byte != 0 {
            return next;
        }
    }
    next.insert(0, 1);
    next
}

fn whole_seconds(moment: OffsetDateTime) -> OffsetDateTime {
    moment.replace_nanosecond(0).unwrap_or(moment)
}
