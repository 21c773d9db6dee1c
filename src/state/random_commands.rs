//! Random commands for property tests, here and in storage: every kind of command, over so few keys, peers and
//! invocations that they meet. A step becomes a command only when it is its turn, because sensible commands depend on
//! what the tables hold. Included by path elsewhere, so it uses only what is public.

use std::collections::{BTreeMap, BTreeSet};

use claviger_state::protocol::{
    Author, Epoch, InProgress, MaterialEntry, MaterialState, Member, MemberStatus, NewDocument, Presence, SharedDoc, StatusRecord, Version,
};
use claviger_state::{
    AccountScope, AddPeer, AdmitKeys, Authorised, Command, CommandBody, CreateAlias, CreateKey, DeleteAlias, DetachMember, Expected,
    FoundRegion, KeyRecord, NodeRole, Once, Operation, PublishCrl, ReceiveDocuments, ReceiveStatuses, ReceivedDocument, RegionKeysRecord,
    RegionPublicKeys, RegisterNode, ReplicateKey, Reserve, SealedMaterial, SetKeyEnabled, Tables, TagResource, UntagResource, UpdateAlias,
    UpdateKeyDescription, read,
};
use claviger_types::{
    AccountId, AliasName, AliasRow, ClusterId, Incarnation, KeyId, KeySpec, KeyUsage, MaterialId, NodeInstance, Origin, Region, Sealed,
    Timestamp,
};
use proptest::prelude::*;

#[path = "random_commands/access.rs"]
pub(crate) mod access;
#[path = "random_commands/life.rs"]
mod life;

pub(crate) const KEYS: u8 = 6;
pub(crate) const PEERS: u8 = 3;
const ALIASES: u8 = 5;
/// The region under test is number 0, its peers are 1 to [`PEERS`].
const REGIONS: [&str; 4] = ["dc-north-1", "dc-south-1", "dc-west-1", "dc-east-1"];

pub(crate) fn region(number: u8) -> Region {
    REGIONS[usize::from(number)].parse().unwrap()
}

pub(crate) fn author(number: u8) -> Author {
    Author { region: region(number), incarnation: Incarnation::from_bytes([number; 16]) }
}

pub(crate) fn key(number: u8) -> KeyId {
    KeyId::from_parts([number; 16], !number.is_multiple_of(3))
}

pub(crate) fn account(number: u8) -> AccountId {
    AccountId::try_from(u64::from(number)).unwrap()
}

pub(crate) fn alias_name(number: u8) -> AliasName {
    format!("alias/{number}").parse().unwrap()
}

/// A tag set; with a greater number more of them, so that some do not fit.
fn tags(number: u8) -> BTreeMap<String, String> {
    (0..number).map(|tag| (format!("t{tag}"), format!("v{number}"))).collect()
}

fn material(key: u8, number: u8) -> SealedMaterial {
    let id = MaterialId::from_bytes([key * 16 + number; 32]);
    SealedMaterial { id, sealed: Sealed::from_bytes(vec![key, number]) }
}

fn public_keys() -> RegionPublicKeys {
    RegionPublicKeys { version: 1, kem: vec![1], ed25519: vec![2], ml_dsa_65: vec![3] }
}

pub(crate) fn found() -> CommandBody {
    CommandBody::FoundRegion(Box::new(FoundRegion {
        region: region(0),
        partition: "aws".parse().unwrap(),
        trust_domain: "example.org".parse().unwrap(),
        cluster_id: ClusterId::from_bytes([0; 16]),
        incarnation: author(0).incarnation,
        keyring: Sealed::from_bytes(vec![9]),
        region_keys: RegionKeysRecord { public: public_keys(), private: Sealed::from_bytes(vec![8]) },
    }))
}

pub(crate) fn add_peer(peer: u8, life: u8, accounts: AccountScope) -> CommandBody {
    CommandBody::AddPeer(Box::new(AddPeer {
        region: region(peer),
        cluster_id: ClusterId::from_bytes([peer; 16]),
        incarnation: Incarnation::from_bytes([life; 16]),
        endpoints: vec!["https://127.0.0.1:1".to_owned()],
        keys: public_keys(),
        accounts,
    }))
}

