//! Revoked certificates: refused in the handshake, ended on live connections, on both sides and in both protocols; and
//! which lists are taken.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claviger_types::limits::CRL_BYTES_MAX;
use rcgen::{CrlDistributionPoint, CrlIssuingDistributionPoint, CrlScope};
use rustls::{AlertDescription, CertificateError};
use rustls_pki_types::CertificateDer;
use time::OffsetDateTime;
use tokio::io::AsyncWriteExt;

use crate::reload::Reloadable;
use crate::testing::{
    By, GOAWAY, HEADERS, Pki, REQUEST, STATUS_200, Server, closed, frame, get_http1, read_answer, read_frame, within, write_private,
};
use crate::tests_admission::alert;
use crate::verify::NotAdmitted;
use crate::{AcceptLimits, ClientError, ClientTls, Crl, CrlError, Expect, IdentityFiles, PeerClient, RevokedCertificates, ServerTls};

const PATIENCE: Duration = Duration::from_secs(20);

async fn start(tls: ServerTls) -> (Arc<ServerTls>, Server) {
    let tls = Arc::new(tls);
    let server = Server::start(Arc::clone(&tls), AcceptLimits::default()).await;
    (tls, server)
}

fn chain(files: &IdentityFiles) -> Vec<CertificateDer<'static>> {
    vec![files.load().unwrap().leaf]
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_in_the_handshake_and_nobody_else() {
    let pki = Pki::new();
    let (tls, server) = start(pki.api_server()).await;
    let (alice, bob) = (pki.user("alice"), pki.user("bob"));
    let served = async |who: &IdentityFiles| within(get_http1(&mut pki.dial_api(&server, who).await.unwrap(), "/")).await.unwrap();
    served(&alice).await;

    tls.revoke(&pki.revoked(By::Api, &[&alice]));
    assert_eq!(alert(&pki, &server, "api-ca.pem", Some(&alice)).await, AlertDescription::CertificateRevoked);
    served(&bob).await;
    // The same holder under a new certificate is not who was revoked.
    let renewed = pki.issue("renewed", By::Api, &["uri:spiffe://test.example/111122223333/user/alice"]);
    served(&renewed).await;

    // A CA without a list revokes nothing, nor does another CA of the same name: its serial numbers are others.
    let elsewhere = Pki::new();
    tls.revoke(&elsewhere.revoked(By::Api, &[&elsewhere.user("alice")]));
    served(&alice).await;
    tls.revoke(&pki.revoked(By::Peer, &[&alice]));
    served(&alice).await;
    server.stop().await;
}

