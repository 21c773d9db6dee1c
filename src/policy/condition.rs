//! One condition: an operator, a key and the policy's values, compiled; and whether it holds in a request.
//!
//! A value of the request *matches* if one of the policy's values does; a negated operator holds when none does (NOR). A key that is
//! missing satisfies a negated operator, one with IfExists, and ForAllValues; it never satisfies ForAnyValue, IfExists or not. A
//! value of another type than the operator's matches nothing.
//!
//! A variable that stands for nothing matches nothing. A negated operator would then hold; it does so in a Deny alone: neither an
//! Allow nor the exception to a Deny comes from a value that is not there.

use std::net::IpAddr;
use std::ops::ControlFlow;

use claviger_types::Timestamp;

use crate::condition_key::ConditionKey;
use crate::context::{Context, Value, text_of};
use crate::literal::{self, Network};
use crate::operator::{Base, Operator, Qualifier};
use crate::pattern::{Reading, Steps, TextPattern};

/// A compiled condition.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) operator: Operator,
    pub(crate) key: ConditionKey,
    test: Test,
}

/// The policy's values and how they are compared.
#[derive(Clone, Debug)]
enum Test {
    Text {
        fold: bool,
        patterns: Box<[TextPattern]>,
    },
    Arn(Box<[TextPattern]>),
    Number(Order, Box<[f64]>),
    /// Milliseconds since the Unix epoch.
    Time(Order, Box<[i64]>),
    Bool(Box<[bool]>),
    Bytes(Box<[Box<[u8]>]>),
    Ip(Box<[Network]>),
    Null(Box<[bool]>),
}

#[derive(Clone, Copy, Debug)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds<T: PartialOrd>(self, request: &T, policy: &T) -> bool {
        match self {
            Self::Equal => request == policy,
            Self::Less => request < policy,
            Self::LessOrEqual => request <= policy,
            Self::Greater => request > policy,
            Self::GreaterOrEqual => request >= policy,
        }
    }
}

impl Condition {
    pub(crate) fn parse(operator: Operator, key: ConditionKey, values: &[String], variables: bool) -> Result<Self, &'static str> {
        Ok(Self { operator, key, test: Test::parse(operator.base, values, variables)? })
    }

    /// Whether it holds; `denies` if its statement is a Deny.
    pub(crate) fn holds<C: Context + ?Sized>(&self, context: &C, denies: bool, steps: &Steps) -> bool {
        steps.take(self.key.steps());
        let value = context.value(&self.key);
        let exists = exists(&value);
        if let Test::Null(wanted) = &self.test {
            return wanted.contains(&!exists);
        }
        let negated = self.operator.base.is_negated();
        if !exists {
            return match self.operator.qualifier {
                Qualifier::Plain => negated || self.operator.if_exists,
                Qualifier::ForAllValues => true,
                Qualifier::ForAnyValue => false,
            };
        }
        let satisfies = |value: &Value<'_>| match self.test.matches(value, context, steps) {
            Some(matched) => matched != negated,
            None => negated && denies,
        };
        let Value::Many(texts) = value else { return satisfies(&value) };
        let all = match self.operator.qualifier {
            Qualifier::Plain => negated,
            Qualifier::ForAllValues => true,
            Qualifier::ForAnyValue => false,
        };
        // All: until one does not. Any: until one does.
        let flow = texts.each(&mut |text| match satisfies(&Value::Text(text)) {
            satisfied if satisfied == all && !steps.are_spent() => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        });
        flow.is_continue() == all
    }

    /// The policy's values, as they could be written.
    pub(crate) fn values(&self) -> Vec<String> {
        match &self.test {
            Test::Text { patterns, .. } | Test::Arn(patterns) => {
                let wildcards = self.operator.base.has_wildcards();
                patterns.iter().map(|pattern| pattern.written(wildcards)).collect()
            }
            Test::Number(_, numbers) => numbers.iter().map(ToString::to_string).collect(),
            Test::Time(_, times) => times.iter().map(|millis| literal::format_seconds(millis.div_euclid(1000))).collect(),
            Test::Bool(values) | Test::Null(values) => values.iter().map(ToString::to_string).collect(),
            Test::Bytes(values) => values.iter().map(|bytes| literal::format_bytes(bytes)).collect(),
            Test::Ip(networks) => networks.iter().map(ToString::to_string).collect(),
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        self.key.heap_bytes()
            + match &self.test {
                Test::Text { patterns, .. } | Test::Arn(patterns) => {
                    size_of_val(&**patterns) + patterns.iter().map(TextPattern::heap_bytes).sum::<usize>()
                }
                Test::Number(_, values) => size_of_val(&**values),
                Test::Time(_, values) => size_of_val(&**values),
                Test::Bool(values) | Test::Null(values) => size_of_val(&**values),
                Test::Bytes(values) => size_of_val(&**values) + values.iter().map(|bytes| bytes.len()).sum::<usize>(),
                Test::Ip(values) => size_of_val(&**values),
            }
    }
}

