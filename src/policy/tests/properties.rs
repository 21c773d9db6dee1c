//! What holds for every set of documents.

use std::net::{IpAddr, Ipv4Addr};

use claviger_types::{Partition, Principal};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::{Facts, decide_with, document, foreigner, identity, key_policy, parse, root, session, user};
use crate::{Action, Attached, Documents, Policy, PolicyKind, Value};

fn caller() -> impl Strategy<Value = Principal> {
    prop::sample::select(vec![root(), user("alice"), user("bob"), session("app", "one"), foreigner("carol")])
}

fn action() -> impl Strategy<Value = Action> {
    prop::sample::select(vec![Action::Decrypt, Action::Encrypt, Action::DisableKey])
}

fn facts() -> impl Strategy<Value = (Option<&'static str>, Vec<&'static str>, bool)> {
    (
        prop::option::of(prop::sample::select(vec!["blue", "red"])),
        prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..3),
        any::<bool>(),
    )
}

fn context((team, tags, secure): &(Option<&'static str>, Vec<&'static str>, bool)) -> Facts {
    let facts = Facts::default()
        .many("aws:TagKeys", tags)
        .with("aws:SecureTransport", Value::Bool(*secure))
        .with("aws:SourceIp", Value::Ip(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))));
    match team {
        Some(team) => facts.text("aws:PrincipalTag/team", team),
        None => facts,
    }
}

fn conditions() -> impl Strategy<Value = Json> {
    let condition = prop::sample::select(vec![
        json!({"StringEquals": {"aws:PrincipalTag/team": "blue"}}),
        json!({"StringNotEquals": {"aws:PrincipalTag/team": ["blue", "green"]}}),
        json!({"StringLikeIfExists": {"aws:PrincipalTag/team": "r*"}}),
        json!({"StringNotEquals": {"aws:PrincipalTag/team": "${aws:username}"}}),
        json!({"Null": {"aws:PrincipalTag/team": true}}),
        json!({"Bool": {"aws:SecureTransport": true}}),
        json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]}}),
        json!({"ForAnyValue:StringEquals": {"aws:TagKeys": "a"}}),
        json!({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["a", "b"]}}),
        json!({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "Bool": {"aws:SecureTransport": false}}),
        json!({}),
    ]);
    prop_oneof![2 => Just(json!({})), 3 => condition]
}

fn statement(effects: &'static [&'static str], with_principal: bool) -> impl Strategy<Value = Json> {
    let principal = prop::sample::select(vec![
        json!("*"),
        json!({"AWS": "arn:aws:iam::111122223333:root"}),
        json!({"AWS": "arn:aws:iam::111122223333:user/alice"}),
        json!({"AWS": ["arn:aws:iam::111122223333:role/app", "444455556666"]}),
        json!({"AWS": "arn:aws:sts::111122223333:assumed-role/app/one"}),
        json!({"Service": "ec2.amazonaws.com"}),
    ]);
    let actions = prop::sample::select(vec![json!("kms:*"), json!("kms:Decrypt"), json!(["kms:En*", "kms:Dis*"])]);
    let resources = prop::sample::select(vec![json!("*"), json!("arn:aws:kms:*:111122223333:key/*"), json!("arn:aws:kms:us-east-1:*:*")]);
    let names = (prop::bool::weighted(0.2), prop::bool::weighted(0.2), prop::bool::weighted(0.2));
    (prop::sample::select(effects), principal, actions, resources, conditions(), names).prop_map(
        move |(effect, principal, action, resource, condition, (not_principal, not_action, not_resource))| {
            let name = |not: bool, name: &str| if not { format!("Not{name}") } else { name.to_owned() };
            let mut statement = json!({"Effect": effect, "Condition": condition});
            statement[name(not_action, "Action")] = action;
            statement[name(not_resource, "Resource")] = resource;
            if with_principal {
                statement[name(not_principal, "Principal")] = principal;
            }
            statement
        },
    )
}

/// What a set of documents is made of.
#[derive(Clone, Debug)]
struct Set {
    key: Vec<Json>,
    identity: Vec<Json>,
    boundary: Option<Vec<Json>>,
    session: Option<Vec<Json>>,
}

fn set() -> impl Strategy<Value = Set> {
    let list = |principal| prop::collection::vec(statement(&["Allow", "Allow", "Deny"], principal), 1..5);
    let limit = || prop::option::weighted(0.3, prop::collection::vec(statement(&["Allow", "Allow", "Deny"], false), 1..4));
    (list(true), list(false), limit(), limit()).prop_map(|(key, identity, boundary, session)| Set { key, identity, boundary, session })
}

impl Set {
    /// Decides, and sees that the explanation is of the same decision.
    fn allows(&self, caller: &Principal, action: Action, facts: &Facts) -> bool {
        let key: Policy = key_policy(&json!(self.key));
        let own: Vec<Attached> = self.identity.iter().map(|statement| identity(&json!([statement]))).collect();
        let boundary = self.boundary.as_ref().map(|statements| identity(&json!(statements)));
        let session = self.session.as_ref().map(|statements| identity(&json!(statements)));
        let documents = Documents {
            key_policy: Some(&key),
            identity: &own,
            boundary: boundary.as_ref(),
            session: session.as_ref().map(|attached| &*attached.policy),
            ..Documents::NONE
        };
        decide_with(caller, action, &documents, facts).is_allowed()
    }

