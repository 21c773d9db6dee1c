//! From a verified certificate to who its holder is.
//!
//! The one URI SAN is the identity; other kinds of SAN (DNS, IP) are addresses and say nothing about who. A certificate
//! with two URIs is refused: two readers could disagree on which of them counts.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use claviger_types::{Clock, Identity, ParseError, RevocationFlag, SystemClock, Timestamp, TrustDomain};
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

/// How late it may be noticed that the system's clock was set: timers do not follow it.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// Why a certificate names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It is not X.509, or has a repeated SAN extension, or a malformed one, were it in one name.
    #[error("the certificate does not parse")]
    Malformed,
    /// No URI SAN.
    #[error("the certificate has no URI SAN")]
    NoUri,
    /// More than one URI SAN.
    #[error("the certificate has more than one URI SAN")]
    SeveralUris,
    /// The URI is no identity of this trust domain.
    #[error("the certificate's URI SAN is no identity of this deployment")]
    Spiffe(#[source] ParseError),
    /// No URI SAN, and none of its CA's mappings is about it.
    #[error("the certificate has no URI SAN, and no mapping of its CA applies")]
    NotMapped,
    /// No URI SAN, and more than one of its CA's mappings is about it.
    #[error("the certificate has no URI SAN, and more than one mapping of its CA applies")]
    SeveralMappings,
    /// Its CA may not say so.
    #[error("the certificate is of {found}, which its CA ({}) may not say: see the CA's accounts in the configuration", ca.display())]
    NotBound {
        /// Who it would be (a SPIFFE id).
        found: String,
        /// The file of the CA.
        ca: PathBuf,
    },
    /// What it says was one thing when the handshake ended, and another a moment later.
    #[error("who the certificate is of has changed during the handshake")]
    Changed,
    /// It is somebody, but nobody that this side of the connection admits.
    #[error("the certificate is of {found}, which is not admitted here")]
    NotAdmitted {
        /// The kind of identity found ("a node", "an operator").
        found: &'static str,
    },
}

/// The identity in the one URI SAN of a certificate. Does not verify the certificate: that was the handshake's work.
///
/// # Errors
/// When the certificate does not parse, has no or several URI SANs, or the URI is no identity of this trust domain.
pub fn certificate_identity(der: &[u8], domain: &TrustDomain) -> Result<Identity, IdentityError> {
    let certificate = parse(der)?;
    // Fails on a repeated extension, which would hide a second URI.
    let names = certificate.subject_alternative_name().map_err(|_| IdentityError::Malformed)?.ok_or(IdentityError::NoUri)?;
    let names = &names.value.general_names;
    // It may be a URI, which would be passed over: the first, and a mapping would apply, or a second.
    if names.iter().any(|name| matches!(name, GeneralName::Invalid(..))) {
        return Err(IdentityError::Malformed);
    }
    let mut uris = names.iter().filter_map(|name| match name {
        GeneralName::URI(uri) => Some(*uri),
        _ => None,
    });
    let uri = uris.next().ok_or(IdentityError::NoUri)?;
    if uris.next().is_some() {
        return Err(IdentityError::SeveralUris);
    }
    Identity::from_spiffe(uri, domain).map_err(IdentityError::Spiffe)
}

pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, IdentityError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) | Err(_) => Err(IdentityError::Malformed),
    }
}

/// What kind of identity this is, in words for messages.
pub(crate) const fn kind(identity: &Identity) -> &'static str {
    match identity {
        Identity::Principal(_) => "a principal",
        Identity::Carrier { .. } => "a carrier",
        Identity::Operator { .. } => "an operator",
        Identity::Node { .. } => "a node",
    }
}

/// SHA-256 of a leaf certificate's DER; shown as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER.
    pub fn of(der: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der).as_ref());
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is kept of a leaf certificate for as long as its connection lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Of the whole certificate.
    pub fingerprint: Fingerprint,
    /// The end of its validity: a whole second, and the last one in which it is good (RFC 5280 section 4.1.2.5).
    pub not_after: Timestamp,
}

impl Certificate {
    /// Of a certificate in DER.
    ///
    /// # Errors
    /// When it does not parse.
    pub fn of(der: &[u8]) -> Result<Self, IdentityError> {
        let seconds = parse(der)?.validity().not_after.timestamp();
        // A certificate that ended before 1970 ended in 1970.
        let not_after = Timestamp::from_millis(u64::try_from(seconds).unwrap_or(0).saturating_mul(1000));
        Ok(Self { fingerprint: Fingerprint::of(der), not_after })
    }

