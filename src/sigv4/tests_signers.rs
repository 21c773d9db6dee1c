//! The whole verifier against AWS's own signer (`aws-sigv4`), and against everything that somebody could change on the way.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use claviger_types::Timestamp;
use http::header::{AUTHORIZATION, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use proptest::prelude::*;

use crate::{Claim, Head, SecretAccessKey, Service, SignatureError, SignatureErrorCode};

const ID: &str = "AKIAEXAMPLEEXAMPLE01";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SIGNED_AT_S: u64 = 1_440_938_160;
const NOW: Timestamp = Timestamp::from_millis(SIGNED_AT_S * 1000);

/// A request as an SDK makes it, signed by AWS's own crate.
fn signed(region: &str, service: &str, extra: &[(&str, String)], body: &[u8]) -> Request<()> {
    let identity = Credentials::new(ID, SECRET, None, None, "test").into();
    let mut headers = vec![("host", "127.0.0.1:8300".to_owned())];
    if service == "sts" {
        headers.push(("content-type", "application/x-www-form-urlencoded; charset=utf-8".to_owned()));
    } else {
        headers.push(("x-amz-target", "TrentService.Encrypt".to_owned()));
        headers.push(("content-type", "application/x-amz-json-1.1".to_owned()));
    }
    headers.extend(extra.iter().cloned());
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(service)
        .time(SystemTime::UNIX_EPOCH + Duration::from_secs(SIGNED_AT_S))
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let pairs = headers.iter().map(|(name, value)| (*name, value.as_str()));
    let signable = SignableRequest::new("POST", "http://127.0.0.1:8300/", pairs, SignableBody::Bytes(body)).unwrap();
    let (instructions, _) = sign(signable, &params).unwrap().into_parts();

    let mut request = Request::builder().method(Method::POST).uri("/");
    for (name, value) in &headers {
        request = request.header(*name, value);
    }
    let mut request = request.body(()).unwrap();
    instructions.apply_to_request_http1x(&mut request);
    request
}

fn check_at<T>(request: &Request<T>, body: &[u8], secret: &str, now: Timestamp) -> Result<String, SignatureError> {
    let head = Head { method: request.method(), uri: request.uri(), headers: request.headers() };
    let claim = Claim::parse(head, now)?;
    assert_eq!(claim.access_key_id(), ID);
    claim.verify(&SecretAccessKey::parse(secret).unwrap(), body)?;
    Ok(claim.region().to_string())
}

fn check<T>(request: &Request<T>, body: &[u8]) -> Result<String, SignatureError> {
    check_at(request, body, SECRET, NOW)
}

#[test]
fn what_aws_signs_verifies_with_its_region_for_five_minutes() {
    let request = signed("on-prem-berlin-1", "kms", &[], b"{}");
    assert_eq!(check(&request, b"{}").as_deref(), Ok("on-prem-berlin-1"));
    assert_eq!(check_at(&request, b"{}", &SECRET.to_lowercase(), NOW), Err(SignatureError::Mismatch));
    let late = check_at(&request, b"{}", SECRET, NOW.plus(Duration::from_secs(301))).unwrap_err();
    assert_eq!((late.reason(), late.code()), ("expired", SignatureErrorCode::InvalidSignature));
    let early = check_at(&request, b"{}", SECRET, Timestamp::from_millis(NOW.as_millis() - 301_000)).unwrap_err();
    assert_eq!(early.reason(), "not_yet_current");
}

#[test]
fn a_scope_for_anything_else_is_refused() {
    for (region, service) in [("eu-west-1", "s3"), ("nowhere", "kms"), ("EU-WEST-1", "kms")] {
        let error = check(&signed(region, service, &[], b""), b"").unwrap_err();
        assert_eq!((error.reason(), error.code()), ("scope", SignatureErrorCode::InvalidSignature), "{region} {service}");
    }
    for (part, other) in [("20150830/", "20150829/"), ("aws4_request", "aws5_request")] {
        let request = with_authorization(&signed("eu-west-1", "kms", &[], b""), |text| text.replace(part, other));
        assert_eq!(check(&request, b"").unwrap_err().reason(), "scope", "{part}");
    }
}

#[test]
fn other_shapes_are_refused() {
    let good = || signed("eu-west-1", "kms", &[], b"");
    let refused = |change: fn(&mut Request<()>), reason: &str| {
        let mut request = good();
        change(&mut request);
        assert_eq!(check(&request, b"").unwrap_err().reason(), reason);
    };
    refused(|request| *request.method_mut() = Method::PUT, "shape");
    refused(|request| *request.uri_mut() = Uri::from_static("/?"), "shape");
    refused(|request| *request.uri_mut() = Uri::from_static("/admin"), "shape");
    refused(|request| _ = request.headers_mut().remove(AUTHORIZATION), "missing");
    refused(|request| _ = request.headers_mut().remove("x-amz-date"), "shape");
    refused(|request| _ = request.headers_mut().remove("x-amz-target"), "shape");
    refused(|request| _ = request.headers_mut().remove(HOST), "shape");
    refused(|request| _ = request.headers_mut().append("x-amz-target", HeaderValue::from_static("TrentService.Decrypt")), "shape");
    refused(|request| _ = request.headers_mut().append(HOST, HeaderValue::from_static("elsewhere")), "shape");
    refused(|request| _ = request.headers_mut().append(AUTHORIZATION, HeaderValue::from_static("Basic YTpi")), "incomplete");
    refused(|request| _ = request.headers_mut().insert("x-amz-extra", HeaderValue::from_static("unsigned")), "shape");
    refused(|request| _ = request.headers_mut().insert("x-amz-date", HeaderValue::from_static("yesterday")), "incomplete");

    // Signed in the query string: there is no other signature, and it says which kind is wanted.
    let mut request = good();
    request.headers_mut().remove(AUTHORIZATION);
    *request.uri_mut() = Uri::from_static("/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00");
    assert_eq!(check(&request, b""), Err(SignatureError::InQueryString));
}

#[test]
fn a_request_of_sts_has_no_target_and_none_can_be_added() {
    const FORM: &[u8] = b"Action=GetCallerIdentity&Version=2011-06-15";
    let service_of = |request: &Request<()>| {
        let head = Head { method: request.method(), uri: request.uri(), headers: request.headers() };
        Claim::parse(head, NOW).map(|claim| claim.service())
    };
    assert_eq!(service_of(&signed("eu-west-1", "kms", &[], b"{}")), Ok(Service::Kms));
    let request = signed("eu-west-1", "sts", &[], FORM);
    assert_eq!(service_of(&request), Ok(Service::Sts));
    assert_eq!(check(&request, FORM).as_deref(), Ok("eu-west-1"));
    assert_eq!(check(&request, b"Action=AssumeRole&Version=2011-06-15"), Err(SignatureError::Mismatch));

    let signed_too = signed("eu-west-1", "sts", &[("x-amz-target", "TrentService.Encrypt".to_owned())], FORM);
    let mut unsigned = signed("eu-west-1", "sts", &[], FORM);
    unsigned.headers_mut().insert("x-amz-target", HeaderValue::from_static("TrentService.Encrypt"));
    for request in [signed_too, unsigned] {
        assert_eq!(check(&request, FORM).unwrap_err().reason(), "shape");
    }
    // What was signed for one service is not signed for the other.
    let other = with_authorization(&request, |text| text.replace("/sts/", "/kms/"));
    assert_eq!(check(&other, FORM).unwrap_err().reason(), "shape");
    let other = with_authorization(&signed("eu-west-1", "kms", &[], b"{}"), |text| text.replace("/kms/", "/sts/"));
    assert_eq!(check(&other, b"{}").unwrap_err().reason(), "shape");
}

#[test]
fn what_must_be_signed_is() {
    for name in ["host", "x-amz-date", "x-amz-target"] {
        let request = with_authorization(&signed("eu-west-1", "kms", &[], b""), |text| {
            let (before, rest) = text.split_once("SignedHeaders=").unwrap();
            let (names, after) = rest.split_once(',').unwrap();
            let others: Vec<_> = names.split(';').filter(|signed| *signed != name).collect();
            format!("{before}SignedHeaders={},{after}", others.join(";"))
        });
        let error = check(&request, b"").unwrap_err();
        assert_eq!((error.reason(), error.to_string().contains(name)), ("shape", true), "{error}");
    }
}

#[test]
fn signed_header_names_have_one_spelling() {
    let good = signed("eu-west-1", "kms", &[], b"");
    for (part, other) in
        [("content-type;", "Content-type;"), ("host;", "host;host;"), ("content-type;host", "host;content-type"), ("host;", "host;;")]
    {
        let request = with_authorization(&good, |text| text.replace(part, other));
        assert_eq!(check(&request, b"").unwrap_err().reason(), "incomplete", "{other}");
    }
}

#[test]
fn a_body_that_is_not_hashed_is_refused() {
    for named in ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", &"0".repeat(64)] {
        let request = signed("eu-west-1", "kms", &[("x-amz-content-sha256", named.to_owned())], b"body");
        assert_eq!(check(&request, b"body").unwrap_err().reason(), "shape", "{named}");
    }
    let hash = hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, b"body"));
    let request = signed("eu-west-1", "kms", &[("x-amz-content-sha256", hash)], b"body");
    assert_eq!(check(&request, b"body").as_deref(), Ok("eu-west-1"));
}

