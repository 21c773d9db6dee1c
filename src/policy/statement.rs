//! One statement: parsed, compiled, and matched part by part.

use claviger_types::Partition;

use crate::PolicyError;
use crate::action::Actions;
use crate::condition::Condition;
use crate::condition_key::ConditionKey;
use crate::context::Context;
use crate::document::PolicyKind;
use crate::error::Place;
use crate::json::{Json, Members};
use crate::operator::{Operator, Qualifier};
use crate::pattern::{Reading, Steps, TextPattern};
use crate::principal::Principals;

/// What a statement does when it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub enum Effect {
    /// Allows.
    Allow,
    /// Denies, whatever allows.
    Deny,
}

/// A compiled statement.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) sid: Option<Box<str>>,
    pub(crate) effect: Effect,
    /// None in identity policies: whoever they are attached to.
    pub(crate) principals: Option<Principals>,
    pub(crate) actions: Actions,
    pub(crate) resources: Resources,
    pub(crate) conditions: Box<[Condition]>,
}

/// `Resource` or `NotResource`.
#[derive(Clone, Debug)]
pub(crate) enum Resources {
    /// `*`.
    Any,
    /// Missing, which a key policy may be: the statement does nothing.
    None,
    /// One of these.
    In(Box<[TextPattern]>),
    /// None of these.
    NotIn(Box<[TextPattern]>),
}

impl Statement {
    pub(crate) fn parse(json: Json, index: usize, kind: PolicyKind, partition: &Partition, variables: bool) -> Result<Self, PolicyError> {
        let mut place = Place { statement: Some(index), ..Place::default() };
        let mut members = json.into_members(&place)?;
        let sid = members.take("Sid").map(|sid| sid.into_text(&place.at("Sid"))).transpose()?;
        place.sid.clone_from(&sid);
        let effect = match members.take("Effect").ok_or_else(|| place.at("Effect").refuse("is missing"))? {
            Json::Text(text) if text == "Allow" => Effect::Allow,
            Json::Text(text) if text == "Deny" => Effect::Deny,
            _ => return Err(place.at("Effect").refuse("must be Allow or Deny")),
        };
        let principals = parse_principals(&mut members, kind, partition, &place)?;
        let actions = parse_actions(&mut members, kind, &place)?;
        let resources = parse_resources(&mut members, kind, variables, &place)?;
        let conditions = match members.take("Condition") {
            Some(json) => parse_conditions(json, effect, variables, &place.at("Condition"))?,
            None => Box::default(),
        };
        members.finish(&place)?;
        Ok(Self { sid: sid.map(Into::into), effect, principals, actions, resources, conditions })
    }

    pub(crate) fn denies(&self) -> bool {
        self.effect == Effect::Deny
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        let conditions = size_of_val(&*self.conditions) + self.conditions.iter().map(Condition::heap_bytes).sum::<usize>();
        let principals = self.principals.as_ref().map_or(0, Principals::heap_bytes);
        self.sid.as_deref().map_or(0, str::len) + principals + self.resources.heap_bytes() + conditions
    }
}

impl Resources {
    /// Whether a request for `resource` is meant. What a variable without a value would name is named by a Deny's NotResource alone.
    pub(crate) fn include<C: Context + ?Sized>(&self, resource: &str, context: &C, denies: bool, steps: &Steps) -> bool {
        let one_of = |patterns: &[TextPattern]| {
            let mut resolved = true;
            let found = patterns.iter().any(|pattern| match pattern.matches_arn(resource, context, true, steps) {
                Some(matched) => matched,
                None => {
                    resolved = false;
                    false
                }
            });
            (found, resolved)
        };
        match self {
            Self::Any => true,
            Self::None => false,
            Self::In(patterns) => one_of(patterns).0,
            Self::NotIn(patterns) => {
                let (found, resolved) = one_of(patterns);
                !found && (resolved || denies)
            }
        }
    }

