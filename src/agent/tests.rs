//! The agent before stub nodes: whose certificate, which node, which region, how often, and what comes back.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use axum::body::Body;
use http::{HeaderValue, Request, StatusCode};

use crate::credentials;
use crate::testing::{Behaviour, GET_CALLER_IDENTITY, Node, OTHER_REGION, REGION, Stage, eventually, signed, signed_form};

fn requests_at(nodes: &[&Node]) -> usize {
    nodes.iter().map(|node| node.seen().len()).sum()
}

#[tokio::test]
async fn each_access_key_is_its_identity_at_the_region_that_it_signs_for() {
    let stage = Stage::new();
    let (here, there) = (stage.node().await, stage.node().await);
    let (alice, bob) = (stage.access_key("alice"), stage.access_key("bob"));
    let agent = stage.agent(&[&here.url], &[&there.url]);
    assert_eq!(agent.call(&alice, REGION).await.status, StatusCode::OK);
    assert_eq!(agent.call(&bob, OTHER_REGION).await.status, StatusCode::OK);
    let (by_alice, by_bob) = (here.seen(), there.seen());
    assert_eq!((by_alice.len(), by_bob.len()), (1, 1));
    assert!(
        by_alice[0].identity.contains("alice") && by_bob[0].identity.contains("bob"),
        "{} {}",
        by_alice[0].identity,
        by_bob[0].identity
    );
    assert_eq!(&by_alice[0].body[..], b"{}");
}

#[tokio::test]
async fn the_node_sees_what_concerns_it_and_its_answer_is_passed_on() {
    let stage = Stage::new();
    let node = stage.node().await;
    let alice = stage.access_key("alice");
    let agent = stage.agent(&[&node.url], &[&node.url]);
    node.behave(Behaviour::Answer(400, "NotFoundException"));
    let extra = [("amz-sdk-invocation-id", "my-own-id"), ("user-agent", "aws-cli"), ("cookie", "secret"), ("x-amz-meta", "m")];
    let answer = agent.send(signed(alice.id.as_str(), alice.secret.expose(), REGION, &extra)).await;
    assert_eq!(
        (answer.status.as_u16(), answer.code(), answer.body.as_str()),
        (400, "NotFoundException", "{\"__type\":\"NotFoundException\"}")
    );
    assert_eq!(answer.headers["x-amzn-requestid"], "the-node-s-own-id");
    assert!(!answer.headers.contains_key("date"), "SDKs set their clocks by it: it must be the agent's own");
    let mut names: Vec<_> = node.seen()[0].headers.keys().map(|name| name.as_str().to_owned()).collect();
    names.sort_unstable();
    assert_eq!(names, ["amz-sdk-invocation-id", "content-length", "content-type", "host", "user-agent", "x-amz-target"]);
    assert_eq!(node.seen()[0].headers["amz-sdk-invocation-id"], "my-own-id");
}

#[tokio::test]
async fn a_node_that_is_down_is_passed_over_and_then_avoided() {
    let stage = Stage::new();
    let (first, second) = (stage.node().await, stage.node().await);
    let alice = stage.access_key("alice");
    let agent = stage.agent(&[&stage.no_node().await, &first.url, &second.url], &[]);
    for _ in 0..30 {
        assert_eq!(agent.call(&alice, REGION).await.status, StatusCode::OK);
    }
    let (at_first, at_second) = (first.seen().len(), second.seen().len());
    assert_eq!(at_first + at_second, 30);
    assert!(at_first >= 9 && at_second >= 9, "{at_first} {at_second}");
}

#[tokio::test]
async fn a_node_that_cannot_know_is_asked_no_further_and_the_next_one_is_with_the_same_id() {
    for (status, code) in [(503, "DependencyTimeoutException"), (500, "KMSInternalException"), (421, "")] {
        let stage = Stage::new();
        let (unknowing, knowing) = (stage.node().await, stage.node().await);
        let alice = stage.access_key("alice");
        let agent = stage.agent(&[&unknowing.url, &knowing.url], &[]);
        unknowing.behave(Behaviour::Answer(status, code));
        assert_eq!(agent.call(&alice, REGION).await.status, StatusCode::OK, "{code}");
        assert_eq!((unknowing.seen().len(), knowing.seen().len()), (1, 1));
        let id = |node: &Node| node.seen()[0].headers["amz-sdk-invocation-id"].clone();
        assert_eq!(id(&unknowing), id(&knowing), "a request without an id is given one for all its attempts");
        agent.call(&alice, REGION).await;
        assert_ne!(knowing.seen()[0].headers["amz-sdk-invocation-id"], knowing.seen()[1].headers["amz-sdk-invocation-id"]);
    }
}

#[tokio::test]
async fn a_node_that_does_not_answer_is_left_after_a_while() {
    let stage = Stage::new();
    let (silent, well) = (stage.node().await, stage.node().await);
    let alice = stage.access_key("alice");
    let agent = stage.agent(&[&silent.url, &well.url], &[]);
    silent.behave(Behaviour::Hang);
    assert_eq!(agent.call(&alice, REGION).await.status, StatusCode::OK);
    assert_eq!((silent.seen().len(), well.seen().len()), (1, 1));
}

