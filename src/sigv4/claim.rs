//! What a request claims of itself, and the proof.

use aws_lc_rs::digest::{SHA256, digest};
use claviger_types::{Region, Timestamp};
use http::uri::Authority;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use crate::SignatureError;
use crate::access_key::SecretAccessKey;
use crate::authorization::{Authorization, Credential, TERMINATOR};
use crate::canonical::CanonicalRequest;
use crate::date::SignedAt;
use crate::service::Service;
use crate::signing_key::Scope;

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TARGET: HeaderName = HeaderName::from_static("x-amz-target");

/// The head of an HTTP request.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a Method,
    /// The target; of HTTP/2 with the authority.
    pub uri: &'a Uri,
    /// All headers.
    pub headers: &'a HeaderMap,
}

/// What a well-formed, timely request says of who signed it and for what. Nothing of it is proved until [`Claim::verify`].
pub struct Claim<'a> {
    head: Head<'a>,
    credential: Credential<'a>,
    service: Service,
    region: Region,
    signed_headers: &'a str,
    signed_at: SignedAt<'a>,
    signature: [u8; 32],
}

impl<'a> Claim<'a> {
    /// Reads the claim of a request that arrived `now`.
    ///
    /// # Errors
    /// When there is no claim, it is malformed, leaves out what must be signed, is more than five minutes off, or is scoped to
    /// another day or service or to what is no region.
    pub fn parse(head: Head<'a>, now: Timestamp) -> Result<Self, SignatureError> {
        let Some(header) = single(head.headers, &header::AUTHORIZATION)? else {
            let in_query = head.uri.query().is_some_and(|query| query.contains("X-Amz-Signature="));
            return Err(if in_query { SignatureError::InQueryString } else { SignatureError::Missing });
        };
        if head.method != Method::POST || head.uri.path() != "/" || head.uri.query().is_some() {
            return Err(SignatureError::Shape("The request must be POST / without a query string.".to_owned()));
        }
        const TEXT: SignatureError = SignatureError::Incomplete("The Authorization header must be visible ASCII.");
        let Authorization { credential, signed_headers, signature } = Authorization::parse(header.to_str().map_err(|_| TEXT)?)?;
        let service = service_of(&credential)?;
        check_signed_headers(head, signed_headers, service.must_be_signed())?;
        if service == Service::Sts && head.headers.contains_key(TARGET) {
            return Err(SignatureError::Shape("A request of STS has no header 'x-amz-target'.".to_owned()));
        }

        const NO_DATE: SignatureError =
            SignatureError::Incomplete("Authorization header requires existence of a 'X-Amz-Date' header, in visible ASCII.");
        let date = single(head.headers, &DATE)?.and_then(|value| value.to_str().ok()).ok_or(NO_DATE)?;
        let signed_at = SignedAt::parse(date)?;
        let region = check_scope(&credential, signed_at.day(), signed_at.text())?;
        signed_at.check(now)?;
        Ok(Self { head, credential, service, region, signed_headers, signed_at, signature })
    }

    /// Whose key signed; of the form of an access key id.
    pub const fn access_key_id(&self) -> &'a str {
        self.credential.access_key_id
    }

    /// The service that the request is for.
    pub const fn service(&self) -> Service {
        self.service
    }

    /// The region that the request is for.
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// Proves the claim: the holder of this secret signed this head with this body.
    ///
    /// # Errors
    /// When it did not.
    pub fn verify(&self, secret: &SecretAccessKey, body: &[u8]) -> Result<(), SignatureError> {
        let Head { method, uri, headers } = self.head;
        let body_sha256 = hex::encode(digest(&SHA256, body));
        // Where the signer names the body's hash, it must be the one of this body: "UNSIGNED-PAYLOAD" and its like are not.
        if single(headers, &CONTENT_SHA256)?.is_some_and(|named| named.as_bytes() != body_sha256.as_bytes()) {
            return Err(SignatureError::Shape("The header X-Amz-Content-Sha256 must be the SHA-256 of the body.".to_owned()));
        }
        let authority = uri.authority().map(Authority::as_str);
        let request = CanonicalRequest { method, headers, authority, signed_headers: self.signed_headers }.hash(&body_sha256);
        let scope = Scope { day: self.credential.day, region: self.credential.region, service: self.credential.service };
        scope.verify(secret, self.signed_at.text(), &request, &self.signature)
    }
}

/// The names must be lower-case, in order, each of a header that is there, and with all that must be signed among them.
fn check_signed_headers(head: Head<'_>, signed_headers: &str, required: &[&str]) -> Result<(), SignatureError> {
    let names = || signed_headers.split(';');
    if !names().is_sorted_by(|one, next| one < next) || signed_headers.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(SignatureError::Incomplete("SignedHeaders must be lower-case names in order, each once."));
    }
    let is_there = |name: &str| head.headers.contains_key(name) || name == "host" && head.uri.authority().is_some();
    if let Some(absent) = names().find(|name| !is_there(name)) {
        return Err(SignatureError::Shape(format!("The signed header '{absent}' is not in the request.")));
    }
    let is_signed = |name: &str| names().any(|signed| signed == name);
    let amazon = head.headers.keys().map(HeaderName::as_str).filter(|name| name.starts_with("x-amz-"));
    if let Some(unsigned) = required.iter().copied().chain(amazon).find(|name| !is_signed(name)) {
        return Err(SignatureError::Shape(format!("'{unsigned}' must be a 'SignedHeader' in the AWS Authorization.")));
    }
    match required.iter().find(|name| head.headers.get_all(**name).iter().nth(1).is_some()) {
        Some(repeated) => Err(SignatureError::Shape(format!("The header '{repeated}' must occur once."))),
        None => Ok(()),
    }
}

fn service_of(credential: &Credential<'_>) -> Result<Service, SignatureError> {
    const SERVICES: &str = "Credential should be scoped to correct service: 'kms' or 'sts'.";
    Service::from_scope(credential.service).ok_or_else(|| SignatureError::Scope(SERVICES.to_owned()))
}

fn check_scope(credential: &Credential<'_>, day: &str, signed_at: &str) -> Result<Region, SignatureError> {
    let Credential { day: scope_day, region, terminator, .. } = credential;
    let wrong = |message: String| Err(SignatureError::Scope(message));
    if *terminator != TERMINATOR {
        return wrong(format!("Credential should be scoped with a valid terminator: '{TERMINATOR}'."));
    }
    if *scope_day != day {
        let text = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP";
        return wrong(format!("{text}: '{day}', from '{signed_at}'."));
    }
    region.parse().or_else(|_| wrong("Credential should be scoped to a valid region.".to_owned()))
}

/// A header that may occur once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, SignatureError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (found, None) => Ok(found),
        _ => Err(SignatureError::Incomplete("A header that may occur once occurs twice.")),
    }
}
