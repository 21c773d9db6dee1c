//! Commands that talk to a deployment from outside, or make its certificates: the `operator` crate does the work.

use anyhow::Context;
use claviger_operator::pki::{self, Changes, Validity};
use claviger_operator::{Admin, Format, add_peer_result, identity, operator_tls, peers};
use claviger_shapes::admin::{AddPeer, ProbePeer};
use claviger_types::{Identity, Principal, TrustDomain};

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
        PkiCommand::Client { dir, out, identity, days, json } => {
            let principal = parse_principal(identity, &pki::read_trust_domain(dir)?)?;
            (pki::issue_client(dir, out, &principal, Validity::days(*days))?, *json)
        }
        PkiCommand::Operator { dir, out, name, days, json } => (pki::issue_operator(dir, out, name, Validity::days(*days))?, *json),
    };
    print_changes(&changes, json)
}

fn print_changes(changes: &Changes, json: bool) -> anyhow::Result<()> {
    print(&if json { changes.to_json() } else { changes.to_string() })
}

/// A principal's path below the trust domain, e.g. `111122223333/user/alice`.
pub(crate) fn parse_principal(path: &str, domain: &TrustDomain) -> anyhow::Result<Principal> {
    match Identity::from_spiffe(&format!("spiffe://{domain}/{path}"), domain)? {
        Identity::Principal(principal) => Ok(principal),
        _ => anyhow::bail!("{path} is no principal: give <account>/root, <account>/user/<name> or <account>/role/<name>/<session>"),
    }
}

/// `claviger peer …`
///
/// # Errors
/// When the node does not answer, or refuses.
pub(crate) async fn peer(command: &PeerCommand) -> anyhow::Result<()> {
    match command {
        PeerCommand::Identity(target) => print(&identity(&admin(target)?.identity().await?, format(target))),
        PeerCommand::List(target) => print(&peers(&admin(target)?.peers().await?, format(target))),
        PeerCommand::Add { target, region, endpoints, fingerprint: Some(fingerprint) } => {
            let request = AddPeer { endpoints: endpoints.clone(), region: region.clone(), fingerprint: fingerprint.clone() };
            print(&add_peer_result(&admin(target)?.add_peer(&request).await?, format(target)))
        }
        PeerCommand::Add { target, region, endpoints, fingerprint: None } => {
            let request = ProbePeer { endpoints: endpoints.clone(), region: region.clone() };
            let found = admin(target)?.probe(&request).await?;
            print(&identity(&found, format(target)))?;
            anyhow::bail!(
                "nothing was changed: compare the fingerprint with what `claviger peer identity` shows in {region}, then add --fingerprint {}",
                found.fingerprint
            )
        }
    }
}

fn format(target: &Target) -> Format {
    if target.json { Format::Json } else { Format::Human }
}

fn admin(target: &Target) -> anyhow::Result<Admin> {
    if let Some(socket) = &target.socket {
        return Ok(Admin::unix(socket));
    }
    let missing = "give --socket, or --url with --cert, --key and --ca";
    let url = target.url.as_deref().context(missing)?;
    let (cert, key, ca) = (target.cert.as_deref(), target.key.as_deref(), target.ca.as_deref());
    let tls = operator_tls(cert.context(missing)?, key.context(missing)?, ca.context(missing)?)?;
    Ok(Admin::https(url, tls)?)
}
