//! The routes of identities and denials.

use claviger_shapes::admin::AdminErrorCode;
use claviger_shapes::admin::iam::{AccountsPage, ApplyIdentitiesResult, DenialsPage, IdentitiesPage, SetDenialResult};
use claviger_types::limits::IDENTITY_CHANGES_MAX;
use http::Method;
use serde::de::DeserializeOwned;

use super::{ask, error_of};

async fn get<T: DeserializeOwned>(path: &str) -> T {
    let answer = ask(Method::GET, path, "").await;
    assert_eq!(answer.status, 200, "{path}");
    serde_json::from_slice(&answer.body).unwrap()
}

async fn refused(method: Method, path: &str, body: &str) -> (u16, AdminErrorCode) {
    error_of(&ask(method, path, body).await)
}

#[tokio::test]
async fn identities_are_shown_page_by_page() {
    let accounts: AccountsPage = get("/admin/v1/iam").await;
    assert_eq!((accounts.accounts.len(), accounts.next), (1, None));
    let accounts: AccountsPage = get("/admin/v1/iam?after=000011112222").await;
    assert_eq!(accounts.next.unwrap().to_string(), "000011112222");
    let page: IdentitiesPage = get("/admin/v1/iam/111122223333?after=user/a+b=c,d@e.f_g-h").await;
    assert_eq!((page.revision, page.next.unwrap().to_string().as_str()), (Some(7), "user/a+b=c,d@e.f_g-h"));
    let unknown: IdentitiesPage = get("/admin/v1/iam/444455556666").await;
    assert_eq!(unknown.revision, None);
    let denials: DenialsPage = get("/admin/v1/iam/denials?after=arn:aws:iam::111122223333:user/bob").await;
    assert_eq!((denials.denials.len(), denials.next.as_deref()), (1, Some("arn:aws:iam::111122223333:user/bob")));
    for path in [
        "/admin/v1/iam?after=1",
        "/admin/v1/iam?after=",
        "/admin/v1/iam?account=111122223333",
        "/admin/v1/iam/1",
        "/admin/v1/iam/nobody",
        "/admin/v1/iam/111122223333?after=alice",
        "/admin/v1/iam/111122223333?after=user%2Falice",
        "/admin/v1/iam/111122223333?limit=1",
        &format!("/admin/v1/iam/denials?after={}", "a".repeat(257)),
    ] {
        assert_eq!(refused(Method::GET, path, "").await, (400, AdminErrorCode::Invalid), "{path}");
    }
    assert_eq!(refused(Method::GET, "/admin/v1/iam/%ff", "").await, (404, AdminErrorCode::NotFound));
    assert_eq!(refused(Method::POST, "/admin/v1/iam", "").await, (405, AdminErrorCode::MethodNotAllowed));
    assert_eq!(refused(Method::DELETE, "/admin/v1/iam/111122223333", "").await, (405, AdminErrorCode::MethodNotAllowed));
}

#[tokio::test]
async fn identities_are_changed_by_the_revision_that_was_read() {
    let path = "/admin/v1/iam/111122223333";
    let body = |revision: &str, changes: &str| format!(r#"{{"expected_revision":{revision},"changes":[{changes}]}}"#);
    let put = r#"{"put":{"name":"alice","identity":{"user":{"tags":{},"groups":[],"inline":{},"attached":[],"boundary":null}}}}"#;
    let answer = ask(Method::POST, path, &body("7", put)).await;
    let done: ApplyIdentitiesResult = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(done, ApplyIdentitiesResult { revision: Some(8), changed: true });
    for revision in ["6", "null"] {
        assert_eq!(refused(Method::POST, path, &body(revision, put)).await, (409, AdminErrorCode::Conflict));
    }
    let many = vec![r#"{"delete":"user/a"}"#; IDENTITY_CHANGES_MAX + 1].join(",");
    for bad in [
        "",
        "{}",
        "[]",
        &body("7", "{}"),
        &body("7", r#"{"delete":"alice"}"#),
        &body("7", &put.replace("boundary", "boundry")),
        &body("7", &put.replace("user", "robot")),
        &body("-1", put),
        &body("7", &many),
        &body("7", put).replace("changes", "chances"),
    ] {
        assert_eq!(refused(Method::POST, path, bad).await, (400, AdminErrorCode::Invalid), "{bad}");
    }
    assert_eq!(refused(Method::POST, "/admin/v1/iam/1", &body("7", put)).await, (400, AdminErrorCode::Invalid));
}

#[tokio::test]
async fn a_principal_is_denied_with_a_reason() {
    let path = "/admin/v1/iam/denials";
    let body = r#"{"principal":"arn:aws:iam::111122223333:user/bob","denied":true,"reason":"left"}"#;
    let done: SetDenialResult = serde_json::from_slice(&ask(Method::POST, path, body).await.body).unwrap();
    assert!(done.denied && done.changed && done.principal.ends_with("user/bob"));
    for bad in [
        "",
        &body.replace("left", " "),
        &body.replace("bob", &"b".repeat(257)),
        &body.replace("denied", "allowed"),
        &body.replace("}", r#","until":1}"#),
    ] {
        assert_eq!(refused(Method::POST, path, bad).await, (400, AdminErrorCode::Invalid), "{bad}");
    }
}
