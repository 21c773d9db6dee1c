//! Who gets past the handshake of each kind of listener, and with what alert the others are turned away.

use std::io;

use rcgen::ExtendedKeyUsagePurpose;
use rustls::{AlertDescription, NamedGroup};
use time::OffsetDateTime;
use tokio::io::AsyncReadExt;

use crate::provider::VERSIONS;
use crate::testing::{By, DOMAIN, Pki, Server, dial, get_http1, params, raw_client, within};
use crate::{AcceptLimits, Admission, ClientTls, IdentityFiles, ServerTls, TlsError};

/// The alert that a client gets. It only reads: a client that writes may find the connection reset first.
pub(crate) async fn alert(pki: &Pki, server: &Server, ca: &str, identity: Option<&IdentityFiles>) -> AlertDescription {
    let config = raw_client(&pki.path(ca), identity, VERSIONS);
    let outcome = within(async { dial(server, config).await?.read(&mut [0; 64]).await }).await;
    alert_of(&outcome.map(|count| panic!("not refused: {count}")).unwrap_err())
}

fn alert_of(error: &io::Error) -> AlertDescription {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::AlertReceived(alert)) => *alert,
        _ => panic!("no alert: {error:?}"),
    }
}

fn uri(path: &str) -> String {
    format!("uri:spiffe://{DOMAIN}/{path}")
}