/// A command in the making.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    time: u64,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Found,
    Tick,
    AcceptClock,
    RegisterNode { id: u8, instance: u8 },
    RemoveNode { id: u8 },
    SetNodeRole { id: u8, voter: bool },
    Create { key: u8, account: u8, invocation: u8 },
    Enable { key: u8, enabled: bool, stale: bool, invocation: u8 },
    Replicate { key: u8, peer: u8, stale: bool, late: bool, invocation: u8 },
    Reserve { key: u8, peer: u8, account: u8 },
    Lapse { key: u8, stale: bool },
    AddPeer { peer: u8, life: u8, narrow: bool },
    Documents { peer: u8, documents: Vec<DocumentStep> },
    Statuses { peer: u8, statuses: Vec<StatusStep> },
    Delivered { peer: u8, keys: Vec<(u8, bool)> },
    NewAlias { name: u8, key: u8, stale: bool, invocation: u8 },
    MoveAlias { name: u8, account: u8, to: u8, stale: bool, invocation: u8 },
    DropAlias { name: u8, account: u8, stale: bool, invocation: u8 },
    Tag { key: u8, tags: u8, stale: bool, invocation: u8 },
    Untag { key: u8, tags: u8, invocation: u8 },
    Describe { key: u8, text: u8, stale: bool, invocation: u8 },
    PublishCrl { ca: u8, number: u8, this_update: u8, contents: u8 },
    Admit { keys: Vec<u8> },
    Detach { peer: u8, keys: Vec<u8> },
    Access(access::Kind),
    Life(life::Kind),
}

#[derive(Clone, Debug)]
struct DocumentStep {
    key: u8,
    account: u8,
    /// The peer promotes itself over whoever owns the key.
    promoted: bool,
    /// How much newer than what is held; 0 is a repetition.
    newer: u8,
    /// Standing of the region under test; `None` when the document does not list it.
    me: Option<MemberStatus>,
    another_material: Option<u8>,
    with_materials: bool,
}

#[derive(Clone, Debug)]
struct StatusStep {
    key: u8,
    region: u8,
    revision: u8,
    behind: bool,
    all_materials: bool,
    since: bool,
    gone: bool,
}

fn rarely() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.15)
}

fn document() -> impl Strategy<Value = DocumentStep> {
    let member = prop_oneof![
        5 => Just(Some(MemberStatus::Creating)),
        5 => Just(Some(MemberStatus::Active)),
        1 => Just(Some(MemberStatus::Detached)),
        1 => Just(Some(MemberStatus::Gone)),
        1 => Just(None)
    ];
    (0..KEYS, 0_u8..2, rarely(), 0_u8..3, member, prop::option::of(1_u8..4), prop::bool::weighted(0.8)).prop_map(
        |(key, account, promoted, newer, me, another_material, with_materials)| DocumentStep {
            key,
            account,
            promoted,
            newer,
            me,
            another_material,
            with_materials,
        },
    )
}

fn status() -> impl Strategy<Value = StatusStep> {
    let all = prop::bool::weighted(0.7);
    (0..KEYS, 0_u8..8, 0_u8..10, rarely(), all, prop::bool::weighted(0.8), rarely()).prop_map(
        |(key, region, revision, behind, all_materials, since, gone)| StatusStep {
            key,
            region,
            revision,
            behind,
            all_materials,
            since,
            gone,
        },
    )
}

