//! Mutual TLS: configurations from PEM files, certificate to identity, the accept loop, bounded bodies, and the clients.
//!
//! There are two kinds of listener, with separate trust anchors: *api* (principals, carriers, operators) and *peer*
//! (nodes). A certificate that a listener does not admit is refused inside the handshake, so that its holder sees an
//! alert and no request of its is ever read. TLS 1.3 only, X25519MLKEM768 preferred, and no session resumption: a
//! resumed session skips the certificate verifier, so every connection is verified in full and clients pool connections.
//!
//! Each CA of an api listener is bound to what it may say ([`Binding`]): whose accounts, and who the holders of its
//! certificates without an identity are. What another CA says of them is refused, however well it is signed.
//!
//! Certificates and CAs are loaded again when their files change ([`keep_loaded`]); a revoked certificate is refused on new
//! connections and its live ones end ([`ServerTls::revoke`]). Where revocation lists come from is others' business.
//!
//! This crate knows no operation of Claviger. What a peer may *do* is decided by whoever reads the [`Peer`] that the
//! accept loop puts into each request's extensions.

mod accept;
mod api_client;
mod api_pool;
mod authority;
mod binding;
mod bodies;
mod client;
mod connection;
mod connector;
mod crl;
mod distinguished_name;
mod error;
mod files;
mod identity;
mod listener;
mod live;
mod paced_body;
mod peer_client;
mod pool;
mod provider;
mod reload;
mod server;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests_admission;
#[cfg(test)]
mod tests_api_pool;
#[cfg(test)]
mod tests_binding;
#[cfg(test)]
mod tests_download;
#[cfg(test)]
mod tests_expiry;
#[cfg(test)]
mod tests_limits;
#[cfg(test)]
mod tests_mapping;
#[cfg(test)]
mod tests_peer_client;
#[cfg(test)]
mod tests_reload;
#[cfg(test)]
mod tests_revocation;
mod verify;
mod watched_body;

pub use accept::{AcceptLimits, serve, serve_known, serve_plain};
pub use api_client::{ApiClient, ApiResponse};
pub use api_pool::{ApiAnswer, ApiPool, ApiPoolLimits};
pub use binding::{Accounts, Binding, ClientCa, Holder};
pub use bodies::{Bodies, BodyError, Received};
pub use client::{ApiStream, ClientTls};
pub use connector::{Connected, Connector};
pub use crl::{CaId, Crl, RevokedCertificates};
pub use error::{ApiClientError, BindingError, BoxError, ClientError, ConnectError, CrlError, TlsError};
pub use files::IdentityFiles;
pub use identity::{Certificate, Fingerprint, IdentityError, Peer, PeerFacts, certificate_identity};
pub use listener::{Listener, bind_unix};
pub use peer_client::{Expect, PeerClient, Response, StreamingBody, streaming_body};
pub use reload::{Reloadable, Stamps, keep_loaded};
pub use server::{Admission, ServerTls};
