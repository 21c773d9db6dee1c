//! Checks members against the model's constraints, collects every failure, and words them as AWS does.
//!
//! Lengths of text count Unicode characters, those of blobs bytes. A blob's value is never repeated.

use std::fmt::Display;

use crate::ApiError;
use crate::decode::{Blob, Text};

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

/// The failures of one request.
#[derive(Default)]
pub(crate) struct Checks(Vec<String>);

impl Checks {
    /// A member that the model requires.
    pub(crate) fn required<T>(&mut self, path: impl Display, value: Option<&T>) {
        if value.is_none() {
            self.0.push(format!("Value null at '{path}' failed to satisfy constraint: Member must not be null"));
        }
    }

    /// A string.
    pub(crate) fn text(&mut self, path: impl Display, value: Option<&Text<'_>>, shape: &TextShape) {
        if let Some(Text(text)) = value {
            self.0
                .extend(shape.failures(text).map(|failure| format!("Value '{text}' at '{path}' failed to satisfy constraint: {failure}")));
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
        self.0.push(format!("Value '{number}' at '{path}' failed to satisfy constraint: Member must have value {failure}"));
    }

    /// A blob of 1 to `max` bytes, as every blob of the model has.
    pub(crate) fn blob(&mut self, path: impl Display, value: Option<&Blob>, max: usize) {
        let failure = value.and_then(|blob| length_failure(blob.0.len(), 1, max));
        self.0.extend(failure.map(|failure| format!("Value at '{path}' failed to satisfy constraint: {failure}")));
    }

    /// A list of strings: its length, then what the model asks of each member.
    pub(crate) fn texts(&mut self, path: impl Display, value: Option<&Vec<Option<Text<'_>>>>, max: usize, shape: &TextShape) {
        let Some(list) = value else { return };
        let shown = || list.iter().map(|item| item.as_ref().map_or("null", |text| &text.0)).collect::<Vec<_>>().join(", ");
        if let Some(failure) = length_failure(list.len(), 0, max) {
            self.0.push(format!("Value '[{}]' at '{path}' failed to satisfy constraint: {failure}", shown()));
        }
        for (index, item) in list.iter().enumerate() {
            self.required(format_args!("{path}.{}.member", index + 1), item.as_ref());
            self.text(format_args!("{path}.{}.member", index + 1), item.as_ref(), shape);
        }
    }

    /// All failures in one answer.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        match self.0.len() {
            0 => Ok(()),
            1 => Err(ApiError::validation(format!("1 validation error detected: {}", self.0[0]))),
            count => Err(ApiError::validation(format!("{count} validation errors detected: {}", self.0.join("; ")))),
        }
    }
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
