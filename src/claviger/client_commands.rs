//! Commands that talk to a deployment from outside, or make its certificates: the `operator` crate does the work.

use std::path::Path;

use anyhow::Context;
use claviger_operator::pki::{self, Changes, Validity};
use claviger_operator::render::{self, Format};
use claviger_operator::{Demo, admin};
use claviger_shapes::admin::{AddPeer, NodeChange, ProbePeer, TransferLeader};
use claviger_tls::{ApiClient, ClientTls, IdentityFiles};

use crate::cli::{LeaderCommand, NodeArgs, NodeCommand, PeerCommand, PkiCommand, Target};
use crate::config::Config;
use crate::{founding, print};

/// `claviger pki …`
///
/// # Errors
/// Says which file is at fault.
pub(crate) fn pki(command: &PkiCommand) -> anyhow::Result<()> {
    let (changes, json) = match command {
        PkiCommand::Init { dir, trust_domain, days, json } => (pki::init(dir, trust_domain, Validity::days(*days))?, *json),
        PkiCommand::Node { dir, out, region, id, sans, days, json } => {
            (pki::issue_node(dir, out, region, *id, sans, Validity::days(*days))?, *json)
        }
        PkiCommand::Client { dir, out, identity, days, json } => (pki::issue_client(dir, out, identity, Validity::days(*days))?, *json),
        PkiCommand::Operator { dir, out, name, days, json } => (pki::issue_operator(dir, out, name, Validity::days(*days))?, *json),
    };
    print_changes(&changes, json)
}

fn print_changes(changes: &Changes, json: bool) -> anyhow::Result<()> {
    print(&if json { changes.to_json() } else { changes.to_string() })
}

/// `claviger status`
///
/// # Errors
/// When no node answers.
pub(crate) async fn status(target: &Target) -> anyhow::Result<()> {
    print(&render::region(&admin::region(&node(target).await?).await?, format(target)))
}

/// `claviger node …` but for `add`, which is run on the node itself.
///
/// # Errors
/// When no node answers, or the region refuses.
pub(crate) async fn nodes(command: &NodeCommand) -> anyhow::Result<()> {
    let (change, NodeArgs { id, target }) = match command {
        NodeCommand::List(target) => return print(&render::nodes(&admin::nodes(&node(target).await?).await?, format(target))),
        NodeCommand::Add(args) => return founding::join(&Config::load(&args.config)?, &args.via, args.json).await,
        NodeCommand::Remove(args) => (NodeChange::Remove, args),
        NodeCommand::Promote(args) => (NodeChange::Promote, args),
        NodeCommand::Demote(args) => (NodeChange::Demote, args),
    };
    let result = admin::change_node(&node(target).await?, *id, change).await?;
    print(&render::node_changed(*id, change, &result, format(target)))
}

/// `claviger leader …`
///
/// # Errors
/// When no node answers, or the region refuses.
pub(crate) async fn leader(command: &LeaderCommand) -> anyhow::Result<()> {
    let LeaderCommand::Transfer { to, target } = command;
    let result = admin::transfer_leader(&node(target).await?, &TransferLeader { to: *to }).await?;
    print(&render::leader_transferred(&result, format(target)))
}

/// `claviger peer …`
///
/// # Errors
/// When no node answers, or refuses.
pub(crate) async fn peer(command: &PeerCommand) -> anyhow::Result<()> {
    match command {
        PeerCommand::Identity(target) => print(&render::identity(&admin::identity(&node(target).await?).await?, format(target))),
        PeerCommand::List(target) => print(&render::peers(&admin::peers(&node(target).await?).await?, format(target))),
        PeerCommand::Add { peer, target, endpoints, fingerprint: Some(fingerprint) } => {
            let request = AddPeer { endpoints: endpoints.clone(), region: peer.clone(), fingerprint: fingerprint.clone() };
            print(&render::add_peer_result(&admin::add_peer(&node(target).await?, &request).await?, format(target)))
        }
        PeerCommand::Add { peer, target, endpoints, fingerprint: None } => {
            let request = ProbePeer { endpoints: endpoints.clone(), region: peer.clone() };
            let found = admin::probe(&node(target).await?, &request).await?;
            print(&render::identity(&found, format(target)))?;
            anyhow::bail!(
                "nothing was changed: compare the fingerprint with what `claviger peer identity` shows in {peer}, then add --fingerprint {}",
                found.fingerprint
            )
        }
    }
}

fn format(target: &Target) -> Format {
    if target.json { Format::Json } else { Format::Human }
}

/// The node that a command talks to: of several, the first that can be reached.
async fn node(target: &Target) -> anyhow::Result<ApiClient> {
    if let Some(socket) = &target.socket {
        return Ok(ApiClient::unix(socket));
    }
    if let Some(path) = &target.demo {
        let demo = Demo::load(path)?;
        let urls = demo.nodes(target.region.as_ref())?;
        return reachable(urls, &demo.operator.cert, &demo.operator.key, &demo.ca).await;
    }
    let missing = "give --socket, --demo, or --url with --cert, --key and --ca";
    let (cert, key, ca) = (target.cert.as_deref(), target.key.as_deref(), target.ca.as_deref());
    let urls = target.urls.iter().map(String::as_str).collect();
    reachable(urls, cert.context(missing)?, key.context(missing)?, ca.context(missing)?).await
}

async fn reachable(urls: Vec<&str>, cert: &Path, key: &Path, ca: &Path) -> anyhow::Result<ApiClient> {
    let tls = ClientTls::api(&IdentityFiles::new(cert, key), ca)?;
    let clients = urls.into_iter().map(|url| ApiClient::https(url, tls.clone())).collect::<Result<Vec<_>, _>>()?;
    Ok(admin::first_reachable(clients).await?)
}
