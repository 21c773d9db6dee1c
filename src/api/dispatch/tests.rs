//! The edge against a fake service: every way in which a request can be refused before the service sees it.

use std::time::Duration;

use axum::body::Body;
use claviger_types::Principal;
use futures::{FutureExt, StreamExt, stream};
use http::Method;
use sha2::{Digest, Sha256};

use crate::Limits;
use crate::testing::{FakeKms, KEY_ARN, peer, request, router, send};

fn encrypt_body() -> String {
    format!(r#"{{"KeyId":"{KEY_ARN}","Plaintext":"aGk="}}"#)
}

/// Sends to a fresh node; the error of the answer.
async fn refused(request: http::Request<Body>) -> (u16, String, String) {
    let kms = FakeKms::new();
    let answer = send(&router(&kms, Limits::default()), request).await;
    assert_eq!(kms.calls(), 0, "the service must not see it");
    answer.error()
}

fn code_of((status, code, _): (u16, String, String)) -> (u16, String) {
    (status, code)
}

fn expect(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

#[tokio::test]
async fn a_request_reaches_the_service_and_its_answer_the_client() {
    let kms = FakeKms::new();
    let answer = send(&router(&kms, Limits::default()), request("Encrypt", encrypt_body())).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), serde_json::json!({"CiphertextBlob": "aGk=", "KeyId": KEY_ARN, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}));
    let context = kms.last();
    assert_eq!(context.principal, Principal::User { account: "111122223333".parse().unwrap(), name: "alice".into() });
    assert_eq!(context.source_ip, Some("192.0.2.7".parse().unwrap()), "IPv4 in IPv6 is IPv4");
    assert_eq!(answer.headers["x-amzn-requestid"], context.request_id.to_string().as_str());
    assert_eq!(answer.headers["content-type"], "application/x-amz-json-1.1");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(answer.headers.get("x-amzn-errortype").is_none());
}

