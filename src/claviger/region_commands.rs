//! `claviger region`: what operators do about multi-region keys while a region is away, step by step.

use std::io::{IsTerminal, Write};

use anyhow::Context;
use claviger_operator::admin;
use claviger_shapes::admin::{DetachRegion, DetachRegionResult};
use claviger_types::Region;
use serde_json::json;

use crate::cli::{RegionCommand, Target};
use crate::client_commands::node;
use crate::print;

/// `claviger region …`
///
/// # Errors
/// When the node does not answer, or refuses.
pub(crate) async fn run(command: &RegionCommand) -> anyhow::Result<()> {
    match command {
        RegionCommand::Detach { away, target } => detach(away, target).await,
    }
}

async fn detach(away: &Region, target: &Target) -> anyhow::Result<()> {
    let node = node(target).await?;
    let shown = !target.json && std::io::stderr().is_terminal();
    let mut sum = DetachRegionResult::default();
    let mut after = None;
    loop {
        let step = admin::detach_region(&node, &DetachRegion { region: away.clone(), after: after.take() }).await;
        let step = step.with_context(|| format!("{away} was detached from {} keys; run it again for the rest", sum.detached))?;
        sum.detached += step.detached;
        sum.rotating += step.rotating;
        after = step.next;
        if after.is_none() {
            break;
        }
        if shown {
            // Nothing depends on whether it is seen.
            let _ = write!(std::io::stderr(), "\r{} keys ", sum.detached);
        }
    }
    let DetachRegionResult { detached, rotating, .. } = sum;
    if target.json {
        return print(&json!({ "region": away, "detached": detached, "rotating": rotating, "changed": detached > 0 }).to_string());
    }
    if shown {
        let _ = write!(std::io::stderr(), "\r{:40}\r", "");
    }
    print(&format!(
        "Detached {away} from {detached} keys whose primary is here; {rotating} of them waited for it with a rotation. \
         It counts again, key by key, once it is back and has caught up."
    ))
}
