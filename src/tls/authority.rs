//! The CAs that a listener trusts, and which of them vouches for a chain.
//!
//! Every CA is a trust store of its own. A chain ends at the first of them that it meets: certificates that a client
//! presents and that have the key of a trusted CA are left out before verifying, so that a CA below another one does not
//! speak with the rights of that other. Where a chain still verifies under two CAs, since a certificate in between is signed
//! by both, the first in the configuration's order counts. No two of them may share a key or a name: the key would make who
//! vouches a matter of order alone, and by the name one could revoke the other's certificates.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{CertificateError, DistinguishedName};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::TlsError;
use crate::binding::ClientCa;
use crate::files::read_anchors;
use crate::provider::provider;

type Bytes = Box<[u8]>;

/// One CA (or bundle) with its own trust store.
#[derive(Debug)]
pub(crate) struct Authority {
    pub(crate) ca: ClientCa,
    certificates: Vec<CertificateDer<'static>>,
    chain: Arc<dyn ClientCertVerifier>,
}

/// All CAs of one listener, in the configuration's order.
#[derive(Debug)]
pub(crate) struct Authorities {
    all: Vec<Authority>,
    /// Public keys of the CAs, each with the place of its CA.
    keys: HashMap<Bytes, usize>,
    hints: Vec<DistinguishedName>,
}

impl Authorities {
    pub(crate) fn read(cas: &[ClientCa]) -> Result<Self, TlsError> {
        let all: Vec<Authority> = cas.iter().map(Authority::read).collect::<Result<_, _>>()?;
        let (mut keys, mut names) = (HashMap::new(), HashMap::new());
        for (place, authority) in all.iter().enumerate() {
            let path = &authority.ca.file;
            for certificate in &authority.certificates {
                let Some((name, key)) = name_and_key(certificate) else { return Err(unusable(path)) };
                let first = [(&mut keys, key), (&mut names, name)].map(|(of, what)| *of.entry(what).or_insert(place));
                if let Some(other) = first.into_iter().find(|first| *first != place) {
                    return Err(TlsError::SharedCa { first: all[other].ca.file.clone(), second: path.clone() });
                }
            }
        }
        let hints = all.iter().flat_map(|authority| authority.chain.root_hint_subjects()).cloned().collect();
        Ok(Self { all, keys, hints })
    }

    /// The CA that vouches for a chain.
    ///
    /// # Errors
    /// When none does: what the first said that knows the chain's issuer, or that its issuer is unknown.
    pub(crate) fn of(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<&Authority, rustls::Error> {
        let own = |der: &CertificateDer<'_>| name_and_key(der).is_some_and(|(_, key)| self.keys.contains_key(&key));
        let between: Vec<_> = intermediates.iter().filter(|der| !own(der)).cloned().collect();
        let unknown = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let mut refusal = None;
        for authority in &self.all {
            match authority.chain.verify_client_cert(leaf, &between, now) {
                Ok(_) => return Ok(authority),
                Err(error) if error != unknown => refusal = refusal.or(Some(error)),
                Err(_) => {}
            }
        }
        Err(refusal.unwrap_or(unknown))
    }

    /// The subjects that clients are told, to choose a certificate by.
    pub(crate) fn hints(&self) -> &[DistinguishedName] {
        &self.hints
    }

    /// The certificates of all CAs.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.all.iter().flat_map(|authority| &authority.certificates)
    }

    /// Whether both are the same CAs and may say the same.
    pub(crate) fn same(&self, other: &Self) -> bool {
        let facts = |authority: &Authority| (authority.ca.clone(), authority.certificates.clone());
        self.all.iter().map(facts).eq(other.all.iter().map(facts))
    }
}

impl Authority {
    fn read(ca: &ClientCa) -> Result<Self, TlsError> {
        let anchors = read_anchors(&ca.file)?;
        let chain = WebPkiClientVerifier::builder_with_provider(anchors.roots, provider()).build().map_err(|_| TlsError::NotPem {
            what: "CA certificate",
            path: ca.file.clone(),
            expected: "at least one CA certificate",
        })?;
        Ok(Self { ca: ca.clone(), certificates: anchors.certificates, chain })
    }
}

/// The subject, DER, and the bits of the public key of a certificate, whatever algorithm it is said to be for.
fn name_and_key(der: &[u8]) -> Option<(Bytes, Bytes)> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    Some((certificate.subject().as_raw().into(), certificate.public_key().subject_public_key.data.as_ref().into()))
}

fn unusable(path: &Path) -> TlsError {
    let source = rustls::Error::InvalidCertificate(CertificateError::BadEncoding);
    TlsError::Unusable { what: "CA certificate", path: path.to_owned(), source }
}