#[tokio::test]
async fn a_live_http1_connection_ends_and_the_others_stay() {
    let pki = Pki::new();
    let (tls, server) = start(pki.api_server()).await;
    let (alice, bob) = (pki.user("alice"), pki.user("bob"));
    let mut idle = pki.dial_api(&server, &alice).await.unwrap();
    within(get_http1(&mut idle, "/")).await.unwrap();
    let mut busy = pki.dial_api(&server, &alice).await.unwrap();
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    within(server.entered.notified()).await;
    let mut other = pki.dial_api(&server, &bob).await.unwrap();
    within(get_http1(&mut other, "/")).await.unwrap();

    tls.revoke(&pki.revoked(By::Api, &[&alice]));
    closed(&mut idle).await;
    // What was in flight knows of it, and is the last.
    server.gate.notify_one();
    let answer = within(read_answer(&mut busy)).await.unwrap();
    assert!(answer.ends_with("waited, and is revoked") && answer.contains("connection: close"), "{answer}");
    closed(&mut busy).await;
    within(get_http1(&mut other, "/")).await.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_revoked_connection_is_cut_whatever_keeps_it_busy() {
    let pki = Pki::new();
    let (tls, server) = start(pki.api_server()).await;
    let alice = pki.user("alice");
    let mut busy = pki.dial_api(&server, &alice).await.unwrap();
    busy.write_all(b"GET /wait HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    within(server.entered.notified()).await;
    tls.revoke(&pki.revoked(By::Api, &[&alice]));
    // Nobody lets it through the gate.
    closed(&mut busy).await;
    server.stop().await;
}

#[tokio::test]
async fn a_live_http2_connection_is_told_to_go_and_not_served_past_that() {
    let pki = Pki::new();
    let (tls, server) = start(pki.api_server()).await;
    let alice = pki.user("alice");
    let mut stream = pki.dial_http2(&server, &alice).await;
    let (mut told, mut refused) = (false, 0);
    let outcome: std::io::Result<()> = within(async {
        for number in 0_u32.. {
            if number == 3 {
                tls.revoke(&pki.revoked(By::Api, &[&alice]));
            }
            stream.write_all(&frame(HEADERS, 2 * number + 1, REQUEST)).await?;
            loop {
                match read_frame(&mut stream).await? {
                    (GOAWAY, _) => told = true,
                    (HEADERS, headers) => {
                        assert_eq!(headers[0] == STATUS_200, number < 3, "request {number}");
                        refused += u32::from(number >= 3);
                        break;
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    })
    .await;
    assert!(outcome.is_err() && told && refused > 0, "told to go: {told}, refused {refused}");
    server.stop().await;
}

/// What changes while a handshake is on its way must not be missed by it.
#[tokio::test]
async fn a_change_during_the_handshake_is_seen_at_its_end() {
    let pki = Pki::new();
    let tls = pki.api_server();
    let (alice, bob) = (pki.user("alice"), pki.user("bob"));
    tls.revoke(&pki.revoked(By::Api, &[&alice]));
    let refused = tls.admit(Some(&chain(&alice))).unwrap_err();
    assert!(matches!(refused, NotAdmitted::Certificate(rustls::Error::InvalidCertificate(CertificateError::Revoked))), "{refused}");
    let (.., live) = tls.admit(Some(&chain(&bob))).unwrap();

    std::fs::copy(Pki::new().path("api-ca.pem"), pki.path("api-ca.pem")).unwrap();
    tls.reload().unwrap();
    assert!(live.flag().is_set(), "entered before the change");
    tls.admit(Some(&chain(&bob))).unwrap_err();
}

#[tokio::test]
async fn a_revoked_node_is_neither_served_nor_called() {
    let pki = Pki::new();
    let (tls, server) = start(pki.peer_server("eu-west-1", 1)).await;
    let (first, second) = (IdentityFiles::new(pki.path("eu-west-1-1.pem"), pki.path("eu-west-1-1.key")), pki.node("eu-west-1", 2));
    let client_of = |files| ClientTls::peer(files, &pki.path("peer-ca.pem"), &Pki::domain()).unwrap();
    let post = async |client: &PeerClient| client.post(&server.url(), &Expect::AnyNode, 0, "/from", Bytes::new(), PATIENCE).await;

    // The server hears that its caller is revoked.
    let revoked = PeerClient::new(client_of(&second)).unwrap();
    within(post(&revoked)).await.unwrap();
    tls.revoke(&pki.revoked(By::Peer, &[&second]));
    let answers = within(async { [post(&revoked).await, post(&revoked).await] }).await;
    for answer in answers {
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status == http::StatusCode::FORBIDDEN));
    }

    // The caller hears that its server is.
    let third = client_of(&pki.node("eu-west-1", 3));
    let caller = PeerClient::new(third.clone()).unwrap();
    within(post(&caller)).await.unwrap();
    third.revoke(&pki.revoked(By::Peer, &[&first]));
    match within(post(&caller)).await {
        Err(ClientError::NotSent { source, .. }) => {
            let text = format!("{source:?}");
            assert!(text.contains("Revoked"), "{text}");
        }
        other => panic!("{other:?}"),
    }
    server.stop().await;
}

#[test]
fn a_list_is_read_in_both_forms_and_says_who_signed_it() {
    let pki = Pki::new();
    let tls = pki.api_server();
    let (alice, bob) = (pki.user("alice"), pki.user("bob"));
    let signed = pki.sign_crl(By::Api, &Pki::crl_params(258, &[&alice, &bob]));
    let crl = Crl::parse(signed.der()).unwrap();
    assert_eq!(crl, Crl::parse(signed.pem().unwrap().as_bytes()).unwrap());
    assert_eq!((crl.revoked(), &crl.number()[17..], crl.issuer()), (2, &[0, 1, 2][..], "CN=api ca"));
    assert_eq!(crl.next_update().since(crl.this_update()), Duration::from_secs(7 * 24 * 60 * 60));
    let ca = tls.signer_of(&crl).unwrap();
    assert_eq!(tls.signer_of(&Crl::parse(pki.sign_crl(By::Api, &Pki::crl_params(259, &[])).der()).unwrap()).unwrap(), ca);
    // The other CA's, and a CA's that only has the name of ours.
    let others = [pki.sign_crl(By::Peer, &Pki::crl_params(1, &[])), Pki::new().sign_crl(By::Api, &Pki::crl_params(1, &[]))];
    for other in others {
        assert!(matches!(tls.signer_of(&Crl::parse(other.der()).unwrap()), Err(CrlError::UnknownSigner(_))));
    }
}

#[test]
fn a_list_that_was_tampered_with_is_nobodys() {
    let pki = Pki::new();
    let tls = pki.api_server();
    let good = pki.sign_crl(By::Api, &Pki::crl_params(1, &[&pki.user("alice")])).der().to_vec();
    tls.signer_of(&Crl::parse(&good).unwrap()).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let outcome = Crl::parse(&bad).map(|crl| tls.signer_of(&crl));
        assert!(!matches!(outcome, Ok(Ok(_))), "byte {at}");
        assert!(Crl::parse(&good[..at]).is_err(), "{at} bytes");
    }
}

#[test]
fn lists_that_are_not_whole_are_refused() {
    let pki = Pki::new();
    let refused = |params: &rcgen::CertificateRevocationListParams| Crl::parse(pki.sign_crl(By::Api, params).der()).unwrap_err();
    for scope in [None, Some(CrlScope::UserCertsOnly)] {
        let mut scoped = Pki::crl_params(1, &[]);
        let distribution_point = CrlDistributionPoint { uris: vec!["http://crl.example/1".to_owned()] };
        scoped.issuing_distribution_point = Some(CrlIssuingDistributionPoint { distribution_point, scope });
        assert!(matches!(refused(&scoped), CrlError::Partial(oid) if oid == "2.5.29.28"));
    }
    let long = Pki::crl_params(1, &vec![&pki.user("alice"); CRL_BYTES_MAX / 30]);
    assert!(matches!(refused(&long), CrlError::TooLarge));
    for junk in [&b""[..], b"junk", b"0", b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"] {
        assert!(matches!(Crl::parse(junk), Err(CrlError::Malformed)));
    }
    let certificate = std::fs::read(pki.user("alice").certificate).unwrap();
    assert!(matches!(Crl::parse(&certificate), Err(CrlError::Malformed)));
}

#[test]
fn a_ca_that_may_not_sign_lists_does_not() {
    let pki = Pki::new();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let own = pki.issue("server", By::Api, &["dns:localhost"]);
    write_private(&pki.path("limited.pem"), certificate.pem().as_bytes());
    let tls = ServerTls::load(&own, &pki.path("limited.pem"), &Pki::domain(), crate::Admission::Api).unwrap();
    // rcgen would not sign as this CA: the same name and key with the usage.
    params.key_usages = vec![rcgen::KeyUsagePurpose::CrlSign];
    let crl = Pki::crl_params(1, &[]).signed_by(&rcgen::Issuer::new(params, key)).unwrap();
    assert!(matches!(tls.signer_of(&Crl::parse(crl.der()).unwrap()), Err(CrlError::MayNotSign)));
}

/// Nothing is honoured again because a CA was late with its next list.
#[tokio::test]
async fn an_expired_list_goes_on_revoking() {
    let pki = Pki::new();
    let (tls, server) = start(pki.api_server()).await;
    let alice = pki.user("alice");
    let mut params = Pki::crl_params(1, &[&alice]);
    let now = OffsetDateTime::now_utc();
    (params.this_update, params.next_update) = (now - time::Duration::days(2), now - time::Duration::days(1));
    let crl = Crl::parse(pki.sign_crl(By::Api, &params).der()).unwrap();
    tls.signer_of(&crl).unwrap();
    tls.revoke(&Arc::new(RevokedCertificates::of(&[crl])));
    assert_eq!(alert(&pki, &server, "api-ca.pem", Some(&alice)).await, AlertDescription::CertificateRevoked);
    server.stop().await;
}
