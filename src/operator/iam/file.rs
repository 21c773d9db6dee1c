//! `iam.toml`: the identities that accounts are to have. Its form is shown, with comments, by `config/iam.toml`.
//!
//! It is read and checked as a whole before anything is sent: names, references, limits, and that documents are policies, as the
//! region will check them again. Every error names the file and the line.

mod entries;
mod reader;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use claviger_shapes::admin::iam::{Identities, IdentityName};
use claviger_types::AccountId;

use self::reader::Reader;

/// A file of identities, in order.
#[derive(Clone, Debug)]
pub struct IamFile {
    path: PathBuf,
    accounts: BTreeMap<AccountId, FileAccount>,
}

/// An account as the file wants it, and the line on which each identity is named.
#[derive(Clone, Debug, Default)]
struct FileAccount {
    identities: Identities,
    lines: BTreeMap<IdentityName, usize>,
}

/// Why a file of identities is refused.
#[derive(Debug)]
pub struct IamError {
    path: PathBuf,
    line: Option<usize>,
    problem: String,
}

impl fmt::Display for IamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for IamError {}

impl IamFile {
    /// Whether a file is one of identities, in order or not: it has accounts.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn is_in(path: &Path) -> Result<bool, IamError> {
        Ok(Reader::open(path)?.has_accounts())
    }

    /// Reads and checks a file, and the documents that it names.
    ///
    /// # Errors
    /// The first problem, with its file and line.
    pub fn load(path: &Path) -> Result<Self, IamError> {
        Ok(Self { path: path.to_owned(), accounts: Reader::open(path)?.accounts()? })
    }

    /// The accounts that it names, each with all that it is to have.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, &Identities)> {
        self.accounts.iter().map(|(account, wanted)| (*account, &wanted.identities))
    }

    /// What an account is to have; `None` when the file does not name it.
    pub fn account(&self, account: AccountId) -> Option<&Identities> {
        self.accounts.get(&account).map(|wanted| &wanted.identities)
    }

    /// A region's refusal with the file and line of the identity that it names, if it names one.
    pub fn locate(&self, account: AccountId, refusal: &str) -> String {
        let lines = self.accounts.get(&account).map(|wanted| &wanted.lines);
        let line_of = |part: &str| part.parse().ok().and_then(|name: IdentityName| lines?.get(&name).copied());
        match refusal.split(": ").find_map(line_of) {
            Some(line) => IamError { path: self.path.clone(), line: Some(line), problem: refusal.to_owned() }.to_string(),
            None => refusal.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
