//! Identities as text: plans and what came of them, what a region holds, who is denied.

mod changes;

use std::fmt::Write;

use claviger_shapes::admin::iam::{Denial, Identities, Identity, IdentityKind, SetDenialResult};
use claviger_types::{AccountId, Region};
use serde::Serialize;
use serde_json::json;

use self::changes::{account_lines, account_report};
use super::{Format, date, json as to_json, plain};
use crate::iam::{AccountPlan, Change, Drift, Held};

/// What `claviger iam apply` knows of one region at its end.
#[derive(Debug)]
pub struct Outcome {
    /// The region.
    pub region: Region,
    /// What was to be done there, nothing left out but what was so already.
    pub plans: Vec<PlanOutcome>,
    /// Why nothing was planned.
    pub error: Option<String>,
}

/// A plan, and what came of it.
#[derive(Debug)]
pub struct PlanOutcome {
    /// The plan.
    pub plan: AccountPlan,
    /// How far it was carried out.
    pub state: PlanState,
}

/// How far a plan was carried out.
#[derive(Debug)]
pub enum PlanState {
    /// It was only shown.
    Shown,
    /// To its end.
    Done,
    /// Not to its end.
    Failed {
        /// How many of its changes were made.
        done: usize,
        /// Why the next were not.
        error: String,
    },
}

impl Outcome {
    /// Whether something went wrong.
    pub fn has_failed(&self) -> bool {
        self.error.is_some() || self.plans.iter().any(|outcome| matches!(outcome.state, PlanState::Failed { .. }))
    }
}

const NAME_STAYS: &str = "what key policies and grants give a deleted user or role, one that is made under its name again has";

/// Plans, and what came of them, region by region.
pub fn outcomes(outcomes: &[Outcome], format: Format) -> String {
    if format == Format::Json {
        return to_json(&outcomes.iter().map(outcome_report).collect::<Vec<_>>());
    }
    outcomes.iter().map(outcome_text).collect()
}

fn outcome_text(outcome: &Outcome) -> String {
    let begun = match &outcome.error {
        Some(error) => nothing_done(&outcome.region, error),
        None => begun(&outcome.region, outcome.plans.is_empty()),
    };
    outcome.plans.iter().fold(begun, |text, outcome| text + &planned(&outcome.plan) + &ended(outcome))
}

/// Why a region was left alone.
pub fn nothing_done(region: &Region, error: &str) -> String {
    format!("{region}: nothing was done: {error}\n")
}

/// What is said of a region before its plans.
pub fn begun(region: &Region, has_no_plans: bool) -> String {
    if has_no_plans { format!("{region}: nothing to do\n") } else { format!("{region}\n") }
}

/// A plan, before anything of it is done.
pub fn planned(plan: &AccountPlan) -> String {
    let mut text = format!("  account {}\n", plan.account);
    account_lines(&mut text, plan, 0);
    if plan.changes.iter().any(leaves_a_name) {
        let _ = writeln!(text, "  note: {NAME_STAYS}");
    }
    text
}

/// What came of it.
pub fn ended(outcome: &PlanOutcome) -> String {
    let changes = counted(outcome.plan.len(), "change");
    match &outcome.state {
        PlanState::Shown => format!("  {changes} to make; nothing was changed\n"),
        PlanState::Done => format!("  {changes} made\n"),
        PlanState::Failed { done, error } => {
            let mut text = format!("  failed: {error}\n  left to do; run it again:\n");
            account_lines(&mut text, &outcome.plan, *done);
            text
        }
    }
}

/// Key policies and grants name users and roles: those that go are named still.
fn leaves_a_name(change: &Change) -> bool {
    change.after.is_none() && matches!(change.name.kind, IdentityKind::User | IdentityKind::Role)
}

fn outcome_report(outcome: &Outcome) -> serde_json::Value {
    let plans: Vec<serde_json::Value> = outcome
        .plans
        .iter()
        .map(|PlanOutcome { plan, state }| {
            let (state, done, error) = match state {
                PlanState::Shown => ("shown", 0, None),
                PlanState::Done => ("done", plan.changes.len(), None),
                PlanState::Failed { done, error } => ("failed", *done, Some(error)),
            };
            json!({ "account": plan.account.to_string(), "state": state, "error": error, "creates_account": plan.creates_account,
                    "deletes_account": plan.deletes_account, "changes": account_report(plan, done) })
        })
        .collect();
    let made = |outcome: &PlanOutcome| match outcome.state {
        PlanState::Shown => false,
        PlanState::Done => true,
        PlanState::Failed { done, .. } => done > 0,
    };
    let changed = outcome.plans.iter().any(made);
    json!({ "region": outcome.region, "changed": changed, "error": outcome.error, "accounts": plans })
}

/// What regions hold, each with its name.
pub fn held(regions: &[(Region, Held)], format: Format) -> String {
    if format == Format::Json {
        return to_json(&regions.iter().map(held_report).collect::<Vec<_>>());
    }
    regions.iter().map(|(region, held)| held_text(region, held)).collect()
}

#[derive(Serialize)]
struct HeldReport<'a> {
    region: &'a Region,
    accounts: Vec<HeldAccountReport<'a>>,
    denials: &'a [Denial],
}

#[derive(Serialize)]
struct HeldAccountReport<'a> {
    account: String,
    revision: Option<u64>,
    identities: &'a Identities,
}

