//! What clients saw: every request with the moments between which it must have taken effect. A write whose client gave up
//! without an answer is *unknown*: it may take effect at any later time, or never.

use std::collections::BTreeMap;

use claviger_types::{KeyId, Region};

use crate::plan::Node;

/// A point in the order in which everything happened. What happened at one client before something at another did so
/// truly: the simulation runs in one thread.
pub(crate) type Moment = u64;

/// A moment that never came.
pub(crate) const NEVER: Moment = Moment::MAX;

/// A key that some client knows, by its place in [`History::keys`].
pub(crate) type KeyNumber = usize;

/// A key as clients know it.
#[derive(Clone, Debug)]
pub(crate) struct KnownKey {
    /// The description that its CreateKey gave it, which no other has.
    pub(crate) name: String,
    pub(crate) id: KeyId,
    pub(crate) home: Region,
    /// Regions for which a client has asked for a replica, with the moment, whatever was answered.
    pub(crate) replicas: BTreeMap<Region, Moment>,
}

impl KnownKey {
    /// What the replica in this region is called.
    pub(crate) fn replica_name(&self, region: &Region) -> String {
        replica_name(&self.name, region)
    }
}

/// What clients tag every key with, in each of its regions by that region's name.
pub(crate) fn regional_tags(region: &Region) -> BTreeMap<String, String> {
    BTreeMap::from([("region".to_owned(), region.to_string())])
}

/// See [`KnownKey::replica_name`].
pub(crate) fn replica_name(name: &str, region: &Region) -> String {
    format!("{name} in {region}")
}

/// A ciphertext.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub(crate) key: KeyNumber,
    pub(crate) ciphertext: String,
    pub(crate) plaintext: String,
}

/// What was asked of a key in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    /// ReplicateKey to this region; it takes effect here without anybody being told.
    Appear,
    Enable,
    Disable,
    Describe,
    Encrypt,
    Decrypt,
}

impl Action {
    pub(crate) const fn is_cryptographic(self) -> bool {
        matches!(self, Self::Encrypt | Self::Decrypt)
    }
}

/// What the client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done.
    Done,
    /// DescribeKey: whether the key is enabled.
    Shown(bool),
    /// DescribeKey: the key is on its way.
    ShownCreating,
    /// Decrypt: it opened, to something else.
    WrongPlaintext,
    /// It was refused, with this code.
    Refused(String),
    /// Nobody knows.
    Unknown,
}

/// One request of a client, all its attempts together.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) client: u64,
    pub(crate) action: Action,
    pub(crate) key: KeyNumber,
    pub(crate) region: Region,
    /// The node that answered last.
    pub(crate) node: Option<Node>,
    pub(crate) begun: Moment,
    pub(crate) ended: Moment,
    pub(crate) outcome: Outcome,
}

impl Call {
    /// For people.
    pub(crate) fn describe(&self, history: &History) -> String {
        let node = self.node.as_ref().map_or_else(|| self.region.to_string(), Node::to_string);
        let (name, ended) = (&history.keys[self.key].name, ending(self.ended));
        format!("[{}, {ended}] client-{} {:?} {name} at {node}: {:?}", self.begun, self.client, self.action, self.outcome)
    }
}

fn ending(moment: Moment) -> String {
    if moment == NEVER { "...".to_owned() } else { moment.to_string() }
}

/// What was asked of an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AliasAction {
    Create(KeyNumber),
    Update(KeyNumber),
    Delete,
    /// DescribeKey by the alias.
    Look,
}

/// What the client was told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AliasOutcome {
    Done,
    /// It names this key.
    Shown(KeyNumber),
    Refused(String),
    Unknown,
}

/// One request that names an alias.
#[derive(Clone, Debug)]
pub(crate) struct AliasCall {
    pub(crate) client: u64,
    pub(crate) alias: &'static str,
    pub(crate) region: Region,
    pub(crate) node: Option<Node>,
    pub(crate) action: AliasAction,
    pub(crate) begun: Moment,
    pub(crate) ended: Moment,
    pub(crate) outcome: AliasOutcome,
}

impl AliasCall {
    /// For people.
    pub(crate) fn describe(&self) -> String {
        let node = self.node.as_ref().map_or_else(|| self.region.to_string(), Node::to_string);
        let Self { client, alias, action, outcome, begun, .. } = self;
        format!("[{begun}, {}] client-{client} {action:?} {alias} at {node}: {outcome:?}", ending(self.ended))
    }
}

/// A CreateKey, answered or not.
#[derive(Clone, Debug)]
pub(crate) struct Creation {
    pub(crate) name: String,
    pub(crate) region: Region,
    pub(crate) answered: Option<KeyId>,
}

/// Everything that clients saw.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) keys: Vec<KnownKey>,
    pub(crate) blobs: Vec<Blob>,
    pub(crate) creations: Vec<Creation>,
    pub(crate) calls: Vec<Call>,
    pub(crate) alias_calls: Vec<AliasCall>,
    /// ReplicateKey that came back with "it exists already", though its client alone asks for that replica.
    pub(crate) replicated_twice: Vec<String>,
}

impl History {
    /// The calls of one key in one region, in the order in which they began.
    pub(crate) fn of(&self, key: KeyNumber, region: &Region) -> Vec<&Call> {
        let mut calls: Vec<&Call> = self.calls.iter().filter(|call| call.key == key && call.region == *region).collect();
        calls.sort_by_key(|call| call.begun);
        calls
    }

    /// Keys and the regions in which they were used.
    pub(crate) fn places(&self) -> Vec<(KeyNumber, Region)> {
        let mut places: Vec<(KeyNumber, Region)> = self.calls.iter().map(|call| (call.key, call.region.clone())).collect();
        places.sort();
        places.dedup();
        places
    }
}
