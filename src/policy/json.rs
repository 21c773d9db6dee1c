//! JSON as policies need it: members in their order, and a member named twice is an error. Nesting is bounded by serde_json.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::PolicyError;
use crate::error::Place;

/// A JSON value. Numbers keep the text that they print as.
#[derive(Debug, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Self>),
    Object(Members),
}

impl Json {
    pub(crate) fn parse(text: &str) -> Result<Self, PolicyError> {
        serde_json::from_str(text).map_err(|error| PolicyError::Json { reason: error.to_string() })
    }

    /// One string.
    pub(crate) fn into_text(self, place: &Place) -> Result<String, PolicyError> {
        match self {
            Self::Text(text) => Ok(text),
            _ => Err(place.refuse("must be a string")),
        }
    }

    /// One string, or a list of strings that is not empty.
    pub(crate) fn into_texts(self, place: &Place) -> Result<Vec<String>, PolicyError> {
        match self {
            Self::List(list) if !list.is_empty() => list.into_iter().map(|item| item.into_text(place)).collect(),
            Self::List(_) => Err(place.refuse("must not be empty")),
            one => Ok(vec![one.into_text(place).map_err(|_| place.refuse("must be a string or a list of strings"))?]),
        }
    }

    /// One value of a condition or a list of them, which may be empty: AWS takes numbers and booleans for their texts.
    pub(crate) fn into_condition_values(self, place: &Place) -> Result<Vec<String>, PolicyError> {
        match self {
            Self::List(list) => list.into_iter().map(|item| item.into_condition_value(place)).collect(),
            one => Ok(vec![one.into_condition_value(place)?]),
        }
    }

    fn into_condition_value(self, place: &Place) -> Result<String, PolicyError> {
        match self {
            Self::Text(text) | Self::Number(text) => Ok(text),
            Self::Bool(value) => Ok(value.to_string()),
            Self::Null | Self::List(_) | Self::Object(_) => Err(place.refuse("must be a string, a number or a boolean")),
        }
    }

    /// An object.
    pub(crate) fn into_members(self, place: &Place) -> Result<Members, PolicyError> {
        match self {
            Self::Object(members) => Ok(members),
            _ => Err(place.refuse("must be an object")),
        }
    }
}

/// The members of an object, in their order.
#[derive(Debug, PartialEq)]
pub(crate) struct Members(pub(crate) Vec<(String, Json)>);

impl Members {
    /// Takes a member out.
    pub(crate) fn take(&mut self, name: &str) -> Option<Json> {
        let at = self.0.iter().position(|(found, _)| found == name)?;
        Some(self.0.remove(at).1)
    }

    /// Refuses what was not taken out.
    pub(crate) fn finish(self, place: &Place) -> Result<(), PolicyError> {
        match self.0.first() {
            Some((name, _)) => Err(place.at(name).refuse("is not a member that policies have here")),
            None => Ok(()),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json, E> {
        Ok(Json::Number(value.to_string()))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut seen = std::collections::HashSet::new();
        let mut members = Vec::new();
        while let Some((name, value)) = entries.next_entry::<String, Json>()? {
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("the member {name:?} occurs twice")));
            }
            members.push((name, value));
        }
        Ok(Json::Object(Members(members)))
    }
}
