//! Who the holders of certificates without a URI are: by mappings, and only by those of their own CA.

use rcgen::DnType;
use rustls::AlertDescription;

use crate::testing::{RawName, ca, get_http1, params, raw_sans, within};
use crate::tests_admission::alert;
use crate::tests_binding::{Fixture, OURS, THEIRS, assert_is, dns, judge, mapped, of, refused, test_params, uri, user};
use crate::{BindingError, Holder, IdentityError};

fn subject() -> Holder {
    Holder::by_subject("CN=test,O=Example").unwrap()
}

#[tokio::test]
async fn a_mapping_says_who_certificates_without_a_uri_are() {
    let fixture = Fixture::new();
    let holders = [(dns("backup.example"), "backup"), (dns("other.example"), "other")];
    let (tls, server) = fixture.start(vec![fixture.ca("first.pem", mapped(&holders)), fixture.ca("second.pem", of(OURS))]).await;
    let backup = fixture.issue(&fixture.first, &["dns:Backup.example", "dns:x.example", "ip:10.0.0.1"]);
    assert_is(&tls, &backup, user(OURS, "backup"));
    let mut stream = fixture.pki.dial_api(&server, &backup).await.unwrap();
    assert!(within(get_http1(&mut stream, "/")).await.unwrap().contains("backup"));
    // Not of another CA, which has no mapping or another one.
    assert_eq!(refused(&tls, &fixture.issue(&fixture.second, &["dns:backup.example"])), IdentityError::NoUri);
    let other = fixture.load(vec![fixture.ca("first.pem", of(OURS)), fixture.ca("second.pem", mapped(&holders[1..]))]).unwrap();
    assert_eq!(refused(&other, &fixture.issue(&fixture.second, &["dns:backup.example"])), IdentityError::NotMapped);
    judge(&tls, &fixture.issue(&ca("first ca"), &["dns:backup.example"])).unwrap_err();

    for sans in [&[][..], &["dns:x.example"], &["dns:*.example"], &["ip:10.0.0.1"], &["dns:backup.example.org"]] {
        assert_eq!(refused(&tls, &fixture.issue(&fixture.first, sans)), IdentityError::NotMapped, "{sans:?}");
    }
    let two = fixture.issue(&fixture.first, &["dns:backup.example", "dns:other.example"]);
    assert_eq!(refused(&tls, &two), IdentityError::SeveralMappings);
    assert_eq!(alert(&fixture.pki, &server, "api-ca.pem", Some(&two)).await, AlertDescription::CertificateUnknown);
    server.stop().await;
}

#[test]
fn a_subject_is_compared_part_by_part() {
    let fixture = Fixture::new();
    let tls = fixture.load(vec![fixture.ca("first.pem", mapped(&[(subject(), "backup")]))]).unwrap();
    assert_is(&tls, &fixture.issue(&fixture.first, &[]), user(OURS, "backup"));
    for parts in [
        vec![(DnType::CommonName, "test,O=Example")],
        vec![(DnType::CommonName, "test, O=Example")],
        vec![(DnType::CommonName, "test"), (DnType::OrganizationName, "Example")],
        vec![(DnType::OrganizationName, "Example"), (DnType::CommonName, "Test")],
        vec![(DnType::CountryName, "DE"), (DnType::OrganizationName, "Example"), (DnType::CommonName, "test")],
        vec![(DnType::CommonName, "test")],
        vec![],
    ] {
        let mut params = params(&[]);
        params.distinguished_name = rcgen::DistinguishedName::new();
        parts.iter().for_each(|(kind, value)| params.distinguished_name.push(kind.clone(), *value));
        let files = fixture.pki.issue_below("other", &fixture.first, &params, &[]);
        assert_eq!(refused(&tls, &files), IdentityError::NotMapped, "{parts:?}");
    }
}

#[test]
fn a_uri_is_never_mapped() {
    let fixture = Fixture::new();
    let holders = [(subject(), "backup"), (dns("unused.example"), "unused")];
    let tls = fixture.load(vec![fixture.ca("first.pem", mapped(&holders))]).unwrap();
    let issue = |sans: &[&str]| fixture.issue(&fixture.first, sans);
    assert_is(&tls, &issue(&[&uri("111122223333/user/alice"), "dns:unused.example"]), user(OURS, "alice"));
    for bad in [&uri("nobody"), "uri:spiffe://other.example/111122223333/user/alice", "uri:https://x.example/"] {
        assert!(matches!(refused(&tls, &issue(&[bad])), IdentityError::Spiffe(_)), "{bad}");
    }
    let (alice, bob) = (uri("111122223333/user/alice"), uri("111122223333/user/bob"));
    for twice in [[alice.as_str(), &bob], [&alice, &alice], [&alice, "uri:https://x.example/"]] {
        assert_eq!(refused(&tls, &issue(&twice)), IdentityError::SeveralUris);
    }
    assert!(matches!(refused(&tls, &issue(&[&uri("444455556666/user/carol")])), IdentityError::NotBound { .. }));
}

#[test]
fn a_uri_that_does_not_parse_is_not_mapped_either() {
    let fixture = Fixture::new();
    let holders = [(subject(), "backup"), (dns("unused.example"), "unused")];
    let tls = fixture.load(vec![fixture.ca("first.pem", mapped(&holders))]).unwrap();
    let issue = |names: &[RawName<'_>]| {
        let mut params = test_params(&[]);
        params.custom_extensions = vec![raw_sans(names)];
        fixture.pki.issue_below("raw", &fixture.first, &params, &[])
    };
    let (name, bad): (RawName<'_>, RawName<'_>) = ((0x82, b"x.example"), (0x86, b"spiffe://\xff"));
    assert_is(&tls, &issue(&[name]), user(OURS, "backup"));
    for names in [&[bad][..], &[name, bad], &[bad, name]] {
        assert_eq!(refused(&tls, &issue(names)), IdentityError::Malformed, "{names:?}");
    }
}

#[test]
fn bindings_that_contradict_themselves_are_refused() {
    let mut binding = mapped(&[(subject(), "backup")]);
    assert_eq!(binding.map(subject(), user(OURS, "other")), Err(BindingError::MappedTwice));
    let theirs = user(THEIRS, "carol");
    assert_eq!(binding.map(dns("carol.example"), theirs.clone()), Err(BindingError::Account(theirs.account())));
    for bad in ["", "Backup.example", "*.example", "a..b", ".", "a b", "backup.example."] {
        assert_eq!(Holder::by_dns(bad), Err(BindingError::Dns), "{bad}");
    }
    assert!(matches!(Holder::by_subject("backup"), Err(BindingError::Subject(_))));
}