    fn lists(&mut self) -> Vec<&mut Vec<Json>> {
        let mut lists = vec![&mut self.key, &mut self.identity];
        lists.extend(self.boundary.as_mut());
        lists.extend(self.session.as_mut());
        lists
    }
}

/// A statement about everything and everybody.
fn all(effect: &str, with_principal: bool) -> Json {
    let mut statement = json!({"Effect": effect, "Action": "kms:*", "Resource": "*"});
    if with_principal {
        statement["Principal"] = json!("*");
    }
    statement
}

proptest! {
    #[test]
    fn a_deny_anywhere_denies(set in set(), caller in caller(), action in action(), facts in facts(), at in 0_usize..4, place in 0_usize..4) {
        let mut set = set;
        let mut lists = set.lists();
        let at = at % lists.len();
        let place = place.min(lists[at].len());
        lists[at].insert(place, all("Deny", at == 0));
        prop_assert!(!set.allows(&caller, action, &context(&facts)));
    }

    #[test]
    fn removing_an_allow_or_adding_a_deny_never_grants(
        set in set(), caller in caller(), action in action(), facts in facts(), at in 0_usize..4, which in 0_usize..4,
        deny in statement(&["Deny"], false), denied_key in statement(&["Deny"], true),
    ) {
        let before = set.allows(&caller, action, &context(&facts));
        let mut less = set.clone();
        let mut lists = less.lists();
        let at = at % lists.len();
        let which = which % lists[at].len();
        // An empty document is none, so what is removed is replaced by what allows nothing here.
        if lists[at][which]["Effect"] == "Allow" {
            lists[at][which]["Condition"] = json!({"StringEquals": {"aws:Missing": "x"}});
        }
        prop_assert!(before || !less.allows(&caller, action, &context(&facts)));
        let mut more = set;
        let mut lists = more.lists();
        lists[at].push(if at == 0 { denied_key } else { deny });
        prop_assert!(before || !more.allows(&caller, action, &context(&facts)));
    }

    #[test]
    fn the_order_of_statements_does_not_matter(set in set(), caller in caller(), action in action(), facts in facts()) {
        let before = set.allows(&caller, action, &context(&facts));
        let mut reversed = set;
        reversed.lists().into_iter().for_each(|list| list.reverse());
        prop_assert_eq!(reversed.allows(&caller, action, &context(&facts)), before);
    }

    #[test]
    fn a_boundary_or_a_session_policy_never_grants(set in set(), caller in caller(), action in action(), facts in facts()) {
        let with = set.allows(&caller, action, &context(&facts));
        let without = Set { boundary: None, session: None, ..set };
        prop_assert!(!with || without.allows(&caller, action, &context(&facts)));
    }

    #[test]
    fn a_boundary_that_allows_nothing_leaves_only_what_a_key_policy_gives_by_name(set in set(), action in action(), facts in facts()) {
        let nothing = vec![json!({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})];
        // Without a Principal that is alice or everybody, all that she has comes from her own policies.
        let mut set = Set { boundary: Some(nothing), session: None, ..set };
        set.key = vec![json!({"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"})];
        prop_assert!(!set.allows(&user("alice"), action, &context(&facts)));
        prop_assert!(!set.allows(&session("app", "one"), action, &context(&facts)));
    }

    #[test]
    fn a_narrower_condition_never_grants(set in set(), caller in caller(), action in action(), facts in facts(), which in 0_usize..4) {
        let before = set.allows(&caller, action, &context(&facts));
        let mut narrower = set;
        let which = which % narrower.key.len();
        if narrower.key[which]["Effect"] == "Allow" {
            narrower.key[which]["Condition"]["NumericLessThan"] = json!({"aws:EpochTime": 1});
        }
        prop_assert!(before || !narrower.allows(&caller, action, &context(&facts)));
    }

    #[test]
    fn parsing_never_panics(text in "\\PC{0,200}", kind in prop::sample::select(vec![PolicyKind::Key, PolicyKind::Identity])) {
        let _ = Policy::parse(&text, kind, &Partition::default());
    }

    #[test]
    fn parsing_damaged_documents_never_panics(set in set(), at in any::<prop::sample::Index>(), with in "[\\[\\]{}\",:*?$a-z0-9 ÿ]{0,6}") {
        let mut text: Vec<char> = document(&json!(set.key)).to_string().chars().collect();
        let at = at.index(text.len());
        text.splice(at..(at + 3).min(text.len()), with.chars());
        let _ = Policy::parse(&text.into_iter().collect::<String>(), PolicyKind::Key, &Partition::default());
    }

    #[test]
    fn parsing_any_values_never_panics(operator in 0_usize..27, value in "\\PC{0,40}", key in "[a-zA-Z:/ÿ]{0,24}") {
        let name = crate::operator::Base::ALL[operator].as_str();
        let condition = json!({name: {key: [value, format!("${{{value}}}")]}});
        let _ = parse(&document(&json!([{"Effect": "Deny", "Principal": "*", "Condition": condition}])), PolicyKind::Key);
    }
}