fn kind() -> impl Strategy<Value = Kind> {
    // Few enough that some are used again, enough that most commands are carried out.
    let invocation = prop_oneof![1 => 0_u8..10, 2 => 10..=u8::MAX];
    let (key, peer) = (0..KEYS, 1..=PEERS);
    prop_oneof![
        1 => Just(Kind::Found),
        2 => Just(Kind::Tick),
        1 => Just(Kind::AcceptClock),
        3 => (0_u8..3, 0_u8..2).prop_map(|(id, instance)| Kind::RegisterNode { id, instance }),
        1 => (0_u8..3).prop_map(|id| Kind::RemoveNode { id }),
        2 => (0_u8..3, any::<bool>()).prop_map(|(id, voter)| Kind::SetNodeRole { id, voter }),
        8 => (key.clone(), 0_u8..2, invocation.clone()).prop_map(|(key, account, invocation)| Kind::Create { key, account, invocation }),
        5 => (key.clone(), any::<bool>(), rarely(), invocation.clone())
            .prop_map(|(key, enabled, stale, invocation)| Kind::Enable { key, enabled, stale, invocation }),
        8 => (key.clone(), peer.clone(), rarely(), rarely(), invocation.clone())
            .prop_map(|(key, peer, stale, late, invocation)| Kind::Replicate { key, peer, stale, late, invocation }),
        5 => (key.clone(), peer.clone(), 0_u8..2).prop_map(|(key, peer, account)| Kind::Reserve { key, peer, account }),
        2 => (key.clone(), any::<bool>()).prop_map(|(key, stale)| Kind::Lapse { key, stale }),
        3 => (0..=PEERS, rarely(), rarely())
            .prop_map(|(peer, other, narrow)| Kind::AddPeer { peer, life: if other { 99 } else { peer }, narrow }),
        10 => (peer.clone(), prop::collection::vec(document(), 1..4)).prop_map(|(peer, documents)| Kind::Documents { peer, documents }),
        10 => (peer.clone(), prop::collection::vec(status(), 1..4)).prop_map(|(peer, statuses)| Kind::Statuses { peer, statuses }),
        3 => (peer, prop::collection::vec((key.clone(), rarely()), 1..4)).prop_map(|(peer, keys)| Kind::Delivered { peer, keys }),
        8 => (0..ALIASES, key.clone(), rarely(), invocation.clone())
            .prop_map(|(name, key, stale, invocation)| Kind::NewAlias { name, key, stale, invocation }),
        6 => (0..ALIASES, 0_u8..2, key.clone(), rarely(), invocation.clone())
            .prop_map(|(name, account, to, stale, invocation)| Kind::MoveAlias { name, account, to, stale, invocation }),
        4 => (0..ALIASES, 0_u8..2, rarely(), invocation.clone())
            .prop_map(|(name, account, stale, invocation)| Kind::DropAlias { name, account, stale, invocation }),
        2 => (key.clone(), 0_u8..60, rarely(), invocation.clone())
            .prop_map(|(key, tags, stale, invocation)| Kind::Tag { key, tags, stale, invocation }),
        2 => (key.clone(), 0_u8..60, invocation.clone()).prop_map(|(key, tags, invocation)| Kind::Untag { key, tags, invocation }),
        2 => (key.clone(), 0_u8..3, rarely(), invocation)
            .prop_map(|(key, text, stale, invocation)| Kind::Describe { key, text, stale, invocation }),
        5 => (0_u8..3, 0_u8..5, 0_u8..3, 0_u8..2)
            .prop_map(|(ca, number, this_update, contents)| Kind::PublishCrl { ca, number, this_update, contents }),
        2 => prop::collection::vec(key.clone(), 1..4).prop_map(|keys| Kind::Admit { keys }),
        2 => (1..=PEERS, prop::collection::vec(key, 1..4)).prop_map(|(peer, keys)| Kind::Detach { peer, keys }),
        15 => access::kind().prop_map(Kind::Access),
        20 => life::kind().prop_map(Kind::Life),
    ]
}

/// What access control depends on, and little else.
fn kind_about_access() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => (0..KEYS, 0_u8..2, any::<u8>()).prop_map(|(key, account, invocation)| Kind::Create { key, account, invocation }),
        1 => (0..KEYS, any::<bool>(), any::<u8>()).prop_map(|(key, enabled, invocation)| Kind::Enable { key, enabled, stale: false, invocation }),
        1 => prop::collection::vec(0..KEYS, 1..4).prop_map(|keys| Kind::Admit { keys }),
        15 => access::kind().prop_map(Kind::Access),
    ]
}

/// Keys and their lives, and little else.
fn kind_about_life() -> impl Strategy<Value = Kind> {
    prop_oneof![
        3 => (0..KEYS, 0_u8..2, any::<u8>()).prop_map(|(key, account, invocation)| Kind::Create { key, account, invocation }),
        1 => (0..KEYS, any::<bool>(), any::<u8>()).prop_map(|(key, enabled, invocation)| Kind::Enable { key, enabled, stale: false, invocation }),
        15 => life::kind().prop_map(Kind::Life),
    ]
}

