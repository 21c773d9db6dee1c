//! The routes of decisions and of key policies.

use claviger_shapes::admin::AdminErrorCode;
use claviger_shapes::admin::policy::{ResetKeyPolicyResult, Simulation};
use claviger_types::limits::{ENCRYPTION_CONTEXT_BYTES_MAX, KEY_REF_BYTES_MAX, OPERATOR_TEXT_BYTES_MAX, TAGS_PER_KEY_MAX};
use http::Method;
use serde_json::json;

use super::{ask, error_of};

async fn refused(path: &str, body: &str) {
    assert_eq!(error_of(&ask(Method::POST, path, body).await), (400, AdminErrorCode::Invalid), "{path} {body:.200}");
}

#[tokio::test]
async fn decisions_are_explained() {
    let path = "/admin/v1/policy/simulate";
    let body = json!({"principal": "p", "action": "kms:Decrypt", "key": "alias/a", "context": {"app": "one"}, "source_ip": "192.0.2.1"});
    let answer = ask(Method::POST, path, &body.to_string()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(serde_json::from_slice::<Simulation>(&answer.body).unwrap().message.as_deref(), Some("p"));
    let with = |member: &str, value: serde_json::Value| {
        let mut body = body.clone();
        body[member] = value;
        body.to_string()
    };
    let tags: serde_json::Map<_, _> = (0..=TAGS_PER_KEY_MAX).map(|number| (number.to_string(), json!(""))).collect();
    for bad in [
        String::new(),
        r#"{"principal":"p"}"#.to_owned(),
        with("action", json!("kms:Nothing")),
        with("acton", json!("x")),
        with("source_ip", json!("here")),
        with("replica_region", json!("dc1")),
        with("principal", json!("p".repeat(KEY_REF_BYTES_MAX + 1))),
        with("grant_id", json!("0".repeat(KEY_REF_BYTES_MAX + 1))),
        with("context", json!({"k": "v".repeat(ENCRYPTION_CONTEXT_BYTES_MAX)})),
        with("tags", json!(tags)),
        with("tags", json!({"k": "v".repeat(KEY_REF_BYTES_MAX)})),
        with("grant", json!({"grantee": "p"})),
    ] {
        refused(path, &bad).await;
    }
    assert_eq!(error_of(&ask(Method::GET, path, "").await), (405, AdminErrorCode::MethodNotAllowed));
}

#[tokio::test]
async fn a_policy_is_reset_for_a_reason() {
    let path = "/admin/v1/keys/reset-policy";
    let body = |reason: &str| json!({"key": "k", "reason": reason}).to_string();
    let reset: ResetKeyPolicyResult = serde_json::from_slice(&ask(Method::POST, path, &body("locked out")).await.body).unwrap();
    assert!(reset.changed && reset.key == "k" && reset.replaced.as_deref() == Some("locked out"));
    let long = "x".repeat(OPERATOR_TEXT_BYTES_MAX + 1);
    for bad in ["", r#"{"key":"k"}"#, &body(" "), &body(&long), &body("r").replace("}", r#","by":"me"}"#)] {
        refused(path, bad).await;
    }
    assert_eq!(ask(Method::POST, path, &body(&long[1..])).await.status, 200);
    assert_eq!(error_of(&ask(Method::GET, path, "").await), (405, AdminErrorCode::MethodNotAllowed));
}
