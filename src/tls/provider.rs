//! The one cryptographic provider: aws-lc-rs, TLS 1.3 only, X25519MLKEM768 first.
//!
//! Never installed as the process default: every configuration names it, so none can be built with another by accident.

use std::sync::{Arc, LazyLock};

use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};

/// HTTP/2 as ALPN names it (RFC 9113, section 3.2).
pub(crate) const ALPN_H2: &[u8] = b"h2";
/// HTTP/1.1 as ALPN names it (RFC 7301, section 6).
pub(crate) const ALPN_HTTP1: &[u8] = b"http/1.1";
/// The protocol versions allowed.
pub(crate) static VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            cipher_suite::TLS13_AES_256_GCM_SHA384,
            cipher_suite::TLS13_AES_128_GCM_SHA256,
            cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        ],
        // The classical groups stay for clients that cannot do better yet (many a Python's OpenSSL).
        kx_groups: vec![kx_group::X25519MLKEM768, kx_group::X25519, kx_group::SECP256R1, kx_group::SECP384R1],
        ..default_provider()
    })
});

/// The provider that every configuration of this crate uses.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::clone(&PROVIDER)
}
