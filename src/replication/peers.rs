//! Peers as an operator sees them: meeting one, comparing fingerprints, how far each is behind.

use std::time::Duration;

use claviger_consensus::Region;
use claviger_crypto::wrap::fingerprint;
use claviger_state::{AccountScope, AddPeer, CommandBody, PeerRecord, Response, StateError, Tables, read};
use claviger_types::limits::PEER_ENDPOINTS_MAX;
use claviger_types::{Region as RegionName, Timestamp};
use subtle::ConstantTimeEq;

use crate::core::own_region;
use crate::message::{PeerHello, RegionLife, path};
use crate::sealing::crypto_keys;
use crate::{ReplicationError, Replicator};

/// `https://`, a host name of at most 253 characters, a port.
const ENDPOINT_BYTES_MAX: usize = 270;

impl PeerHello {
    /// What the operators of both regions compare: over region, cluster id and all three public keys.
    ///
    /// # Errors
    /// When the keys are none.
    pub fn fingerprint(&self) -> Result<String, ReplicationError> {
        Ok(fingerprint(&self.life.region, self.life.cluster_id, &crypto_keys(&self.keys)?))
    }
}

/// A peer that an operator admits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPeer {
    /// Its name.
    pub region: RegionName,
    /// Its nodes' peer listeners, `https://host:port`.
    pub endpoints: Vec<String>,
    /// The accounts for which it may act.
    pub accounts: AccountScope,
    /// What its own operator reads from it; spaces and case do not matter.
    pub fingerprint: String,
}

/// A peer and how far it is behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerLag {
    /// The peer.
    pub peer: PeerRecord,
    /// Keys of which it has not got our document, or our status.
    pub dirty: u64,
    /// The age of the oldest of these.
    pub lag: Duration,
}

impl<R: Region> Replicator<R> {
    /// Asks whoever answers at `endpoints` who it is. The certificate there must be of `expected`.
    ///
    /// # Errors
    /// When nobody of that region answers, or something else than it should.
    pub async fn probe(&self, endpoints: &[String], expected: &RegionName) -> Result<PeerHello, ReplicationError> {
        check_endpoints(expected, endpoints)?;
        let hello: PeerHello = self.core.caller.call(expected, endpoints, path::HELLO, &()).await?;
        if hello.life.region != *expected {
            return Err(ReplicationError::WrongRegion { expected: expected.clone(), found: hello.life.region });
        }
        crypto_keys(&hello.keys)?;
        Ok(hello)
    }

    /// Admits a peer whose fingerprint the operator has confirmed, or changes its endpoints and accounts. The other side
    /// must admit this region as well before anything flows. `true` when it changed anything.
    ///
    /// # Errors
    /// As [`Replicator::probe`]; [`ReplicationError::Fingerprint`]; or when the region refuses the peer.
    pub async fn add_peer(&self, new: NewPeer) -> Result<(PeerRecord, bool), ReplicationError> {
        let hello = self.probe(&new.endpoints, &new.region).await?;
        let found = hello.fingerprint()?;
        if !is_same_fingerprint(&found, &new.fingerprint) {
            return Err(ReplicationError::Fingerprint { region: new.region, found });
        }
        let RegionLife { region, cluster_id, incarnation } = hello.life;
        let add = AddPeer { region, cluster_id, incarnation, endpoints: new.endpoints, keys: hello.keys, accounts: new.accounts };
        match self.core.propose(CommandBody::AddPeer(Box::new(add))).await? {
            Response::Peer { peer, changed } => Ok((*peer, changed)),
            _ => Err(ReplicationError::UnexpectedAnswer),
        }
    }

    /// All peers and how far each is behind this region.
    ///
    /// # Errors
    /// When the region cannot be read.
    pub async fn peers(&self) -> Result<Vec<PeerLag>, ReplicationError> {
        let tables = self.core.fresh_tables().await?;
        let now = self.core.region.log_time()?;
        let with_lag = |peer: PeerRecord| {
            let (dirty, lag) = lag_of(&tables, &peer.region, now)?;
            Ok(PeerLag { peer, dirty, lag })
        };
        read::peers(&tables)?.into_iter().map(with_lag).collect()
    }

    /// What this region tells others of itself; its fingerprint is what they are given to compare.
    ///
    /// # Errors
    /// When the region cannot be read or has not been founded.
    pub async fn own_identity(&self) -> Result<PeerHello, ReplicationError> {
        let tables = self.core.fresh_tables().await?;
        let keys = read::region_keys(&tables)?.ok_or(ReplicationError::NotFounded)?.public;
        Ok(PeerHello { life: RegionLife::from(&own_region(&tables)?), keys })
    }
}

/// Count of a peer's dirty entries, and the age of the oldest.
pub(crate) fn lag_of(tables: &impl Tables, peer: &RegionName, now: Timestamp) -> Result<(u64, Duration), StateError> {
    let oldest = read::dirty(tables, peer, 1)?;
    let lag = oldest.first().map_or(Duration::ZERO, |(_, entry)| now.since(entry.since));
    Ok((read::dirty_count(tables, peer)?, lag))
}

fn is_same_fingerprint(found: &str, given: &str) -> bool {
    let given: String = given.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_ascii_lowercase()).collect();
    found.as_bytes().ct_eq(given.as_bytes()).into()
}

fn check_endpoints(region: &RegionName, endpoints: &[String]) -> Result<(), ReplicationError> {
    if endpoints.is_empty() || endpoints.len() > PEER_ENDPOINTS_MAX {
        return Err(ReplicationError::NoEndpoint(region.clone()));
    }
    let is_endpoint = |text: &str| {
        let (host, port) = text.strip_prefix("https://")?.rsplit_once(':')?;
        let shaped = host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']'));
        (!host.is_empty() && shaped && port.parse::<u16>().is_ok_and(|port| port > 0)).then_some(())
    };
    match endpoints.iter().find(|endpoint| endpoint.len() > ENDPOINT_BYTES_MAX || is_endpoint(endpoint).is_none()) {
        Some(bad) => Err(ReplicationError::Endpoint(bad.chars().take(ENDPOINT_BYTES_MAX).collect())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_https_host_and_port() {
        let region: RegionName = "eu-west-1".parse().unwrap();
        let check = |text: &str| check_endpoints(&region, &[text.to_owned()]);
        for good in ["https://localhost:1", "https://10.0.0.1:7443", "https://[::1]:7443", "https://a-b.example:65535"] {
            check(good).unwrap();
        }
        for bad in
            ["", "localhost:1", "http://a:1", "https://a", "https://a:0", "https://a:65536", "https://:1", "https://a b:1", "https://a:1/x"]
        {
            assert!(matches!(check(bad), Err(ReplicationError::Endpoint(_))), "{bad}");
        }
        assert!(matches!(check_endpoints(&region, &[]), Err(ReplicationError::NoEndpoint(_))));
    }

    #[test]
    fn fingerprints_are_compared_as_people_write_them() {
        assert!(is_same_fingerprint("ab12-cd34", " AB12-cd34\n"));
        assert!(!is_same_fingerprint("ab12-cd34", "ab12-cd35"));
        assert!(!is_same_fingerprint("ab12-cd34", "ab12-cd3"));
        assert!(!is_same_fingerprint("ab12-cd34", ""));
    }
}
