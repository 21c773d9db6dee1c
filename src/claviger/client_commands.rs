//! Commands that talk to a deployment from outside, or make its certificates: the `operator` crate does the work.

use anyhow::Context;
use claviger_operator::admin;
use claviger_operator::pki::{self, Changes, Validity};
use claviger_operator::render::{self, Format};
use claviger_shapes::admin::{AddPeer, ProbePeer};
use claviger_tls::{ApiClient, ClientTls, IdentityFiles};

use crate::cli::{PeerCommand, PkiCommand, Target};
use crate::print;

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

/// `claviger peer …`
///
/// # Errors
/// When the node does not answer, or refuses.
pub(crate) async fn peer(command: &PeerCommand) -> anyhow::Result<()> {
    match command {
        PeerCommand::Identity(target) => print(&render::identity(&admin::identity(&node(target)?).await?, format(target))),
        PeerCommand::List(target) => print(&render::peers(&admin::peers(&node(target)?).await?, format(target))),
        PeerCommand::Add { target, region, endpoints, fingerprint: Some(fingerprint) } => {
            let request = AddPeer { endpoints: endpoints.clone(), region: region.clone(), fingerprint: fingerprint.clone() };
            print(&render::add_peer_result(&admin::add_peer(&node(target)?, &request).await?, format(target)))
        }
        PeerCommand::Add { target, region, endpoints, fingerprint: None } => {
            let request = ProbePeer { endpoints: endpoints.clone(), region: region.clone() };
            let found = admin::probe(&node(target)?, &request).await?;
            print(&render::identity(&found, format(target)))?;
            anyhow::bail!(
                "nothing was changed: compare the fingerprint with what `claviger peer identity` shows in {region}, then add --fingerprint {}",
                found.fingerprint
            )
        }
    }
}

pub(crate) fn format(target: &Target) -> Format {
    if target.json { Format::Json } else { Format::Human }
}

/// The node that a command talks to.
///
/// # Errors
/// When the files of the operator's certificate are not usable.
pub(crate) fn node(target: &Target) -> anyhow::Result<ApiClient> {
    if let Some(socket) = &target.socket {
        return Ok(ApiClient::unix(socket));
    }
    let missing = "give --socket, or --url with --cert, --key and --ca";
    let url = target.url.as_deref().context(missing)?;
    let (cert, key, ca) = (target.cert.as_deref(), target.key.as_deref(), target.ca.as_deref());
    let files = IdentityFiles::new(cert.context(missing)?, key.context(missing)?);
    Ok(ApiClient::https(url, ClientTls::api(&files, ca.context(missing)?)?)?)
}
