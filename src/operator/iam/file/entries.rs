//! The form of `iam.toml`, with the places of all that a later check may refuse.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

/// A text and where it stands.
pub(super) type Text = Spanned<String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileEntry {
    #[serde(default)]
    pub(super) account: Vec<AccountEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountEntry {
    pub(super) id: Text,
    #[serde(default)]
    pub(super) policy: Vec<PolicyEntry>,
    #[serde(default)]
    pub(super) group: Vec<GroupEntry>,
    #[serde(default)]
    pub(super) role: Vec<RoleEntry>,
    #[serde(default)]
    pub(super) user: Vec<UserEntry>,
}

/// A policy: its text, or the file that holds it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyEntry {
    pub(super) name: Text,
    pub(super) document: Option<Text>,
    pub(super) file: Option<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupEntry {
    pub(super) name: Text,
    #[serde(default)]
    pub(super) attach: Vec<Text>,
    #[serde(default)]
    pub(super) inline: Vec<PolicyEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RoleEntry {
    pub(super) name: Text,
    #[serde(default)]
    pub(super) attach: Vec<Text>,
    pub(super) boundary: Option<Text>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, Text>,
    #[serde(default)]
    pub(super) inline: Vec<PolicyEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UserEntry {
    pub(super) name: Text,
    #[serde(default)]
    pub(super) groups: Vec<Text>,
    #[serde(default)]
    pub(super) attach: Vec<Text>,
    pub(super) boundary: Option<Text>,
    #[serde(default)]
    pub(super) tags: BTreeMap<String, Text>,
    #[serde(default)]
    pub(super) inline: Vec<PolicyEntry>,
}