    fn heap_bytes(&self) -> usize {
        match self {
            Self::Any | Self::None => 0,
            Self::In(patterns) | Self::NotIn(patterns) => {
                size_of_val(&**patterns) + patterns.iter().map(TextPattern::heap_bytes).sum::<usize>()
            }
        }
    }
}

/// One of a member and its `Not` twin, and whether it is the twin.
fn take_either(members: &mut Members, name: &str, place: &Place) -> Result<Option<(Json, bool, Place)>, PolicyError> {
    let not = format!("Not{name}");
    match (members.take(name), members.take(&not)) {
        (Some(_), Some(_)) => Err(place.at(name).refuse(format!("stands beside {not}"))),
        (Some(json), None) => Ok(Some((json, false, place.at(name)))),
        (None, Some(json)) => Ok(Some((json, true, place.at(&not)))),
        (None, None) => Ok(None),
    }
}

fn parse_principals(
    members: &mut Members,
    kind: PolicyKind,
    partition: &Partition,
    place: &Place,
) -> Result<Option<Principals>, PolicyError> {
    match (take_either(members, "Principal", place)?, kind) {
        (Some((json, inverted, place)), PolicyKind::Key) => Principals::parse(json, inverted, partition, &place).map(Some),
        (None, PolicyKind::Key) => Err(place.at("Principal").refuse("is missing")),
        (Some((_, _, place)), PolicyKind::Identity) => Err(place.refuse("is not allowed in an identity policy")),
        (None, PolicyKind::Identity) => Ok(None),
    }
}

fn parse_actions(members: &mut Members, kind: PolicyKind, place: &Place) -> Result<Actions, PolicyError> {
    match take_either(members, "Action", place)? {
        Some((json, inverted, place)) => {
            let actions = Actions::matching(&json.into_texts(&place)?).map_err(|reason| place.refuse(reason))?;
            Ok(if inverted { actions.complement() } else { actions })
        }
        None if kind == PolicyKind::Key => Ok(Actions::NONE),
        None => Err(place.at("Action").refuse("is missing")),
    }
}

fn parse_resources(members: &mut Members, kind: PolicyKind, variables: bool, place: &Place) -> Result<Resources, PolicyError> {
    let Some((json, inverted, place)) = take_either(members, "Resource", place)? else {
        return if kind == PolicyKind::Key { Ok(Resources::None) } else { Err(place.at("Resource").refuse("is missing")) };
    };
    let texts = json.into_texts(&place)?;
    if let Some(bad) = texts.iter().find(|text| *text != "*" && !text.starts_with("arn:")) {
        return Err(place.refuse(format!("{bad:?} is neither an ARN nor *")));
    }
    if texts.iter().any(|text| text == "*") {
        return Ok(if inverted { Resources::None } else { Resources::Any });
    }
    let parse = |text: &String| TextPattern::parse(text, Reading { wildcards: true, variables });
    let patterns = texts.iter().map(parse).collect::<Result<_, _>>().map_err(|reason| place.refuse(reason))?;
    Ok(if inverted { Resources::NotIn(patterns) } else { Resources::In(patterns) })
}

fn parse_conditions(json: Json, effect: Effect, variables: bool, place: &Place) -> Result<Box<[Condition]>, PolicyError> {
    let mut conditions = Vec::new();
    for (name, keys) in json.into_members(place)?.0 {
        let place = place.at(&name);
        let operator = Operator::parse(&name).ok_or_else(|| place.refuse("is not a condition operator"))?;
        for (name, values) in keys.into_members(&place)?.0 {
            let place = place.at(&name);
            let key = ConditionKey::parse(&name).ok_or_else(|| place.refuse("is not a condition key"))?;
            if effect == Effect::Allow && operator.qualifier == Qualifier::ForAllValues && key.forbids_for_all_values() {
                return Err(PolicyError::OverlyPermissiveCondition { place, key: name });
            }
            let values = values.into_condition_values(&place)?;
            conditions.push(Condition::parse(operator, key, &values, variables).map_err(|reason| place.refuse(reason))?);
        }
    }
    Ok(conditions.into())
}