#[tokio::test]
async fn refusals_are_answers_and_are_not_tried_elsewhere() {
    let refusals =
        [(400, "AccessDeniedException"), (400, "ThrottlingException"), (408, "RequestTimeoutException"), (500, "KeyUnavailableException")];
    for (status, code) in refusals {
        let stage = Stage::new();
        let (one, other) = (stage.node().await, stage.node().await);
        let alice = stage.access_key("alice");
        let agent = stage.agent(&[&one.url, &other.url], &[]);
        one.behave(Behaviour::Answer(status, code));
        other.behave(Behaviour::Answer(status, code));
        let answer = agent.call(&alice, REGION).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (status, code));
        assert_eq!(requests_at(&[&one, &other]), 1, "{code}");
    }
}

#[tokio::test]
async fn a_region_that_cannot_answer_is_not_replaced_by_another() {
    let stage = Stage::new();
    let (unknowing, elsewhere) = (stage.node().await, stage.node().await);
    let alice = stage.access_key("alice");
    let down = stage.no_node().await;
    let agent = stage.agent(&[&down], &[&elsewhere.url]);
    let answer = agent.call(&alice, REGION).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (503, "DependencyTimeoutException"));
    assert!(answer.body.contains("No node of eu-west-1 could be reached") && answer.body.contains(&down), "{}", answer.body);

    unknowing.behave(Behaviour::Answer(503, "DependencyTimeoutException"));
    let agent = stage.agent(&[&unknowing.url, &down], &[&elsewhere.url]);
    let answer = agent.call(&alice, REGION).await;
    assert_eq!(
        (answer.status.as_u16(), answer.body.as_str()),
        (503, "{\"__type\":\"DependencyTimeoutException\"}"),
        "the node's own words"
    );
    assert_eq!(requests_at(&[&elsewhere]), 0);
}

#[tokio::test]
async fn the_only_node_of_a_region_gets_a_second_chance() {
    let stage = Stage::new();
    let node = stage.node().await;
    let alice = stage.access_key("alice");
    let agent = stage.agent(&[&node.url], &[]);
    node.behave(Behaviour::Answer(503, "DependencyTimeoutException"));
    assert_eq!(agent.call(&alice, REGION).await.status.as_u16(), 503);
    assert_eq!(node.seen().len(), 2);
}

