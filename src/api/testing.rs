//! Fakes for the tests of this crate: a service and an administration that note what they are asked.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use claviger_service::{Context, Invocation};
use claviger_shapes::admin::clock::{AcceptClock, AcceptClockResult, ClockStatus};
use claviger_shapes::admin::iam::{
    Account, AccountsPage, ApplyIdentities, ApplyIdentitiesResult, Denial, DenialsPage, IdentitiesPage, IdentityName, SetDenial,
    SetDenialResult,
};
use claviger_shapes::admin::policy::{ResetKeyPolicy, ResetKeyPolicyResult, SimulatePolicy, Simulation};
use claviger_shapes::admin::{
    AddPeer, AddPeerResult, AdminError, AdminErrorCode, AdmitKeys, AdmitKeysResult, AdmitScope, Crl, DetachRegion, DetachRegionResult,
    Identity as AdminIdentity, MembersChanged, Node, NodeChange, Peer as AdminPeer, ProbePeer, PublishCrl, PublishCrlResult, RegionStatus,
    Status, TransferLeader,
};
use claviger_shapes::sts::CallerIdentity;
use claviger_shapes::{ApiError, EncryptResponse, GenerateRandomResponse, Request, Response};
use claviger_tls::Peer;
use claviger_types::{AccountId, EncryptionAlgorithm, Identity, KeyRef, Partition, Principal, RevocationFlag};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::{Admin, Identities, Kms, Limits, Policies, Restoring};

pub(crate) const KEY_ARN: &str = "arn:aws:kms:eu-west-1:111122223333:key/mrk-000102030405060708090a0b0c0d0e0f";

/// Encrypts by returning the plaintext, panics for CreateKey, waits for `gate` in GenerateRandom.
pub(crate) struct FakeKms {
    pub(crate) seen: Mutex<Vec<(Context, &'static str)>>,
    pub(crate) gate: Semaphore,
}

impl FakeKms {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { seen: Mutex::new(Vec::new()), gate: Semaphore::new(0) })
    }

    pub(crate) fn last(&self) -> Context {
        self.seen.lock().unwrap().last().unwrap().0.clone()
    }

    pub(crate) fn last_invocation(&self) -> Option<Invocation> {
        self.last().invocation
    }

    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Kms for FakeKms {
    async fn call(&self, context: Context, request: Request) -> Result<Response, ApiError> {
        self.seen.lock().unwrap().push((context, request.operation().as_str()));
        match request {
            Request::CreateKey(_) => panic!("the handler fails"),
            Request::Encrypt(request) => {
                let KeyRef::Arn(key) = request.key else { return Err(ApiError::invalid_key_id("alias")) };
                Ok(Response::Encrypt(EncryptResponse {
                    ciphertext_blob: request.plaintext.to_vec(),
                    key,
                    encryption_algorithm: EncryptionAlgorithm::SymmetricDefault,
                }))
            }
            Request::GenerateRandom(request) => {
                self.gate.acquire().await.unwrap().forget();
                Ok(Response::GenerateRandom(GenerateRandomResponse {
                    plaintext: Some(vec![7; request.number_of_bytes].into()),
                    ciphertext_for_recipient: None,
                }))
            }
            Request::DisableKey(_) => Ok(Response::DisableKey),
            Request::EnableKey(_) => Ok(Response::EnableKey),
            Request::Decrypt(_) => Err(ApiError::invalid_ciphertext()),
            Request::DescribeKey(_) => Err(ApiError::dependency_timeout()),
            _ => Err(ApiError::internal()),
        }
    }

    async fn caller_identity(&self, context: Context) -> Result<CallerIdentity, ApiError> {
        let identity = CallerIdentity::of(&context.principal, &Partition::default());
        self.seen.lock().unwrap().push((context, "GetCallerIdentity"));
        Ok(identity)
    }
}

/// Answers with fixed values; `status` panics. `cut_off` closes the gate; while waiting there, a node hears of what is
/// `heard`.
#[derive(Default)]
pub(crate) struct FakeAdmin {
    pub(crate) cut_off: AtomicBool,
    pub(crate) gates: AtomicUsize,
    pub(crate) heard: Mutex<Option<RevocationFlag>>,
}

impl FakeAdmin {
    fn crl(number: &str) -> Crl {
        Crl {
            ca: "33".repeat(32),
            issuer: "CN=ca".to_owned(),
            number: number.to_owned(),
            revoked: 1,
            this_update_millis: 1,
            next_update_millis: 2,
            published_at_millis: 3,
        }
    }

