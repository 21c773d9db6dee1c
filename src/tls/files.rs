//! Reading certificates and keys from PEM files, with errors that name the file and the remedy.
//!
//! A private key that other users can read is refused, not warned about. Key bytes are wiped as soon as rustls has them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use zeroize::Zeroizing;

use crate::TlsError;
use crate::provider::provider;

/// More than any chain needs; keeps a wrong path (a disk image, a device) from being read whole.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

/// A certificate chain (leaf first) and its private key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The certificate chain.
    pub certificate: PathBuf,
    /// The private key (PKCS#8, SEC1 or PKCS#1), readable by its owner alone.
    pub key: PathBuf,
}

/// A loaded identity: what rustls presents, and the leaf.
pub(crate) struct LoadedIdentity {
    pub(crate) resolver: Arc<SingleCertAndKey>,
    pub(crate) leaf: CertificateDer<'static>,
}

impl IdentityFiles {
    /// Names the two files.
    pub fn new(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { certificate: certificate.into(), key: key.into() }
    }

    pub(crate) fn load(&self) -> Result<LoadedIdentity, TlsError> {
        let chain = read_certificates("certificate", &self.certificate)?;
        let key = read_key(&self.key)?;
        let unusable = |what, path: &Path, source| TlsError::Unusable { what, path: path.to_owned(), source };
        let key = provider().key_provider.load_private_key(key).map_err(|e| unusable("private key", &self.key, e))?;
        let leaf = chain.first().cloned().ok_or_else(|| not_pem("certificate", &self.certificate, CERTIFICATE))?;
        let certified = CertifiedKey::new(chain, key);
        match certified.keys_match() {
            Ok(()) => Ok(LoadedIdentity { resolver: Arc::new(SingleCertAndKey::from(certified)), leaf }),
            Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
                Err(TlsError::KeyMismatch { certificate: self.certificate.clone(), key: self.key.clone() })
            }
            Err(e) => Err(unusable("certificate", &self.certificate, e)),
        }
    }
}

/// The CAs of a CA file.
pub(crate) struct Anchors {
    pub(crate) roots: Arc<RootCertStore>,
    pub(crate) certificates: Vec<CertificateDer<'static>>,
}

/// Reads the trust anchors of a CA file.
pub(crate) fn read_anchors(path: &Path) -> Result<Anchors, TlsError> {
    const WHAT: &str = "CA certificate";
    let certificates = read_certificates(WHAT, path)?;
    let mut roots = RootCertStore::empty();
    for certificate in &certificates {
        roots.add(certificate.clone()).map_err(|source| TlsError::Unusable { what: WHAT, path: path.to_owned(), source })?;
    }
    Ok(Anchors { roots: Arc::new(roots), certificates })
}

const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";

fn read_certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(what, path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| not_pem(what, path, CERTIFICATE))?;
    if chain.is_empty() {
        return Err(not_pem(what, path, CERTIFICATE));
    }
    Ok(chain)
}

fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    const WHAT: &str = "private key";
    let pem = read(WHAT, path)?;
    let facts = fs::metadata(path).map_err(|source| TlsError::Read { what: WHAT, path: path.to_owned(), source })?;
    // A key that belongs to root may be readable by a group: how orchestrators hand secrets to a service user.
    let forbidden = if facts.uid() == 0 { 0o037 } else { 0o077 };
    if facts.mode() & forbidden != 0 {
        return Err(TlsError::KeyExposed { path: path.to_owned(), mode: facts.mode() & 0o7777 });
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|_| not_pem(WHAT, path, "-----BEGIN PRIVATE KEY-----"))
}

fn read(what: &'static str, path: &Path) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => TlsError::Missing { what, path: path.to_owned() },
        _ => TlsError::Read { what, path: path.to_owned(), source },
    };
    let file = File::open(path).map_err(failed)?;
    // Room for the whole file at once: a growing buffer would leave copies behind that nobody wipes.
    let length = file.metadata().map_err(failed)?.len().min(PEM_BYTES_MAX);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1));
    file.take(PEM_BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

fn not_pem(what: &'static str, path: &Path, expected: &'static str) -> TlsError {
    TlsError::NotPem { what, path: path.to_owned(), expected }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::testing::{Pki, write_private};

    fn failure(files: &IdentityFiles) -> String {
        match files.load() {
            Ok(_) => panic!("loaded"),
            Err(e) => e.to_string(),
        }
    }

    #[test]
    fn errors_name_the_file_and_the_remedy() {
        let pki = Pki::new();
        let good = pki.user("alice");
        good.load().unwrap();

        let missing = IdentityFiles::new(pki.path("none.pem"), &good.key);
        let text = failure(&missing);
        assert!(text.contains("none.pem") && text.contains("does not exist") && text.contains("claviger pki"), "{text}");

        write_private(&pki.path("junk.pem"), b"junk");
        let text = failure(&IdentityFiles::new(pki.path("junk.pem"), &good.key));
        assert!(text.contains("junk.pem") && text.contains("not PEM"), "{text}");
        let text = failure(&IdentityFiles::new(&good.certificate, pki.path("junk.pem")));
        assert!(text.contains("private key") && text.contains("junk.pem"), "{text}");

        let other = pki.user("bob");
        let text = failure(&IdentityFiles::new(&good.certificate, &other.key));
        assert!(text.contains("does not belong to certificate"), "{text}");

        let text = match read_anchors(&pki.path("nowhere.pem")) {
            Ok(_) => panic!("loaded"),
            Err(e) => e.to_string(),
        };
        assert!(text.contains("CA certificate") && text.contains("nowhere.pem"), "{text}");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let pki = Pki::new();
        let files = pki.user("alice");
        for mode in [0o604, 0o644, 0o666] {
            fs::set_permissions(&files.key, fs::Permissions::from_mode(mode)).unwrap();
            let text = failure(&files);
            assert!(text.contains("chmod 600") && text.contains(&format!("{mode:04o}")), "{text}");
        }
        fs::set_permissions(&files.key, fs::Permissions::from_mode(0o400)).unwrap();
        files.load().unwrap();
    }
}
