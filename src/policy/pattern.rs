//! Text with wildcards and policy variables, and how it is matched within a bound.
//!
//! A wildcard match goes back to the last `*` alone, so it takes at most pattern × text steps; [`Steps`] counts them over a whole
//! decision, and one that runs out is a refusal. What a variable stands for is literal: a tag `*` is no wildcard.

use std::cell::Cell;

use claviger_types::limits::POLICY_STEPS_MAX;

use crate::condition_key::ConditionKey;
use crate::context::{Context, text_of};

/// An element of a pattern: a character, [`MANY`] or [`ONE`].
pub(crate) type Token = u32;
/// Any number of characters.
pub(crate) const MANY: Token = u32::MAX;
/// Any one character.
pub(crate) const ONE: Token = u32::MAX - 1;
const COLON: Token = ':' as Token;

/// The steps that a decision may still take.
pub(crate) struct Steps(Cell<u64>);

impl Steps {
    /// What one decision may take.
    pub(crate) const fn of_a_decision() -> Self {
        Self::new(POLICY_STEPS_MAX)
    }

    pub(crate) const fn new(allowance: u64) -> Self {
        Self(Cell::new(allowance))
    }

    /// For parsing, where pattern and text are both short.
    pub(crate) const fn unlimited() -> Self {
        Self::new(u64::MAX)
    }

    pub(crate) fn take(&self, steps: u64) {
        self.0.set(self.0.get().saturating_sub(steps));
    }

    pub(crate) const fn left(&self) -> u64 {
        self.0.get()
    }

    /// Whether the decision has taken all that it may: then no match is one, and the answer is no.
    pub(crate) const fn are_spent(&self) -> bool {
        self.0.get() == 0
    }
}

/// `*` and `?` as wildcards, any other character as itself.
pub(crate) const fn token(character: char) -> Token {
    match character {
        '*' => MANY,
        '?' => ONE,
        other => other as Token,
    }
}

/// Whether the whole of `text` matches.
pub(crate) fn glob(pattern: &[Token], text: &str, steps: &Steps) -> bool {
    let allowance = steps.left();
    let mut taken = 0;
    let mut at = 0;
    let mut rest = text.chars();
    // Where to go on when what follows the last star does not match here.
    let mut retry = None;
    let matched = loop {
        taken += 1;
        if taken >= allowance {
            break false;
        }
        if pattern.get(at) == Some(&MANY) {
            at += 1;
            if at == pattern.len() {
                break true;
            }
            retry = Some((at, rest.clone()));
            continue;
        }
        let mut ahead = rest.clone();
        match (pattern.get(at), ahead.next()) {
            (None, None) => break true,
            (Some(_), None) => break false,
            (Some(token), Some(character)) if *token == ONE || *token == character as Token => {
                at += 1;
                rest = ahead;
            }
            _ => {
                let Some((from, start)) = &mut retry else { break false };
                start.next();
                at = *from;
                rest = start.clone();
            }
        }
    };
    steps.take(taken);
    matched
}

/// Whether each of the six parts of an ARN, of which the last may have colons, matches the pattern's part. A pattern with fewer
/// parts is completed with `*` if `complete`, and matches nothing otherwise.
pub(crate) fn arn_glob(pattern: &[Token], text: &str, complete: bool, steps: &Steps) -> bool {
    let parts = pattern.splitn(6, |token| *token == COLON);
    let mut texts = text.splitn(6, ':');
    let mut seen = 0;
    for part in parts {
        let Some(text) = texts.next() else { return false };
        if !glob(part, text, steps) {
            return false;
        }
        seen += 1;
    }
    seen == 6 || (complete && texts.count() + seen == 6)
}

/// Text of a policy that a text of a request is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum TextPattern {
    /// This text.
    Literal(Box<str>),
    /// With wildcards.
    Glob(Box<[Token]>),
    /// With variables, and maybe wildcards between them.
    Template(Box<[Piece]>),
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    Tokens(Box<[Token]>),
    Variable {
        key: ConditionKey,
        /// What it stands for when the request has no value, or more than one.
        default: Option<Box<str>>,
    },
}

/// How a text is read: what has a meaning in it.
#[derive(Clone, Copy)]
pub(crate) struct Reading {
    /// `*` and `?` are wildcards.
    pub(crate) wildcards: bool,
    /// `${…}` is a variable.
    pub(crate) variables: bool,
}

