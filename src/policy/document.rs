//! A policy document, compiled once and evaluated many times.

use std::collections::HashSet;

use claviger_types::Partition;
use claviger_types::limits::{IDENTITY_POLICIES_BYTES_MAX, KEY_POLICY_BYTES_MAX};

use crate::PolicyError;
use crate::error::Place;
use crate::json::Json;
use crate::principal::{PolicyPrincipal, Principals};
use crate::statement::Statement;

/// What a document is attached to, which decides what it must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// A key. Statements name principals; `Resource` is `*`, this key, or a pattern of its ARN. A statement without Action or without
    /// Resource is accepted and does nothing.
    Key,
    /// A user, group or role, as policy or permissions boundary, or a session. Statements name resources and no principals.
    Identity,
}

/// A compiled document. It does not keep its text.
#[derive(Clone, Debug)]
pub struct Policy {
    kind: PolicyKind,
    pub(crate) statements: Box<[Statement]>,
}

impl Policy {
    /// Parses and compiles a document. Principals are named in `partition`.
    ///
    /// # Errors
    /// When it is no document of this kind (rules page, section 10).
    pub fn parse(text: &str, kind: PolicyKind, partition: &Partition) -> Result<Self, PolicyError> {
        check_text(text, kind)?;
        let place = Place::default();
        let mut members = Json::parse(text)?.into_members(&place)?;
        let variables = match members.take("Version") {
            Some(Json::Text(version)) if version == "2012-10-17" => true,
            // As AWS has it: the older language, which is also the default, has no variables.
            Some(Json::Text(version)) if version == "2008-10-17" => false,
            None => false,
            Some(_) => return Err(place.at("Version").refuse("must be 2012-10-17 or 2008-10-17")),
        };
        if let Some(id) = members.take("Id") {
            id.into_text(&place.at("Id"))?;
        }
        let statements = match members.take("Statement") {
            Some(Json::List(statements)) if !statements.is_empty() => statements,
            Some(statement @ Json::Object(_)) => vec![statement],
            Some(_) => return Err(place.at("Statement").refuse("must be a statement or a list of statements")),
            None => return Err(place.at("Statement").refuse("is missing")),
        };
        members.finish(&place)?;
        let parse = |(index, json)| Statement::parse(json, index, kind, partition, variables);
        let statements: Box<[Statement]> = statements.into_iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        check_sids(&statements)?;
        Ok(Self { kind, statements })
    }

    /// What it is attached to.
    pub const fn kind(&self) -> PolicyKind {
        self.kind
    }

    /// The principals that it names, in its order and as often as it does. Those of other providers and `*` are not among them.
    pub fn principals(&self) -> impl Iterator<Item = PolicyPrincipal<'_>> {
        self.statements.iter().filter_map(|statement| statement.principals.as_ref()).flat_map(Principals::iter)
    }

    /// About how much memory it takes.
    pub fn weight_bytes(&self) -> usize {
        let heap: usize = self.statements.iter().map(Statement::heap_bytes).sum();
        size_of::<Self>() + size_of_val(&*self.statements) + heap
    }
}

fn check_text(text: &str, kind: PolicyKind) -> Result<(), PolicyError> {
    let bytes_max = match kind {
        PolicyKind::Key => KEY_POLICY_BYTES_MAX,
        PolicyKind::Identity => IDENTITY_POLICIES_BYTES_MAX,
    };
    if text.len() > bytes_max {
        return Err(PolicyError::TooLarge { bytes: text.len(), bytes_max });
    }
    match text.char_indices().find(|(_, character)| !matches!(character, '\t' | '\n' | '\r' | ' '..='\u{ff}')) {
        Some((at, character)) => Err(PolicyError::Character { code: character.into(), at }),
        None => Ok(()),
    }
}

fn check_sids(statements: &[Statement]) -> Result<(), PolicyError> {
    let mut seen = HashSet::new();
    for (index, statement) in statements.iter().enumerate() {
        // An empty Sid is none.
        let Some(sid) = statement.sid.as_deref().filter(|sid| !sid.is_empty()) else { continue };
        if !seen.insert(sid) {
            let place = Place { statement: Some(index), sid: Some(sid.to_owned()), member: "Sid".to_owned() };
            return Err(place.refuse("is the Sid of an earlier statement too"));
        }
    }
    Ok(())
}
