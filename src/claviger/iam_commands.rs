//! `claviger iam`: each region is read and changed for itself, and one that fails keeps no other waiting; the exit status tells.

use std::path::Path;

use anyhow::{Context, bail};
use claviger_operator::iam::{ApplyFailed, Drift, Held, IamFile, Region, drift, regions};
use claviger_operator::render::Format;
use claviger_operator::render::iam::{self as render, Outcome, PlanOutcome, PlanState};
use claviger_operator::{AdminClientError, Demo};
use claviger_shapes::admin::iam::SetDenial;
use claviger_tls::ApiClient;
use claviger_types::{AccountId, Region as RegionName};
use futures::future::join_all;

use crate::cli::{DenialArgs, IamCommand, RegionsArg, Target};
use crate::client_commands::{format, https_clients, url_credentials};
use crate::print;

/// `claviger iam …`
///
/// # Errors
/// When the file is not in order, or not all of it was done in all regions.
pub(crate) async fn run(command: &IamCommand) -> anyhow::Result<()> {
    match command {
        IamCommand::Apply { file, prune, dry_run, regions } => apply(file, *prune, *dry_run, regions).await,
        IamCommand::Show { account, regions } => show(*account, regions).await,
        IamCommand::Diff { file, prune, regions } => diff(file.as_deref(), *prune, regions).await,
        IamCommand::Revoke(args) => set_denial(args, true).await,
        IamCommand::Reinstate(args) => set_denial(args, false).await,
    }
}

async fn apply(path: &Path, prune: bool, dry_run: bool, arg: &RegionsArg) -> anyhow::Result<()> {
    let file = load(path, prune)?;
    let found = Found::find(arg).await?;
    let mut outcomes = Vec::new();
    // People see each plan before it is carried out, programs one document at the end.
    let is_human = format(&arg.target) == Format::Human;
    let tell = |text: String| if is_human { print(&text) } else { Ok(()) };
    for region in &found.regions {
        outcomes.push(apply_in(region, &file, prune, dry_run, &tell).await?);
    }
    if !is_human {
        print(&render::outcomes(&outcomes, Format::Json))?;
    }
    let failed = outcomes.iter().filter(|outcome| outcome.has_failed()).map(|outcome| &outcome.region);
    found.all_done(failed)
}

async fn apply_in(
    region: &Region,
    file: &IamFile,
    prune: bool,
    dry_run: bool,
    tell: &impl Fn(String) -> anyhow::Result<()>,
) -> anyhow::Result<Outcome> {
    let name = region.name().clone();
    let plans = match region.plans(file, prune).await {
        Ok(plans) => plans,
        Err(error) => {
            let error = words(error);
            tell(render::nothing_done(&name, &error))?;
            return Ok(Outcome { region: name, plans: Vec::new(), error: Some(error) });
        }
    };
    tell(render::begun(&name, plans.is_empty()))?;
    let mut outcomes = Vec::new();
    for plan in plans {
        tell(render::planned(&plan))?;
        let state = match dry_run {
            true => PlanState::Shown,
            false => region.apply(&plan).await.map_or_else(
                |ApplyFailed { done, error }| PlanState::Failed { done, error: file.locate(plan.account, &words(error)) },
                |()| PlanState::Done,
            ),
        };
        let outcome = PlanOutcome { plan, state };
        tell(render::ended(&outcome))?;
        outcomes.push(outcome);
    }
    Ok(Outcome { region: name, plans: outcomes, error: None })
}

fn load(path: &Path, prune: bool) -> anyhow::Result<IamFile> {
    let file = IamFile::load(path)?;
    if prune && file.accounts().next().is_none() {
        bail!("{} names no account, and with --prune all would be deleted", path.display());
    }
    Ok(file)
}

async fn show(account: Option<AccountId>, arg: &RegionsArg) -> anyhow::Result<()> {
    let found = Found::find(arg).await?;
    let (mut shown, mut failed) = (Vec::new(), Vec::new());
    for (region, held) in held_by_all(&found.regions, account).await {
        match held {
            Ok(held) => shown.push((region, held)),
            Err(error) => failed.push(format!("{region} cannot be shown: {error}")),
        }
    }
    print(&render::held(&shown, format(&arg.target)))?;
    if !failed.is_empty() {
        bail!("{}", failed.join("; "));
    }
    found.all_done([])
}

/// What each region holds, or why that is not known.
async fn held_by_all(regions: &[Region], account: Option<AccountId>) -> Vec<(RegionName, Result<Held, String>)> {
    join_all(regions.iter().map(async |region| (region.name().clone(), region.held(account).await.map_err(words)))).await
}