/// An HTTP/2 request has an authority and no Host header; the signer signs the same host.
#[test]
fn the_authority_stands_in_for_host() {
    let mut request = signed("eu-west-1", "kms", &[], b"");
    request.headers_mut().remove(HOST);
    *request.uri_mut() = Uri::from_static("https://127.0.0.1:8300/");
    assert_eq!(check(&request, b"").as_deref(), Ok("eu-west-1"));
    *request.uri_mut() = Uri::from_static("https://127.0.0.2:8300/");
    assert_eq!(check(&request, b""), Err(SignatureError::Mismatch));
}

fn with_authorization(request: &Request<()>, change: impl Fn(&str) -> String) -> Request<()> {
    let mut changed = Request::builder().method(request.method()).uri(request.uri()).body(()).unwrap();
    *changed.headers_mut() = request.headers().clone();
    let text = change(request.headers()[AUTHORIZATION].to_str().unwrap());
    changed.headers_mut().insert(AUTHORIZATION, text.parse().unwrap());
    changed
}

/// Every header with one byte of its value changed to another printable one.
fn with_changed_byte(headers: &HeaderMap, name: &HeaderName, at: usize, byte: u8) -> Option<HeaderMap> {
    let mut value = headers[name].as_bytes().to_vec();
    let at = at % value.len();
    if value[at] == byte {
        return None;
    }
    value[at] = byte;
    let mut changed = headers.clone();
    changed.insert(name, HeaderValue::from_bytes(&value).ok()?);
    Some(changed)
}

