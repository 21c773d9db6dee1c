//! `claviger policy`: decisions explained.

use std::collections::BTreeMap;

use anyhow::bail;
use claviger_operator::{admin, render};
use claviger_shapes::admin::policy::{SimulatePolicy, SimulatedGrant};

use crate::cli::{PolicyCommand, SimulateArgs};
use crate::client_commands::{format, node};
use crate::print;

/// `claviger policy …`. A denial is an answer like any other.
///
/// # Errors
/// When the node does not answer, or there is nothing to decide.
pub(crate) async fn run(command: &PolicyCommand) -> anyhow::Result<()> {
    let PolicyCommand::Simulate(args) = command;
    let request = request(args)?;
    let simulation = admin::policy::simulate(&node(&args.target).await?, &request).await?;
    print(&render::policy::simulation(&simulation, format(&args.target)))
}

fn request(args: &SimulateArgs) -> anyhow::Result<SimulatePolicy> {
    let grant = args.grantee.clone().map(|grantee| SimulatedGrant {
        grantee,
        retiring_principal: args.retiring_principal.clone(),
        operations: args.grant_operations.iter().cloned().collect(),
        constraint_equals: args.constraint_equals,
    });
    Ok(SimulatePolicy {
        principal: args.principal.clone(),
        action: args.action.clone(),
        key: args.key_id.clone(),
        alias: args.alias.clone(),
        grant_id: args.grant_id.clone(),
        context: distinct("--context", &args.context)?,
        source_ip: args.source_ip,
        tags: distinct("--tag", &args.tags)?,
        replica_region: args.replica_region.clone(),
        grant,
        multi_region: args.multi_region,
        replica: args.replica,
        bypass_policy_lockout_safety_check: args.bypass_policy_lockout_safety_check,
        same_key: args.same_key,
        parameters: distinct("--parameter", &args.parameters)?,
    })
}

/// A key that comes twice would hide one of its values.
fn distinct(option: &str, pairs: &[(String, String)]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut all = BTreeMap::new();
    for (key, value) in pairs {
        if all.insert(key.clone(), value.clone()).is_some() {
            bail!("{option} gives {key} twice");
        }
    }
    Ok(all)
}