    fn peer(region: &str) -> AdminPeer {
        AdminPeer {
            region: region.parse().unwrap(),
            cluster_id: "00".repeat(16),
            incarnation: "11".repeat(16),
            endpoints: vec!["https://10.0.0.1:9000".to_owned()],
            fingerprint: "22".repeat(32),
            key_version: 1,
            dirty: 0,
            lag_seconds: 0.0,
            added_at_millis: 5,
        }
    }
}

impl Admin for FakeAdmin {
    async fn identity(&self) -> Result<AdminIdentity, AdminError> {
        Ok(AdminIdentity {
            region: "eu-west-1".parse().unwrap(),
            cluster_id: "00".repeat(16),
            incarnation: "11".repeat(16),
            trust_domain: "kms.example".parse().unwrap(),
            key_version: 1,
            fingerprint: "22".repeat(32),
        })
    }

    async fn peers(&self) -> Result<Vec<AdminPeer>, AdminError> {
        Ok(vec![Self::peer("dc-north-2")])
    }

    async fn add_peer(&self, peer: AddPeer) -> Result<AddPeerResult, AdminError> {
        if peer.fingerprint != "22".repeat(32) {
            return Err(AdminError::new(AdminErrorCode::Conflict, "another fingerprint"));
        }
        Ok(AddPeerResult { peer: AdminPeer { endpoints: peer.endpoints, ..Self::peer(peer.region.as_str()) }, changed: true })
    }

    async fn probe_peer(&self, peer: ProbePeer) -> Result<AdminIdentity, AdminError> {
        Ok(AdminIdentity { region: peer.region, ..self.identity().await? })
    }

    async fn detach_region(&self, detach: DetachRegion) -> Result<DetachRegionResult, AdminError> {
        Ok(DetachRegionResult { detached: 2, rotating: 1, next: detach.after })
    }

    async fn status(&self) -> Result<Status, AdminError> {
        panic!("the handler fails")
    }

    async fn clock_status(&self) -> Result<ClockStatus, AdminError> {
        Ok(ClockStatus {
            leader: 1,
            log_time_millis: 5,
            median_millis: Some(5),
            due_work_allowed: true,
            due_work_refused_because: None,
            voters: Vec::new(),
        })
    }

    async fn accept_clock(&self, accept: AcceptClock) -> Result<AcceptClockResult, AdminError> {
        Ok(AcceptClockResult { clock_millis: 7, log_time_millis: 5, had_jumped: true, changed: !accept.dry_run })
    }

    async fn region(&self) -> Result<RegionStatus, AdminError> {
        let region = "eu-west-1".parse().unwrap();
        Ok(RegionStatus { region, answered_by: 1, leader: None, losses_survived: 0, nodes: vec![], removed: vec![4], peers: vec![] })
    }

    async fn nodes(&self) -> Result<Vec<Node>, AdminError> {
        Err(AdminError::new(AdminErrorCode::Unavailable, "no leader"))
    }

    /// Node 7 is what it was before.
    async fn change_node(&self, id: u64, change: NodeChange) -> Result<MembersChanged, AdminError> {
        Ok(MembersChanged { changed: id != 7, leader: Some(id), pending: Some(change.name().to_owned()) })
    }

    async fn transfer_leader(&self, transfer: TransferLeader) -> Result<MembersChanged, AdminError> {
        Ok(MembersChanged { changed: true, leader: transfer.to, pending: None })
    }

    async fn crls(&self) -> Result<Vec<Crl>, AdminError> {
        Ok(vec![Self::crl("2")])
    }

    async fn publish_crl(&self, crl: PublishCrl) -> Result<PublishCrlResult, AdminError> {
        Ok(PublishCrlResult { crl: Self::crl(&crl.crl), changed: true })
    }

    async fn gate(&self) -> Result<(), AdminError> {
        self.gates.fetch_add(1, Ordering::SeqCst);
        if let Some(flag) = &*self.heard.lock().unwrap() {
            flag.set();
        }
        match self.cut_off.load(Ordering::SeqCst) {
            true => Err(AdminError::new(AdminErrorCode::Unavailable, "no leader")),
            false => Ok(()),
        }
    }
}

impl Restoring for FakeAdmin {
    async fn backup(&self) -> Result<Body, AdminError> {
        let pieces = [Ok::<_, std::io::Error>("sealed "), Ok("pieces")];
        Ok(Body::from_stream(futures::stream::iter(pieces)))
    }

