//! The PKI's files: what they hold, who may read them, and that nothing is ever overwritten.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use claviger_tls::certificate_identity;
use claviger_types::{Identity, Principal, Region};
use tempfile::TempDir;
use x509_parser::extensions::ParsedExtension;
use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;

use super::*;

pub(super) struct Fixture {
    dir: TempDir,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let fixture = Self { dir: tempfile::tempdir().unwrap() };
        init(&fixture.pki(), &domain(), Validity::days(CA_DAYS)).unwrap();
        fixture
    }

    pub(super) fn pki(&self) -> PathBuf {
        self.dir.path().join("pki")
    }

    pub(super) fn out(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn node(&self, id: u64, sans: &[&str]) -> Result<Changes, PkiError> {
        let sans: Vec<String> = sans.iter().map(|san| (*san).to_owned()).collect();
        issue_node(&self.pki(), &self.out("node"), &region(), id, &sans, Validity::days(LEAF_DAYS))
    }
}

pub(super) fn domain() -> TrustDomain {
    "kms.example".parse().unwrap()
}

fn region() -> Region {
    "eu-west-1".parse().unwrap()
}

const ALICE: &str = "111122223333/user/alice";

pub(super) fn with_certificate<T>(path: &Path, check: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
    let bytes = fs::read(path).unwrap();
    let pem = Pem::iter_from_buffer(&bytes).next().unwrap().unwrap();
    check(&pem.parse_x509().unwrap())
}

fn identity_of(path: &Path) -> Identity {
    let bytes = fs::read(path).unwrap();
    certificate_identity(&Pem::iter_from_buffer(&bytes).next().unwrap().unwrap().contents, &domain()).unwrap()
}

