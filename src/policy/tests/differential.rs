//! The same documents through the `iam-rs` crate: one document, one request, and both say Allow, Deny or nothing. Where they differ,
//! the reason is one of those in [`explained`], each of which has a case below that shows it.

use std::net::{IpAddr, Ipv4Addr};

use claviger_types::Timestamp;
use iam_rs::{Arn, ContextValue, IAMPolicy, IAMRequest, PrincipalId};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Facts, KEY, decide_with, document, identity, user};
use crate::{Action, Denial, Document, Documents, Value};

/// What a document alone says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allow,
    Deny,
    Nothing,
}

/// The values of one request, for both.
#[derive(Clone, Debug)]
struct Known {
    spec: Option<&'static str>,
    arn: Option<&'static str>,
    days: Option<u32>,
    millis: Option<u64>,
    multi_region: Option<bool>,
    address: Option<[u8; 4]>,
    tags: Option<Vec<&'static str>>,
}

impl Known {
    fn ours(&self) -> Facts {
        let mut facts = Facts::default();
        let mut put = |key: &str, value: Option<Value<'static>>| {
            if let Some(value) = value {
                facts.0.insert(key.to_ascii_lowercase(), value);
            }
        };
        put("kms:KeySpec", self.spec.map(Value::Text));
        put("kms:GranteePrincipal", self.arn.map(Value::Text));
        put("kms:RotationPeriodInDays", self.days.map(|days| Value::Number(days.into())));
        put("kms:ValidTo", self.millis.map(|millis| Value::Time(Timestamp::from_millis(millis))));
        put("kms:MultiRegion", self.multi_region.map(Value::Bool));
        put("aws:SourceIp", self.address.map(|[a, b, c, d]| Value::Ip(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))));
        match &self.tags {
            Some(tags) => facts.many("aws:TagKeys", tags),
            None => facts,
        }
    }

    fn theirs(&self) -> iam_rs::Context {
        let mut context = iam_rs::Context::new();
        let mut put = |key: &str, value: Option<ContextValue>| {
            if let Some(value) = value {
                context.insert(key.to_owned(), value);
            }
        };
        let text = |text: &str| ContextValue::String(text.to_owned());
        put("kms:KeySpec", self.spec.map(text));
        put("kms:GranteePrincipal", self.arn.map(text));
        put("kms:RotationPeriodInDays", self.days.map(|days| ContextValue::Number(days.into())));
        put("kms:ValidTo", self.millis.map(|millis| text(&crate::literal::format_time(Timestamp::from_millis(millis)))));
        put("kms:MultiRegion", self.multi_region.map(ContextValue::Boolean));
        put("aws:SourceIp", self.address.map(|[a, b, c, d]| text(&Ipv4Addr::new(a, b, c, d).to_string())));
        put("aws:TagKeys", self.tags.as_ref().map(|tags| ContextValue::StringList(tags.iter().map(|tag| (*tag).to_owned()).collect())));
        context
    }
}

fn ours(statements: &Json, known: &Known) -> Verdict {
    let policies = [identity(statements)];
    let decision = decide_with(&user("alice"), Action::Decrypt, &Documents { identity: &policies, ..Documents::NONE }, &known.ours());
    match decision.denial() {
        None => Verdict::Allow,
        Some(Denial::Explicit(Document::IdentityPolicy)) => Verdict::Deny,
        Some(Denial::NoAllow(Document::IdentityPolicy)) => Verdict::Nothing,
        Some(other) => panic!("{other:?}"),
    }
}

/// None if it is an error there.
fn theirs(statements: &Json, known: &Known) -> Option<Verdict> {
    let policy: IAMPolicy = serde_json::from_value(document(statements)).ok()?;
    let alice = iam_rs::Principal::Aws(PrincipalId::String("arn:aws:iam::111122223333:user/alice".to_owned()));
    let request = IAMRequest::new_with_context(alice, "kms:Decrypt", Arn::parse(KEY).unwrap(), known.theirs());
    match iam_rs::evaluate_policy(&policy, &request).ok()? {
        iam_rs::Decision::Allow => Some(Verdict::Allow),
        iam_rs::Decision::Deny => Some(Verdict::Deny),
        iam_rs::Decision::NotApplicable => Some(Verdict::Nothing),
    }
}