    async fn admit_keys(&self, keys: AdmitKeys) -> Result<AdmitKeysResult, AdminError> {
        match keys.scope {
            AdmitScope::All => Ok(AdmitKeysResult { admitted: 3, unchanged: 1, next: keys.after }),
            _ => Err(AdminError::new(AdminErrorCode::NotFound, "no such key")),
        }
    }
}

/// An account is at revision 7, whatever becomes of it; what is asked is answered where there is a place for it.
impl Identities for FakeAdmin {
    async fn accounts(&self, after: Option<AccountId>) -> Result<AccountsPage, AdminError> {
        let account = "111122223333".parse().unwrap();
        Ok(AccountsPage { accounts: vec![Account { account, revision: 7, identities: 1 }], next: after })
    }

    async fn identities(&self, account: AccountId, after: Option<IdentityName>) -> Result<IdentitiesPage, AdminError> {
        let revision = (account.to_string() == "111122223333").then_some(7);
        Ok(IdentitiesPage { revision, identities: Vec::new(), next: after })
    }

    async fn apply_identities(
        &self,
        operator: &str,
        _account: AccountId,
        apply: ApplyIdentities,
    ) -> Result<ApplyIdentitiesResult, AdminError> {
        assert_eq!(operator, "ops");
        match apply.expected_revision {
            Some(7) => Ok(ApplyIdentitiesResult { revision: Some(8), changed: !apply.changes.is_empty() }),
            _ => Err(AdminError::new(AdminErrorCode::Conflict, "the identities have changed")),
        }
    }

    async fn denials(&self, after: Option<String>) -> Result<DenialsPage, AdminError> {
        let denial = Denial { principal: "p".to_owned(), denied_at_millis: 1, reason: "r".to_owned(), by: "ops".to_owned() };
        Ok(DenialsPage { denials: vec![denial], next: after })
    }

    async fn set_denial(&self, operator: &str, set: SetDenial) -> Result<SetDenialResult, AdminError> {
        assert_eq!(operator, "ops");
        Ok(SetDenialResult { principal: set.principal, denied: set.denied, changed: true, known: false })
    }
}

/// Whoever asks for kms:Decrypt is told its principal.
impl Policies for FakeAdmin {
    async fn simulate_policy(&self, simulate: SimulatePolicy) -> Result<Simulation, AdminError> {
        match &*simulate.action {
            "kms:Decrypt" => Ok(Simulation { allowed: false, message: Some(simulate.principal), decisions: Vec::new() }),
            _ => Err(AdminError::new(AdminErrorCode::Invalid, "no such action")),
        }
    }

    async fn reset_key_policy(&self, operator: &str, reset: ResetKeyPolicy) -> Result<ResetKeyPolicyResult, AdminError> {
        assert_eq!(operator, "ops");
        Ok(ResetKeyPolicyResult { key: reset.key, changed: true, replaced: Some(reset.reason) })
    }
}

pub(crate) fn router(kms: &Arc<FakeKms>, limits: Limits) -> Router {
    crate::router(Arc::clone(kms), Arc::new(FakeAdmin::default()), &limits)
}

pub(crate) fn peer(identity: Identity) -> Peer {
    Peer::new(identity, Some("[::ffff:192.0.2.7]:40000".parse().unwrap()), None)
}

pub(crate) fn alice() -> Peer {
    peer(Identity::Principal(Principal::User { account: "111122223333".parse().unwrap(), name: "alice".into() }))
}

/// A request as an SDK sends it.
pub(crate) fn request(operation: &str, body: impl Into<Body>) -> http::Request<Body> {
    http::Request::post("/")
        .header("x-amz-target", format!("TrentService.{operation}"))
        .header("content-type", "application/x-amz-json-1.1")
        .extension(alice())
        .body(body.into())
        .unwrap()
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Status, code and message of an error; asserts that header and body agree on the code.
    pub(crate) fn error(&self) -> (u16, String, String) {
        let json = self.json();
        let code = json["__type"].as_str().unwrap().to_owned();
        assert_eq!(self.headers["x-amzn-errortype"], code.as_str());
        (self.status.as_u16(), code, json["message"].as_str().unwrap().to_owned())
    }
}

pub(crate) async fn send(router: &Router, request: http::Request<Body>) -> Answer {
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    Answer { status: head.status, headers: head.headers, body: body.collect().await.unwrap().to_bytes() }
}