    /// How long it is still good by the system's clock; none once it has expired.
    pub(crate) fn time_left(&self) -> Option<Duration> {
        let end = self.not_after.plus(Duration::from_secs(1));
        Some(end.since(SystemClock.now())).filter(|left| !left.is_zero())
    }

    /// Waits until it has expired.
    pub(crate) async fn expired(&self) {
        while let Some(left) = self.time_left() {
            tokio::time::sleep(left.min(CLOCK_CHECK)).await;
        }
    }
}

/// Who is at the other end of a connection: an extension of every request that the accept loop serves. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Peer(Arc<PeerFacts>);

/// The contents of a [`Peer`].
#[derive(Clone, Debug)]
pub struct PeerFacts {
    /// Who the certificate says it is, or who the listener takes it for (a Unix socket).
    pub identity: Identity,
    /// Where it connected from; none on a Unix socket.
    pub address: Option<SocketAddr>,
    /// Its leaf certificate; none where there is no TLS.
    pub certificate: Option<Certificate>,
    /// Set once that certificate is not honoured any more. A request that began before asks again, after the read gate.
    pub revoked: RevocationFlag,
}

impl Peer {
    /// Puts the facts together, for a connection whose certificate, if it has one, is honoured for ever.
    pub fn new(identity: Identity, address: Option<SocketAddr>, certificate: Option<Certificate>) -> Self {
        Self::with_flag(identity, address, certificate, RevocationFlag::default())
    }

    /// Puts the facts together.
    pub fn with_flag(identity: Identity, address: Option<SocketAddr>, certificate: Option<Certificate>, revoked: RevocationFlag) -> Self {
        Self(Arc::new(PeerFacts { identity, address, certificate, revoked }))
    }
}

impl Deref for Peer {
    type Target = PeerFacts;

    fn deref(&self) -> &PeerFacts {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use rcgen::KeyPair;

    use super::*;
    use crate::testing::{DOMAIN, RawName, leaf_der, params, raw_sans};

    fn identify(sans: &[&str]) -> Result<Identity, IdentityError> {
        certificate_identity(&leaf_der(sans), &DOMAIN.parse().unwrap())
    }

    #[test]
    fn exactly_one_uri_of_this_domain() {
        assert_eq!(
            identify(&["uri:spiffe://test.example/operator/ops", "dns:localhost"]),
            Ok(Identity::Operator { name: "ops".to_owned() })
        );
        assert_eq!(identify(&["dns:localhost"]), Err(IdentityError::NoUri));
        assert_eq!(identify(&[]), Err(IdentityError::NoUri));
        assert_eq!(
            identify(&["uri:spiffe://test.example/operator/a", "uri:spiffe://test.example/operator/a"]),
            Err(IdentityError::SeveralUris)
        );
        // A second URI counts whatever its scheme.
        assert_eq!(identify(&["uri:spiffe://test.example/operator/a", "uri:https://x.example/"]), Err(IdentityError::SeveralUris));
        assert!(matches!(identify(&["uri:spiffe://other.example/operator/a"]), Err(IdentityError::Spiffe(_))));
        assert!(matches!(identify(&["uri:spiffe://test.example/nobody"]), Err(IdentityError::Spiffe(_))));
    }

    #[test]
    fn a_name_that_does_not_parse_is_neither_passed_over_nor_no_name() {
        let good: RawName<'_> = (0x86, b"spiffe://test.example/operator/a");
        let identify = |names: &[RawName<'_>]| {
            let mut params = params(&[]);
            params.custom_extensions = vec![raw_sans(names)];
            let leaf = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            certificate_identity(leaf.der(), &DOMAIN.parse().unwrap())
        };
        assert_eq!(identify(&[good]), Ok(Identity::Operator { name: "a".to_owned() }));
        // A URI and a DNS name that are not UTF-8, and a kind of name that there is not.
        for bad in [(0x86, &b"spiffe://\xff"[..]), (0x82, b"\xff"), (0x89, b"a")] {
            for names in [&[bad][..], &[good, bad], &[bad, good]] {
                assert_eq!(identify(names), Err(IdentityError::Malformed), "{names:?}");
            }
        }
    }

    #[test]
    fn bytes_that_are_no_certificate_are_refused() {
        let domain: TrustDomain = DOMAIN.parse().unwrap();
        let mut der = leaf_der(&["uri:spiffe://test.example/operator/a"]);
        for length in 0..der.len() {
            assert!(certificate_identity(&der[..length], &domain).is_err(), "{length}");
        }
        der.push(0);
        assert_eq!(certificate_identity(&der, &domain), Err(IdentityError::Malformed));
    }
}