async fn diff(path: Option<&Path>, prune: bool, arg: &RegionsArg) -> anyhow::Result<()> {
    let found = Found::find(arg).await?;
    let (reference, drifts) = match path {
        Some(path) => {
            let file = load(path, prune)?;
            let drift_of = async |region: &Region| {
                let plans = region.plans(&file, prune).await.map_err(words)?;
                Ok(Drift { plans, ..Default::default() })
            };
            let drifts = join_all(found.regions.iter().map(async |region| (region.name().clone(), drift_of(region).await))).await;
            (path.display().to_string(), drifts)
        }
        None => {
            let mut held = held_by_all(&found.regions, None).await;
            if let [(only, _)] = &held[..] {
                bail!("there is nothing to compare {only} with: give --all, or a file with -f");
            }
            // The first that answers.
            let at = held.iter().position(|(_, held)| held.is_ok()).unwrap_or_default();
            let (first, reference) = held.remove(at);
            let reference = reference.map_err(|error| anyhow::anyhow!("no region can be compared: {first}: {error}"))?;
            let drifts = held.into_iter().map(|(region, held)| (region, held.map(|held| drift(&reference, &held)))).collect();
            (first.to_string(), drifts)
        }
    };
    print(&render::drifts(&reference, &drifts, format(&arg.target)))?;
    let differs = |drift: &Result<Drift, String>| !matches!(drift, Ok(drift) if drift.is_none());
    let names: Vec<&str> = drifts.iter().filter(|(_, drift)| differs(drift)).map(|(region, _)| region.as_str()).collect();
    if !names.is_empty() {
        bail!("not as {reference}: {}", names.join(", "));
    }
    found.all_done([])
}

/// All regions at once: it may be urgent, and none waits for another.
async fn set_denial(args: &DenialArgs, denied: bool) -> anyhow::Result<()> {
    let DenialArgs { principal, reason, regions: arg } = args;
    let found = Found::find(arg).await?;
    let request = SetDenial { principal: principal.clone(), denied, reason: reason.clone() };
    let set = async |region: &Region| (region.name().clone(), region.set_denial(&request).await.map_err(words));
    let outcomes = join_all(found.regions.iter().map(set)).await;
    print(&render::denials(&outcomes, format(&arg.target)))?;
    found.all_done(outcomes.iter().filter(|(_, outcome)| outcome.is_err()).map(|(region, _)| region))
}

/// The regions that a command is for.
struct Found {
    regions: Vec<Region>,
    /// Of each node that was named, and of which it is not known whose it is, why.
    unknown: Vec<String>,
}

impl Found {
    async fn find(arg: &RegionsArg) -> anyhow::Result<Self> {
        let (regions, mut unknown) = regions(nodes(arg)?).await;
        if !arg.all {
            match &regions[..] {
                // Of several nodes one is enough, but none may be another region's.
                [_] => unknown.retain(|error| matches!(error, AdminClientError::OtherRegion { .. })),
                [] => {}
                several => {
                    let names: Vec<&str> = several.iter().map(|region| region.name().as_str()).collect();
                    bail!("the nodes are of several regions: {}; name those of one, or add --all", names.join(", "));
                }
            }
        }
        if regions.is_empty() {
            let error = unknown.into_iter().next().unwrap_or(AdminClientError::NoNode);
            return Err(error).context("no node of any region can be reached");
        }
        Ok(Self { regions, unknown: unknown.into_iter().map(whose).collect() })
    }

    /// An error that names the regions in which a command was not done, and the nodes whose region is not known.
    fn all_done<'a>(&self, failed: impl IntoIterator<Item = &'a RegionName>) -> anyhow::Result<()> {
        let failed = failed.into_iter().map(|region| format!("{region} has failed"));
        let problems: Vec<String> = failed.chain(self.unknown.iter().cloned()).collect();
        if problems.is_empty() { Ok(()) } else { bail!("not done everywhere; run it again: {}", problems.join("; ")) }
    }
}

/// The nodes that were named, each with the region that was named with it.
fn nodes(arg: &RegionsArg) -> anyhow::Result<Vec<(Option<RegionName>, ApiClient)>> {
    let RegionsArg { target, all } = arg;
    if let Some(socket) = &target.socket {
        return Ok(vec![(None, ApiClient::unix(socket))]);
    }
    let Some(path) = &target.demo else { return named_by_url(target) };
    let demo = Demo::load(path)?;
    if !all {
        // Refuses when it is not clear which region is meant.
        demo.nodes(target.region.as_ref())?;
    }
    let wanted = |region: &RegionName| *all || target.region.as_ref().is_none_or(|wanted| wanted == region);
    let mut found = Vec::new();
    for (region, urls) in demo.regions().filter(|(region, _)| wanted(region)) {
        let clients = https_clients(urls, &demo.operator.cert, &demo.operator.key, &demo.ca)?;
        found.extend(clients.into_iter().map(|client| (Some(region.clone()), client)));
    }
    Ok(found)
}

fn named_by_url(target: &Target) -> anyhow::Result<Vec<(Option<RegionName>, ApiClient)>> {
    let (cert, key, ca) = url_credentials(target)?;
    let split = |text: &String| -> anyhow::Result<(Option<RegionName>, String)> {
        match text.split_once('=') {
            Some((region, url)) => {
                let region = region.parse().with_context(|| format!("--url {text}: what stands before = must be a region"))?;
                Ok((Some(region), url.to_owned()))
            }
            None => Ok((None, text.clone())),
        }
    };
    let named = target.urls.iter().map(split).collect::<Result<Vec<_>, _>>()?;
    let clients = https_clients(named.iter().map(|(_, url)| url.as_str()), cert, key, ca)?;
    Ok(named.into_iter().map(|(region, _)| region).zip(clients).collect())
}

/// Why it is not known whose a node is.
fn whose(error: AdminClientError) -> String {
    let is_silent = matches!(error, AdminClientError::Call(_));
    let hint = if is_silent { " (write REGION=URL if another node of its region answers)" } else { "" };
    words(error) + hint
}

/// An error with all its causes.
fn words(error: AdminClientError) -> String {
    format!("{:#}", anyhow::Error::new(error))
}
