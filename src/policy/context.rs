//! What a request knows of itself, as conditions ask for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::IpAddr;
use std::ops::ControlFlow;

use claviger_types::{AccountId, GrantOperation, Timestamp};

use crate::condition_key::ConditionKey;

/// The values of a request's condition keys. They are asked for only when a condition or a variable needs them, so an
/// implementation computes nothing before. [`ConditionKey`] says which value each key has.
pub trait Context {
    /// The value of a key; [`Value::Absent`] for a key that this request does not have.
    fn value(&self, key: &ConditionKey) -> Value<'_>;
}

/// The value of a condition key.
#[derive(Clone)]
pub enum Value<'a> {
    /// The request has no such key.
    Absent,
    /// One text.
    Text(&'a str),
    /// One text that had to be made; the only value that costs an allocation.
    Made(String),
    /// An account, 12 digits as text.
    Account(AccountId),
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Number(u64),
    /// A time: ISO 8601 as text, seconds since the Unix epoch as a number.
    Time(Timestamp),
    /// An address.
    Ip(IpAddr),
    /// Any number of texts. None at all is the same as [`Value::Absent`].
    Many(&'a dyn Texts),
}

/// A text that may be missing.
impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(text: Option<&'a str>) -> Self {
        text.map_or(Self::Absent, Self::Text)
    }
}

/// The values of a multi-valued key.
pub trait Texts {
    /// Shows each to `visit`, until it breaks off.
    fn each(&self, visit: &mut dyn FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()>;
}

/// The keys of a map: `kms:EncryptionContextKeys` of an encryption context, `aws:TagKeys` of tags.
impl Texts for BTreeMap<String, String> {
    fn each(&self, visit: &mut dyn FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
        self.keys().try_for_each(|key| visit(key))
    }
}

/// `kms:GrantOperations`.
impl Texts for BTreeSet<GrantOperation> {
    fn each(&self, visit: &mut dyn FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
        self.iter().try_for_each(|operation| visit(operation.as_str()))
    }
}

impl Texts for Vec<String> {
    fn each(&self, visit: &mut dyn FnMut(&str) -> ControlFlow<()>) -> ControlFlow<()> {
        self.iter().try_for_each(|text| visit(text))
    }
}

/// What a map has under a key whose case means nothing, as in `aws:ResourceTag/<key>` and `kms:EncryptionContext:<key>`. The key
/// as written goes before one that differs in case.
pub fn find_ignoring_case<'a>(map: &'a BTreeMap<String, String>, key: &str) -> Option<&'a str> {
    let exact = map.get(key);
    exact.or_else(|| map.iter().find(|(found, _)| found.eq_ignore_ascii_case(key)).map(|(_, value)| value)).map(String::as_str)
}

/// What `look` makes of a value's text; none if it has no value, or more than one.
pub(crate) fn text_of<R>(value: &Value<'_>, look: impl FnOnce(&str) -> R) -> Option<R> {
    let mut buffer = Buffer::default();
    let written = match value {
        Value::Absent | Value::Many(_) => return None,
        Value::Text(text) => return Some(look(text)),
        Value::Made(text) => return Some(look(text)),
        Value::Bool(value) => return Some(look(if *value { "true" } else { "false" })),
        Value::Account(account) => write!(buffer, "{account}"),
        Value::Number(number) => write!(buffer, "{number}"),
        Value::Ip(address) => write!(buffer, "{address}"),
        Value::Time(at) => return Some(look(&crate::literal::format_time(*at))),
    };
    written.is_ok().then(|| look(buffer.as_str()))
}

/// Text on the stack: 45 bytes are the longest address.
struct Buffer {
    bytes: [u8; 48],
    used: usize,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { bytes: [0; 48], used: 0 }
    }
}

impl Buffer {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.used]).unwrap_or_default()
    }
}

impl Write for Buffer {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let end = self.used + text.len();
        self.bytes.get_mut(self.used..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.used = end;
        Ok(())
    }
}