impl TextPattern {
    pub(crate) fn parse(text: &str, reading: Reading) -> Result<Self, &'static str> {
        let mut pieces = Vec::new();
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(character) = rest.chars().next() {
            if reading.variables && rest.starts_with("${") {
                let (inside, after) = split_variable(&rest[2..]).ok_or("has a ${ without its }")?;
                rest = after;
                match inside {
                    "*" | "?" | "$" => tokens.extend(inside.chars().map(|c| c as Token)),
                    _ => {
                        if !tokens.is_empty() {
                            pieces.push(Piece::Tokens(std::mem::take(&mut tokens).into()));
                        }
                        pieces.push(parse_variable(inside)?);
                    }
                }
            } else {
                tokens.push(if reading.wildcards { token(character) } else { character as Token });
                rest = &rest[character.len_utf8()..];
            }
        }
        if pieces.is_empty() {
            let literal: Option<String> = tokens.iter().map(|token| char::from_u32(*token)).collect();
            return Ok(literal.map_or_else(|| Self::Glob(tokens.into()), |text| Self::Literal(text.into())));
        }
        if !tokens.is_empty() {
            pieces.push(Piece::Tokens(tokens.into()));
        }
        Ok(Self::Template(pieces.into()))
    }

    /// Whether `text` matches; none if a variable stands for nothing in this request.
    pub(crate) fn matches<C: Context + ?Sized>(&self, text: &str, context: &C, fold: bool, steps: &Steps) -> Option<bool> {
        match self {
            Self::Literal(literal) => Some(is_same(literal, text, fold)),
            Self::Glob(tokens) => Some(glob(tokens, text, steps)),
            // The usual form, `${aws:PrincipalTag/team}` and nothing else, makes no copy.
            Self::Template(pieces) if let [Piece::Variable { key, default }] = &**pieces => {
                steps.take(text.len() as u64 + key.steps());
                text_of(&context.value(key), |value| is_same(value, text, fold))
                    .or_else(|| default.as_ref().map(|value| is_same(value, text, fold)))
            }
            Self::Template(_) if fold => {
                let folded =
                    self.tokens(context, steps)?.into_iter().map(|token| char::from_u32(token).map_or(token, |c| lower(c) as Token));
                Some(glob(&folded.collect::<Vec<_>>(), &text.chars().map(lower).collect::<String>(), steps))
            }
            Self::Template(_) => Some(glob(&self.tokens(context, steps)?, text, steps)),
        }
    }

    /// As [`TextPattern::matches`], part by part as ARNs are compared.
    pub(crate) fn matches_arn<C: Context + ?Sized>(&self, text: &str, context: &C, complete: bool, steps: &Steps) -> Option<bool> {
        match self {
            Self::Literal(literal) if !complete || literal.splitn(6, ':').count() == 6 => Some(**literal == *text),
            Self::Glob(tokens) => Some(arn_glob(tokens, text, complete, steps)),
            Self::Literal(_) | Self::Template(_) => Some(arn_glob(&self.tokens(context, steps)?, text, complete, steps)),
        }
    }

    /// How many parts of an ARN it has; none if variables could bring more.
    pub(crate) fn arn_parts(&self) -> Option<usize> {
        match self {
            Self::Literal(text) => Some(text.splitn(6, ':').count()),
            Self::Glob(tokens) => Some(tokens.splitn(6, |token| *token == COLON).count()),
            Self::Template(_) => None,
        }
    }

    /// All of it, variables resolved; none if one stands for nothing, or if that takes more steps than are left.
    fn tokens<C: Context + ?Sized>(&self, context: &C, steps: &Steps) -> Option<Vec<Token>> {
        let mut tokens = Vec::new();
        match self {
            Self::Literal(text) => tokens.extend(text.chars().map(|c| c as Token)),
            Self::Glob(own) => tokens.extend_from_slice(own),
            Self::Template(pieces) => {
                for piece in pieces {
                    let before = tokens.len();
                    match piece {
                        Piece::Tokens(own) => tokens.extend_from_slice(own),
                        Piece::Variable { key, default } => {
                            steps.take(key.steps());
                            let mut push = |value: &str| tokens.extend(value.chars().map(|c| c as Token));
                            text_of(&context.value(key), &mut push).or_else(|| default.as_deref().map(push))?;
                        }
                    }
                    steps.take((tokens.len() - before) as u64);
                    if steps.are_spent() {
                        return None;
                    }
                }
            }
        }
        Some(tokens)
    }

    /// As it could be written; `wildcards` if `*` and `?` would be wildcards there.
    pub(crate) fn written(&self, wildcards: bool) -> String {
        let character = |character: char| match character {
            '*' | '?' if wildcards => format!("${{{character}}}"),
            _ => character.to_string(),
        };
        let of_tokens = |tokens: &[Token]| -> String {
            let of = |token: &Token| match *token {
                MANY => "*".to_owned(),
                ONE => "?".to_owned(),
                other => char::from_u32(other).map(character).unwrap_or_default(),
            };
            tokens.iter().map(of).collect()
        };
        match self {
            Self::Literal(text) => text.chars().map(character).collect(),
            Self::Glob(tokens) => of_tokens(tokens),
            Self::Template(pieces) => {
                let of = |piece: &Piece| match piece {
                    Piece::Tokens(tokens) => of_tokens(tokens),
                    Piece::Variable { key, default: None } => format!("${{{key}}}"),
                    Piece::Variable { key, default: Some(default) } => format!("${{{key}, '{default}'}}"),
                };
                pieces.iter().map(of).collect()
            }
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Literal(text) => text.len(),
            Self::Glob(tokens) => size_of_val(&**tokens),
            Self::Template(pieces) => {
                let of = |piece: &Piece| match piece {
                    Piece::Tokens(tokens) => size_of_val(&**tokens),
                    Piece::Variable { key, default } => key.heap_bytes() + default.as_deref().map_or(0, str::len),
                };
                size_of_val(&**pieces) + pieces.iter().map(of).sum::<usize>()
            }
        }
    }
}