#[tokio::test]
async fn what_is_not_signed_by_an_access_key_reaches_no_node() {
    let stage = Stage::new();
    let node = stage.node().await;
    let alice = stage.access_key("alice");
    let stranger = credentials::create(&stage.path("elsewhere"), "alice", claviger_types::Timestamp::from_millis(0)).unwrap();
    let agent = stage.agent(&[&node.url], &[&node.url]);
    let (id, secret) = (alice.id.as_str(), alice.secret.expose());
    let refused = async |request: Request<Body>, code: &str, words: &str| {
        let answer = agent.send(request).await;
        assert_eq!((answer.status.as_u16(), answer.code()), (400, code));
        assert!(answer.body.contains(words) && answer.body.contains(code), "{}", answer.body);
        assert!(answer.headers.contains_key("x-amzn-requestid"));
    };
    let token = [("x-amz-security-token", "token")];
    refused(signed(id, stranger.secret.expose(), REGION, &[]), "InvalidSignatureException", "does not match").await;
    refused(signed(stranger.id.as_str(), secret, REGION, &[]), "UnrecognizedClientException", "security token").await;
    refused(signed(id, secret, REGION, &token), "UnrecognizedClientException", "security token").await;
    refused(signed(id, secret, "ap-south-1", &[]), "InvalidSignatureException", "this agent serves eu-west-1, us-east-1").await;
    refused(Request::post("/").body(Body::from("{}")).unwrap(), "MissingAuthenticationTokenException", "Missing").await;
    let mut broken = signed(id, secret, REGION, &[]);
    broken.headers_mut().insert("authorization", HeaderValue::from_static("AWS4-HMAC-SHA256 Credential=x"));
    refused(broken, "IncompleteSignatureException", "Credential").await;
    let tampered = signed(id, secret, REGION, &[]).map(|_| Body::from("{ }"));
    refused(tampered, "InvalidSignatureException", "does not match").await;
    // A caller with a wrong secret does not learn which regions there are.
    let answer = agent.send(signed(id, stranger.secret.expose(), "ap-south-1", &[])).await;
    assert!(!answer.body.contains("us-east-1"), "{}", answer.body);

    let answer = agent.send(Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (405, "UnknownOperationException"));
    let answer = agent.send(Request::post("/admin").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status.as_u16(), 404);
    assert_eq!(node.seen().len(), 0);
    assert_eq!(agent.call(&alice, REGION).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_request_of_sts_goes_to_its_region_and_is_refused_in_xml() {
    let stage = Stage::new();
    let (here, there) = (stage.node().await, stage.node().await);
    let alice = stage.access_key("alice");
    let agent = stage.agent(&[&here.url], &[&there.url]);
    let (id, secret) = (alice.id.as_str(), alice.secret.expose());
    assert_eq!(agent.send(signed_form(id, secret, OTHER_REGION)).await.status, StatusCode::OK);
    let seen = there.seen();
    assert_eq!((requests_at(&[&here]), seen.len()), (0, 1));
    assert!(seen[0].identity.contains("alice"), "{}", seen[0].identity);
    assert_eq!(seen[0].headers["content-type"], "application/x-www-form-urlencoded; charset=utf-8");
    assert!(!seen[0].headers.contains_key("x-amz-target"));
    assert_eq!(&seen[0].body[..], GET_CALLER_IDENTITY.as_bytes());

    let refused = async |request: Request<Body>, status: u16, code: &str| {
        let answer = agent.send(request).await;
        assert_eq!((answer.status.as_u16(), &answer.headers["content-type"]), (status, &HeaderValue::from_static("text/xml")));
        assert!(answer.body.contains(&format!("<Code>{code}</Code>")), "{}", answer.body);
        assert!(answer.headers.contains_key("x-amzn-requestid"));
    };
    refused(signed_form(id, "another-secret-another-secret", REGION), 403, "SignatureDoesNotMatch").await;
    refused(signed_form("AKIAUNKNOWNUNKNOWN01", secret, REGION), 403, "InvalidClientTokenId").await;
    refused(signed_form(id, secret, "ap-south-1"), 403, "SignatureDoesNotMatch").await;
    let tampered = signed_form(id, secret, REGION).map(|_| Body::from("Action=AssumeRole&Version=2011-06-15"));
    refused(tampered, 403, "SignatureDoesNotMatch").await;
    let mut unsigned = signed_form(id, secret, REGION);
    unsigned.headers_mut().remove("authorization");
    refused(unsigned, 403, "MissingAuthenticationToken").await;
    // With a target it would be a request of KMS, for which it is not signed.
    let mut targeted = signed_form(id, secret, REGION);
    targeted.headers_mut().insert("x-amz-target", HeaderValue::from_static("TrentService.Encrypt"));
    assert_eq!(agent.send(targeted).await.code(), "InvalidSignatureException");
    assert_eq!(requests_at(&[&here, &there]), 1);
}

#[tokio::test]
async fn a_body_that_is_too_large_is_not_read() {
    let stage = Stage::new();
    let node = stage.node().await;
    let alice = stage.access_key("alice");
    let agent = stage.agent(&[&node.url], &[]);
    let large = vec![b' '; claviger_types::limits::API_BODY_BYTES_MAX + 1];
    let request = signed(alice.id.as_str(), alice.secret.expose(), REGION, &[]).map(|_| Body::from(large));
    let answer = agent.send(request).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (413, "RequestEntityTooLargeException"));
    assert_eq!(node.seen().len(), 0);
}

#[tokio::test]
async fn access_keys_come_and_go_while_the_agent_runs() {
    let stage = Stage::new();
    let node = stage.node().await;
    let agent = stage.agent(&[&node.url], &[]);
    let alice = stage.access_key("alice");
    eventually(async || agent.call(&alice, REGION).await.status == StatusCode::OK).await;
    // One of an identity that is not configured is not accepted, and does not get in the way of the others.
    let nobody = stage.access_key("nobody");
    let bob = stage.access_key("bob");
    eventually(async || agent.call(&bob, REGION).await.status == StatusCode::OK).await;
    assert_eq!(agent.call(&nobody, REGION).await.code(), "UnrecognizedClientException");

    // A file that cannot be used changes nothing.
    let exposed = Permissions::from_mode(0o644);
    std::fs::set_permissions(stage.path("credentials"), exposed).unwrap();
    assert!(agent.agent.reload_keys().is_err());
    assert_eq!(agent.call(&alice, REGION).await.status, StatusCode::OK);
    let private = Permissions::from_mode(0o600);
    std::fs::set_permissions(stage.path("credentials"), private).unwrap();

    assert!(credentials::delete(&stage.path("credentials"), &alice.id).unwrap());
    eventually(async || agent.call(&alice, REGION).await.code() == "UnrecognizedClientException").await;
    assert_eq!(agent.call(&bob, REGION).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart() {
    let stage = Stage::new();
    let node = stage.node().await;
    let alice = stage.access_key("alice");
    let agent = stage.agent(&[&node.url], &[]);
    assert_eq!(agent.call(&alice, REGION).await.status, StatusCode::OK);
    stage.issue_user("alice", "alice-the-second");
    eventually(async || {
        assert_eq!(agent.call(&alice, REGION).await.status, StatusCode::OK, "requests are served meanwhile");
        node.seen().last().unwrap().identity.contains("alice-the-second")
    })
    .await;
}