const OVER_A_COLON: &str = "arn:aws:*:111122223333:role/app:x";

/// Why a statement may be read differently there; none if it must not be.
fn explained(statement: &Json) -> Option<&'static str> {
    for (operator, keys) in statement["Condition"].as_object()? {
        let on_tags = keys.get("aws:TagKeys").is_some();
        let qualified = operator.contains(':');
        let reason = match operator.as_str() {
            name if name.contains("ArnEquals") || name.contains("ArnNotEquals") => {
                "ArnEquals compares texts there; AWS has it the same as ArnLike"
            }
            // A pattern of five colons cannot show it on an ARN of five.
            "ArnLike" if keys["kms:GranteePrincipal"] == OVER_A_COLON => {
                "a wildcard reaches over colons there; AWS compares each of the six parts"
            }
            name if name.contains("Null") && keys.as_object().is_some_and(|keys| keys.values().any(Json::is_array)) => {
                "Null looks at the first of several values there"
            }
            name if qualified && ["Numeric", "Date", "Ip"].iter().any(|of| name.contains(of)) => {
                "qualifiers stand before operators on texts and booleans alone there, and anything else does not parse"
            }
            name if !qualified && on_tags && name.contains("Not") => {
                "a negated operator without qualifier on many values holds there if one differs, here if none matches"
            }
            _ => continue,
        };
        return Some(reason);
    }
    None
}

fn known() -> impl Strategy<Value = Known> {
    let some = |list: &'static [&'static str]| prop::option::of(prop::sample::select(list));
    (
        some(&["RSA_2048", "rsa_2048", "ECC_NIST_P256", ""]),
        some(&["arn:aws:iam::111122223333:role/app", "arn:aws:iam::111122223333:user/team/x"]),
        prop::option::of(prop::sample::select(vec![90_u32, 180, 365])),
        prop::option::of(prop::sample::select(vec![1_585_699_200_000_u64, 1_600_000_000_000])),
        prop::option::of(any::<bool>()),
        prop::option::of(prop::sample::select(vec![[10, 0, 0, 1], [203, 0, 113, 9]])),
        prop::option::of(prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..3)),
    )
        .prop_map(|(spec, arn, days, millis, multi_region, address, tags)| Known {
            spec,
            arn,
            days,
            millis,
            multi_region,
            address,
            tags,
        })
}

fn condition() -> impl Strategy<Value = (String, &'static str, Json)> {
    let texts = prop::sample::select(vec![
        json!("RSA_2048"),
        json!(["RSA_*", "ECC_NIST_P256"]),
        json!("rsa_2048"),
        json!("*"),
        json!("?SA_2*8"),
        json!(["x", "y"]),
    ]);
    let of_text = prop::sample::select(vec![
        "StringEquals",
        "StringNotEquals",
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        "StringLike",
        "StringNotLike",
    ]);
    let tags = prop::sample::select(vec![json!("a"), json!(["a", "b"]), json!("?"), json!(["*", "x"])]);
    let qualifier = prop::sample::select(vec!["", "ForAllValues:", "ForAnyValue:"]);
    let suffix = prop::sample::select(vec!["", "IfExists"]);
    let arns = prop::sample::select(vec![
        json!("arn:aws:iam::111122223333:role/app"),
        json!("arn:aws:iam::*:role/*"),
        json!("arn:*:*:*:*:user/x"),
    ]);
    let of_arn = prop::sample::select(vec!["ArnLike", "ArnEquals", "ArnNotLike", "ArnNotEquals"]);
    let order = prop::sample::select(vec!["Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals"]);
    let plain = |name: String, suffix: &str| format!("{name}{suffix}");
    prop_oneof![
        3 => (of_text.clone(), texts, suffix.clone()).prop_map(move |(name, values, suffix)| (plain(name.into(), suffix), "kms:KeySpec", values)),
        3 => (qualifier, of_text, tags).prop_map(|(qualifier, name, values)| (format!("{qualifier}{name}"), "aws:TagKeys", values)),
        1 => (of_arn, arns, suffix.clone()).prop_map(move |(name, values, suffix)| (plain(name.into(), suffix), "kms:GranteePrincipal", values)),
        2 => (order.clone(), prop::sample::select(vec!["90", "180", "100.5"]), suffix.clone())
            .prop_map(move |(order, value, suffix)| (plain(format!("Numeric{order}"), suffix), "kms:RotationPeriodInDays", json!(value))),
        2 => (order, prop::sample::select(vec!["2020-04-01T00:00:00Z", "2020-09-13T12:26:40Z"]), suffix.clone())
            .prop_map(move |(order, value, suffix)| (plain(format!("Date{order}"), suffix), "kms:ValidTo", json!(value))),
        1 => (any::<bool>(), suffix.clone()).prop_map(move |(value, suffix)| (plain("Bool".into(), suffix), "kms:MultiRegion", json!(value))),
        1 => (prop::sample::select(vec!["kms:KeySpec", "aws:SourceIp"]), any::<bool>()).prop_map(|(key, value)| ("Null".into(), key, json!(value))),
        1 => (prop::sample::select(vec!["IpAddress", "NotIpAddress"]), prop::sample::select(vec!["10.0.0.0/8", "203.0.113.0/24"]), suffix)
            .prop_map(move |(name, value, suffix)| (plain(name.into(), suffix), "aws:SourceIp", json!([value]))),
    ]
}