/// Up to `most` steps, mostly of every kind; the region has mostly been founded and has mostly met its peers before them.
pub(crate) fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let kinds = prop_oneof![
        2 => prop::collection::vec(kind(), 1..most),
        1 => prop::collection::vec(kind_about_access(), 1..most),
        1 => prop::collection::vec(kind_about_life(), 1..most),
    ];
    let times = prop::collection::vec(0_u64..3 * 60 * 60 * 1000, most);
    (prop::bool::weighted(0.95), times, kinds).prop_map(|(begun, times, kinds)| {
        let peers = (1..=PEERS).map(|peer| Kind::AddPeer { peer, life: peer, narrow: false });
        let first = std::iter::once(Kind::Found).chain(peers).filter(|_| begun);
        let steps = times.into_iter().zip(kinds).map(|(time, kind)| Step { time, kind });
        first.map(|kind| Step { time: 1, kind }).chain(steps).collect()
    })
}

impl Step {
    /// The command that this step is, given what the tables hold.
    pub(crate) fn command(&self, tables: &dyn Tables) -> Command {
        let time = match &self.kind {
            Kind::Life(kind) => kind.time(tables),
            _ => None,
        };
        let time = time.unwrap_or(Timestamp::from_millis(self.time));
        Command { time, body: self.kind.body(tables, time) }
    }
}

impl Kind {
    fn once(&self, operation: Operation, invocation: u8) -> Once {
        once_of(self, operation, invocation)
    }