fn held_report<'a>((region, held): &'a (Region, Held)) -> HeldReport<'a> {
    let account = |(account, held): (&AccountId, &'a crate::iam::HeldAccount)| HeldAccountReport {
        account: account.to_string(),
        revision: held.revision,
        identities: &held.identities,
    };
    HeldReport { region, accounts: held.accounts.iter().map(account).collect(), denials: &held.denials }
}

fn held_text(region: &Region, held: &Held) -> String {
    let mut text = format!("{region}\n");
    if held.accounts.is_empty() {
        text.push_str("  no accounts; `claviger iam apply` makes them\n");
    }
    for (account, held) in &held.accounts {
        let _ = writeln!(text, "  account {account}: {}", counted_identities(held.identities.len()));
        for (name, identity) in &held.identities {
            let _ = writeln!(text, "    {name}{}", described(identity));
        }
    }
    for denial in &held.denials {
        let Denial { principal, denied_at_millis, reason, by } = denial;
        let _ = writeln!(text, "  denied: {principal} since {} by {}: {}", date(*denied_at_millis), plain(by), plain(reason));
    }
    text
}

/// What an identity has, but for the text of its documents.
fn described(identity: &Identity) -> String {
    let mut parts = Vec::new();
    let mut list = |what: &str, names: Vec<&str>| {
        if !names.is_empty() {
            parts.push(format!("{what} {}", names.join(", ")));
        }
    };
    list("groups", identity.groups().into_iter().flatten().map(String::as_str).collect());
    list("attached", identity.attached().into_iter().flatten().map(String::as_str).collect());
    list("inline", identity.inline().into_iter().flatten().map(|(name, _)| name.as_str()).collect());
    list("boundary", identity.boundary().into_iter().map(String::as_str).collect());
    let tags: Vec<String> = identity.tags().into_iter().flatten().map(|(key, value)| format!("{}={}", plain(key), plain(value))).collect();
    list("tags", tags.iter().map(String::as_str).collect());
    if let Identity::Policy(policy) = identity {
        parts.push(format!("{} bytes", policy.document.len()));
    }
    if parts.is_empty() { String::new() } else { format!(": {}", parts.join("; ")) }
}

/// What came of a denial, or of lifting one, in each region.
pub fn denials(outcomes: &[(Region, Result<SetDenialResult, String>)], format: Format) -> String {
    if format == Format::Json {
        let report = |(region, outcome): &(Region, Result<SetDenialResult, String>)| match outcome {
            Ok(SetDenialResult { principal, denied, changed, known }) => {
                json!({ "region": region, "principal": principal, "denied": denied, "changed": changed, "known": known, "error": null })
            }
            Err(error) => json!({ "region": region, "changed": null, "error": error }),
        };
        return to_json(&outcomes.iter().map(report).collect::<Vec<_>>());
    }
    let line = |(region, outcome): &(Region, Result<SetDenialResult, String>)| match outcome {
        Ok(SetDenialResult { principal, denied, changed, known }) => {
            let done = match (denied, changed) {
                (true, true) => "is denied everything from now on",
                (true, false) => "was denied everything already",
                (false, true) => "is denied no longer",
                (false, false) => "was not denied",
            };
            let note = if *known { "" } else { "; the region knows no such principal" };
            format!("{region}: {principal} {done}{note}\n")
        }
        Err(error) => format!("{region}: not confirmed: {error}\n"),
    };
    outcomes.iter().map(line).collect()
}

/// How regions differ from what they were compared with, which is `reference`.
pub fn drifts(reference: &str, drifts: &[(Region, Result<Drift, String>)], format: Format) -> String {
    if format == Format::Json {
        let report = |(region, drift): &(Region, Result<Drift, String>)| drift_report(region, drift);
        return to_json(&json!({ "reference": reference, "regions": drifts.iter().map(report).collect::<Vec<_>>() }));
    }
    drifts.iter().map(|(region, drift)| drift_text(reference, region, drift)).collect()
}

fn drift_text(reference: &str, region: &Region, drift: &Result<Drift, String>) -> String {
    let drift = match drift {
        Err(error) => return format!("{region} cannot be compared: {error}\n"),
        Ok(drift) if drift.is_none() => return format!("{region} is as {reference}\n"),
        Ok(drift) => drift,
    };
    let mut text = format!("{region} differs from {reference}; to be the same it would need\n");
    for plan in &drift.plans {
        let _ = writeln!(text, "  account {}", plan.account);
        account_lines(&mut text, plan, 0);
    }
    for principal in &drift.denials_missing {
        let _ = writeln!(text, "  + denied: {}", plain(principal));
    }
    for principal in &drift.denials_excess {
        let _ = writeln!(text, "  - denied: {}", plain(principal));
    }
    text
}

fn drift_report(region: &Region, drift: &Result<Drift, String>) -> serde_json::Value {
    match drift {
        Err(error) => json!({ "region": region, "differs": null, "error": error }),
        Ok(drift) => {
            let account = |plan: &AccountPlan| {
                let AccountPlan { account, creates_account, deletes_account, .. } = plan;
                json!({ "account": account.to_string(), "creates_account": creates_account, "deletes_account": deletes_account,
                    "changes": account_report(plan, 0) })
            };
            json!({ "region": region, "differs": !drift.is_none(), "error": null,
                "accounts": drift.plans.iter().map(account).collect::<Vec<_>>(),
                "denials_missing": drift.denials_missing, "denials_excess": drift.denials_excess })
        }
    }
}

fn counted_identities(count: usize) -> String {
    if count == 1 { "1 identity".to_owned() } else { format!("{count} identities") }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
