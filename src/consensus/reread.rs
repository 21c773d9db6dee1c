//! What another node of the region may send or answer, decoded and encoded again: for tests that have nothing but bytes
//! (`tests/fuzz`).

use claviger_types::encoding::EncodingError;
use claviger_types::{ClusterId, NodeId};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock_status::ClockStatus;
use crate::operate::{OperateAnswer, OperateRequest};
use crate::raft_types::TypeConfig;
use crate::server::{check_entries, check_sender};
use crate::snapshot::Header;
use crate::survey::NodeReport;
use crate::wire::{
    self, ClockAnswer, ClockRequest, ClocksRequest, JoinAnswer, JoinRequest, ProposeAnswer, ProposeRequest, ReadIndexRequest,
    ReportRequest, path,
};

/// In the name of which node votes and entries are checked.
const SENDER: NodeId = 1;

/// A message between the nodes of a region.
#[derive(Clone, Copy, Debug)]
pub struct NodeMessage {
    /// Where it goes, and of an answer behind a space that it is one.
    pub name: &'static str,
    reread: fn(&[u8]) -> Result<Vec<u8>, EncodingError>,
}

impl NodeMessage {
    /// Every message that is decoded from what another node sent.
    pub const ALL: &[Self] = &[
        Self { name: path::APPEND, reread: append },
        Self::answer::<AppendEntriesResponse<TypeConfig>>("/raft/append answer"),
        Self { name: path::VOTE, reread: vote },
        Self { name: path::PRE_VOTE, reread: vote },
        Self::answer::<VoteResponse<TypeConfig>>("/raft/vote answer"),
        Self { name: path::TRANSFER_LEADER, reread: transfer_leader },
        Self::answer::<TransferLeaderResponse<TypeConfig>>("/raft/transfer_leader answer"),
        Self::request::<Header>(path::SNAPSHOT),
        Self::answer::<SnapshotResponse<TypeConfig>>("/raft/snapshot answer"),
        Self::request::<ClockRequest>(path::CLOCK),
        Self::answer::<ClockAnswer>("/raft/clock answer"),
        Self::request::<ProposeRequest>(path::PROPOSE),
        Self::answer::<ProposeAnswer>("/cluster/propose answer"),
        Self::request::<ReadIndexRequest>(path::READ_INDEX),
        Self::answer::<u64>("/cluster/read_index answer"),
        Self::request::<ClocksRequest>(path::CLOCKS),
        Self::answer::<ClockStatus>("/cluster/clocks answer"),
        Self { name: path::JOIN, reread: join },
        Self::answer::<JoinAnswer>("/cluster/join answer"),
        Self::request::<OperateRequest>(path::OPERATE),
        Self::answer::<OperateAnswer>("/cluster/operate answer"),
        Self::request::<ReportRequest>(path::REPORT),
        Self::answer::<NodeReport>("/cluster/report answer"),
    ];

    const fn request<T: Serialize + DeserializeOwned>(name: &'static str) -> Self {
        Self { name, reread: |bytes| open::<T>(bytes, |_| ()) }
    }

    const fn answer<T: Serialize + DeserializeOwned>(name: &'static str) -> Self {
        Self { name, reread: |bytes| wire::encode(&wire::decode::<T>(bytes)?).map(Into::into) }
    }

    /// Decodes `bytes` as the receiver does, checks them as it does, whatever comes of that, and encodes what they say.
    ///
    /// # Errors
    /// When they do not decode.
    pub fn reread(&self, bytes: &[u8]) -> Result<Vec<u8>, EncodingError> {
        (self.reread)(bytes)
    }
}

/// A request of this cluster.
fn open<T: Serialize + DeserializeOwned>(bytes: &[u8], look: impl FnOnce(&T)) -> Result<Vec<u8>, EncodingError> {
    let (cluster, message): (ClusterId, T) = wire::open(bytes)?;
    look(&message);
    wire::seal(cluster, &message).map(Into::into)
}

