//! Commands that talk to a deployment from outside, or make its certificates: the `operator` crate does the work.

use std::path::Path;

use crate::cli::{CrlCommand, LeaderCommand, NodeArgs, NodeCommand, PeerCommand, PkiCommand, Target};
use crate::config::Config;
use crate::{founding, print};
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claviger_operator::pki::{self, Changes, Revoke, Validity, WrittenCrl};
use claviger_operator::render::{self, Format};
use claviger_operator::{Demo, admin};
use claviger_shapes::admin::{AddPeer, NodeChange, ProbePeer, PublishCrl, TransferLeader};
use claviger_tls::{ApiClient, ClientTls, Crl, IdentityFiles};
use claviger_types::{Clock, SystemClock};

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
        PkiCommand::Revoke { dir, cert, serial, ca, reason, days, json } => {
            let what = match (cert, serial, ca) {
                (Some(path), _, _) => Revoke::Certificate(path.clone()),
                (None, Some(serial), Some(ca)) => Revoke::Serial(*ca, serial.clone()),
                _ => anyhow::bail!("give --cert, or --serial with --ca"),
            };
            return print_crls(&[pki::revoke(dir, &what, *reason, *days)?], *json);
        }
        PkiCommand::Crl { dir, days, json } => return print_crls(&pki::renew_crls(dir, *days)?, *json),
    };
    print_changes(&changes, json)
}

fn print_changes(changes: &Changes, json: bool) -> anyhow::Result<()> {
    print(&if json { changes.to_json() } else { changes.to_string() })
}

fn print_crls(written: &[WrittenCrl], json: bool) -> anyhow::Result<()> {
    if json { print(&pki::crls_to_json(written)) } else { written.iter().try_for_each(|list| print(&list.to_string())) }
}

/// `claviger status`
///
/// # Errors
/// When no node answers, and, once what is known is printed, when the region has no leader.
pub(crate) async fn status(target: &Target) -> anyhow::Result<()> {
    let region = admin::region(&node(target).await?).await?;
    print(&render::region(&region, format(target)))?;
    anyhow::ensure!(region.leader.is_some(), "no node of the region leads it, as far as those know that answered: it does not serve");
    Ok(())
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

/// `claviger crl …`
///
/// # Errors
/// When the file is no list, the node does not answer, or it refuses.
pub(crate) async fn crl(command: &CrlCommand) -> anyhow::Result<()> {
    let now = SystemClock.now();
    match command {
        CrlCommand::Publish { target, file } => {
            let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
            let list = Crl::parse(&bytes).with_context(|| format!("{} cannot be published", file.display()))?;
            let request = PublishCrl { crl: STANDARD.encode(list.der()) };
            print(&render::publish_crl_result(&admin::publish_crl(&node(target).await?, &request).await?, format(target), now))
        }
        CrlCommand::List(target) => print(&render::crls(&admin::crls(&node(target).await?).await?, format(target), now)),
    }
}

pub(crate) fn format(target: &Target) -> Format {
    if target.json { Format::Json } else { Format::Human }
}

/// The node that a command talks to: of several, the first that can be reached.
pub(crate) async fn node(target: &Target) -> anyhow::Result<ApiClient> {
    if let Some(socket) = &target.socket {
        return Ok(ApiClient::unix(socket));
    }
    if let Some(path) = &target.demo {
        let demo = Demo::load(path)?;
        let urls = demo.nodes(target.region.as_ref())?;
        return reachable(urls, &demo.operator.cert, &demo.operator.key, &demo.ca).await;
    }
    let (cert, key, ca) = url_credentials(target)?;
    reachable(target.urls.iter().map(String::as_str), cert, key, ca).await
}

async fn reachable<'a>(urls: impl IntoIterator<Item = &'a str>, cert: &Path, key: &Path, ca: &Path) -> anyhow::Result<ApiClient> {
    Ok(admin::first_reachable(https_clients(urls, cert, key, ca)?).await?)
}

/// What goes with `--url`: certificate, key and CA.
pub(crate) fn url_credentials(target: &Target) -> anyhow::Result<(&Path, &Path, &Path)> {
    let missing = "give --socket, --demo, or --url with --cert, --key and --ca";
    let (cert, key, ca) = (target.cert.as_deref(), target.key.as_deref(), target.ca.as_deref());
    Ok((cert.context(missing)?, key.context(missing)?, ca.context(missing)?))
}

/// A client of each api listener, with one operator's certificate.
pub(crate) fn https_clients<'a>(
    urls: impl IntoIterator<Item = &'a str>,
    cert: &Path,
    key: &Path,
    ca: &Path,
) -> anyhow::Result<Vec<ApiClient>> {
    let tls = ClientTls::api(&IdentityFiles::new(cert, key), ca)?;
    Ok(urls.into_iter().map(|url| ApiClient::https(url, tls.clone())).collect::<Result<Vec<_>, _>>()?)
}
