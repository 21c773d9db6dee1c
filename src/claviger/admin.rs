//! The admin API over a running node: what operators may ask of consensus and replication.

use std::sync::Arc;

use claviger_api as api;
use claviger_consensus::{Consensus, Readiness};
use claviger_replication::{NewPeer, PeerHello, PeerLag, RegionLife, ReplicationError, Replicator};
use claviger_shapes::admin::clock::{AcceptClock, AcceptClockResult, ClockStatus};
use claviger_shapes::admin::{AddPeer, AddPeerResult, AdminError, AdminErrorCode, Identity, Peer, ProbePeer, Status};
use claviger_state::{AccountScope, PeerRecord, Refusal};
use claviger_types::{Region, TrustDomain};

use crate::clock;

/// A node's admin API.
pub(crate) struct NodeAdmin {
    pub(crate) region: Region,
    pub(crate) trust_domain: TrustDomain,
    pub(crate) consensus: Arc<Consensus>,
    pub(crate) replicator: Arc<Replicator<Consensus>>,
}

impl NodeAdmin {
    fn identity_of(&self, hello: &PeerHello) -> Result<Identity, ReplicationError> {
        Ok(Identity {
            region: hello.life.region.clone(),
            cluster_id: hello.life.cluster_id.to_string(),
            incarnation: hello.life.incarnation.to_string(),
            trust_domain: self.trust_domain.clone(),
            key_version: hello.keys.version,
            fingerprint: hello.fingerprint()?,
        })
    }

    async fn peer_list(&self) -> Result<Vec<Peer>, ReplicationError> {
        self.replicator.peers().await?.into_iter().map(peer_of).collect()
    }
}

fn peer_of(found: PeerLag) -> Result<Peer, ReplicationError> {
    let PeerLag { peer, dirty, lag } = found;
    Ok(Peer {
        fingerprint: peer_fingerprint(&peer)?,
        cluster_id: peer.cluster_id.to_string(),
        incarnation: peer.incarnation.to_string(),
        endpoints: peer.endpoints,
        key_version: peer.keys.version,
        dirty,
        lag_seconds: lag.as_secs_f64(),
        added_at_millis: peer.added_at.as_millis(),
        region: peer.region,
    })
}

fn peer_fingerprint(peer: &PeerRecord) -> Result<String, ReplicationError> {
    let life = RegionLife { region: peer.region.clone(), cluster_id: peer.cluster_id, incarnation: peer.incarnation };
    PeerHello { life, keys: peer.keys.clone() }.fingerprint()
}

impl api::Admin for NodeAdmin {
    async fn identity(&self) -> Result<Identity, AdminError> {
        let hello = self.replicator.own_identity().await.map_err(refused)?;
        self.identity_of(&hello).map_err(refused)
    }

    async fn peers(&self) -> Result<Vec<Peer>, AdminError> {
        self.peer_list().await.map_err(refused)
    }

    async fn add_peer(&self, peer: AddPeer) -> Result<AddPeerResult, AdminError> {
        let AddPeer { endpoints, region, fingerprint } = peer;
        let new = NewPeer { region: region.clone(), endpoints, accounts: AccountScope::All, fingerprint };
        let (_, changed) = self.replicator.add_peer(new).await.map_err(refused)?;
        let known = self.peer_list().await.map_err(refused)?.into_iter().find(|known| known.region == region);
        let peer = known.ok_or_else(|| AdminError::new(AdminErrorCode::Internal, "the peer was added and is not listed"))?;
        Ok(AddPeerResult { peer, changed })
    }

    async fn probe_peer(&self, peer: ProbePeer) -> Result<Identity, AdminError> {
        let hello = self.replicator.probe(&peer.endpoints, &peer.region).await.map_err(refused)?;
        self.identity_of(&hello).map_err(refused)
    }

    async fn status(&self) -> Result<Status, AdminError> {
        let group = self.consensus.status();
        let ready = self.consensus.readiness() == Readiness::Ready;
        // A node without a leader cannot read its peers, and says the rest.
        let peers = if ready { self.peer_list().await.unwrap_or_default() } else { Vec::new() };
        Ok(Status {
            node: group.node_id,
            region: self.region.clone(),
            ready,
            leader: group.leader,
            term: group.term,
            applied: group.applied_index.unwrap_or_default(),
            voters: group.voters.iter().map(|member| member.id).collect(),
            learners: group.learners.iter().map(|member| member.id).collect(),
            peers,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        })
    }

    async fn clock_status(&self) -> Result<ClockStatus, AdminError> {
        clock::status(&self.consensus).await
    }

    async fn accept_clock(&self, accept: AcceptClock) -> Result<AcceptClockResult, AdminError> {
        clock::accept(&self.consensus, &accept).await
    }
}

/// What an operator is told; operators may see reasons, which name no secret.
fn refused(error: ReplicationError) -> AdminError {
    let code = match &error {
        ReplicationError::Unavailable(_) | ReplicationError::Propose(_) | ReplicationError::Unreachable { .. } => {
            AdminErrorCode::Unavailable
        }
        ReplicationError::UnknownPeer(_) => AdminErrorCode::NotFound,
        ReplicationError::Endpoint(_) | ReplicationError::NoEndpoint(_) | ReplicationError::Refused(Refusal::BadPeer(_)) => {
            AdminErrorCode::Invalid
        }
        ReplicationError::Fingerprint { .. } | ReplicationError::WrongRegion { .. } | ReplicationError::Refused(_) => {
            AdminErrorCode::Conflict
        }
        _ => AdminErrorCode::Internal,
    };
    AdminError::new(code, format!("{:#}", anyhow::Error::new(error)))
}
