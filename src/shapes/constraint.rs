//! Checks members against the model's constraints, collects every failure, and words them as AWS does.
//!
//! Lengths of text count Unicode characters, those of blobs bytes. A blob's value is never repeated. What is collected is
//! bounded, however much of a request fails: the client chooses that.

use std::fmt::{Display, Write as _};

use crate::ApiError;
use crate::decode::{Blob, List, Text};

/// Failures are collected up to the one that reaches this: the members of any request, or some twenty items of a list.
/// With [`VALUE_BYTES_SHOWN_MAX`] it keeps the answer below 16 KiB, even if JSON escapes every byte of every value.
const FAILURES_BYTES_MAX: usize = 2048;
/// How much of a value is repeated in the answer.
const VALUE_BYTES_SHOWN_MAX: usize = 512;

/// The constraints of a string shape.
#[derive(Clone, Copy)]
pub(crate) struct TextShape {
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) pattern: Option<Pattern>,
    /// The values of an enum; empty when the shape is none.
    pub(crate) values: &'static [&'static str],
}

/// A regular expression of the model, and the same thing as code.
#[derive(Clone, Copy)]
pub(crate) struct Pattern {
    pub(crate) source: &'static str,
    pub(crate) matches: fn(&str) -> bool,
}

impl TextShape {
    pub(crate) const fn length(min: usize, max: usize) -> Self {
        Self { min, max, pattern: None, values: &[] }
    }

    pub(crate) const fn pattern(min: usize, max: usize, source: &'static str, matches: fn(&str) -> bool) -> Self {
        Self { min, max, pattern: Some(Pattern { source, matches }), values: &[] }
    }

    pub(crate) const fn one_of(values: &'static [&'static str]) -> Self {
        Self { min: 0, max: usize::MAX, pattern: None, values }
    }

    /// The constraints that `text` fails, in the order length, pattern, enum.
    fn failures<'a>(&'a self, text: &str) -> impl Iterator<Item = String> + use<'a> {
        let length = length_failure(text.chars().count(), self.min, self.max);
        let pattern = self.pattern.filter(|pattern| !(pattern.matches)(text));
        let choice = !self.values.is_empty() && !self.values.contains(&text);
        length
            .into_iter()
            .chain(pattern.map(|pattern| format!("Member must satisfy regular expression pattern: {}", pattern.source)))
            .chain(choice.then(|| format!("Member must satisfy enum value set: [{}]", self.values.join(", "))))
    }
}

/// The failures of one request: their number, and their texts in one.
#[derive(Default)]
pub(crate) struct Checks {
    failures: usize,
    text: String,
}

impl Checks {
    /// A member that the model requires.
    pub(crate) fn required<T>(&mut self, path: impl Display, value: Option<&T>) {
        if value.is_none() {
            self.fail(format_args!("Value null at '{path}'"), "Member must not be null");
        }
    }

    /// A string.
    pub(crate) fn text(&mut self, path: impl Display, value: Option<&Text<'_>>, shape: &TextShape) {
        let Some(Text(text)) = value else { return };
        for failure in shape.failures(text) {
            self.fail(format_args!("Value '{}' at '{path}'", shown(text)), failure);
        }
    }

    /// An integer, inclusive bounds.
    pub(crate) fn range(&mut self, path: impl Display, value: Option<i32>, min: i32, max: i32) {
        let Some(number) = value else { return };
        let failure = match number {
            low if low < min => format!("greater than or equal to {min}"),
            high if high > max => format!("less than or equal to {max}"),
            _ => return,
        };
        self.fail(format_args!("Value '{number}' at '{path}'"), format_args!("Member must have value {failure}"));
    }

    /// A blob of 1 to `max` bytes, as every blob of the model has.
    pub(crate) fn blob(&mut self, path: impl Display, value: Option<&Blob>, max: usize) {
        if let Some(failure) = value.and_then(|blob| length_failure(blob.0.len(), 1, max)) {
            self.fail(format_args!("Value at '{path}'"), failure);
        }
    }

    /// A list of strings: its length, then, unless it is too long, what the model asks of each member.
    pub(crate) fn texts<const MAX: usize>(&mut self, path: impl Display, value: Option<&List<Option<Text<'_>>, MAX>>, shape: &TextShape) {
        let Some(list) = value else { return };
        if let Some(failure) = length_failure(list.items().len(), 0, MAX) {
            self.fail(format_args!("Value '[{}]' at '{path}'", shown(&joined(list.items()))), failure);
            return;
        }
        for (index, item) in list.items().iter().enumerate() {
            if self.is_full() {
                break;
            }
            self.required(format_args!("{path}.{}.member", index + 1), item.as_ref());
            self.text(format_args!("{path}.{}.member", index + 1), item.as_ref(), shape);
        }
    }

    /// All failures in one answer.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        let Self { failures, text } = self;
        match failures {
            0 => Ok(()),
            1 => Err(ApiError::validation(format!("1 validation error detected: {text}"))),
            count => Err(ApiError::validation(format!("{count} validation errors detected: {text}"))),
        }
    }

    const fn is_full(&self) -> bool {
        self.text.len() >= FAILURES_BYTES_MAX
    }

    fn fail(&mut self, value_at_path: impl Display, constraint: impl Display) {
        if self.is_full() {
            return;
        }
        let separator = if self.failures == 0 { "" } else { "; " };
        self.failures += 1;
        // Writing to a string cannot fail.
        let _ = write!(self.text, "{separator}{value_at_path} failed to satisfy constraint: {constraint}");
    }
}