fn statement() -> impl Strategy<Value = Json> {
    let actions =
        prop::sample::select(vec![json!("kms:*"), json!("kms:Decrypt"), json!(["kms:En*", "kms:De*"]), json!("s3:*"), json!("*")]);
    let resources =
        prop::sample::select(vec![json!("*"), json!(KEY), json!("arn:aws:kms:*:111122223333:key/*"), json!("arn:aws:kms:us-*:*:key/*")]);
    (any::<bool>(), actions, any::<bool>(), resources, any::<bool>(), prop::collection::vec(condition(), 0..3)).prop_map(
        |(denies, action, not_action, resource, not_resource, conditions)| {
            let mut statement = json!({"Effect": if denies { "Deny" } else { "Allow" }});
            statement[if not_action { "NotAction" } else { "Action" }] = action;
            statement[if not_resource { "NotResource" } else { "Resource" }] = resource;
            for (operator, key, values) in conditions {
                statement["Condition"][operator][key] = values;
            }
            statement
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn both_say_the_same_or_the_difference_is_explained(statements in prop::collection::vec(statement(), 1..4), known in known()) {
        let (own, other) = (ours(&json!(statements), &known), theirs(&json!(statements), &known));
        if statements.iter().all(|statement| explained(statement).is_none()) {
            prop_assert_eq!(Some(own), other);
        }
    }
}

const NOTHING: Known = Known { spec: None, arn: None, days: None, millis: None, multi_region: None, address: None, tags: None };

fn allow_if(condition: &Json) -> Json {
    json!([{"Effect": "Allow", "Action": "kms:*", "Resource": "*", "Condition": condition}])
}

/// Each difference, with the verdict of either side.
#[test]
fn the_differences_are_those_that_are_explained() {
    use Verdict::{Allow, Nothing};
    let arn = || Known { arn: Some("arn:aws:iam::111122223333:role/app"), ..NOTHING };
    let tagged = || Known { tags: Some(vec!["a", "b"]), ..NOTHING };
    let rotated = || Known { days: Some(90), ..NOTHING };
    for (condition, known, own, other) in [
        (json!({"ArnEquals": {"kms:GranteePrincipal": "arn:aws:iam::*:role/*"}}), arn(), Allow, Some(Nothing)),
        (
            json!({"ArnLike": {"kms:GranteePrincipal": OVER_A_COLON}}),
            Known { arn: Some("arn:aws:iam::111122223333:role/app:x"), ..NOTHING },
            Nothing,
            Some(Allow),
        ),
        (json!({"StringNotEquals": {"aws:TagKeys": "a"}}), tagged(), Nothing, Some(Allow)),
        (json!({"ForAnyValue:NumericEquals": {"kms:RotationPeriodInDays": "90"}}), rotated(), Allow, None),
        (json!({"Null": {"kms:KeySpec": ["false", "true"]}}), NOTHING, Allow, Some(Nothing)),
    ] {
        let statements = allow_if(&condition);
        assert!(explained(&statements[0]).is_some(), "{condition}");
        assert_eq!((ours(&statements, &known), theirs(&statements, &known)), (own, other), "{condition}");
    }
}