    fn body(&self, tables: &dyn Tables, time: Timestamp) -> CommandBody {
        match self {
            Self::Found => found(),
            Self::Tick => CommandBody::Tick,
            Self::AcceptClock => CommandBody::AcceptClock,
            Self::RegisterNode { id, instance } => {
                CommandBody::RegisterNode(RegisterNode { id: u64::from(*id), instance: NodeInstance::from_bytes([*instance; 16]) })
            }
            Self::RemoveNode { id } => CommandBody::RemoveNode { id: u64::from(*id) },
            Self::SetNodeRole { id, voter } => {
                let role = if *voter { NodeRole::Voter } else { NodeRole::Learner };
                CommandBody::SetNodeRole { id: u64::from(*id), role }
            }
            Self::Create { key: number, account: owner, invocation } => CommandBody::CreateKey(Box::new(CreateKey {
                once: self.once(Operation::CreateKey, *invocation),
                key_id: key(*number),
                account: account(*owner),
                spec: KeySpec::SymmetricDefault,
                usage: KeyUsage::EncryptDecrypt,
                origin: life::origin(*number, *invocation),
                description: "a key".to_owned(),
                tags: BTreeMap::from([("t".to_owned(), "v".to_owned())]),
                policy: None,
                id_secret: Sealed::from_bytes(vec![*number]),
                material: (life::origin(*number, *invocation) == Origin::AwsKms).then(|| material(*number, 0)),
            })),
            Self::Enable { key, enabled, stale, invocation } => {
                let operation = if *enabled { Operation::EnableKey } else { Operation::DisableKey };
                let key = expected(tables, *key, *stale);
                CommandBody::SetKeyEnabled(SetKeyEnabled { once: self.once(operation, *invocation), key, enabled: *enabled })
            }
            Self::Replicate { key, peer, stale, late, invocation } => CommandBody::ReplicateKey(ReplicateKey {
                once: self.once(Operation::ReplicateKey, *invocation),
                key: expected(tables, *key, *stale),
                region: region(*peer),
                deadline: if *late { Timestamp::from_millis(0) } else { Timestamp::from_millis(u64::MAX) },
            }),
            Self::Reserve { key: number, peer, account: owner } => CommandBody::Reserve(Box::new(Reserve {
                primary: author(*peer),
                key_id: key(*number),
                account: account(*owner),
                description: "a replica".to_owned(),
                tags: BTreeMap::new(),
                policy: Some("a replica's".to_owned()),
                deadline: time,
                authorised: Authorised::default(),
            })),
            Self::Lapse { key: number, stale } => {
                let key_id = key(*number);
                let revision = read::reservation(tables, &key_id).unwrap().map_or(0, |held| held.revision);
                CommandBody::LapseReservation { key_id, revision: revision + u64::from(*stale) }
            }
            Self::AddPeer { peer, life, narrow } => {
                let scope = if *narrow { AccountScope::Only(BTreeSet::from([account(0)])) } else { AccountScope::All };
                add_peer(*peer, *life, scope)
            }
            Self::Documents { peer, documents } => CommandBody::ReceiveDocuments(ReceiveDocuments {
                from: author(*peer),
                documents: documents.iter().map(|step| step.received(tables, *peer)).collect(),
            }),
            Self::Statuses { peer, statuses } => CommandBody::ReceiveStatuses(ReceiveStatuses {
                from: author(*peer),
                statuses: statuses.iter().map(|step| step.record(tables, *peer)).collect(),
            }),
            Self::Delivered { peer, keys } => {
                let delivered = keys.iter().map(|(number, behind)| {
                    let revision = held(tables, *number).map_or(0, |record| record.status_revision);
                    (key(*number), revision.saturating_sub(u64::from(*behind)))
                });
                CommandBody::StatusesDelivered { to: region(*peer), delivered: delivered.collect() }
            }
            Self::NewAlias { name, key, stale, invocation } => CommandBody::CreateAlias(CreateAlias {
                once: self.once(Operation::CreateAlias, *invocation),
                name: alias_name(*name),
                key: expected(tables, *key, *stale),
            }),
            Self::MoveAlias { name, account, to, stale, invocation } => CommandBody::UpdateAlias(UpdateAlias {
                once: self.once(Operation::UpdateAlias, *invocation),
                name: alias_name(*name),
                from: holder(tables, *account, *name, *stale),
                to: expected(tables, *to, false),
            }),
            Self::DropAlias { name, account, stale, invocation } => CommandBody::DeleteAlias(DeleteAlias {
                once: self.once(Operation::DeleteAlias, *invocation),
                name: alias_name(*name),
                key: holder(tables, *account, *name, *stale),
            }),
            Self::Tag { key, tags: number, stale, invocation } => CommandBody::TagResource(TagResource {
                once: self.once(Operation::TagResource, *invocation),
                key: expected(tables, *key, *stale),
                tags: tags(*number),
            }),
            Self::Untag { key, tags: number, invocation } => CommandBody::UntagResource(UntagResource {
                once: self.once(Operation::UntagResource, *invocation),
                key: expected(tables, *key, false),
                tag_keys: tags(*number).into_keys().collect(),
            }),
            Self::Describe { key, text, stale, invocation } => CommandBody::UpdateKeyDescription(UpdateKeyDescription {
                once: self.once(Operation::UpdateKeyDescription, *invocation),
                key: expected(tables, *key, *stale),
                description: format!("description {text}"),
            }),
            Self::PublishCrl { ca, number, this_update, contents } => CommandBody::PublishCrl(Box::new(PublishCrl {
                ca: [*ca; 32],
                number: [*number; 20],
                this_update: Timestamp::from_millis((*this_update).into()),
                next_update: Timestamp::from_millis(9),
                der: vec![*contents, *number],
            })),
            Self::Access(kind) => kind.body(tables),
            Self::Life(kind) => kind.body(tables, time),
            Self::Detach { peer, keys } => {
                let keys = keys.iter().map(|number| key(*number)).collect();
                CommandBody::DetachMember(DetachMember { region: region(*peer), keys })
            }
            Self::Admit { keys } => CommandBody::AdmitKeys(AdmitKeys { keys: keys.iter().map(|number| key(*number)).collect() }),
        }
    }
}

/// The body of a request is what the step says: equal steps are retries.
fn once_of(step: &impl std::fmt::Debug, operation: Operation, invocation: u8) -> Once {
    let body = format!("{step:?}");
    let mut body_sha256 = [0; 32];
    body.bytes().enumerate().for_each(|(at, byte)| body_sha256[at % 32] ^= byte.rotate_left(u32::try_from(at / 32).unwrap()));
    let principal = format!("arn:aws:iam::{}:user/u", invocation % 2);
    Once { principal, invocation_id: format!("invocation-{invocation}"), operation, body_sha256, authorised: Authorised::default() }
}

