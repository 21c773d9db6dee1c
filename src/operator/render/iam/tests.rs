//! What people and programs are shown of identities.

use claviger_shapes::admin::iam::{IdentityKind, IdentityName, ManagedPolicy, User};

use super::*;
use crate::iam::{Drift, HeldAccount, plan};

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn user(groups: &[&str], tags: &[(&str, &str)], boundary: Option<&str>) -> Identity {
    Identity::User(User {
        groups: groups.iter().map(|name| (*name).to_owned()).collect(),
        tags: tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        boundary: boundary.map(str::to_owned),
        ..User::default()
    })
}

fn policy(document: &str) -> Identity {
    Identity::Policy(ManagedPolicy { document: document.to_owned() })
}

fn identities(of: &[(IdentityKind, &str, Identity)]) -> Identities {
    of.iter().map(|(kind, name, identity)| (IdentityName::new(*kind, *name), identity.clone())).collect()
}

fn a_plan() -> AccountPlan {
    use IdentityKind::{Policy, User};
    let present = identities(&[
        (Policy, "use", policy("{}")),
        (User, "alice", user(&["a", "b"], &[("t", "1"), ("u", "1")], None)),
        (User, "bob", user(&[], &[], None)),
    ]);
    let wanted = identities(&[
        (Policy, "use", policy("[]")),
        (User, "alice", user(&["b", "c"], &[("t", "2"), ("v", "1")], Some("use"))),
        (User, "carol", user(&["a"], &[], None)),
    ]);
    plan(account(), Some(4), &present, Some(&wanted))
}

#[test]
fn a_plan_is_a_line_an_identity_with_what_changes() {
    let shown = |state| {
        let outcome = Outcome { region: region("eu-west-1"), plans: vec![PlanOutcome { plan: a_plan(), state }], error: None };
        (outcomes(std::slice::from_ref(&outcome), Format::Human), outcome.has_failed())
    };
    let changes = "  account 111122223333\n    ~ policy/use: document\n    ~ user/alice: groups +c -a; tags ~t +v -u; boundary none -> use\n    \
                   + user/carol: groups +a\n    - user/bob\n  note: what key policies and grants give a deleted user or role, one that is \
                   made under its name again has\n";
    assert_eq!(shown(PlanState::Shown), (format!("eu-west-1\n{changes}  4 changes to make; nothing was changed\n"), false));
    assert_eq!(shown(PlanState::Done), (format!("eu-west-1\n{changes}  4 changes made\n"), false));
    let (failed, has_failed) = shown(PlanState::Failed { done: 2, error: "no leader".to_owned() });
    let left = "  failed: no leader\n  left to do; run it again:\n    + user/carol: groups +a\n    - user/bob\n";
    assert_eq!((failed, has_failed), (format!("eu-west-1\n{changes}{left}"), true));
}

#[test]
fn regions_with_nothing_to_do_or_out_of_reach_are_a_line() {
    let nothing = Outcome { region: region("eu-west-1"), plans: Vec::new(), error: None };
    let away = Outcome { region: region("us-east-1"), plans: Vec::new(), error: Some("away".to_owned()) };
    assert!(!nothing.has_failed() && away.has_failed());
    let text = outcomes(&[nothing, away], Format::Human);
    assert_eq!(text, "eu-west-1: nothing to do\nus-east-1: nothing was done: away\n");
    let made = plan(account(), None, &Identities::new(), Some(&Identities::new()));
    let made = Outcome { region: region("eu-west-1"), plans: vec![PlanOutcome { plan: made, state: PlanState::Done }], error: None };
    assert_eq!(outcomes(&[made], Format::Human), "eu-west-1\n  account 111122223333\n    + the account\n  1 change made\n");
}

#[test]
fn programs_get_each_change_and_whether_it_was_made() {
    let state = PlanState::Failed { done: 1, error: "no".to_owned() };
    let outcome = Outcome { region: region("eu-west-1"), plans: vec![PlanOutcome { plan: a_plan(), state }], error: None };
    let json: serde_json::Value = serde_json::from_str(&outcomes(&[outcome], Format::Json)).unwrap();
    assert_eq!((&json[0]["region"], &json[0]["changed"]), (&"eu-west-1".into(), &true.into()));
    let account = &json[0]["accounts"][0];
    assert_eq!((&account["account"], &account["state"], &account["error"]), (&"111122223333".into(), &"failed".into(), &"no".into()));
    let changes = account["changes"].as_array().unwrap();
    let kinds: Vec<_> = changes.iter().map(|change| (change["change"].as_str().unwrap(), change["done"].as_bool().unwrap())).collect();
    assert_eq!(kinds, [("update", true), ("update", false), ("create", false), ("delete", false)]);
    assert_eq!(changes[1]["members"][0], "groups +c -a");
}

