//! The admin API over a running node: what operators may ask of consensus, replication and revocation.

mod iam;
mod members;
mod nodes;
mod policy;

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claviger_api as api;
use claviger_consensus::{Consensus, MemberChange, ProposeError, Readiness, Region as _, Unavailable};
use claviger_replication::{NewPeer, PeerHello, PeerLag, RegionLife, ReplicationError, Replicator};
use claviger_service::Service;
use claviger_shapes::admin::clock::{AcceptClock, AcceptClockResult, ClockStatus};
use claviger_shapes::admin::{
    AddPeer, AddPeerResult, AdminError, AdminErrorCode, Crl, DetachRegion, DetachRegionResult, Identity, MembersChanged, Node, NodeChange,
    Peer, ProbePeer, PublishCrl, PublishCrlResult, RegionStatus, Status, TransferLeader,
};
use claviger_state::{AccountScope, CommandBody, CrlRecord, PeerRecord, Refusal, read};
use claviger_tls as tls;
use claviger_types::{Clock, Partition, Region, SystemClock, TrustDomain};

use crate::certificates::NodeTls;
use crate::clock;
use crate::restoring::Backups;

/// A node's admin API.
pub(crate) struct NodeAdmin {
    pub(crate) region: Region,
    pub(crate) trust_domain: TrustDomain,
    pub(crate) partition: Partition,
    pub(crate) consensus: Arc<Consensus>,
    pub(crate) replicator: Arc<Replicator<Consensus>>,
    pub(crate) tls: Arc<NodeTls>,
    pub(crate) backups: Backups,
    pub(crate) service: Arc<Service<Consensus>>,
}

/// How far a CA's clock may be ahead of this node's. A list from the far future would stand in the way of all later ones.
const CRL_CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

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

    async fn detach_region(&self, detach: DetachRegion) -> Result<DetachRegionResult, AdminError> {
        self.gate().await?;
        let tables = self.consensus.tables();
        let region = detach.region.clone();
        let step = tokio::task::spawn_blocking(move || members::detachable(&tables, &detach)).await;
        let (keys, result) = step.map_err(|_| internal("interrupted"))??;
        if !keys.is_empty() {
            let command = CommandBody::DetachMember(claviger_state::DetachMember { region, keys });
            let outcome = self.consensus.propose(command).await.map_err(|error| not_proposed(&error))?;
            outcome.map_err(|refusal| internal(&refusal.to_string()))?;
        }
        Ok(result)
    }

    async fn status(&self) -> Result<Status, AdminError> {
        let report = self.consensus.report().await;
        let removed = nodes::removed(&self.consensus.tables())?;
        Ok(nodes::status(&self.region, report, removed, self.peers_if_ready().await))
    }

    async fn clock_status(&self) -> Result<ClockStatus, AdminError> {
        clock::status(&self.consensus).await
    }

    async fn accept_clock(&self, accept: AcceptClock) -> Result<AcceptClockResult, AdminError> {
        clock::accept(&self.consensus, &accept).await
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

    async fn crls(&self) -> Result<Vec<Crl>, AdminError> {
        self.gate().await?;
        self.held_crls()?.iter().map(crl_of).collect()
    }

    async fn publish_crl(&self, publish: PublishCrl) -> Result<PublishCrlResult, AdminError> {
        let bytes = STANDARD.decode(publish.crl.as_bytes()).map_err(|_| invalid("the list is not in base64".to_owned()))?;
        let bad_crl = |error: tls::CrlError| invalid(format!("the revocation list is not taken: {:#}", anyhow::Error::new(error)));
        let crl = tls::Crl::parse(&bytes).map_err(bad_crl)?;
        let ca = self.tls.signer_of(&crl).map_err(bad_crl)?;
        if crl.this_update() > SystemClock.now().plus(CRL_CLOCK_SKEW) {
            return Err(invalid("the revocation list says that it was made in the future; mend its CA's clock".to_owned()));
        }
        self.gate().await?;
        let held = |crls: Vec<CrlRecord>| crls.into_iter().find(|held| held.ca == ca);
        let changed = held(self.held_crls()?).is_none_or(|held| held.der != crl.der());
        if changed {
            let (number, this_update, next_update) = (crl.number(), crl.this_update(), crl.next_update());
            let command = claviger_state::PublishCrl { ca, number, this_update, next_update, der: crl.der().to_vec() };
            let outcome = self.consensus.propose(CommandBody::PublishCrl(Box::new(command))).await.map_err(|error| not_proposed(&error))?;
            outcome.map_err(|refusal| crl_refused(&refusal))?;
            // The leader has applied it; this node answers when it has as well.
            self.gate().await?;
        }
        let record = held(self.held_crls()?).ok_or_else(|| internal("the list was published and is not held"))?;
        Ok(PublishCrlResult { crl: crl_of(&record)?, changed })
    }

    async fn gate(&self) -> Result<(), AdminError> {
        self.consensus.read().await.map_err(|Unavailable| AdminError::new(AdminErrorCode::Unavailable, Unavailable.to_string()))
    }
}

impl NodeAdmin {
    fn held_crls(&self) -> Result<Vec<CrlRecord>, AdminError> {
        read::crls(&self.consensus.tables()).map_err(|error| internal(&error.to_string()))
    }
}

fn crl_of(record: &CrlRecord) -> Result<Crl, AdminError> {
    let parsed = tls::Crl::parse(&record.der).map_err(|error| internal(&error.to_string()))?;
    Ok(Crl {
        ca: hex::encode(record.ca),
        issuer: parsed.issuer().to_owned(),
        number: parsed.number_text(),
        revoked: parsed.revoked() as u64,
        this_update_millis: record.this_update.as_millis(),
        next_update_millis: record.next_update.as_millis(),
        published_at_millis: record.published_at.as_millis(),
    })
}

fn invalid(message: String) -> AdminError {
    AdminError::new(AdminErrorCode::Invalid, message)
}

fn internal(message: &str) -> AdminError {
    AdminError::new(AdminErrorCode::Internal, message)
}

fn not_proposed(error: &ProposeError) -> AdminError {
    let code = match error {
        ProposeError::Unavailable(_) | ProposeError::Overloaded | ProposeError::Unknown => AdminErrorCode::Unavailable,
        ProposeError::TooLarge => AdminErrorCode::Invalid,
    };
    AdminError::new(code, error.to_string())
}

fn crl_refused(refusal: &Refusal) -> AdminError {
    let code = match refusal {
        Refusal::CrlNotNewer => AdminErrorCode::Conflict,
        Refusal::BadCrl(_) => AdminErrorCode::Invalid,
        _ => AdminErrorCode::Internal,
    };
    AdminError::new(code, refusal.to_string())
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