fn append(bytes: &[u8]) -> Result<Vec<u8>, EncodingError> {
    open::<AppendEntriesRequest<TypeConfig>>(bytes, |message| {
        let _ = check_sender(&message.vote, SENDER);
        let _ = check_entries(message);
    })
}

fn vote(bytes: &[u8]) -> Result<Vec<u8>, EncodingError> {
    open::<VoteRequest<TypeConfig>>(bytes, |message| _ = check_sender(&message.vote, SENDER))
}

fn transfer_leader(bytes: &[u8]) -> Result<Vec<u8>, EncodingError> {
    open::<TransferLeaderRequest<TypeConfig>>(bytes, |message| _ = check_sender(message.from_leader(), SENDER))
}

/// The one request that names no cluster.
fn join(bytes: &[u8]) -> Result<Vec<u8>, EncodingError> {
    let request: JoinRequest = wire::decode(bytes)?;
    let _ = wire::is_endpoint(&request.endpoint);
    wire::encode(&request).map(Into::into)
}

/// Writes the seeds of `tests/fuzz` that this crate alone can make, when asked; else holds them to be decodable.
#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use bytes::Bytes;
    use claviger_state::{Command, CommandBody, Refusal, Response};
    use claviger_types::{NodeInstance, Timestamp};

    use super::*;
    use crate::operate::{MemberChange, OperateError, Operated};
    use crate::raft_types::{Entry, LogId, Member, Proposed, SnapshotMeta, StoredMembership, Vote};
    use crate::{MemberStatus, Readiness, Role, Status};

    const CLUSTER: ClusterId = ClusterId::from_bytes([7; 16]);

    fn log_id(index: u64) -> LogId {
        LogId::new(openraft::impls::leader_id_adv::LeaderId { term: 3, node_id: SENDER }, index)
    }

    fn member() -> Member {
        Member { endpoint: "https://node-1.example:8443".to_owned(), instance: NodeInstance::from_bytes([4; 16]) }
    }

    fn membership() -> openraft::Membership<NodeId, Member> {
        openraft::Membership::new(vec![[1].into()], BTreeMap::from([(1, member()), (2, member())])).unwrap()
    }

    fn append_request() -> AppendEntriesRequest<TypeConfig> {
        let command = Command { time: Timestamp::from_millis(1_700_000_000_000), body: CommandBody::Tick }.encode().unwrap();
        let entry = |index, payload| Entry { log_id: log_id(index), payload };
        AppendEntriesRequest {
            vote: Vote::new_committed(3, SENDER),
            prev_log_id: Some(log_id(4)),
            entries: vec![
                entry(5, openraft::EntryPayload::Blank),
                entry(6, openraft::EntryPayload::Normal(Proposed(command.into()))),
                entry(7, openraft::EntryPayload::Membership(membership())),
            ],
            leader_commit: Some(log_id(5)),
        }
    }

    fn status() -> Status {
        let Member { endpoint, instance } = member();
        Status {
            node_id: 1,
            role: Role::Leader,
            term: 3,
            leader: Some(1),
            last_log_index: Some(7),
            committed_index: Some(7),
            applied_index: Some(6),
            snapshot_index: Some(4),
            purged_index: None,
            voters: vec![MemberStatus { id: 1, endpoint, instance, lag_entries: Some(2) }],
            learners: Vec::new(),
        }
    }

    fn messages() -> Vec<(&'static str, Bytes)> {
        fn request<T: Serialize>(message: &T) -> Bytes {
            wire::seal(CLUSTER, message).unwrap()
        }
        let answer = |bytes: Result<Bytes, EncodingError>| bytes.unwrap();
        let vote_request = VoteRequest::<TypeConfig>::new(Vote::new(4, SENDER), Some(log_id(7)));
        let vote_answer = VoteResponse::<TypeConfig>::new(Vote::new(4, 2), Some(log_id(7)), true);
        let header = Header {
            vote: Vote::new_committed(3, SENDER),
            meta: SnapshotMeta { last_log_id: Some(log_id(6)), last_membership: StoredMembership::new(Some(log_id(5)), membership()) },
            name: "6-1".to_owned(),
            manifest: Bytes::from_static(b"manifest"),
            files: vec!["000001.sst".to_owned()],
        };
        let clock = ClockRequest { term: 3, log_time: Some(Timestamp::from_millis(1_700_000_000_000)) };
        let join = JoinRequest { node: 2, instance: NodeInstance::from_bytes([4; 16]), endpoint: member().endpoint };
        let report = NodeReport {
            status: status(),
            readiness: Readiness::Ready,
            has_opened: true,
            disk: None,
            uptime_seconds: 60,
            version: "0.1.0".to_owned(),
        };
        let done = OperateAnswer::Done(Ok(Operated { changed: true, leader: Some(1), pending: None }));
        vec![
            (path::APPEND, request(&append_request())),
            ("/raft/append answer", answer(wire::encode(&AppendEntriesResponse::<TypeConfig>::Success))),
            (path::VOTE, request(&vote_request)),
            (path::PRE_VOTE, request(&vote_request)),
            ("/raft/vote answer", answer(wire::encode(&vote_answer))),
            (path::TRANSFER_LEADER, request(&TransferLeaderRequest::<TypeConfig>::new(Vote::new_committed(3, SENDER), 2, Some(log_id(7))))),
            (path::SNAPSHOT, request(&header)),
            ("/raft/snapshot answer", answer(wire::encode(&SnapshotResponse::<TypeConfig>::new(Vote::new_committed(3, SENDER))))),
            (path::CLOCK, request(&clock)),
            ("/raft/clock answer", answer(wire::encode(&ClockAnswer { clock: Timestamp::from_millis(1_700_000_000_001) }))),
            (path::PROPOSE, request(&ProposeRequest { body: CommandBody::Tick, within_ms: 500 })),
            ("/cluster/propose answer", answer(wire::encode(&ProposeAnswer::Applied(Ok(Response::Done))))),
            ("/cluster/propose answer", answer(wire::encode(&ProposeAnswer::Applied(Err(Refusal::NotFound))))),
            (path::READ_INDEX, request(&ReadIndexRequest)),
            ("/cluster/read_index answer", answer(wire::encode(&7_u64))),
            (path::CLOCKS, request(&ClocksRequest)),
            (path::JOIN, answer(wire::encode(&join))),
            ("/cluster/join answer", answer(wire::encode(&JoinAnswer::NotLeader(Some((1, member().endpoint)))))),
            (path::OPERATE, request(&OperateRequest(MemberChange::TransferLead(Some(2))))),
            ("/cluster/operate answer", answer(wire::encode(&done))),
            ("/cluster/operate answer", answer(wire::encode(&OperateAnswer::Done(Err(OperateError::UnknownNode(9)))))),
            (path::REPORT, request(&ReportRequest)),
            ("/cluster/report answer", answer(wire::encode(&report))),
        ]
    }

    #[test]
    fn every_message_is_read_and_written_alike_and_is_a_seed() {
        let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/seeds/node_message");
        let write = std::env::var("CLAVIGER_SEEDS").is_ok_and(|mode| mode == "write");
        for (index, (name, bytes)) in messages().into_iter().enumerate() {
            let message = NodeMessage::ALL.iter().find(|message| message.name == name).unwrap();
            assert_eq!(message.reread(&bytes).unwrap(), bytes, "{name}");
            let seed = [name.as_bytes(), b"\n", &bytes].concat();
            let file = seeds.join(format!("ok-{index:02}-{}", name.trim_start_matches('/').replace(['/', ' '], "-")));
            if write {
                std::fs::create_dir_all(&seeds).unwrap();
                std::fs::write(&file, &seed).unwrap();
            }
            assert_eq!(std::fs::read(&file).unwrap(), seed, "{}", file.display());
        }
    }
}
