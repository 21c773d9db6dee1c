//! Signatures: of messages, under a key's public half, and of requests, under an access key.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use claviger_crypto::signing::SigningKey;
use claviger_sigv4::{Claim, Head, SecretAccessKey};
use claviger_types::{KeySpec, MessageType, SigningAlgorithm, Timestamp};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};

use crate::corpus::{is_genuine, seeds};
use crate::first_line;
use crate::targets::keys::{material_of, vectors_message};

/// The signature of Verify; before it, spec, space, algorithm and a line feed. It is good if it is one of those that were made.
pub fn signature(input: &[u8]) -> bool {
    static KEYS: LazyLock<BTreeMap<KeySpec, SigningKey>> = LazyLock::new(|| {
        let signing = KeySpec::ALL.iter().filter(|spec| !spec.signing_algorithms().is_empty());
        signing.map(|&spec| (spec, SigningKey::open(spec, &material_of(spec)).expect("the key is good"))).collect()
    });
    static MESSAGE: LazyLock<Vec<u8>> = LazyLock::new(vectors_message);
    let Some((algorithm, signature)) = first_line(input) else { return false };
    let Some((Ok(spec), Ok(algorithm))) = algorithm.split_once(' ').map(|(spec, algorithm)| (spec.parse(), algorithm.parse())) else {
        return false;
    };
    let (spec, algorithm): (KeySpec, SigningAlgorithm) = (spec, algorithm);
    let Some(key) = KEYS.get(&spec) else { return false };
    let valid = key.verify(algorithm, MessageType::Raw, &MESSAGE, signature).unwrap_or(false);
    assert!(!valid || is_genuine("signature", input), "a forged signature is good");
    valid
}

/// The access key of the requests among the seeds.
pub const ACCESS_KEY_ID: &str = "AKIAEXAMPLEEXAMPLE01";
/// Its secret.
pub const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// When they were signed, seconds since the epoch.
pub const SIGNED_AT_S: u64 = 1_440_938_160;

/// What nobody can change without the secret: the signed headers that are always there, and the body.
type Signed = ([Option<String>; 4], Vec<u8>);

/// A request: a line of method and target, lines of headers, an empty line, and the body. Lines end with a line feed.
struct Text<'a> {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: &'a [u8],
}

impl<'a> Text<'a> {
    fn parse(input: &'a [u8]) -> Option<Self> {
        let (line, mut rest) = first_line(input)?;
        let (method, uri) = line.split_once(' ')?;
        let mut headers = HeaderMap::new();
        loop {
            let at = rest.iter().position(|&byte| byte == b'\n')?;
            let header = &rest[..at];
            rest = &rest[at + 1..];
            if header.is_empty() {
                break;
            }
            let colon = header.iter().position(|&byte| byte == b':')?;
            let (name, value) = (&header[..colon], header[colon + 1..].trim_ascii());
            // hyper takes no more than a hundred.
            if headers.len() == 100 {
                return None;
            }
            headers.append(HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?);
        }
        Some(Self { method: method.parse().ok()?, uri: uri.parse().ok()?, headers, body: rest })
    }

    fn signed(&self) -> Signed {
        let value = |name| self.headers.get(name).map(|value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned());
        (["host", "x-amz-date", "x-amz-target", "x-amz-content-sha256"].map(value), self.body.to_vec())
    }
}

/// A request to the agent. Its signature is good if what it signs is what was signed.
pub fn sigv4(input: &[u8]) -> bool {
    static GENUINE: LazyLock<Vec<Signed>> = LazyLock::new(|| {
        let genuine = seeds("sigv4").into_iter().filter(|seed| seed.name.starts_with("ok-"));
        genuine.map(|seed| Text::parse(&seed.bytes).expect("a request").signed()).collect()
    });
    static SECRET: LazyLock<SecretAccessKey> = LazyLock::new(|| SecretAccessKey::parse(SECRET_ACCESS_KEY).expect("a secret"));
    let Some(request) = Text::parse(input) else { return false };
    let head = Head { method: &request.method, uri: &request.uri, headers: &request.headers };
    let claim = match Claim::parse(head, Timestamp::from_millis(SIGNED_AT_S * 1000)) {
        Ok(claim) => claim,
        Err(error) => {
            assert!(!error.reason().is_empty() && error.to_string().len() < 1024 + input.len());
            return false;
        }
    };
    let verified = claim.verify(&SECRET, request.body).is_ok();
    assert!(!verified || GENUINE.contains(&request.signed()), "a forged request is good");
    verified
}
