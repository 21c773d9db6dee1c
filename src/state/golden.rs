//! Golden files of everything that is stored or sent: today's build reads what earlier builds wrote, and writes the same.
//!
//! `CLAVIGER_GOLDEN=write cargo test -p claviger-state golden` writes the files that are absent and never changes one: a
//! changed encoding is a new schema version, with files of its own beside the old ones.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use claviger_protocol::{
    Author, DOCUMENT_SCHEMA, Epoch, InProgress, MaterialEntry, MaterialState, Member, MemberStatus, Order, Presence, Rotated, Rotation,
    STATUS_SCHEMA, SharedDoc, StatusRecord, Version,
};
use claviger_types::encoding;
use claviger_types::{
    AccountId, AliasName, ClusterId, Incarnation, KeyId, KeySpec, KeyState, KeyUsage, MaterialId, NodeInstance, Origin, Region,
    RotationType, Sealed, Timestamp,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{
    AccountScope, AddPeer, AdmitKeys, AliasRecord, Authorised, Command, CommandBody, CreateAlias, CreateKey, CrlRecord, DeleteAlias,
    Deletion, DirtyRecord, DocumentRefusal, Expected, FoundRegion, Import, InvocationRecord, KeyRecord, MaterialRecord, NodeRecord,
    NodeRole, Once, Operation, Outcome, PeerRecord, PublishCrl, ReceiveDocuments, ReceiveStatuses, ReceivedDocument, Record, Refusal,
    RegionKeysRecord, RegionPublicKeys, RegionRecord, Regional, RegisterNode, ReplicateKey, ReservationRecord, Reserve, Response,
    RestoredFrom, SealedMaterial, SetKeyEnabled, TagResource, UntagResource, UpdateAlias, UpdateKeyDescription,
};

mod access;
mod life;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden")
}