proptest! {
    #[test]
    fn signed_requests_verify(
        region in "[a-z]{1,8}-[a-z]{1,8}-[0-9]{1,2}",
        body in proptest::collection::vec(any::<u8>(), 0..2000),
        values in proptest::collection::vec(" {0,2}[!-~]{1,10}( {1,3}[!-~]{1,5}){0,3} {0,2}", 0..4),
    ) {
        let names = ["x-amz-meta-a", "x-other", "amz-sdk-invocation-id", "accept"];
        let extra: Vec<_> = names.into_iter().zip(values).collect();
        let request = signed(&region, "kms", &extra, &body);
        prop_assert_eq!(check(&request, &body), Ok(region));
    }

    #[test]
    fn a_changed_byte_of_a_signed_header_or_the_signature_is_refused(at in any::<usize>(), byte in b'!'..b'~', which in any::<usize>()) {
        let request = signed("eu-west-1", "kms", &[], b"body");
        let names: Vec<HeaderName> = request.headers().keys().cloned().collect();
        let name = &names[which % names.len()];
        if let Some(headers) = with_changed_byte(request.headers(), name, at, byte) {
            let mut changed = Request::builder().method(Method::POST).uri("/").body(()).unwrap();
            *changed.headers_mut() = headers;
            let head = Head { method: changed.method(), uri: changed.uri(), headers: changed.headers() };
            // Another access key id is another claim: nobody has its secret.
            let outcome = Claim::parse(head, NOW).and_then(|claim| match claim.access_key_id() {
                ID => claim.verify(&SecretAccessKey::parse(SECRET).unwrap(), b"body"),
                _ => Err(SignatureError::UnknownAccessKey),
            });
            prop_assert!(outcome.is_err(), "{name}: {:?}", changed.headers()[name]);
        }
    }

    #[test]
    fn a_changed_body_or_method_is_refused(
        body in proptest::collection::vec(any::<u8>(), 1..500),
        at in any::<usize>(),
        flip in 1_u8..,
        method in "[A-Z]{1,7}",
    ) {
        let mut request = signed("eu-west-1", "kms", &[], &body);
        let mut changed = body.clone();
        let at = at % body.len();
        changed[at] ^= flip;
        prop_assert_eq!(check(&request, &changed), Err(SignatureError::Mismatch));
        prop_assert_eq!(check(&request, &body[1..]), Err(SignatureError::Mismatch));
        if method != "POST" {
            *request.method_mut() = method.parse().unwrap();
            prop_assert!(check(&request, &body).is_err());
        }
    }

    /// Whatever stands in the headers: an answer, never a panic.
    #[test]
    fn garbage_is_refused(authorization in "\\PC{0,200}", parts in "(Credential|SignedHeaders|Signature|[a-z0-9/=;, ]{0,9}){0,12}", date in "[0-9TZ]{0,20}") {
        for text in [authorization, format!("AWS4-HMAC-SHA256 {parts}")] {
            let Ok(value) = HeaderValue::from_str(&text) else { continue };
            let mut request = signed("eu-west-1", "kms", &[], b"");
            request.headers_mut().insert(AUTHORIZATION, value);
            request.headers_mut().insert("x-amz-date", HeaderValue::from_str(&date).unwrap());
            prop_assert!(check(&request, b"").is_err());
        }
    }
}