/// The part of a value that is repeated in the answer.
fn shown(text: &str) -> &str {
    &text[..text.floor_char_boundary(VALUE_BYTES_SHOWN_MAX)]
}

/// The items of a list as one value, no more of them than are shown.
fn joined(list: &[Option<Text<'_>>]) -> String {
    let mut joined = String::new();
    for (index, item) in list.iter().enumerate() {
        if joined.len() > VALUE_BYTES_SHOWN_MAX {
            break;
        }
        joined.push_str(if index == 0 { "" } else { ", " });
        joined.push_str(item.as_ref().map_or("null", |text| shown(&text.0)));
    }
    joined
}

fn length_failure(length: usize, min: usize, max: usize) -> Option<String> {
    if length < min {
        Some(format!("Member must have length greater than or equal to {min}"))
    } else if length > max {
        Some(format!("Member must have length less than or equal to {max}"))
    } else {
        None
    }
}

/// A required member, after [`Checks::finish`] found it there.
pub(crate) fn present<T>(value: Option<T>) -> Result<T, ApiError> {
    value.ok_or_else(ApiError::internal)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{ApiError, ErrorCode, Operation, Request};

    const BODY_BYTES: usize = 1 << 20;
    const ANSWER_BYTES_MAX: usize = 16 << 10;
    const KEY: &str = "mrk-000102030405060708090a0b0c0d0e0f";

    /// What a body of at most 1 MiB is answered: `prefix`, then `item` as often as it fits, then `]}`.
    fn answer(operation: Operation, prefix: &str, item: &str) -> ApiError {
        let items = vec![item; (BODY_BYTES - prefix.len() - 2) / (item.len() + 1)].join(",");
        let body = format!("{prefix}{items}]}}");
        assert!(body.len() <= BODY_BYTES && body.len() + item.len() + 1 > BODY_BYTES - 2);
        let error = Request::parse(operation, body.as_bytes()).err().unwrap();
        let answer = json!(error.message).to_string();
        assert!(answer.len() < ANSWER_BYTES_MAX, "{operation} {item:.40}: {} bytes", answer.len());
        error
    }

    #[test]
    fn a_hostile_list_gets_a_small_answer() {
        let control = Value::from("\u{1}".repeat(9000)).to_string();
        let decrypt = |member| format!(r#"{{"CiphertextBlob":"AQ==","{member}":["#);
        for item in ["null", r#""""#, r#""a""#, &control] {
            for (member, path) in [("GrantTokens", "grantTokens"), ("DryRunModifiers", "dryRunModifiers")] {
                let error = answer(Operation::Decrypt, &decrypt(member), item);
                // One failure, of the list itself: the items of a list that is too long are not looked at.
                assert!(error.message.starts_with("1 validation error detected: Value '["), "{}", error.message);
                let constraint = "failed to satisfy constraint: Member must have length less than or equal to 10";
                assert!(error.message.ends_with(&format!("]' at '{path}' {constraint}")), "{}", error.message);
            }
            let error = answer(Operation::UntagResource, &format!(r#"{{"KeyId":"{KEY}","TagKeys":["#), item);
            assert!(error.message == "Too many tags" || item.len() > 50_000, "{}", error.message);
        }
        let prefixes = [
            (Operation::CreateKey, r#"{"Tags":["#.to_owned()),
            (Operation::TagResource, format!(r#"{{"KeyId":"{KEY}","Tags":["#)),
            (Operation::ReplicateKey, format!(r#"{{"KeyId":"{KEY}","ReplicaRegion":"dc-north-2","Tags":["#)),
        ];
        for (operation, prefix) in prefixes {
            for item in ["{}", "null", &format!(r#"{{"TagKey":{control}}}"#)] {
                let error = answer(operation, &prefix, item);
                if error.code == ErrorCode::Tag {
                    assert_eq!(error.message, "Too many tags");
                } else {
                    assert_eq!((error.code, item.len() > 50_000), (ErrorCode::Validation, true), "{}", error.message);
                }
            }
        }
    }

    #[test]
    fn failing_items_of_a_list_that_is_not_too_long_get_a_small_answer() {
        let tag = json!({"TagKey": "\u{1}".repeat(600), "TagValue": "\u{1}".repeat(600)});
        let body = json!({"Policy": "\u{1}".repeat(140_000), "Tags": vec![tag; 50]}).to_string();
        let error = Request::parse(Operation::CreateKey, body.as_bytes()).err().unwrap();
        assert_eq!(error.code, ErrorCode::Validation);
        let answer = json!(error.message).to_string();
        assert!((1000..ANSWER_BYTES_MAX).contains(&answer.len()), "{} bytes", answer.len());
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        for (text, kept) in [("\u{e9}".repeat(3000), 256), ("\u{20ac}".repeat(3000), 170)] {
            let shown: String = text.chars().take(kept).collect();
            let body = json!({"KeyId": text}).to_string();
            assert_eq!(
                Request::parse(Operation::DescribeKey, body.as_bytes()).err().unwrap().message,
                format!(
                    "1 validation error detected: Value '{shown}' at 'keyId' failed to satisfy constraint: Member must have length less \
                     than or equal to 2048"
                )
            );
        }
    }
}