/// Compares a value with its file, both ways.
fn golden<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str, schema: u8, value: &T) {
    let path = directory().join(format!("{name}.hex"));
    let encoded = encoding::encode(schema, value).unwrap();
    if std::env::var("CLAVIGER_GOLDEN").is_ok_and(|mode| mode == "write") && !path.exists() {
        std::fs::create_dir_all(directory()).unwrap();
        let lines: Vec<String> = encoded.chunks(64).map(hex::encode).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let stored = hex::decode(text.split_whitespace().collect::<String>()).unwrap();
    assert_eq!(encoding::decode::<T>(schema, &stored).unwrap(), *value, "{name}: what was written is read as something else");
    assert_eq!(hex::encode(encoded), hex::encode(stored), "{name}: it is written in another way");
}

fn record<R: Record + PartialEq + Debug>(name: &str, value: &R) {
    golden(&format!("record-{name}"), R::SCHEMA, value);
}

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn author() -> Author {
    Author { region: region("dc-north-1"), incarnation: Incarnation::from_bytes([0x11; 16]) }
}

fn account() -> AccountId {
    "111122223333".parse().unwrap()
}

fn key_id() -> KeyId {
    KeyId::multi_region([0x22; 16])
}

fn tags() -> BTreeMap<String, String> {
    BTreeMap::from([("Zweck".to_owned(), "Prüfung".to_owned()), ("a".to_owned(), String::new())])
}

fn sealed(byte: u8) -> Sealed {
    Sealed::from_bytes(vec![byte; 5])
}

fn material_id(byte: u8) -> MaterialId {
    MaterialId::from_bytes([byte; 32])
}

fn epoch() -> Epoch {
    Epoch { promotions: 300, handoffs: 2, author: author() }
}

fn version(revision: u64) -> Version {
    Version { epoch: epoch(), revision }
}

fn document() -> SharedDoc {
    let member = |status, revision| Member {
        status,
        born: version(1),
        since: version(revision),
        life: (status == MemberStatus::Active).then(|| author().incarnation),
    };
    let material = |byte, state| MaterialEntry {
        id: material_id(byte),
        created_at: Timestamp::from_millis(1_700_000_000_123),
        state,
        rotated: None,
        united: false,
    };
    SharedDoc {
        version: version(70_000),
        key_id: key_id(),
        account: account(),
        spec: KeySpec::SymmetricDefault,
        usage: KeyUsage::EncryptDecrypt,
        origin: Origin::AwsKms,
        created_at: Timestamp::from_millis(1_700_000_000_000),
        members: BTreeMap::from([
            (region("dc-east-1"), member(MemberStatus::Creating, 2)),
            (region("dc-north-1"), member(MemberStatus::Active, 1)),
            (region("dc-south-1"), member(MemberStatus::Detached, 3)),
            (region("on-prem-berlin-1"), member(MemberStatus::Gone, 4)),
        ]),
        materials: vec![
            material(1, MaterialState::Past),
            material(2, MaterialState::Discarded),
            material(3, MaterialState::Current),
            MaterialEntry {
                rotated: Some(Rotated { kind: RotationType::OnDemand, at: Timestamp::from_millis(1_700_000_000_124) }),
                united: true,
                ..material(4, MaterialState::Pending)
            },
        ],
        rotation: Rotation { next_at: Some(Timestamp::from_millis(1_700_000_000_125)), period_days: Some(365), on_demand_used: 1 },
        in_progress: Some(InProgress {
            since: version(69_998),
            kind: Some(RotationType::Automatic),
            started_at: Timestamp::from_millis(1_700_000_000_131),
        }),
        offer: Some(region("dc-west-1")),
        promoted: Some(Order {
            lost: region("dc-south-1"),
            ordered_by: "spiffe://kms.example.org/operator/ops".to_owned(),
            reason: "abgebrannt".to_owned(),
            at: Timestamp::from_millis(1_700_000_000_132),
        }),
    }
}

fn status(presence: Presence) -> StatusRecord {
    StatusRecord {
        key_id: key_id(),
        region: region("dc-east-1"),
        incarnation: Incarnation::from_bytes([0x33; 16]),
        revision: 5,
        member_since: Some(version(2)),
        greatest_epoch: epoch(),
        version: version(69_999),
        materials: BTreeSet::from([material_id(1), material_id(3)]),
        presence,
        kept: BTreeSet::from([material_id(2)]),
        strays: BTreeSet::from([region("dc-west-1")]),
        consent: Some(epoch()),
        refused: Some(version(69_997)),
    }
}

fn regional() -> Regional {
    Regional {
        created_at: Timestamp::from_millis(1_700_000_000_001),
        description: "für Tests".to_owned(),
        tags: tags(),
        policy: Some(access::policy()),
        enabled: true,
        admitted_in: author().incarnation,
        deletion: Some(Deletion { at: Timestamp::from_millis(1_700_000_000_126) }),
        imports: BTreeMap::from([(
            material_id(1),
            Import {
                is_present: true,
                expires_at: Some(Timestamp::from_millis(1_700_000_000_127)),
                description: Some("für Tests".to_owned()),
            },
        )]),
    }
}

fn public_keys() -> RegionPublicKeys {
    RegionPublicKeys { version: 1, kem: vec![1, 2], ed25519: vec![3, 4], ml_dsa_65: vec![5, 6] }
}

fn region_keys() -> RegionKeysRecord {
    RegionKeysRecord { public: public_keys(), private: sealed(7) }
}

fn peer() -> PeerRecord {
    PeerRecord {
        region: region("dc-east-1"),
        cluster_id: ClusterId::from_bytes([0x44; 16]),
        incarnation: Incarnation::from_bytes([0x33; 16]),
        endpoints: vec!["https://10.0.0.1:7443".to_owned(), "https://10.0.0.2:7443".to_owned()],
        keys: public_keys(),
        accounts: AccountScope::Only(BTreeSet::from([account()])),
        added_at: Timestamp::from_millis(1_700_000_000_002),
    }
}

fn once(operation: Operation) -> Once {
    Once {
        principal: "arn:aws:iam::111122223333:user/alice".to_owned(),
        invocation_id: "ea8ed02a-82a1-4593-8f23-37cd3794c522".to_owned(),
        operation,
        body_sha256: [0x55; 32],
        authorised: Authorised { account_revision: Some((account(), 1_000_002)), grant: Some((key_id(), access::grant_id())) },
    }
}

fn expected() -> Expected {
    Expected { key_id: key_id(), revision: 1_000_000 }
}

fn alias_name() -> AliasName {
    "alias/payroll/2024_a-b".parse().unwrap()
}

fn bodies() -> Vec<CommandBody> {
    let mut bodies = vec![
        CommandBody::FoundRegion(Box::new(FoundRegion {
            region: region("dc-north-1"),
            partition: "aws".parse().unwrap(),
            trust_domain: "kms.example.org".parse().unwrap(),
            cluster_id: ClusterId::from_bytes([0x66; 16]),
            incarnation: author().incarnation,
            keyring: sealed(8),
            region_keys: region_keys(),
        })),
        CommandBody::Tick,
        CommandBody::RegisterNode(RegisterNode { id: 3, instance: NodeInstance::from_bytes([0x77; 16]) }),
        CommandBody::CreateKey(Box::new(CreateKey {
            once: once(Operation::CreateKey),
            key_id: key_id(),
            account: account(),
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsage::EncryptDecrypt,
            origin: Origin::AwsKms,
            description: "für Tests".to_owned(),
            tags: tags(),
            policy: Some(access::policy()),
            id_secret: sealed(9),
            material: Some(SealedMaterial { id: material_id(1), sealed: sealed(10) }),
        })),
        CommandBody::SetKeyEnabled(SetKeyEnabled { once: once(Operation::DisableKey), key: expected(), enabled: false }),
        CommandBody::ReplicateKey(ReplicateKey {
            once: once(Operation::ReplicateKey),
            key: expected(),
            region: region("dc-east-1"),
            deadline: Timestamp::from_millis(1_700_000_030_000),
        }),
        CommandBody::Reserve(Box::new(Reserve {
            primary: author(),
            key_id: key_id(),
            account: account(),
            description: String::new(),
            tags: tags(),
            policy: Some(access::policy()),
            deadline: Timestamp::from_millis(1_700_000_030_000),
            authorised: once(Operation::ReplicateKey).authorised,
        })),
        CommandBody::LapseReservation { key_id: key_id(), revision: 12 },
        CommandBody::AddPeer(Box::new(AddPeer {
            region: region("dc-east-1"),
            cluster_id: ClusterId::from_bytes([0x44; 16]),
            incarnation: Incarnation::from_bytes([0x33; 16]),
            endpoints: vec!["https://10.0.0.1:7443".to_owned()],
            keys: public_keys(),
            accounts: AccountScope::All,
        })),
        CommandBody::ReceiveDocuments(ReceiveDocuments {
            from: author(),
            documents: vec![ReceivedDocument {
                document: document(),
                id_secret: Some(sealed(11)),
                materials: vec![SealedMaterial { id: material_id(3), sealed: sealed(12) }],
            }],
        }),
        CommandBody::ReceiveStatuses(ReceiveStatuses { from: author(), statuses: vec![status(Presence::Present)] }),
        CommandBody::StatusesDelivered { to: region("dc-north-1"), delivered: vec![(key_id(), 5), (KeyId::single_region([1; 16]), 6)] },
        CommandBody::CreateAlias(CreateAlias { once: once(Operation::CreateAlias), name: alias_name(), key: expected() }),
        CommandBody::UpdateAlias(UpdateAlias {
            once: once(Operation::UpdateAlias),
            name: alias_name(),
            from: Expected { key_id: KeyId::single_region([1; 16]), revision: 7 },
            to: expected(),
        }),
        CommandBody::DeleteAlias(DeleteAlias { once: once(Operation::DeleteAlias), name: alias_name(), key: expected() }),
        CommandBody::TagResource(TagResource { once: once(Operation::TagResource), key: expected(), tags: tags() }),
        CommandBody::UntagResource(UntagResource {
            once: once(Operation::UntagResource),
            key: expected(),
            tag_keys: tags().into_keys().collect(),
        }),
        CommandBody::UpdateKeyDescription(UpdateKeyDescription {
            once: once(Operation::UpdateKeyDescription),
            key: expected(),
            description: "für Tests".to_owned(),
        }),
        CommandBody::PublishCrl(Box::new(PublishCrl {
            ca: [0x88; 32],
            number: [0x99; 20],
            this_update: Timestamp::from_millis(1_700_000_000_000),
            next_update: Timestamp::from_millis(1_700_000_600_000),
            der: vec![0x30, 0],
        })),
        CommandBody::AdmitKeys(AdmitKeys { keys: vec![key_id(), KeyId::single_region([1; 16])] }),
        CommandBody::RemoveNode { id: 3 },
        CommandBody::SetNodeRole { id: 4, role: NodeRole::Learner },
        CommandBody::AcceptClock,
    ];
    bodies.extend(access::bodies());
    bodies.extend(life::bodies());
    bodies
}

/// The file of each kind of command; a new kind does not compile without a name here, nor pass without a sample above.
const COMMANDS: [&str; 39] = [
    "found-region",
    "tick",
    "register-node",
    "create-key",
    "set-key-enabled",
    "replicate-key",
    "reserve",
    "lapse-reservation",
    "add-peer",
    "receive-documents",
    "receive-statuses",
    "statuses-delivered",
    "create-alias",
    "update-alias",
    "delete-alias",
    "tag-resource",
    "untag-resource",
    "update-key-description",
    "publish-crl",
    "admit-keys",
    "remove-node",
    "set-node-role",
    "accept-clock",
    "put-key-policy",
    "create-grant",
    "retire-grant",
    "revoke-grant",
    "apply-identities",
    "set-principal-denied",
    "reset-key-policy",
    "schedule-key-deletion",
    "cancel-key-deletion",
    "set-key-rotation",
    "rotate-key-on-demand",
    "import-key-material",
    "delete-imported-key-material",
    "carry-out-due",
    "record-usages",
    "detach-member",
];

const fn number(body: &CommandBody) -> usize {
    match body {
        CommandBody::FoundRegion(_) => 0,
        CommandBody::Tick => 1,
        CommandBody::RegisterNode(_) => 2,
        CommandBody::CreateKey(_) => 3,
        CommandBody::SetKeyEnabled(_) => 4,
        CommandBody::ReplicateKey(_) => 5,
        CommandBody::Reserve(_) => 6,
        CommandBody::LapseReservation { .. } => 7,
        CommandBody::AddPeer(_) => 8,
        CommandBody::ReceiveDocuments(_) => 9,
        CommandBody::ReceiveStatuses(_) => 10,
        CommandBody::StatusesDelivered { .. } => 11,
        CommandBody::CreateAlias(_) => 12,
        CommandBody::UpdateAlias(_) => 13,
        CommandBody::DeleteAlias(_) => 14,
        CommandBody::TagResource(_) => 15,
        CommandBody::UntagResource(_) => 16,
        CommandBody::UpdateKeyDescription(_) => 17,
        CommandBody::PublishCrl(_) => 18,
        CommandBody::AdmitKeys(_) => 19,
        CommandBody::RemoveNode { .. } => 20,
        CommandBody::SetNodeRole { .. } => 21,
        CommandBody::AcceptClock => 22,
        CommandBody::PutKeyPolicy(_) => 23,
        CommandBody::CreateGrant(_) => 24,
        CommandBody::RetireGrant(_) => 25,
        CommandBody::RevokeGrant(_) => 26,
        CommandBody::ApplyIdentities(_) => 27,
        CommandBody::SetPrincipalDenied(_) => 28,
        CommandBody::ResetKeyPolicy(_) => 29,
        CommandBody::ScheduleKeyDeletion(_) => 30,
        CommandBody::CancelKeyDeletion(_) => 31,
        CommandBody::SetKeyRotation(_) => 32,
        CommandBody::RotateKeyOnDemand(_) => 33,
        CommandBody::ImportKeyMaterial(_) => 34,
        CommandBody::DeleteImportedKeyMaterial(_) => 35,
        CommandBody::CarryOutDue(_) => 36,
        CommandBody::RecordUsages(_) => 37,
        CommandBody::DetachMember(_) => 38,
    }
}

#[test]
fn commands() {
    let bodies = bodies();
    assert_eq!(bodies.iter().map(number).collect::<Vec<_>>(), (0..COMMANDS.len()).collect::<Vec<_>>());
    for (name, body) in COMMANDS.iter().zip(bodies) {
        let command = Command { time: Timestamp::from_millis(1_700_000_000_003), body };
        golden(&format!("command-{name}"), Command::SCHEMA, &command);
        assert_eq!(Command::decode(&command.encode().unwrap()).unwrap(), command);
    }
}

#[test]
fn documents_and_statuses() {
    golden("shared-document", DOCUMENT_SCHEMA, &document());
    golden("status-present", STATUS_SCHEMA, &status(Presence::Present));
    golden("status-gone", STATUS_SCHEMA, &StatusRecord { member_since: None, ..status(Presence::Gone) });
}

#[test]
fn records() {
    record(
        "region",
        &RegionRecord {
            region: region("dc-north-1"),
            partition: "aws".parse().unwrap(),
            trust_domain: "kms.example.org".parse().unwrap(),
            cluster_id: ClusterId::from_bytes([0x66; 16]),
            incarnation: author().incarnation,
            keyring: sealed(8),
            restored: Some(RestoredFrom {
                cluster_id: ClusterId::from_bytes([0x88; 16]),
                incarnation: Incarnation::from_bytes([0x99; 16]),
                backup: [0xaa; 32],
                at: Timestamp::from_millis(1_700_000_000_008),
            }),
        },
    );
    record("region-keys", &region_keys());
    record(
        "key",
        &KeyRecord {
            revision: 1_000_000,
            document: document(),
            regional: regional(),
            id_secret: sealed(9),
            status_revision: 5,
            greatest_epoch: epoch(),
        },
    );
    record(
        "alias",
        &AliasRecord {
            key_id: key_id(),
            created_at: Timestamp::from_millis(1_700_000_000_008),
            updated_at: Timestamp::from_millis(1_700_000_000_009),
            revision: 1_000_001,
        },
    );
    record("material", &MaterialRecord { sealed: sealed(10) });
    record("peer", &peer());
    record("dirty", &DirtyRecord { since: Timestamp::from_millis(1_700_000_000_004), document: true, status: false });
    record(
        "reservation",
        &ReservationRecord {
            primary: author(),
            account: account(),
            description: "für Tests".to_owned(),
            tags: tags(),
            policy: Some(access::policy()),
            deadline: Timestamp::from_millis(1_700_000_030_000),
            reserved_at: Timestamp::from_millis(1_700_000_000_005),
            revision: 12,
        },
    );
    record(
        "crl",
        &CrlRecord {
            ca: [0x88; 32],
            number: [0x99; 20],
            this_update: Timestamp::from_millis(1_700_000_000_000),
            next_update: Timestamp::from_millis(1_700_000_600_000),
            published_at: Timestamp::from_millis(1_700_000_000_008),
            der: vec![0x30, 0],
        },
    );
    let registered_at = Timestamp::from_millis(1_700_000_000_006);
    let instance = NodeInstance::from_bytes([0x77; 16]);
    record("node", &NodeRecord { instance, registered_at, role: NodeRole::Voter, removed_at: None });
    let removed_at = Some(Timestamp::from_millis(1_700_000_000_008));
    record("node-removed", &NodeRecord { instance, registered_at, role: NodeRole::Learner, removed_at });
    let outcome = Err(Refusal::InvalidState(KeyState::Creating));
    let at = Timestamp::from_millis(1_700_000_000_007);
    record("invocation", &InvocationRecord { operation: Operation::EnableKey, body_sha256: [0x55; 32], outcome, at });
}

/// Every answer and every refusal, in the order of their variants.
#[test]
fn outcomes() {
    let documents = [
        Ok(()),
        Err(DocumentRefusal::Invalid),
        Err(DocumentRefusal::NotAMember),
        Err(DocumentRefusal::NoReservation),
        Err(DocumentRefusal::NotNewer),
        Err(DocumentRefusal::MissingMaterial),
        Err(DocumentRefusal::AccountNotAllowed),
    ];
    let answers: Vec<Outcome> = vec![
        Ok(Response::Done),
        Ok(Response::Key { document: Box::new(document()), regional: Box::new(regional()) }),
        Ok(Response::Peer { peer: Box::new(peer()), changed: true }),
        Ok(Response::Documents(documents.to_vec())),
        Ok(Response::Statuses(vec![(key_id(), 5)])),
        Ok(Response::Grant { grant_id: access::grant_id() }),
        Ok(Response::Identities { revision: Some(1_000_005), changed: true }),
        Ok(Response::PolicyReset { replaced: Some(access::policy()) }),
        Ok(Response::Deletion { at: Timestamp::from_millis(1_700_000_000_128) }),
        Ok(Response::Material { id: Some(material_id(1)) }),
        Ok(Response::Unfinished),
    ];
    golden("outcomes-answers", 1, &answers);
    let mut refusals: Vec<Outcome> = [
        Refusal::NotFounded,
        Refusal::AlreadyFounded,
        Refusal::AlreadyExists,
        Refusal::NotFound,
        Refusal::InvalidState(KeyState::Creating),
        Refusal::InvalidState(KeyState::Enabled),
        Refusal::InvalidState(KeyState::Disabled),
        Refusal::InvalidState(KeyState::Unavailable),
        Refusal::StaleAuthorisation,
        Refusal::TooManyKeys,
        Refusal::InvocationReused,
        Refusal::NotPrimary,
        Refusal::TooManyRegions,
        Refusal::UnknownPeer,
        Refusal::PeerIncarnation,
        Refusal::AccountNotAllowed,
        Refusal::TooManyReservations,
        Refusal::ReservationLapsed,
        Refusal::NodeIdUsed,
    ]
    .map(Err)
    .into();
    refusals.push(Err(Refusal::BadPeer("why".to_owned())));
    let later = [
        Refusal::OtherReservation,
        Refusal::AliasNotFound,
        Refusal::TooManyAliases,
        Refusal::AliasOfAnotherKind,
        Refusal::TooManyTags,
        Refusal::CrlNotNewer,
        Refusal::BadCrl("why".to_owned()),
    ];
    refusals.extend(later.map(Err));
    refusals.extend([Refusal::NotAdmitted, Refusal::TooManyNames].map(Err));
    refusals.extend([Refusal::UnknownNode, Refusal::NodeRemoved].map(Err));
    let of_access = [
        Refusal::BadPolicy("why".to_owned()),
        Refusal::TooManyGrants,
        Refusal::GrantNotFound,
        Refusal::BadGrant("why".to_owned()),
        Refusal::IdentitiesChanged,
        Refusal::BadIdentities("why".to_owned()),
        Refusal::BadText("why".to_owned()),
    ];
    refusals.extend(of_access.map(Err));
    refusals.extend(life::refusals().map(Err));
    golden("outcomes-refusals", 1, &refusals);
    let operations = [
        Operation::CreateKey,
        Operation::EnableKey,
        Operation::DisableKey,
        Operation::ReplicateKey,
        Operation::CreateAlias,
        Operation::UpdateAlias,
        Operation::DeleteAlias,
        Operation::TagResource,
        Operation::UntagResource,
        Operation::UpdateKeyDescription,
        Operation::PutKeyPolicy,
        Operation::CreateGrant,
        Operation::RetireGrant,
        Operation::RevokeGrant,
        Operation::ScheduleKeyDeletion,
        Operation::CancelKeyDeletion,
        Operation::EnableKeyRotation,
        Operation::DisableKeyRotation,
        Operation::RotateKeyOnDemand,
        Operation::ImportKeyMaterial,
        Operation::DeleteImportedKeyMaterial,
    ];
    golden("operations", 1, &operations);
}
