//! The certificates that the two CAs sign: nodes, clients, operators.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use claviger_types::{Identity, NodeId, Region, TrustDomain};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType, SerialNumber};
use x509_parser::extensions::GeneralName;

use super::authority::{API_CA, Authority, PEER_CA, parse_pem, random_serial, subject, unusable};
use super::store::{self, Access};
use super::{Changes, Validity, read_trust_domain};
use crate::PkiError;

/// Names or addresses that one node's certificates may list.
const SANS_MAX: usize = 32;

/// Makes what one node needs, in `out_dir`: `api.pem` and `api.key` (how clients know it), `peer.pem` and `peer.key` (how
/// nodes know it), and copies of both CA certificates. `sans` are the DNS names and IP addresses that it is called by.
///
/// # Errors
/// When there is no PKI in `dir`, a name is malformed, or a file is there and is something else.
pub fn issue_node(
    dir: &Path,
    out_dir: &Path,
    region: &Region,
    id: NodeId,
    sans: &[String],
    validity: Validity,
) -> Result<Changes, PkiError> {
    if id == 0 {
        return Err(PkiError::Invalid("node ids begin at 1".to_owned()));
    }
    if sans.is_empty() || sans.len() > SANS_MAX {
        return Err(PkiError::Invalid(format!("a node needs 1 to {SANS_MAX} DNS names or IP addresses that it is called by")));
    }
    let addresses = sans.iter().map(|san| parse_address(san)).collect::<Result<Vec<_>, _>>()?;
    let domain = read_trust_domain(dir)?;
    let (api_ca, peer_ca) = (Authority::load(dir, API_CA)?, Authority::load(dir, PEER_CA)?);
    let identity = Identity::Node { region: region.clone(), id };

    store::create_private_dir(out_dir)?;
    let mut changes = Changes::default();
    for (name, ca) in [(API_CA.certificate, &api_ca), (PEER_CA.certificate, &peer_ca)] {
        copy(&out_dir.join(name), &ca.pem, &mut changes)?;
    }
    let title = format!("node {id} of {region}");
    let api = Leaf { title: title.clone(), sans: addresses.clone(), purposes: vec![ExtendedKeyUsagePurpose::ServerAuth] };
    api.issue(&api_ca, &domain, validity, &out_dir.join("api"), &mut changes)?;
    let sans = [uri(&identity, &domain)?].into_iter().chain(addresses).collect();
    let peer = Leaf { title, sans, purposes: vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::ServerAuth] };
    peer.issue(&peer_ca, &domain, validity, &out_dir.join("peer"), &mut changes)?;
    Ok(changes)
}

/// Makes a client's certificate and key, `<out>.pem` and `<out>.key`. `who` is the path of its SPIFFE id: of a principal
/// (`111122223333/root`, `111122223333/user/alice`, `111122223333/role/name/session`) or of a carrier (`carrier/name`).
///
/// # Errors
/// When there is no PKI in `dir`, `who` is neither, or a file is there and is something else.
pub fn issue_client(dir: &Path, out: &Path, who: &str, validity: Validity) -> Result<Changes, PkiError> {
    let domain = read_trust_domain(dir)?;
    match Identity::from_spiffe(&format!("spiffe://{domain}/{who}"), &domain) {
        Ok(identity @ (Identity::Principal(_) | Identity::Carrier { .. })) => issue_identity(dir, out, &identity, validity),
        Ok(_) => Err(PkiError::Invalid(format!("{who:?} is neither a principal nor a carrier"))),
        Err(e) => {
            Err(PkiError::Invalid(format!("{who:?} ({e}); expected like 111122223333/root, 111122223333/user/alice or carrier/name")))
        }
    }
}

/// Makes an operator's certificate and key: `<out>.pem` and `<out>.key`.
///
/// # Errors
/// When there is no PKI in `dir`, the name cannot stand in a SPIFFE id, or a file is there and is something else.
pub fn issue_operator(dir: &Path, out: &Path, name: &str, validity: Validity) -> Result<Changes, PkiError> {
    issue_identity(dir, out, &Identity::Operator { name: name.to_owned() }, validity)
}

fn issue_identity(dir: &Path, out: &Path, identity: &Identity, validity: Validity) -> Result<Changes, PkiError> {
    let domain = read_trust_domain(dir)?;
    let ca = Authority::load(dir, API_CA)?;
    let spiffe = identity.to_spiffe(&domain);
    let title = spiffe.rsplit_once("://").map_or(spiffe.as_str(), |(_, path)| path).to_owned();
    let leaf = Leaf { title, sans: vec![uri(identity, &domain)?], purposes: vec![ExtendedKeyUsagePurpose::ClientAuth] };
    if let Some(parent) = out.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        store::create_private_dir(parent)?;
    }
    let mut changes = Changes::default();
    leaf.issue(&ca, &domain, validity, out, &mut changes)?;
    Ok(changes)
}

/// A certificate to be made.
struct Leaf {
    title: String,
    sans: Vec<SanType>,
    purposes: Vec<ExtendedKeyUsagePurpose>,
}

