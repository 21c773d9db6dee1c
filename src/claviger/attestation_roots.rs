//! `[attestation]`: the roots to which the attestation documents of recipients must lead.
//!
//! They are read with the configuration, so that `claviger config check` finds what is wrong with them, and hold until the next start.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};

use claviger_attestation::TrustRoots;
use serde::Deserialize;
use toml::Spanned;

/// More than any roots need; keeps a wrong path from being read whole.
const PEM_BYTES_MAX: u64 = 1024 * 1024;

const REMEDY: &str = "name a PEM file with the root certificates of attestation, of AWS Nitro: AWS_NitroEnclaves_Root-G1";

/// Whose attestation documents are believed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AttestationConfig {
    /// PEM.
    trust_roots: Spanned<PathBuf>,
}

impl AttestationConfig {
    /// Reads the file, which is relative to `base`.
    ///
    /// # Errors
    /// What is wrong with it, and where it is named in the text.
    pub(crate) fn roots(&self, base: &Path) -> Result<TrustRoots, (Range<usize>, String)> {
        let path = base.join(self.trust_roots.get_ref());
        let problem =
            |problem: String| (self.trust_roots.span(), format!("attestation.trust_roots {}: {problem}; {REMEDY}", path.display()));
        let mut pem = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(PEM_BYTES_MAX + 1).read_to_end(&mut pem));
        read.map_err(|error| problem(format!("cannot be read: {error}")))?;
        if pem.len() as u64 > PEM_BYTES_MAX {
            return Err(problem(format!("has more than {PEM_BYTES_MAX} bytes")));
        }
        TrustRoots::from_pem(&pem).map_err(|error| problem(error.to_string()))
    }
}