/// The key that has this alias, or one that has not when it is stale or nobody has it.
fn holder(tables: &dyn Tables, owner: u8, name: u8, stale: bool) -> Expected {
    let found = read::alias(tables, &AliasRow::new(account(owner), &alias_name(name))).unwrap();
    let number = found.filter(|_| !stale).map_or(name % KEYS, |record| record.key_id.bytes()[0]);
    expected(tables, number, false)
}

fn held(tables: &dyn Tables, number: u8) -> Option<KeyRecord> {
    read::key(tables, &key(number)).unwrap()
}

fn expected(tables: &dyn Tables, number: u8, stale: bool) -> Expected {
    let revision = held(tables, number).map_or(0, |record| record.revision);
    Expected { key_id: key(number), revision: revision.wrapping_sub(u64::from(stale)) }
}

impl DocumentStep {
    fn received(&self, tables: &dyn Tables, peer: u8) -> ReceivedDocument {
        let held = held(tables, self.key).map(|record| record.document);
        let usable = held.filter(|document| self.promoted || document.is_owned_by(&author(peer)));
        let mut document = usable.unwrap_or_else(|| {
            SharedDoc::create(NewDocument {
                author: author(peer),
                key_id: key(self.key),
                account: account(self.account),
                spec: KeySpec::SymmetricDefault,
                usage: KeyUsage::EncryptDecrypt,
                origin: Origin::AwsKms,
                created_at: Timestamp::from_millis(5),
                material: Some(material(self.key, 0).id),
            })
        });
        if self.promoted {
            let promotions = document.version.epoch.promotions + 1;
            document.version = Version { epoch: Epoch { promotions, handoffs: 0, author: author(peer) }, revision: 1 };
        } else {
            document.version.revision += u64::from(self.newer);
        }
        let version = document.version.clone();
        let member = |status| Member { status, born: version.clone(), since: version.clone(), life: None };
        if self.promoted || document.members.contains_key(&region(peer)) {
            document.members.insert(region(peer), member(MemberStatus::Active));
        }
        match self.me {
            Some(status) => drop(document.members.insert(region(0), member(status))),
            None => drop(document.members.remove(&region(0))),
        }
        if let Some(number) = self.another_material {
            let id = material(self.key, number).id;
            if !document.names_material(&id) && document.in_progress.is_none() {
                document.in_progress = Some(InProgress { since: version.clone(), kind: None, started_at: Timestamp::from_millis(6) });
                let created_at = Timestamp::from_millis(6);
                document.materials.push(MaterialEntry { id, created_at, state: MaterialState::Pending, rotated: None, united: false });
            }
        }
        let materials = (0..4).map(|number| material(self.key, number)).filter(|_| self.with_materials).collect();
        ReceivedDocument { document, id_secret: Some(Sealed::from_bytes(vec![self.key])), materials }
    }
}

impl StatusStep {
    fn record(&self, tables: &dyn Tables, peer: u8) -> StatusRecord {
        // Mostly the sender speaks for itself.
        let of = if (1..=PEERS).contains(&self.region) && self.region == 1 { 1 } else { peer };
        let document = held(tables, self.key).map(|record| record.document);
        let mut version = document.as_ref().map_or_else(|| Version::first(author(peer)), |document| document.version.clone());
        if self.behind {
            version.revision = version.revision.saturating_sub(1);
        }
        let member = document.as_ref().and_then(|document| document.members.get(&region(of)));
        let materials = document.as_ref().map(SharedDoc::material_ids).filter(|_| self.all_materials).unwrap_or_default();
        StatusRecord {
            key_id: key(self.key),
            region: region(of),
            incarnation: author(of).incarnation,
            revision: u64::from(self.revision),
            member_since: member.map(|member| member.since.clone()).filter(|_| self.since),
            greatest_epoch: version.epoch.clone(),
            version,
            materials,
            presence: if self.gone { Presence::Gone } else { Presence::Present },
            kept: BTreeSet::new(),
            strays: BTreeSet::new(),
            consent: None,
            refused: None,
        }
    }
}
