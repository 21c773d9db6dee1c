//! Two regions over real sockets: mutual TLS, HTTP/2, certificates that name nodes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use claviger_tls::{AcceptLimits, Admission, ClientTls, IdentityFiles, PeerClient, ServerTls, serve};
use claviger_types::TrustDomain;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, SanType};
use tokio::net::TcpListener;

use super::*;

fn ca() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn node(dir: &Path, ca: &CertifiedIssuer<'static, KeyPair>, region: &str) -> IdentityFiles {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    let uri = format!("spiffe://test.example/region/{region}/node/1");
    params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into().unwrap()), SanType::DnsName("localhost".try_into().unwrap())];
    let files = IdentityFiles::new(dir.join(format!("{region}.pem")), dir.join(format!("{region}.key")));
    fs::write(&files.certificate, params.signed_by(&key, ca).unwrap().pem()).unwrap();
    fs::write(&files.key, key.serialize_pem()).unwrap();
    fs::set_permissions(&files.key, fs::Permissions::from_mode(0o600)).unwrap();
    files
}

#[test]
fn a_key_crosses_real_sockets() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let (ca, ca_path, domain) = (ca(), dir.path().join("ca.pem"), "test.example".parse::<TrustDomain>().unwrap());
        fs::write(&ca_path, ca.pem()).unwrap();
        let (stop, stopped) = watch::channel(false);
        let mut sites = Vec::new();
        for region in [A, B] {
            let files = node(dir.path(), &ca, region);
            let client = PeerClient::new(ClientTls::peer(&files, &ca_path, &domain).unwrap()).unwrap();
            let site = Site::found(region, config(), Arc::new(client)).await;
            let tls = Arc::new(ServerTls::load(&files, &ca_path, &domain, Admission::Peer).unwrap());
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let endpoint = format!("https://localhost:{}", listener.local_addr().unwrap().port());
            tokio::spawn(serve(listener, tls, AcceptLimits::default(), site.router(), stopped.clone()));
            sites.push((site, endpoint));
        }
        let [(a, at_a), (b, at_b)] = sites.try_into().map_err(|_| ()).unwrap();
        assert!(a.replicator.probe(std::slice::from_ref(&at_b), &name(C)).await.is_err(), "the certificate there is B's");
        for (site, other, endpoint) in [(&a, &b, &at_b), (&b, &a, &at_a)] {
            let fingerprint = other.replicator.own_identity().await.unwrap().fingerprint().unwrap();
            let accounts = AccountScope::All;
            let new = NewPeer { region: other.name.clone(), endpoints: vec![endpoint.clone()], accounts, fingerprint };
            site.replicator.add_peer(new).await.unwrap();
        }
        let id = a.create().await;
        a.replicate(&b, id).await;
        until("it is active on both sides", || {
            let document = a.document(&id).unwrap();
            document.members[&b.name].status == MemberStatus::Active && b.document(&id) == Some(document) && a.dirty() + b.dirty() == 0
        })
        .await;
        assert_eq!(a.materials(&id), b.materials(&id));
        stop.send_replace(true);
    });
}
