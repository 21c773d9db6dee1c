//! Certificates that a handshake has verified, and revocation lists that an operator publishes.

use claviger_tls::{Certificate, Crl, Fingerprint, RevokedCertificates, certificate_identity};
use claviger_types::TrustDomain;

/// A leaf certificate, DER. Its identity is one that a SPIFFE id can say.
pub fn certificate(input: &[u8]) -> bool {
    let domain: TrustDomain = "test.example".parse().expect("a trust domain");
    if let Ok(certificate) = Certificate::of(input) {
        assert_eq!(certificate.fingerprint, Fingerprint::of(input));
    }
    let Ok(identity) = certificate_identity(input, &domain) else { return false };
    let uri = identity.to_spiffe(&domain);
    // As the certificate has it: somewhere in it, byte by byte.
    assert!(input.windows(uri.len()).any(|window| window == uri.as_bytes()), "{uri}");
    true
}

/// A list in PEM or DER. It reads the same from its DER.
pub fn revocation_list(input: &[u8]) -> bool {
    let Ok(list) = Crl::parse(input) else { return false };
    let again = Crl::parse(list.der()).expect("the list can be read again");
    assert!(again == list, "another list");
    assert!(list.number_text().len() <= 49 && list.issuer().len() <= 64 * input.len());
    let _ = RevokedCertificates::of(&[list]);
    true
}
