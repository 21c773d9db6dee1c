//! What can go wrong: loading files, connecting, calling a peer, calling the api.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use claviger_types::AccountId;
use claviger_types::limits::CRL_BYTES_MAX;
use http::StatusCode;

use crate::identity::IdentityError;

/// Any error, where only its text matters.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A configuration that cannot be built from the files named. Every variant names the file and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file does not exist.
    #[error("{what} {} does not exist; create it with `claviger pki`, or correct the path in the configuration", path.display())]
    Missing {
        /// What the file should hold.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file exists and cannot be read.
    #[error("{what} {} cannot be read; check that the user of this process may read it", path.display())]
    Read {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The private key can be read by other users of the machine.
    #[error("private key {} can be read by other users (mode {mode:04o}); run: chmod 600 {}", path.display(), path.display())]
    KeyExposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds no PEM block of the wanted kind.
    #[error("{what} {} is not PEM: expected {expected}; convert it with `openssl`, or name the right file", path.display())]
    NotPem {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The PEM block that should be there.
        expected: &'static str,
    },
    /// The PEM block is there and its content is not usable.
    #[error("{what} {} is not usable; issue a new one with `claviger pki`", path.display())]
    Unusable {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// The key belongs to another certificate.
    #[error(
        "private key {} does not belong to certificate {}; name the two files that were issued together",
        key.display(), certificate.display()
    )]
    KeyMismatch {
        /// The certificate file.
        certificate: PathBuf,
        /// The key file.
        key: PathBuf,
    },
    /// The certificate does not say who its holder is.
    #[error("certificate {} has no identity of this deployment; issue one with `claviger pki`", path.display())]
    NoIdentity {
        /// The certificate file.
        path: PathBuf,
        /// Why.
        source: IdentityError,
    },
    /// Two client CAs that have their own bindings are one.
    #[error(
        "CA certificates {} and {} share a key or a name, so that it is not clear what they may say; configure a CA once, and put an \
         old one and its successor into one file",
        first.display(), second.display()
    )]
    SharedCa {
        /// The file of the first.
        first: PathBuf,
        /// The file of the second.
        second: PathBuf,
    },
    /// The client CAs of a changed configuration cannot be told.
    #[error("the configuration of client CAs")]
    Bindings(#[source] BoxError),
    /// rustls refuses the combination; not caused by any one file.
    #[error("TLS configuration")]
    Config(#[source] rustls::Error),
}

/// Why a client CA cannot be bound as the configuration says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BindingError {
    /// It may say nothing.
    #[error("this CA may say nothing: give it accounts, operators or carriers, or leave it out")]
    Nothing,
    /// A mapping leads to an account that the CA does not speak for.
    #[error("this CA does not speak for account {0}: add it to the CA's accounts, or leave the mapping out")]
    Account(AccountId),
    /// Two mappings of one CA are about the same holder.
    #[error("this CA has another mapping of this holder: leave one of the two out")]
    MappedTwice,
    /// Not a name of RFC 4514.
    #[error("not a subject like \"CN=backup,O=Example\" (RFC 4514; openssl x509 -noout -subject -nameopt RFC2253): {0}")]
    Subject(&'static str),
    /// Not a DNS name.
    #[error("not a DNS name in lower case like \"backup.example\"; wildcards are not allowed")]
    Dns,
}

/// Why a certificate revocation list is not taken.
#[derive(Debug, thiserror::Error)]
pub enum CrlError {
    /// Neither PEM nor DER of a list.
    #[error("it is not a certificate revocation list, in PEM or DER")]
    Malformed,
    /// More bytes than a list may have.
    #[error("it is larger than {CRL_BYTES_MAX} bytes; let its CA leave out certificates that have expired")]
    TooLarge,
    /// A part that every list must have (RFC 5280 section 5.1) is missing.
    #[error("it has no {0}; make it with one")]
    Missing(&'static str),
    /// It, or one of its entries, does not speak for all certificates of its CA and for them alone.
    #[error("it is not a complete list of its CA's own certificates (extension {0}); publish a complete list without a scope")]
    Partial(String),
    /// Nobody who is trusted here signed it.
    #[error("no CA that this node trusts signed it: its issuer says {0}")]
    UnknownSigner(String),
    /// The CA's own certificate does not allow it to sign lists.
    #[error("its CA may not sign revocation lists: the CA's certificate has a key usage without cRLSign")]
    MayNotSign,
    /// rustls cannot use it.
    #[error("it cannot be used")]
    Refused(#[source] rustls::server::VerifierBuilderError),
}

/// Why no connection could be made. Nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The endpoint is not `https://host:port`.
    #[error("the endpoint must be https://host:port")]
    Endpoint,
    /// Name resolution or the TCP connection failed.
    #[error("TCP connection failed")]
    Tcp(#[source] io::Error),
    /// The TLS handshake failed, on either side.
    #[error("TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// The server's certificate names no identity.
    #[error("the server's certificate")]
    Identity(#[source] IdentityError),
    /// The server does not speak the protocol wanted.
    #[error("the server does not speak {0}")]
    Protocol(&'static str),
    /// The HTTP preface failed.
    #[error("HTTP connection failed")]
    Http(#[source] hyper::Error),
    /// It took too long.
    #[error("no connection within {0:?}")]
    TimedOut(Duration),
    /// The connection, or the task that was making it, went away before the request could be given to it.
    #[error("the connection ended before it could be used")]
    Abandoned,
}

/// Why a call to a node failed. [`ClientError::was_sent`] says whether it may have taken effect.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There was no connection: the request was certainly not sent.
    #[error("{endpoint}: not sent")]
    NotSent {
        /// Who was called.
        endpoint: String,
        /// Why; shared by all requests that waited for the same attempt.
        source: Arc<ConnectError>,
    },
    /// Somebody else answers at this endpoint: the request was certainly not sent.
    #[error("{endpoint}: expected {expected}, found {found}")]
    WrongPeer {
        /// Who was called.
        endpoint: String,
        /// What the caller expected.
        expected: String,
        /// Who the certificate says it is.
        found: String,
    },
    /// The request is malformed, and was not sent.
    #[error("{endpoint}: the request cannot be built")]
    Request {
        /// Who was called.
        endpoint: String,
        /// Why.
        source: http::Error,
    },
    /// The connection broke after the request may have been sent: its outcome is unknown.
    #[error("{endpoint}: sent, outcome unknown")]
    Unknown {
        /// Who was called.
        endpoint: String,
        /// What broke.
        source: BoxError,
    },
    /// No answer in time. If `sent`, the outcome is unknown.
    #[error("{endpoint}: no answer within {after:?} (sent: {sent})")]
    TimedOut {
        /// Who was called.
        endpoint: String,
        /// The caller's patience.
        after: Duration,
        /// Whether the request had been given to a connection.
        sent: bool,
    },
    /// The answer was larger than allowed, and was cut. The request took effect or not: unknown.
    #[error("{endpoint}: the response is larger than {limit_bytes} bytes")]
    ResponseTooLarge {
        /// Who was called.
        endpoint: String,
        /// The limit.
        limit_bytes: usize,
    },
}

impl ClientError {
    /// Whether the peer may have received the request. When false, it certainly did not take effect.
    pub const fn was_sent(&self) -> bool {
        match self {
            Self::NotSent { .. } | Self::WrongPeer { .. } | Self::Request { .. } => false,
            Self::TimedOut { sent, .. } => *sent,
            Self::Unknown { .. } | Self::ResponseTooLarge { .. } => true,
        }
    }
}

/// Why a call to a node's api listener or its Unix socket failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiClientError {
    /// There was no connection: nothing was sent.
    #[error("cannot connect to {target}")]
    Connect {
        /// The URL or the socket's path.
        target: String,
        /// Why.
        source: ConnectError,
    },
    /// The connection broke, or the answer was cut: the outcome is unknown.
    #[error("{target}: the request was sent, its outcome is unknown")]
    Unknown {
        /// The URL or the socket's path.
        target: String,
        /// What broke.
        source: BoxError,
    },
    /// No answer in time; the outcome is unknown.
    #[error("{target}: no answer within {after:?}, the outcome is unknown")]
    TimedOut {
        /// The URL or the socket's path.
        target: String,
        /// How long was waited.
        after: Duration,
    },
    /// The request cannot be built; nothing was sent.
    #[error("{target}: the request cannot be built")]
    Request {
        /// The URL or the socket's path.
        target: String,
        /// Why.
        source: BoxError,
    },
    /// The server refused the request.
    #[error("{target} answered {status}: {body}")]
    Refused {
        /// The URL or the socket's path.
        target: String,
        /// The HTTP status.
        status: StatusCode,
        /// What it said, shortened.
        body: String,
    },
    /// The answer is not the JSON that was expected.
    #[error("{target}: the answer is not what this version expects")]
    Answer {
        /// The URL or the socket's path.
        target: String,
        /// Why.
        source: serde_json::Error,
    },
}
