//! The admin API over a running node: what operators may ask of consensus and replication.

mod nodes;

use std::sync::Arc;

use claviger_api as api;
use claviger_consensus::{Consensus, MemberChange, Readiness, Region as _};
use claviger_replication::{NewPeer, PeerHello, PeerLag, RegionLife, ReplicationError, Replicator};
use claviger_shapes::admin::{
    AddPeer, AddPeerResult, AdminError, AdminErrorCode, Identity, MembersChanged, Node, NodeChange, Peer, ProbePeer, RegionStatus, Status,
    TransferLeader,
};
use claviger_state::{AccountScope, PeerRecord, Refusal, read};
use claviger_types::{Region, TrustDomain};

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

    /// A node without a leader cannot read its peers, and says the rest.
    async fn peers_if_ready(&self) -> Vec<Peer> {
        match self.consensus.readiness() {
            Readiness::Ready => self.peer_list().await.unwrap_or_default(),
            _ => Vec::new(),
        }
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
        let report = self.consensus.report().await;
        let removed = nodes::removed(&self.consensus.tables())?;
        Ok(nodes::status(&self.region, report, removed, self.peers_if_ready().await))
    }

    async fn region(&self) -> Result<RegionStatus, AdminError> {
        let surveyed = self.consensus.survey().await;
        let known = read::nodes(&self.consensus.tables()).map_err(nodes::unreadable)?;
        let peers = self.peers_if_ready().await;
        Ok(nodes::region_status(&self.region, &self.consensus.status(), &surveyed, &known, peers))
    }

    async fn nodes(&self) -> Result<Vec<Node>, AdminError> {
        self.consensus.read().await.map_err(|error| AdminError::new(AdminErrorCode::Unavailable, error.to_string()))?;
        let known = read::nodes(&self.consensus.tables()).map_err(nodes::unreadable)?;
        Ok(nodes::list(&self.consensus.status(), known))
    }

    async fn change_node(&self, id: u64, change: NodeChange) -> Result<MembersChanged, AdminError> {
        let change = match change {
            NodeChange::Promote => MemberChange::Promote(id),
            NodeChange::Demote => MemberChange::Demote(id),
            NodeChange::Remove => MemberChange::Remove(id),
        };
        nodes::changed(self.consensus.operate(change).await)
    }

    async fn transfer_leader(&self, transfer: TransferLeader) -> Result<MembersChanged, AdminError> {
        nodes::changed(self.consensus.operate(MemberChange::TransferLead(transfer.to)).await)
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