#[tokio::test]
async fn operations_without_output_answer_nothing() {
    let kms = FakeKms::new();
    let answer = send(&router(&kms, Limits::default()), request("DisableKey", format!(r#"{{"KeyId":"{KEY_ARN}"}}"#))).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 0));
}

#[tokio::test]
async fn errors_of_the_service_keep_status_code_and_message() {
    let kms = FakeKms::new();
    let router = router(&kms, Limits::default());
    let decrypt = send(&router, request("Decrypt", r#"{"CiphertextBlob":"aGk="}"#)).await;
    assert_eq!(decrypt.error(), (400, "InvalidCiphertextException".into(), String::new()));
    assert_eq!(decrypt.headers["x-amzn-requestid"], kms.last().request_id.to_string().as_str());
    let describe = send(&router, request("DescribeKey", format!(r#"{{"KeyId":"{KEY_ARN}"}}"#))).await;
    assert_eq!(code_of(describe.error()), expect(503, "DependencyTimeoutException"));
}

#[tokio::test]
async fn only_principals_are_served() {
    let as_identity = |path: &str| {
        let domain = "kms.example".parse().unwrap();
        let identity = claviger_types::Identity::from_spiffe(&format!("spiffe://kms.example/{path}"), &domain).unwrap();
        let mut request = request("Encrypt", encrypt_body());
        request.extensions_mut().insert(peer(identity));
        request
    };
    let (_, code, message) = refused(as_identity("operator/ops")).await;
    assert_eq!((code.as_str(), message.as_str()), ("AccessDeniedException", "Operators cannot use or read keys."));
    assert_eq!(code_of(refused(as_identity("region/eu-west-1/node/1")).await), expect(400, "AccessDeniedException"));
    let (_, code, message) = refused(as_identity("carrier/agent")).await;
    assert_eq!(code, "UnrecognizedClientException");
    assert!(message.contains("not supported yet"), "{message}");
    let mut unknown = request("Encrypt", encrypt_body());
    unknown.extensions_mut().remove::<claviger_tls::Peer>();
    assert_eq!(code_of(refused(unknown).await), expect(400, "MissingAuthenticationTokenException"));
}

#[tokio::test]
async fn who_asks_comes_before_what_is_asked() {
    let mut request = request("NoSuchThing", "not json");
    request.extensions_mut().remove::<claviger_tls::Peer>();
    assert_eq!(code_of(refused(request).await), expect(400, "MissingAuthenticationTokenException"));
}

#[tokio::test]
async fn unknown_targets() {
    let unknown = |message: &str| (400, "UnknownOperationException".to_owned(), message.to_owned());
    let shape = "The header X-Amz-Target must be TrentService.<operation>.";
    assert_eq!(refused(request("NoSuchThing", "{}")).await, unknown("The operation NoSuchThing is not known."));
    let unsupported = refused(request("DescribeCustomKeyStores", "{}")).await;
    assert_eq!(code_of(unsupported), expect(400, "UnsupportedOperationException"));
    assert_eq!(refused(request("", "{}")).await, unknown(shape));
    assert_eq!(refused(request("Encrypt ", "{}")).await, unknown(shape));
    assert_eq!(refused(request(&"a".repeat(65), "{}")).await, unknown(shape));
    let mut other = request("Encrypt", "{}");
    other.headers_mut().insert("x-amz-target", "DynamoDB_20120810.GetItem".parse().unwrap());
    assert_eq!(refused(other).await, unknown(shape));
    let mut without = request("Encrypt", "{}");
    without.headers_mut().remove("x-amz-target");
    let (_, code, message) = refused(without).await;
    assert_eq!(code, "UnknownOperationException");
    assert!(message.contains("is missing"), "{message}");
}

#[tokio::test]
async fn other_content_types() {
    for content_type in ["application/json", "application/x-amz-json-1.0", "text/plain", ""] {
        let mut request = request("Encrypt", encrypt_body());
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
        assert_eq!(code_of(refused(request).await), expect(415, "UnsupportedMediaTypeException"), "{content_type}");
    }
    let mut with_parameter = request("Encrypt", encrypt_body());
    with_parameter.headers_mut().insert("content-type", "Application/X-Amz-Json-1.1; charset=utf-8".parse().unwrap());
    assert_eq!(send(&router(&FakeKms::new(), Limits::default()), with_parameter).await.status, 200);
}

#[tokio::test]
async fn other_methods_and_paths() {
    let kms = FakeKms::new();
    let router = router(&kms, Limits::default());
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let mut other = request("Encrypt", encrypt_body());
        *other.method_mut() = method.clone();
        let answer = send(&router, other).await;
        assert_eq!(code_of(answer.error()), expect(405, "UnknownOperationException"), "{method}");
        assert_eq!(answer.headers["allow"], "POST");
        assert!(answer.headers.contains_key("x-amzn-requestid"));
    }
    for path in ["/x", "/v1/keys", "//"] {
        let mut other = request("Encrypt", encrypt_body());
        *other.uri_mut() = path.parse().unwrap();
        assert_eq!(code_of(send(&router, other).await.error()), expect(404, "UnknownOperationException"), "{path}");
    }
    assert_eq!(kms.calls(), 0);
}

#[tokio::test]
async fn bodies_that_do_not_decode() {
    for body in ["", "[]", "null", "{", "{\"KeyId\":7,\"Plaintext\":\"aGk=\"}", "{\"KeyId\":\"a\",\"Plaintext\":\"a\"}", "{} {}"] {
        assert_eq!(code_of(refused(request("Encrypt", body)).await), expect(400, "SerializationException"), "{body}");
    }
    let (_, code, message) = refused(request("Encrypt", "{}")).await;
    assert_eq!(code, "ValidationException");
    assert!(message.starts_with("2 validation errors detected: "), "{message}");
}

#[tokio::test]
async fn oversized_bodies() {
    let large = format!(r#"{{"Junk":"{}"}}"#, "x".repeat(1024 * 1024));
    assert_eq!(code_of(refused(request("Encrypt", large.clone())).await), expect(413, "RequestEntityTooLargeException"));
    let chunks: Vec<_> = large.as_bytes().chunks(5000).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    let unannounced = request("Encrypt", Body::from_stream(stream::iter(chunks)));
    assert_eq!(code_of(refused(unannounced).await), expect(413, "RequestEntityTooLargeException"));
}

#[tokio::test]
async fn slow_and_broken_bodies() {
    let limits = Limits { body_timeout: Duration::from_millis(20), ..Limits::default() };
    let slow = Body::from_stream(stream::iter([Ok::<_, std::io::Error>("{")]).chain(stream::pending()));
    let answer = send(&router(&FakeKms::new(), limits), request("Encrypt", slow)).await;
    assert_eq!(code_of(answer.error()), expect(408, "RequestTimeoutException"));
    let broken = Body::from_stream(stream::iter([Ok("{"), Err(std::io::Error::other("reset"))]));
    assert_eq!(code_of(refused(request("Encrypt", broken)).await), expect(408, "RequestTimeoutException"));
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let kms = FakeKms::new();
    let router = router(&kms, Limits::default());
    assert_eq!(code_of(send(&router, request("CreateKey", "{}")).await.error()), expect(500, "KMSInternalException"));
    assert_eq!(send(&router, request("Encrypt", encrypt_body())).await.status, 200, "and the node goes on");
}

#[tokio::test]
async fn the_invocation_id_is_bound_to_the_body_and_kept_for_writes_only() {
    let kms = FakeKms::new();
    let router = router(&kms, Limits::default());
    let with_id = |operation, body: String, id: &str| {
        let mut request = request(operation, body);
        request.headers_mut().insert("amz-sdk-invocation-id", id.parse().unwrap());
        request
    };
    let disable = format!(r#"{{"KeyId":"{KEY_ARN}"}}"#);
    send(&router, with_id("DisableKey", disable.clone(), "an-id")).await;
    let invocation = kms.last_invocation().unwrap();
    assert_eq!(invocation.id, "an-id");
    assert_eq!(invocation.body_sha256, <[u8; 32]>::from(Sha256::digest(&disable)));
    send(&router, request("DisableKey", disable.clone())).await;
    assert_eq!(kms.last_invocation(), None, "none was sent");
    send(&router, with_id("Encrypt", encrypt_body(), "an-id")).await;
    assert_eq!(kms.last_invocation(), None, "Encrypt changes nothing");

    let calls = kms.calls();
    for bad in ["", &"x".repeat(129), "two words", "\u{e9}"] {
        for (operation, body) in [("DisableKey", disable.clone()), ("Encrypt", encrypt_body())] {
            let mut request = request(operation, body);
            request.headers_mut().insert("amz-sdk-invocation-id", http::HeaderValue::from_bytes(bad.as_bytes()).unwrap());
            assert_eq!(code_of(send(&router, request).await.error()), expect(400, "ValidationException"), "{bad}");
        }
    }
    let mut twice = with_id("DisableKey", disable, "a");
    twice.headers_mut().append("amz-sdk-invocation-id", "b".parse().unwrap());
    assert_eq!(code_of(send(&router, twice).await.error()), expect(400, "ValidationException"));
    assert_eq!(kms.calls(), calls);
}

#[tokio::test]
async fn past_the_queue_requests_are_throttled() {
    let kms = FakeKms::new();
    let router = router(&kms, Limits { running_max: 1, waiting_max: 1, ..Limits::default() });
    let random = || request("GenerateRandom", r#"{"NumberOfBytes":3}"#);
    let mut first = Box::pin(send(&router, random()));
    assert!(first.as_mut().now_or_never().is_none());
    let mut second = Box::pin(send(&router, random()));
    assert!(second.as_mut().now_or_never().is_none());
    assert_eq!(kms.calls(), 1, "the second waits outside");
    let third = send(&router, random()).now_or_never().expect("it is refused at once");
    assert_eq!(code_of(third.error()), expect(400, "ThrottlingException"));

    kms.gate.add_permits(2);
    let (first, second) = (first.await, second.await);
    assert_eq!((first.json()["Plaintext"].as_str(), second.status.as_u16()), (Some("BwcH"), 200));
}

#[tokio::test]
async fn answers_are_counted_by_operation_and_code() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let router = router(&FakeKms::new(), Limits::default());
    for _ in 0..3 {
        send(&router, request("Encrypt", encrypt_body())).await;
    }
    send(&router, request("Encrypt", "{")).await;
    send(&router, request("CreateKey", "{}")).await;
    send(&router, request("Nonsense", "{}")).await;
    let text = rendered.render();
    for line in [
        r#"claviger_requests_total{operation="Encrypt",code="OK"} 3"#,
        r#"claviger_requests_total{operation="Encrypt",code="SerializationException"} 1"#,
        r#"claviger_requests_total{operation="CreateKey",code="KMSInternalException"} 1"#,
        r#"claviger_requests_total{operation="unknown",code="UnknownOperationException"} 1"#,
        r#"claviger_request_seconds_count{operation="Encrypt"} 4"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
}