#[tokio::test]
async fn the_api_listener_admits_principals_carriers_and_operators() {
    let pki = Pki::new();
    let server = Server::start(pki.api_server(), AcceptLimits::default()).await;
    for (path, seen) in [
        ("111122223333/user/alice", "User"),
        ("111122223333/root", "Root"),
        ("111122223333/role/r/s", "AssumedRole"),
        ("carrier/agent", "Carrier"),
        ("operator/ops", "Operator"),
    ] {
        let files = pki.issue("client", By::Api, &[&uri(path)]);
        let mut stream = pki.dial_api(&server, &files).await.unwrap();
        let answer = within(get_http1(&mut stream, "/")).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(seen), "{answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_api_listener_refuses_everybody_else() {
    let pki = Pki::new();
    let server = Server::start(pki.api_server(), AcceptLimits::default()).await;
    let refusal = async |identity: Option<&IdentityFiles>| alert(&pki, &server, "api-ca.pem", identity).await;

    assert_eq!(refusal(None).await, AlertDescription::CertificateRequired);
    // By CA: one that only has the name of ours, and our own peer CA.
    assert_eq!(refusal(Some(&Pki::new().user("alice"))).await, AlertDescription::DecryptError);
    assert_eq!(refusal(Some(&pki.node("eu-west-1", 1))).await, AlertDescription::UnknownCA);

    let now = OffsetDateTime::now_utc();
    let mut expired = params(&[&uri("111122223333/user/alice")]);
    (expired.not_before, expired.not_after) = (now - time::Duration::days(2), now - time::Duration::minutes(1));
    assert_eq!(refusal(Some(&pki.issue_with("expired", By::Api, &expired))).await, AlertDescription::CertificateExpired);
    let mut early = params(&[&uri("111122223333/user/alice")]);
    (early.not_before, early.not_after) = (now + time::Duration::hours(1), now + time::Duration::days(2));
    assert_eq!(refusal(Some(&pki.issue_with("early", By::Api, &early))).await, AlertDescription::CertificateExpired);

    let mut server_only = params(&[&uri("111122223333/user/alice")]);
    server_only.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    assert_eq!(refusal(Some(&pki.issue_with("purpose", By::Api, &server_only))).await, AlertDescription::UnsupportedCertificate);

    // By identity, with a chain that is good.
    for sans in [
        vec![uri("region/eu-west-1/node/1")],
        vec![uri("111122223333/user/alice"), uri("111122223333/user/bob")],
        vec![uri("111122223333/user/alice"), uri("111122223333/user/alice")],
        vec!["dns:localhost".to_owned()],
        vec!["uri:spiffe://other.example/111122223333/user/alice".to_owned()],
        vec![uri("111122223333/user/a/b")],
    ] {
        let sans: Vec<&str> = sans.iter().map(String::as_str).collect();
        let files = pki.issue("bad", By::Api, &sans);
        assert_eq!(refusal(Some(&files)).await, AlertDescription::CertificateUnknown, "{sans:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn the_peer_listener_admits_nodes_and_nobody_else() {
    let pki = Pki::new();
    let server = Server::start(pki.peer_server("eu-west-1", 1), AcceptLimits::default()).await;
    let refusal = async |identity: Option<&IdentityFiles>| alert(&pki, &server, "peer-ca.pem", identity).await;

    let node = pki.node("eu-west-1", 2);
    let mut stream = dial(&server, raw_client(&pki.path("peer-ca.pem"), Some(&node), VERSIONS)).await.unwrap();
    assert!(within(get_http1(&mut stream, "/")).await.unwrap().contains("id: 2"));

    assert_eq!(refusal(None).await, AlertDescription::CertificateRequired);
    assert_eq!(refusal(Some(&pki.user("alice"))).await, AlertDescription::UnknownCA);
    for path in ["111122223333/user/alice", "carrier/agent", "operator/ops", "region/eu-west-1/node/0"] {
        let files = pki.issue("client", By::Peer, &[&uri(path)]);
        assert_eq!(refusal(Some(&files)).await, AlertDescription::CertificateUnknown, "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let pki = Pki::new();
    let server = Server::start(pki.api_server(), AcceptLimits::default()).await;
    let config = raw_client(&pki.path("api-ca.pem"), Some(&pki.user("alice")), &[&rustls::version::TLS12]);
    let error = within(dial(&server, config)).await.unwrap_err();
    assert_eq!(alert_of(&error), AlertDescription::ProtocolVersion);
    server.stop().await;
}

#[tokio::test]
async fn the_post_quantum_group_is_preferred_and_classical_clients_still_come_in() {
    let pki = Pki::new();
    let server = Server::start(pki.api_server(), AcceptLimits::default()).await;
    let alice = pki.user("alice");
    let stream = pki.dial_api(&server, &alice).await.unwrap();
    let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);

    let mut classical = (*crate::provider::provider()).clone();
    classical.kx_groups.retain(|group| group.name() != NamedGroup::X25519MLKEM768);
    let config = rustls::ClientConfig::builder_with_provider(classical.into())
        .with_protocol_versions(VERSIONS)
        .unwrap()
        .with_root_certificates(crate::files::read_anchors(&pki.path("api-ca.pem")).unwrap().roots)
        .with_client_cert_resolver(alice.load().unwrap().resolver);
    let mut stream = dial(&server, config).await.unwrap();
    assert!(within(get_http1(&mut stream, "/")).await.unwrap().contains("alice"));
    server.stop().await;
}

#[tokio::test]
async fn no_session_is_ever_resumed() {
    let pki = Pki::new();
    let server = Server::start(pki.api_server(), AcceptLimits::default()).await;
    // This client would resume if it were given a ticket.
    let config = raw_client(&pki.path("api-ca.pem"), Some(&pki.user("alice")), VERSIONS);
    for _ in 0..3 {
        let mut stream = dial(&server, config.clone()).await.unwrap();
        within(get_http1(&mut stream, "/")).await.unwrap();
        let session = stream.get_ref().1;
        assert_eq!(session.handshake_kind(), Some(rustls::HandshakeKind::Full));
        assert_eq!(session.tls13_tickets_received(), 0);
    }
    server.stop().await;
}

#[test]
fn a_peer_configuration_needs_a_node_certificate() {
    let pki = Pki::new();
    let user = pki.issue("user", By::Peer, &[&uri("111122223333/user/alice")]);
    let ca = pki.path("peer-ca.pem");
    assert!(matches!(ClientTls::peer(&user, &ca, &Pki::domain()), Err(TlsError::NoIdentity { .. })));
    assert!(matches!(ServerTls::load(&user, &ca, &Pki::domain(), Admission::Peer), Err(TlsError::NoIdentity { .. })));
}