fn contents(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_twice_changes_nothing() {
    let fixture = Fixture::new();
    let before = contents(&fixture.pki());
    assert_eq!(before.len(), 5);
    assert_eq!(mode(&fixture.pki()), 0o700);
    for key in ["api-ca.key", "peer-ca.key"] {
        assert_eq!(mode(&fixture.pki().join(key)), 0o600);
    }
    let again = init(&fixture.pki(), &domain(), Validity::days(CA_DAYS)).unwrap();
    assert!(again.created.is_empty());
    assert_eq!(again.kept.len(), 5);
    assert!(again.to_string().contains("Nothing was changed"));
    assert_eq!(contents(&fixture.pki()), before);
    assert!(matches!(
        init(&fixture.pki(), &"other.example".parse().unwrap(), Validity::days(CA_DAYS)),
        Err(PkiError::OtherTrustDomain { .. })
    ));
    assert_eq!(contents(&fixture.pki()), before);
}

#[test]
fn an_interrupted_init_is_completed_with_the_key_it_had() {
    let fixture = Fixture::new();
    let key = fs::read(fixture.pki().join("peer-ca.key")).unwrap();
    fs::remove_file(fixture.pki().join("peer-ca.pem")).unwrap();
    let changes = init(&fixture.pki(), &domain(), Validity::days(CA_DAYS)).unwrap();
    assert_eq!(changes.created, [fixture.pki().join("peer-ca.pem")]);
    assert_eq!(fs::read(fixture.pki().join("peer-ca.key")).unwrap(), key);
    fixture.node(1, &["localhost"]).unwrap();
}

#[test]
fn a_ca_without_its_key_is_an_error_and_not_a_new_ca() {
    let fixture = Fixture::new();
    fs::remove_file(fixture.pki().join("api-ca.key")).unwrap();
    assert!(matches!(
        init(&fixture.pki(), &domain(), Validity::days(CA_DAYS)),
        Err(PkiError::NotInitialised { missing: "api-ca.key", .. })
    ));
    fs::copy(fixture.pki().join("peer-ca.key"), fixture.pki().join("api-ca.key")).unwrap();
    assert!(matches!(fixture.node(1, &["localhost"]), Err(PkiError::Different { .. })));
}

#[test]
fn an_exposed_ca_key_is_refused() {
    let fixture = Fixture::new();
    fs::set_permissions(fixture.pki().join("api-ca.key"), fs::Permissions::from_mode(0o640)).unwrap();
    assert!(fixture.node(1, &["localhost"]).unwrap_err().to_string().contains("chmod 600"));
}

#[test]
fn a_node_gets_two_certificates_of_two_cas() {
    let fixture = Fixture::new();
    let changes = fixture.node(7, &["Node7.example", "10.0.0.7", "::1"]).unwrap();
    assert_eq!(changes.created.len(), 6);
    let node = fixture.out("node");
    assert_eq!((mode(&node.join("api.key")), mode(&node.join("peer.key")), mode(&node.join("peer.pem"))), (0o600, 0o600, 0o644));
    assert_eq!(identity_of(&node.join("peer.pem")), Identity::Node { region: region(), id: 7 });
    for (name, uris, client) in [("api.pem", 0, false), ("peer.pem", 1, true)] {
        with_certificate(&node.join(name), |certificate| {
            let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
            assert_eq!(names.len(), 3 + uris);
            let purposes = certificate.extended_key_usage().unwrap().unwrap().value;
            assert!(purposes.server_auth && purposes.client_auth == client);
            assert!(!certificate.basic_constraints().unwrap().unwrap().value.ca);
            let usage = certificate.key_usage().unwrap().unwrap();
            assert!(usage.critical && usage.value.digital_signature() && !usage.value.key_cert_sign());
            let has = |wanted: fn(&ParsedExtension<'_>) -> bool| certificate.extensions().iter().any(|e| wanted(e.parsed_extension()));
            assert!(has(|e| matches!(e, ParsedExtension::AuthorityKeyIdentifier(_))));
            assert!(has(|e| matches!(e, ParsedExtension::SubjectKeyIdentifier(_))));
        });
    }
    with_certificate(&node.join("api-ca.pem"), |certificate| {
        let constraints = certificate.basic_constraints().unwrap().unwrap().value;
        assert!(constraints.ca && constraints.path_len_constraint == Some(0));
        assert!(certificate.key_usage().unwrap().unwrap().value.key_cert_sign());
    });
}

#[test]
fn what_is_there_is_kept_if_it_fits_and_refused_if_not() {
    let fixture = Fixture::new();
    fixture.node(1, &["localhost", "127.0.0.1"]).unwrap();
    let before = contents(&fixture.out("node"));
    let again = fixture.node(1, &["127.0.0.1", "localhost"]).unwrap();
    assert!(again.created.is_empty() && again.kept.len() == 6);
    for (id, sans) in [(2, &["localhost", "127.0.0.1"][..]), (1, &["localhost"]), (1, &["localhost", "127.0.0.2"])] {
        assert!(matches!(fixture.node(id, sans), Err(PkiError::Different { .. })), "{id} {sans:?}");
    }
    // Another deployment's PKI cannot pass its certificates off as these.
    let other = Fixture::new();
    let sans = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let mixed = issue_node(&other.pki(), &fixture.out("node"), &region(), 1, &sans, Validity::days(LEAF_DAYS));
    assert!(matches!(mixed, Err(PkiError::Different { .. })));
    assert_eq!(contents(&fixture.out("node")), before);
}

#[test]
fn clients_and_operators() {
    let fixture = Fixture::new();
    let valid = Validity::days(LEAF_DAYS);
    let changes = issue_client(&fixture.pki(), &fixture.out("clients/alice.v1"), ALICE, valid).unwrap();
    assert_eq!(changes.created, [fixture.out("clients/alice.v1.key"), fixture.out("clients/alice.v1.pem")]);
    assert_eq!(
        identity_of(&fixture.out("clients/alice.v1.pem")),
        Identity::Principal(Principal::User { account: "111122223333".parse().unwrap(), name: "alice".to_owned() })
    );
    issue_operator(&fixture.pki(), &fixture.out("ops"), "ops", valid).unwrap();
    assert_eq!(identity_of(&fixture.out("ops.pem")), Identity::Operator { name: "ops".to_owned() });
    with_certificate(&fixture.out("ops.pem"), |certificate| {
        let purposes = certificate.extended_key_usage().unwrap().unwrap().value;
        assert!(purposes.client_auth && !purposes.server_auth);
    });
    assert!(matches!(issue_operator(&fixture.pki(), &fixture.out("ops"), "other", valid), Err(PkiError::Different { .. })));
    assert!(matches!(issue_client(&fixture.out("nowhere"), &fixture.out("x"), ALICE, valid), Err(PkiError::NotInitialised { .. })));
}

#[test]
fn validity_is_the_callers() {
    let fixture = Fixture::new();
    let now = OffsetDateTime::now_utc();
    let past = Validity { not_before: now - time::Duration::days(2), not_after: now - time::Duration::days(1) };
    issue_client(&fixture.pki(), &fixture.out("old"), ALICE, past).unwrap();
    with_certificate(&fixture.out("old.pem"), |certificate| {
        assert_eq!(certificate.validity().not_after.timestamp(), past.not_after.unix_timestamp());
        assert!(!certificate.validity().is_valid());
    });
    let valid = Validity::days(1);
    assert!(valid.not_before < now && valid.not_after > now && valid.not_after < now + time::Duration::days(2));
}

#[test]
fn names_that_would_not_be_read_back_are_refused() {
    let fixture = Fixture::new();
    let valid = Validity::days(LEAF_DAYS);
    for name in ["", "a/b", "..", "a b", "é"] {
        assert!(matches!(issue_operator(&fixture.pki(), &fixture.out("x"), name, valid), Err(PkiError::Invalid(_))), "{name:?}");
    }
    for who in ["", "111122223333", "operator/ops", "region/eu-west-1/node/1", "111122223333/user/a/b", "11112222333/root"] {
        assert!(matches!(issue_client(&fixture.pki(), &fixture.out("x"), who, valid), Err(PkiError::Invalid(_))), "{who:?}");
    }
    for sans in [&[][..], &[""], &["a..b"], &["*.example"], &["-a"], &["a b"], &["spiffe://kms.example/x"]] {
        assert!(matches!(fixture.node(1, sans), Err(PkiError::Invalid(_))), "{sans:?}");
    }
    assert!(matches!(fixture.node(0, &["localhost"]), Err(PkiError::Invalid(_))));
    assert!(!fixture.out("node").exists() && !fixture.out("x.pem").exists());
}
