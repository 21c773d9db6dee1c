//! How openraft reaches the other nodes: one message, one HTTP/2 request, over mutual TLS.
//!
//! Heartbeats and votes, log entries and snapshots have connections of their own, so that none waits for a larger one.
//! Appends are sent one after the other: while one is on its way the next grows, and the order is certain.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use openraft::errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Timeout, Unreachable};
use openraft::network::{RPCOption, RPCTypes};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};
use serde::Serialize;
use serde::de::DeserializeOwned;

use claviger_storage::SnapshotDir;
use claviger_tls::ClientError;
use claviger_types::NodeId;

use crate::peers::{CallError, Peers, Target};
use crate::raft_types::{Member, Snapshot, TypeConfig, Vote};
use crate::snapshot::send;
use crate::wire::{lane, path};

/// Slower than any link over which a region could be run: what a large message adds to its time.
const PACE_BYTES_PER_SECOND: usize = 1024 * 1024;

/// Makes a client for each node and purpose.
pub(crate) struct Network {
    me: NodeId,
    peers: Arc<Peers>,
    append_within: Duration,
}

impl Network {
    pub(crate) const fn new(me: NodeId, peers: Arc<Peers>, append_within: Duration) -> Self {
        Self { me, peers, append_within }
    }

    fn client(&self, target: NodeId, node: &Member, purpose: Purpose) -> Client {
        let to = Target { id: target, endpoint: node.endpoint.clone() };
        Client { me: self.me, peers: Arc::clone(&self.peers), to, purpose, append_within: self.append_within }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: NodeId, node: &Member) -> Client {
        self.client(target, node, Purpose::Log)
    }

    async fn new_heartbeat_client(&mut self, target: NodeId, node: &Member) -> Client {
        self.client(target, node, Purpose::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, target: NodeId, node: &Member) -> Client {
        self.client(target, node, Purpose::Log)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Log,
    Heartbeat,
}

/// One node, for one purpose.
pub(crate) struct Client {
    me: NodeId,
    peers: Arc<Peers>,
    to: Target,
    purpose: Purpose,
    append_within: Duration,
}

impl Client {
    async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        action: RPCTypes,
        path: &str,
        message: &Q,
        within: Duration,
    ) -> Result<A, RPCError<TypeConfig>> {
        let sealed = self.peers.seal(message).map_err(|e| self.failed(&e, action, within))?;
        self.peers.post(&self.to, lane::CONTROL, path, sealed, within).await.map_err(|e| self.failed(&e, action, within))
    }

    fn failed(&self, error: &CallError, action: RPCTypes, timeout: Duration) -> RPCError<TypeConfig> {
        match error {
            CallError::Client(ClientError::TimedOut { .. }) => Timeout { action, id: self.me, target: self.to.id, timeout }.into(),
            CallError::Client(ClientError::Unknown { .. }) => NetworkError::new(error).into(),
            _ => Unreachable::new(error).into(),
        }
    }
}

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = SnapshotDir;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<TypeConfig>, RPCError<TypeConfig>> {
        let action = RPCTypes::AppendEntries;
        if self.purpose == Purpose::Heartbeat {
            return self.call(action, path::APPEND, &rpc, option.soft_ttl()).await;
        }
        // openraft's limit is a heartbeat's; an append waits for the other node's disk.
        let sealed = self.peers.seal(&rpc).map_err(|e| self.failed(&e, action, self.append_within))?;
        let within = self.append_within + Duration::from_secs((sealed.len() / PACE_BYTES_PER_SECOND) as u64);
        self.peers.post(&self.to, lane::LOG, path::APPEND, sealed, within).await.map_err(|e| self.failed(&e, action, within))
    }

    async fn vote(&mut self, rpc: VoteRequest<TypeConfig>, option: RPCOption) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.call(RPCTypes::Vote, path::VOTE, &rpc, option.soft_ttl()).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<VoteResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.call(RPCTypes::Vote, path::PRE_VOTE, &rpc, option.soft_ttl()).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _option: RPCOption,
    ) -> Result<SnapshotResponse<TypeConfig>, StreamingError<TypeConfig>> {
        tokio::select! {
            closed = cancel => Err(StreamingError::Closed(closed)),
            sent = send(&self.peers, &self.to, vote, snapshot) => sent.map_err(|(e, within)| self.failed(&e, RPCTypes::InstallSnapshot, within).into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        req: TransferLeaderRequest<TypeConfig>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<TypeConfig>, RPCError<TypeConfig>> {
        self.call(RPCTypes::TransferLeader, path::TRANSFER_LEADER, &req, option.soft_ttl()).await
    }
}