impl Test {
    fn parse(base: Base, values: &[String], variables: bool) -> Result<Self, &'static str> {
        let texts = || {
            values
                .iter()
                .map(|text| TextPattern::parse(text, Reading { wildcards: base.has_wildcards(), variables }))
                .collect::<Result<_, _>>()
        };
        let text = |fold| texts().map(|patterns| Self::Text { fold, patterns });
        let number = |order| all(values, literal::parse_number, "must be a number").map(|numbers| Self::Number(order, numbers));
        let date = |order| {
            all(values, literal::parse_time, "must be a date of ISO 8601 or seconds since 1970").map(|times| Self::Time(order, times))
        };
        let bools = || all(values, literal::parse_bool, "must be true or false");
        match base {
            Base::StringEquals | Base::StringNotEquals => text(false),
            Base::StringEqualsIgnoreCase | Base::StringNotEqualsIgnoreCase => text(true),
            Base::StringLike | Base::StringNotLike => text(false),
            Base::NumericEquals | Base::NumericNotEquals => number(Order::Equal),
            Base::NumericLessThan => number(Order::Less),
            Base::NumericLessThanEquals => number(Order::LessOrEqual),
            Base::NumericGreaterThan => number(Order::Greater),
            Base::NumericGreaterThanEquals => number(Order::GreaterOrEqual),
            Base::DateEquals | Base::DateNotEquals => date(Order::Equal),
            Base::DateLessThan => date(Order::Less),
            Base::DateLessThanEquals => date(Order::LessOrEqual),
            Base::DateGreaterThan => date(Order::Greater),
            Base::DateGreaterThanEquals => date(Order::GreaterOrEqual),
            Base::Bool => bools().map(Self::Bool),
            Base::Null => bools().map(Self::Null),
            Base::BinaryEquals => all(values, literal::parse_bytes, "must be base64").map(Self::Bytes),
            Base::IpAddress | Base::NotIpAddress => {
                all(values, Network::parse, "must be an IP address or a network in CIDR notation").map(Self::Ip)
            }
            Base::ArnEquals | Base::ArnLike | Base::ArnNotEquals | Base::ArnNotLike => {
                let patterns: Box<[TextPattern]> = texts()?;
                if patterns.iter().any(|pattern| pattern.arn_parts().is_some_and(|parts| parts != 6)) {
                    return Err("must be an ARN, with all six of its parts");
                }
                Ok(Self::Arn(patterns))
            }
        }
    }

    /// Whether one of the policy's values matches this one of the request; none if none does and a variable stood for nothing.
    fn matches<C: Context + ?Sized>(&self, value: &Value<'_>, context: &C, steps: &Steps) -> Option<bool> {
        // Texts are counted as they are compared.
        steps.take(match self {
            Self::Text { .. } | Self::Arn(_) | Self::Null(_) => 0,
            Self::Number(_, values) => values.len() as u64,
            Self::Time(_, values) => values.len() as u64,
            Self::Bool(values) => values.len() as u64,
            Self::Bytes(values) => values.len() as u64,
            Self::Ip(values) => values.len() as u64,
        });
        Some(match self {
            Self::Text { fold, patterns } => {
                return text_of(value, |text| any(patterns, steps, |pattern| pattern.matches(text, context, *fold, steps)))
                    .unwrap_or(Some(false));
            }
            Self::Arn(patterns) => {
                return text_of(value, |text| any(patterns, steps, |pattern| pattern.matches_arn(text, context, false, steps)))
                    .unwrap_or(Some(false));
            }
            Self::Number(order, numbers) => number_of(value).is_some_and(|own| numbers.iter().any(|number| order.holds(&own, number))),
            Self::Time(order, times) => time_of(value).is_some_and(|own| times.iter().any(|time| order.holds(&own, time))),
            Self::Bool(values) => bool_of(value).is_some_and(|own| values.contains(&own)),
            Self::Bytes(values) => text_of(value, |text| values.iter().any(|bytes| **bytes == *text.as_bytes())).unwrap_or(false),
            Self::Ip(networks) => ip_of(value).is_some_and(|address| networks.iter().any(|network| network.contains(address))),
            Self::Null(_) => false,
        })
    }
}

fn all<T>(values: &[String], parse: impl Fn(&str) -> Option<T>, reason: &'static str) -> Result<Box<[T]>, &'static str> {
    values.iter().map(|text| parse(text).ok_or(reason)).collect()
}

/// Whether one pattern matches; none if none does and one could not be resolved.
fn any(patterns: &[TextPattern], steps: &Steps, matches: impl Fn(&TextPattern) -> Option<bool>) -> Option<bool> {
    let mut found = Some(false);
    for pattern in patterns {
        steps.take(1);
        match matches(pattern) {
            _ if steps.are_spent() => return None,
            Some(true) => return Some(true),
            Some(false) => {}
            None => found = None,
        }
    }
    found
}

fn exists(value: &Value<'_>) -> bool {
    match value {
        Value::Absent => false,
        Value::Many(texts) => texts.each(&mut |_| ControlFlow::Break(())).is_break(),
        _ => true,
    }
}

#[expect(clippy::cast_precision_loss, reason = "no number of a request comes near 2^53")]
fn number_of(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number as f64),
        Value::Time(at) => Some(at.as_secs_f64()),
        Value::Text(text) => literal::parse_number(text),
        Value::Made(text) => literal::parse_number(text),
        _ => None,
    }
}

fn time_of(value: &Value<'_>) -> Option<i64> {
    let millis = |at: Timestamp| i64::try_from(at.as_millis()).ok();
    match value {
        Value::Time(at) => millis(*at),
        Value::Number(seconds) => i64::try_from(*seconds).ok()?.checked_mul(1000),
        Value::Text(text) => literal::parse_time(text),
        Value::Made(text) => literal::parse_time(text),
        _ => None,
    }
}

fn bool_of(value: &Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::Text(text) => literal::parse_bool(text),
        Value::Made(text) => literal::parse_bool(text),
        _ => None,
    }
}

fn ip_of(value: &Value<'_>) -> Option<IpAddr> {
    match value {
        Value::Ip(address) => Some(*address),
        Value::Text(text) => text.parse().ok(),
        Value::Made(text) => text.parse().ok(),
        _ => None,
    }
}