/// What stands before the `}` that closes a variable, and what after it. In quotes a `}` closes nothing.
fn split_variable(text: &str) -> Option<(&str, &str)> {
    let mut quoted = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'\'' => quoted = !quoted,
            b'}' if !quoted => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    None
}

/// `key` or `key, 'default'`; spaces around both mean nothing.
fn parse_variable(inside: &str) -> Result<Piece, &'static str> {
    let (name, default) = match inside.split_once(',') {
        None => (inside, None),
        Some((name, quoted)) => {
            let default = quoted.trim().strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
            (name, Some(default.ok_or("has a variable whose default is not in single quotes")?.into()))
        }
    };
    let key = ConditionKey::parse(name.trim()).ok_or("has a variable that names no condition key")?;
    Ok(Piece::Variable { key, default })
}

/// One character for one, so that a folded text keeps its wildcards in place.
fn lower(character: char) -> char {
    if character.is_ascii() {
        return character.to_ascii_lowercase();
    }
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        _ => character,
    }
}

fn is_same(own: &str, text: &str, fold: bool) -> bool {
    if fold { own.chars().map(lower).eq(text.chars().map(lower)) } else { own == text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(pattern: &str) -> Vec<Token> {
        pattern.chars().map(token).collect()
    }

    /// The definition, exponential as it is.
    fn reference(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => reference(rest, text) || text.split_first().is_some_and(|(_, text)| reference(pattern, text)),
            (Some((token, pattern)), Some((character, text))) => (*token == '?' || token == character) && reference(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn a_match_is_what_its_definition_says_within_pattern_times_text(pattern in "[ab?*]{0,8}", text in "[abé]{0,8}") {
            let steps = Steps::new(1_000_000);
            let (chars, of): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(glob(&tokens(&pattern), &text, &steps), reference(&chars, &of));
            prop_assert!(1_000_000 - steps.left() <= (chars.len() as u64 + 1) * (of.len() as u64 + 2));
        }

        #[test]
        fn a_match_stops_at_its_allowance(pattern in "[a*?]{0,200}", text in "a{0,200}b", allowance in 0_u64..100) {
            let steps = Steps::new(allowance);
            let matched = glob(&tokens(&pattern), &text, &steps);
            prop_assert!(!matched || !steps.are_spent());
        }
    }

    #[test]
    fn parts_of_arns_are_completed_only_where_that_is_wanted() {
        let matches = |pattern: &str, complete| arn_glob(&tokens(pattern), "arn:aws:kms:r:1:key/a:b", complete, &Steps::unlimited());
        assert!(matches("arn:aws:kms:*:1:key/a:b", false) && matches("arn:aws:kms:*:1:key/*", false));
        assert!(matches("arn:aws:kms", true) && !matches("arn:aws:kms", false));
        assert!(!matches("arn:aws:k", true) && !matches("*", false) && !matches("arn:*:b", true));
        assert!(!arn_glob(&tokens("arn:aws:kms"), "arn:aws:kms", true, &Steps::unlimited()));
        assert!(!arn_glob(&tokens("arn:*:*:*:*:*"), "*", true, &Steps::unlimited()));
    }
}