impl Leaf {
    /// Writes `<stem>.key`, then `<stem>.pem`; completes a pair whose certificate was not written.
    fn issue(self, ca: &Authority, domain: &TrustDomain, validity: Validity, stem: &Path, changes: &mut Changes) -> Result<(), PkiError> {
        let (certificate, key) = (with_suffix(stem, ".pem"), with_suffix(stem, ".key"));
        if let Some(found) = store::read(&certificate)? {
            self.check_existing(&found, &certificate, ca)?;
            let Some(_) = store::read_key(&key)? else {
                return Err(PkiError::Different { path: certificate, difference: "its private key is missing" });
            };
            changes.note(key, false);
            changes.note(certificate, false);
            return Ok(());
        }
        let (pair, created) = store::read_or_create_key(&key)?;
        changes.note(key, created);
        let mut params = CertificateParams::default();
        params.distinguished_name = subject(domain, &self.title);
        params.subject_alt_names = self.sans;
        params.serial_number = Some(SerialNumber::from(random_serial()?));
        (params.not_before, params.not_after) = (validity.not_before, validity.not_after);
        // CA:FALSE is written out, with the key identifiers beside it: what strict verifiers (Python's) ask for.
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = self.purposes;
        let pem = params.signed_by(&pair, &ca.issuer).map_err(PkiError::Issue)?.pem();
        let created = store::create(&certificate, pem.as_bytes(), Access::Everybody)?;
        changes.note(certificate, created);
        Ok(())
    }

    /// A certificate that is there is kept only if it is the one that would be made.
    fn check_existing(&self, pem: &str, path: &Path, ca: &Authority) -> Result<(), PkiError> {
        let different = |difference| PkiError::Different { path: path.to_owned(), difference };
        let parsed = parse_pem(pem, path)?;
        let x509 = parsed.parse_x509().map_err(|_| unusable(path))?;
        if x509.issuer().as_raw() != ca.subject {
            return Err(different("another CA signed it"));
        }
        let names = x509.subject_alternative_name().map_err(|_| unusable(path))?;
        let found: BTreeSet<_> = names.iter().flat_map(|san| &san.value.general_names).map(found_text).collect();
        let wanted: BTreeSet<_> = self.sans.iter().map(wanted_text).collect();
        if found != wanted {
            return Err(different("it is of another identity or other names"));
        }
        Ok(())
    }
}

fn wanted_text(san: &SanType) -> String {
    match san {
        SanType::URI(uri) => format!("uri:{}", uri.as_str()),
        SanType::DnsName(name) => format!("dns:{}", name.as_str()),
        SanType::IpAddress(address) => format!("ip:{address}"),
        other => format!("{other:?}"),
    }
}

fn found_text(name: &GeneralName<'_>) -> String {
    match name {
        GeneralName::URI(uri) => format!("uri:{uri}"),
        GeneralName::DNSName(name) => format!("dns:{name}"),
        GeneralName::IPAddress(bytes) => match (<[u8; 4]>::try_from(*bytes), <[u8; 16]>::try_from(*bytes)) {
            (Ok(v4), _) => format!("ip:{}", IpAddr::from(v4)),
            (_, Ok(v6)) => format!("ip:{}", IpAddr::from(v6)),
            _ => format!("{name:?}"),
        },
        other => format!("{other:?}"),
    }
}

/// Checked by parsing it back: what cannot be parsed by a node must not be issued.
fn uri(identity: &Identity, domain: &TrustDomain) -> Result<SanType, PkiError> {
    let uri = identity.to_spiffe(domain);
    match Identity::from_spiffe(&uri, domain) {
        Ok(parsed) if parsed == *identity => {}
        Ok(_) => return Err(PkiError::Invalid(format!("{uri} would be read as another identity"))),
        Err(e) => return Err(PkiError::Invalid(format!("{uri}: {e}"))),
    }
    Ok(SanType::URI(uri.try_into().map_err(PkiError::Issue)?))
}

fn parse_address(text: &str) -> Result<SanType, PkiError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if text.len() > 253 || !text.split('.').all(label) {
        return Err(PkiError::Invalid(format!("{text:?} is neither a DNS name nor an IP address")));
    }
    Ok(SanType::DnsName(text.to_ascii_lowercase().try_into().map_err(PkiError::Issue)?))
}

fn copy(path: &Path, pem: &str, changes: &mut Changes) -> Result<(), PkiError> {
    let created = store::create(path, pem.as_bytes(), Access::Everybody)?;
    if !created && store::read(path)?.as_deref().map(String::as_str) != Some(pem) {
        return Err(PkiError::Different { path: path.to_owned(), difference: "it is another CA's certificate" });
    }
    changes.note(path.to_owned(), created);
    Ok(())
}

/// Appends to the name, also when that has a dot: `with_extension` would cut `alice.b`.
fn with_suffix(stem: &Path, suffix: &str) -> PathBuf {
    let mut path = stem.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}
