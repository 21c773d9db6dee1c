//! Mutual TLS: configurations from PEM files, certificate to identity, the accept loop, and the two clients.
//!
//! There are two kinds of listener, with separate trust anchors: *api* (principals, carriers, operators) and *peer*
//! (nodes). A certificate that a listener does not admit is refused inside the handshake, so that its holder sees an
//! alert and no request of its is ever read. TLS 1.3 only, X25519MLKEM768 preferred, and no session resumption: a
//! resumed session skips the certificate verifier, so every connection is verified in full and clients pool connections.
//!
//! This crate knows no operation of Claviger. What a peer may *do* is decided by whoever reads the [`Peer`] that the
//! accept loop puts into each request's extensions.

mod accept;
mod api_client;
mod client;
mod connection;
mod connector;
mod error;
mod files;
mod identity;
mod listener;
mod paced_body;
mod peer_client;
mod pool;
mod provider;
mod server;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests_admission;
#[cfg(test)]
mod tests_expiry;
#[cfg(test)]
mod tests_limits;
#[cfg(test)]
mod tests_peer_client;
mod verify;

pub use accept::{AcceptLimits, serve, serve_known, serve_plain};
pub use api_client::{ApiClient, ApiResponse};
pub use client::{ApiStream, ClientTls};
pub use connector::{Connected, Connector};
pub use error::{ApiClientError, ClientError, ConnectError, TlsError};
pub use files::IdentityFiles;
pub use identity::{Certificate, Fingerprint, IdentityError, Peer, PeerFacts, certificate_identity};
pub use listener::{Listener, bind_unix};
pub use peer_client::{Expect, PeerClient, Response, StreamingBody, streaming_body};
pub use server::{Admission, ServerTls};