#[test]
fn what_a_region_holds_is_shown_without_documents_and_control_characters() {
    let identities = identities(&[
        (IdentityKind::Policy, "use", policy("{}")),
        (IdentityKind::User, "alice", user(&["staff"], &[("t", "a\u{1b}[2J")], None)),
        (IdentityKind::User, "bob", user(&[], &[], None)),
    ]);
    let denial = Denial {
        principal: "arn:aws:iam::111122223333:user/bob".to_owned(),
        denied_at_millis: 1_700_000_000_000,
        reason: "a laptop\nwas lost".to_owned(),
        by: "ops".to_owned(),
    };
    let held = Held { accounts: [(account(), HeldAccount { revision: Some(4), identities })].into(), denials: vec![denial] };
    let all = [(region("eu-west-1"), held), (region("us-east-1"), Held::default())];
    assert_eq!(
        super::held(&all, Format::Human),
        "eu-west-1\n  account 111122223333: 3 identities\n    policy/use: 2 bytes\n    user/alice: groups staff; tags t=a [2J\n    user/bob\n  \
         denied: arn:aws:iam::111122223333:user/bob since 2023-11-14T22:13:20Z by ops: a laptop was lost\nus-east-1\n  no accounts; \
         `claviger iam apply` makes them\n"
    );
    let json: serde_json::Value = serde_json::from_str(&super::held(&all, Format::Json)).unwrap();
    assert_eq!(json[0]["accounts"][0]["identities"]["policy/use"]["policy"]["document"], "{}");
    assert_eq!(json[0]["denials"][0]["by"], "ops");
}

#[test]
fn a_denial_is_told_region_by_region() {
    let told = |denied, changed, known| {
        let principal = "arn:aws:iam::111122223333:user/bob".to_owned();
        let outcome = (region("eu-west-1"), Ok(SetDenialResult { principal, denied, changed, known }));
        denials(&[outcome], Format::Human)
    };
    assert!(told(true, true, true).ends_with("user/bob is denied everything from now on\n"));
    assert!(told(true, false, true).ends_with("was denied everything already\n"));
    assert!(told(false, true, true).ends_with("is denied no longer\n"));
    assert!(told(false, false, false).ends_with("was not denied; the region knows no such principal\n"));
    let failed = [(region("eu-west-1"), Err("no answer".to_owned()))];
    assert!(denials(&failed, Format::Human).contains("not confirmed: no answer"));
    let json: serde_json::Value = serde_json::from_str(&denials(&failed, Format::Json)).unwrap();
    assert_eq!((&json[0]["error"], &json[0]["changed"]), (&"no answer".into(), &serde_json::Value::Null));
}

#[test]
fn drift_is_what_the_region_would_need() {
    let drift = Drift { plans: vec![a_plan()], denials_missing: vec!["p".to_owned()], denials_excess: vec!["q".to_owned()] };
    let all = [
        (region("us-east-1"), Ok(drift)),
        (region("ap-south-1"), Ok(Drift::default())),
        (region("ca-central-1"), Err("no answer".to_owned())),
    ];
    let text = drifts("eu-west-1", &all, Format::Human);
    assert!(text.starts_with("us-east-1 differs from eu-west-1; to be the same it would need\n  account 111122223333\n    ~ policy/use"));
    assert!(text.ends_with(
        "    - user/bob\n  + denied: p\n  - denied: q\nap-south-1 is as eu-west-1\nca-central-1 cannot be compared: no answer\n"
    ));
    let json: serde_json::Value = serde_json::from_str(&drifts("eu-west-1", &all, Format::Json)).unwrap();
    assert_eq!(json["reference"], "eu-west-1");
    let differs: Vec<&serde_json::Value> = json["regions"].as_array().unwrap().iter().map(|region| &region["differs"]).collect();
    assert_eq!(differs, [&true.into(), &false.into(), &serde_json::Value::Null]);
    assert_eq!(json["regions"][0]["denials_missing"][0], "p");
}
