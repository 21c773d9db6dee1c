//! `claviger demo`: a whole deployment on this machine (DESIGN.md section 8), every node and the agent
//! a process of its own, and a scenario that shows what it promises. It uses nothing that an operator could not: the same commands, files and listeners.

mod agent;
mod contract;
mod deployment;
mod kms;
mod process;
mod progress;
mod scenario;

use std::path::Path;

use anyhow::{Context, bail};

use crate::cli::DemoArgs;
use deployment::Deployment;
use progress::Progress;

/// Marks a directory that the demo may empty before it starts again.
const MARKER: &str = ".claviger-demo";

/// Runs the demo.
///
/// # Errors
/// When the deployment does not start or a step of the scenario does not hold.
pub(crate) async fn run(args: &DemoArgs) -> anyhow::Result<()> {
    if args.regions.is_empty() || args.regions.len() > claviger_types::limits::REGIONS_MAX {
        bail!("--regions takes 1 to {} names", claviger_types::limits::REGIONS_MAX);
    }
    let mut progress = Progress::new(args.json);
    prepare(&args.dir)?;
    let dir = args.dir.canonicalize().with_context(|| format!("{} cannot be found again", args.dir.display()))?;
    let mut deployment = Deployment::new(&dir, &args.regions, args.nodes, args.port_base)?;
    let outcome = tokio::select! {
        outcome = start_and_show(&mut deployment, args, &mut progress) => outcome,
        () = crate::shutdown::signal_or_hangup() => Err(anyhow::anyhow!("interrupted before everything was shown")),
    };
    if outcome.is_ok() && args.keep_running {
        progress.say(&contract::how_to_use(&deployment))?;
        crate::shutdown::signal_or_hangup().await;
    }
    deployment.stop().await;
    progress.finish(outcome.is_ok())?;
    outcome
}

async fn start_and_show(deployment: &mut Deployment, args: &DemoArgs, progress: &mut Progress) -> anyhow::Result<()> {
    deployment.start(progress).await?;
    contract::write(deployment)?;
    progress.note(&format!("wrote {}", contract::path(deployment).display()))?;
    if !args.no_scenario {
        scenario::run(deployment, progress).await?;
        // Nodes that were started again have other process ids.
        contract::write(deployment)?;
    }
    Ok(())
}

/// Makes the directory, or empties it when an earlier demo left it.
fn prepare(dir: &Path) -> anyhow::Result<()> {
    if socket_answers(dir) {
        bail!("a demo runs in {}: stop it first, or choose another --dir", dir.display());
    }
    let in_use = dir.read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if in_use && !dir.join(MARKER).exists() {
        bail!("{} is not empty and was not made by a demo: choose another --dir", dir.display());
    }
    if in_use {
        std::fs::remove_dir_all(dir).with_context(|| format!("{} cannot be emptied", dir.display()))?;
    }
    std::fs::create_dir_all(dir).with_context(|| format!("{} cannot be made", dir.display()))?;
    std::fs::write(dir.join(MARKER), "made by claviger demo; emptied when it runs again\n").context("the demo's marker cannot be written")
}

/// Whether any node of an earlier demo still answers on its admin socket.
fn socket_answers(dir: &Path) -> bool {
    let subdirectories = |dir: &Path| dir.read_dir().into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    let nodes = subdirectories(dir).into_iter().flat_map(|region| subdirectories(&region));
    nodes.into_iter().any(|node| std::os::unix::net::UnixStream::connect(node.join("admin.sock")).is_ok())
}
