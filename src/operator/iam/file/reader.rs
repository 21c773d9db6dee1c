//! From the form of `iam.toml` to identities: every check that needs no region.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use claviger_policy::{Policy, PolicyKind};
use claviger_shapes::admin::iam::{Group, Identity, IdentityKind, IdentityName, ManagedPolicy, Role, User};
use claviger_types::limits::{
    ATTACHED_POLICIES_MAX, GROUPS_PER_USER_MAX, IDENTITIES_PER_ACCOUNT_MAX, IDENTITY_POLICIES_BYTES_MAX, INLINE_POLICIES_MAX,
    TAG_KEY_CHARS_MAX, TAG_VALUE_CHARS_MAX, TAGS_PER_KEY_MAX,
};
use claviger_types::{AccountId, Partition};
use serde::de::IgnoredAny;

use super::entries::{AccountEntry, FileEntry, PolicyEntry, Text};
use super::{FileAccount, IamError};

/// A file as text, from which errors know their lines.
pub(super) struct Reader {
    path: PathBuf,
    text: String,
}

/// A name that stands at a place and must be that of an identity.
type Reference = (Range<usize>, IdentityName);

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Self, IamError> {
        Ok(Self { path: path.to_owned(), text: read(path)? })
    }

    pub(super) fn has_accounts(&self) -> bool {
        toml::from_str::<toml::Table>(&self.text).is_ok_and(|table| table.contains_key("account"))
    }

    pub(super) fn accounts(&self) -> Result<BTreeMap<AccountId, FileAccount>, IamError> {
        let file: FileEntry = toml::from_str(&self.text)
            .map_err(|error| error.span().map_or_else(|| self.fail(None, error.message()), |span| self.at(&span, error.message())))?;
        let mut accounts = BTreeMap::new();
        for entry in file.account {
            let id = entry.id.clone();
            let account: AccountId = id.get_ref().parse().map_err(|error| self.at(&id.span(), format!("{error}")))?;
            if accounts.insert(account, self.account(entry)?).is_some() {
                return Err(self.at(&id.span(), format!("account {account} is there twice")));
            }
        }
        Ok(accounts)
    }

    fn account(&self, entry: AccountEntry) -> Result<FileAccount, IamError> {
        let mut found = FileAccount::default();
        let mut references = Vec::new();
        let id = entry.id.span();
        for policy in entry.policy {
            let document = self.document(&policy)?;
            self.add(&mut found, &policy.name, Identity::Policy(ManagedPolicy { document }))?;
        }
        for group in entry.group {
            let attached = self.attached(group.attach, &mut references)?;
            let inline = self.inline(&group.name, &group.inline)?;
            self.add(&mut found, &group.name, Identity::Group(Group { inline, attached }))?;
        }
        for role in entry.role {
            let attached = self.attached(role.attach, &mut references)?;
            let (inline, tags) = (self.inline(&role.name, &role.inline)?, self.tags(&role.name, role.tags)?);
            let boundary = boundary(role.boundary, &mut references);
            self.add(&mut found, &role.name, Identity::Role(Role { tags, inline, attached, boundary }))?;
        }
        for user in entry.user {
            let groups = self.named(user.groups, IdentityKind::Group, GROUPS_PER_USER_MAX, &mut references)?;
            let attached = self.attached(user.attach, &mut references)?;
            let (inline, tags) = (self.inline(&user.name, &user.inline)?, self.tags(&user.name, user.tags)?);
            let boundary = boundary(user.boundary, &mut references);
            self.add(&mut found, &user.name, Identity::User(User { tags, groups, inline, attached, boundary }))?;
        }
        if found.identities.len() as u64 > IDENTITIES_PER_ACCOUNT_MAX {
            return Err(self.at(&id, format!("an account has at most {IDENTITIES_PER_ACCOUNT_MAX} identities")));
        }
        match references.into_iter().find(|(_, name)| !found.identities.contains_key(name)) {
            Some((span, name)) => Err(self.at(&span, format!("the account has no {} {:?} in this file", name.kind.as_str(), name.name))),
            None => Ok(found),
        }
    }

    fn add(&self, found: &mut FileAccount, name: &Text, identity: Identity) -> Result<(), IamError> {
        let kind = identity.kind();
        self.check_name(name, kind)?;
        let key = IdentityName::new(kind, name.get_ref());
        if found.lines.insert(key.clone(), self.line(name.span().start)).is_some() {
            return Err(self.at(&name.span(), format!("the account has two of {key}")));
        }
        found.identities.insert(key, identity);
        Ok(())
    }

    fn check_name(&self, name: &Text, kind: IdentityKind) -> Result<(), IamError> {
        if kind.allows(name.get_ref()) {
            return Ok(());
        }
        let problem = format!("{:?} is no name of a {}: letters, digits and +=,.@_-", name.get_ref(), kind.as_str());
        Err(self.at(&name.span(), problem))
    }

    fn attached(&self, names: Vec<Text>, references: &mut Vec<Reference>) -> Result<BTreeSet<String>, IamError> {
        self.named(names, IdentityKind::Policy, ATTACHED_POLICIES_MAX, references)
    }

    /// Names of other identities, each of which must be there.
    fn named(
        &self,
        names: Vec<Text>,
        kind: IdentityKind,
        most: usize,
        references: &mut Vec<Reference>,
    ) -> Result<BTreeSet<String>, IamError> {
        let mut found = BTreeSet::new();
        for name in names {
            let span = name.span();
            references.push((span.clone(), IdentityName::new(kind, name.get_ref())));
            if !found.insert(name.into_inner()) {
                return Err(self.at(&span, "is named twice"));
            }
            if found.len() > most {
                return Err(self.at(&span, format!("at most {most} may be named")));
            }
        }
        Ok(found)
    }

    fn inline(&self, owner: &Text, entries: &[PolicyEntry]) -> Result<BTreeMap<String, String>, IamError> {
        let mut found = BTreeMap::new();
        for entry in entries {
            self.check_name(&entry.name, IdentityKind::Policy)?;
            if found.insert(entry.name.get_ref().clone(), self.document(entry)?).is_some() {
                return Err(self.at(&entry.name.span(), "another inline policy has this name"));
            }
        }
        let bytes: usize = found.values().map(String::len).sum();
        if found.len() > INLINE_POLICIES_MAX || bytes > IDENTITY_POLICIES_BYTES_MAX {
            let problem =
                format!("at most {INLINE_POLICIES_MAX} inline policies of {IDENTITY_POLICIES_BYTES_MAX} bytes together are allowed");
            return Err(self.at(&owner.span(), problem));
        }
        Ok(found)
    }

    fn tags(&self, owner: &Text, tags: BTreeMap<String, Text>) -> Result<BTreeMap<String, String>, IamError> {
        if tags.len() > TAGS_PER_KEY_MAX {
            return Err(self.at(&owner.span(), format!("at most {TAGS_PER_KEY_MAX} tags are allowed")));
        }
        let check = |(key, value): (String, Text)| {
            let fits = |text: &str, most: usize| text.chars().count() <= most;
            match !key.is_empty() && fits(&key, TAG_KEY_CHARS_MAX) && fits(value.get_ref(), TAG_VALUE_CHARS_MAX) {
                true => Ok((key, value.into_inner())),
                false => {
                    let problem =
                        format!("a tag has a key of 1 to {TAG_KEY_CHARS_MAX} and a value of at most {TAG_VALUE_CHARS_MAX} characters");
                    Err(self.at(&value.span(), problem))
                }
            }
        };
        tags.into_iter().map(check).collect()
    }

    /// A policy's text without the blanks around it.
    fn document(&self, entry: &PolicyEntry) -> Result<String, IamError> {
        let (found, place) = match (&entry.document, &entry.file) {
            (Some(text), None) => (text.get_ref().clone(), text.span()),
            (None, Some(file)) => (read(&self.directory().join(file.get_ref()))?, file.span()),
            _ => return Err(self.at(&entry.name.span(), "a policy has either a document or a file")),
        };
        let document = found.trim();
        if document.len() > IDENTITY_POLICIES_BYTES_MAX {
            return Err(self.at(&place, format!("a policy has at most {IDENTITY_POLICIES_BYTES_MAX} bytes")));
        }
        serde_json::from_str::<IgnoredAny>(document).map_err(|error| self.not_json(entry, &found, &error))?;
        // The partition stands in what principals are named by, and identity policies name none.
        match Policy::parse(document, PolicyKind::Identity, &Partition::default()) {
            Ok(_) => Ok(document.to_owned()),
            Err(error) => Err(self.at(&place, format!("the policy {:?} is refused: {error}", entry.name.get_ref()))),
        }
    }

    /// At the line of the document on which the error is.
    fn not_json(&self, entry: &PolicyEntry, found: &str, error: &serde_json::Error) -> IamError {
        let blank_lines = found[..found.len() - found.trim_start().len()].matches('\n').count();
        let line = blank_lines + error.line().max(1);
        let problem = format!("the policy {:?} is not valid JSON: {error}", entry.name.get_ref());
        match (&entry.document, &entry.file) {
            (Some(text), _) => {
                let written = &self.text[text.span()];
                // TOML leaves out a line feed that follows the opening quotes.
                let first = usize::from(["\"\"\"\n", "\"\"\"\r\n", "'''\n", "'''\r\n"].iter().any(|open| written.starts_with(open)));
                self.fail(Some(self.line(text.span().start) + first + line - 1), problem)
            }
            (None, Some(file)) => IamError { path: self.directory().join(file.get_ref()), line: Some(line), problem },
            (None, None) => self.at(&entry.name.span(), problem),
        }
    }

    /// What relative paths are relative to.
    fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text[..at.min(self.text.len())].matches('\n').count()
    }

    fn at(&self, span: &Range<usize>, problem: impl Into<String>) -> IamError {
        self.fail(Some(self.line(span.start)), problem)
    }

    fn fail(&self, line: Option<usize>, problem: impl Into<String>) -> IamError {
        IamError { path: self.path.clone(), line, problem: problem.into() }
    }
}

fn boundary(name: Option<Text>, references: &mut Vec<Reference>) -> Option<String> {
    let name = name?;
    references.push((name.span(), IdentityName::new(IdentityKind::Policy, name.get_ref())));
    Some(name.into_inner())
}

fn read(path: &Path) -> Result<String, IamError> {
    let fail = |error| IamError { path: path.to_owned(), line: None, problem: format!("cannot be read: {error}") };
    std::fs::read_to_string(path).map_err(fail)
}
