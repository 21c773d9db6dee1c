//! Clients: each does one thing after the other, as an SDK would, and notes what it saw. Writes are retried with their
//! invocation id; some are given up, and are unknown from then on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use claviger_shapes::Operation;
use claviger_types::Region;
use serde_json::{Value, json};

use crate::edge::{Answer, ask};
use crate::history::{
    Action, AliasAction, AliasCall, AliasOutcome, Blob, Call, Creation, KeyNumber, KnownKey, NEVER, Outcome, regional_tags, replica_name,
};
use crate::plan::Node;
use crate::rng::Rng;
use crate::world::{Phase, World};

/// Keys that all clients together make, about: few, so that they meet.
const KEYS_MAX: usize = 6;
/// Aliases that they fight over.
const ALIASES: [&str; 2] = ["alias/one", "alias/other"];
/// Of a hundred writes without an answer so many are given up at each failure.
const GIVEN_UP_PERCENT: u64 = 15;

/// One client.
pub(crate) struct Client {
    world: Arc<World>,
    number: u64,
    rng: Rng,
    invocations: u64,
    /// How long it waits for one answer.
    patience: Duration,
}

impl Client {
    pub(crate) fn new(world: Arc<World>, number: u64) -> Self {
        let mut rng = Rng::new(world.plan.seed, &format!("client {number}"));
        let patience = rng.millis(300, 2500);
        Self { world, number, rng, invocations: 0, patience }
    }

    pub(crate) async fn run(mut self) -> turmoil::Result {
        let mut phase = self.world.phase.subscribe();
        phase.wait_for(|phase| *phase >= Phase::Work).await?;
        while self.is_working() {
            self.work().await;
            let pause = self.rng.millis(0, 60);
            tokio::time::sleep(pause).await;
        }
        self.world.set_idle(self.number);
        phase.wait_for(|phase| *phase >= Phase::Looking).await?;
        if self.number == 1 {
            self.look_everywhere().await;
        }
        self.world.set_idle(self.number);
        // A client that returned would be the end of the simulation.
        std::future::pending().await
    }

    fn is_working(&self) -> bool {
        *self.world.phase.borrow() == Phase::Work
    }

    async fn work(&mut self) {
        let keys = self.world.history(|history| history.keys.len());
        if keys == 0 || (keys < KEYS_MAX && self.rng.percent(6)) {
            return self.create().await;
        }
        let key = self.rng.below(keys);
        let regions = self.world.history(|history| {
            let key = &history.keys[key];
            let mut regions: Vec<Region> = key.replicas.keys().cloned().collect();
            regions.push(key.home.clone());
            regions
        });
        let region = self.rng.pick(&regions).clone();
        match self.rng.below(100) {
            0..12 => self.replicate(key).await,
            12..26 => self.switch(key, &region, true).await,
            26..44 => {
                self.switch(key, &region, false).await;
                // Whoever revokes looks whether it helped, elsewhere.
                self.encrypt(key, &region).await;
            }
            44..54 => self.move_alias(key).await,
            54..66 => self.encrypt(key, &region).await,
            66..82 => self.decrypt(key, &region).await,
            _ => {
                let node = self.any_node(&region);
                self.describe(key, &node).await;
            }
        }
    }

    fn any_node(&mut self, region: &Region) -> Node {
        self.rng.pick(&Node::all_of(region)).clone()
    }

    /// Asks until there is an answer, with one invocation id, or until it is given up. Says who answered last.
    async fn insist(&mut self, region: &Region, operation: Operation, body: &Value) -> (Option<Node>, Insisted) {
        self.invocations += 1;
        let invocation = format!("client-{}-{}", self.number, self.invocations);
        let mut perhaps_done = false;
        loop {
            let node = self.any_node(region);
            match ask(&node, operation, body, Some(&invocation), self.patience).await {
                Answer::Done(answer) => return (Some(node), Insisted::Done(answer)),
                // An attempt that was lost may still be carried out after this refusal.
                Answer::Refused(code, _) if perhaps_done => return (Some(node), Insisted::RefusedAtLast(code)),
                Answer::Refused(code, message) if is_passing(operation, &code, &message) => {}
                Answer::Refused(code, _) => return (Some(node), Insisted::Refused(code)),
                Answer::NotSent => {}
                Answer::Retry => perhaps_done = true,
            }
            if self.is_working() && self.rng.percent(GIVEN_UP_PERCENT) {
                return (None, Insisted::GivenUp);
            }
            let pause = self.rng.millis(20, 300);
            tokio::time::sleep(pause).await;
        }
    }

    async fn create(&mut self) {
        let region = self.rng.pick(&self.world.plan.regions).clone();
        let name = format!("key-{}-{}", self.number, self.invocations);
        let multi_region = self.world.plan.regions.len() > 1 || self.rng.percent(50);
        let body = json!({ "Description": name, "MultiRegion": multi_region, "Tags": tags(&region) });
        let begun = self.world.moment();
        self.world.note(format_args!("client-{} CreateKey {name} in {region}", self.number));
        let (node, outcome) = self.insist(&region, Operation::CreateKey, &body).await;
        let ended = self.world.moment();
        self.world.note(format_args!("client-{} CreateKey {name}: {}", self.number, outcome.word()));
        let mut creation = Creation { name: name.clone(), region: region.clone(), answered: None };
        if let Insisted::Done(answer) = &outcome {
            let id = answer["KeyMetadata"]["KeyId"].as_str().unwrap().parse().unwrap();
            creation.answered = Some(id);
            let key = KnownKey { name, id, home: region.clone(), replicas: BTreeMap::new() };
            self.world.history(|history| {
                history.keys.push(key);
                let (client, key) = (self.number, history.keys.len() - 1);
                history.calls.push(Call { client, action: Action::Create, key, region, node, begun, ended, outcome: Outcome::Done });
            });
        }
        self.world.history(|history| history.creations.push(creation));
    }

    /// Asks for a replica that nobody has asked for yet.
    async fn replicate(&mut self, key: KeyNumber) {
        let begun = self.world.moment();
        let regions = &self.world.plan.regions;
        let chosen = self.world.history(|history| {
            let key = &mut history.keys[key];
            let region = regions.iter().find(|region| **region != key.home && !key.replicas.contains_key(region))?;
            key.replicas.insert(region.clone(), begun);
            Some((region.clone(), key.clone()))
        });
        let Some((region, known)) = chosen else { return };
        self.world.note(format_args!("client-{} ReplicateKey {} to {region}", self.number, known.name));
        let body = json!({
            "KeyId": known.id.to_string(),
            "ReplicaRegion": region.as_str(),
            "Description": known.replica_name(&region),
            "Tags": tags(&region),
        });
        let (node, outcome) = self.insist(&known.home, Operation::ReplicateKey, &body).await;
        self.world.note(format_args!("client-{} ReplicateKey {}: {}", self.number, known.name, outcome.word()));
        if outcome.code() == Some("AlreadyExistsException") {
            let what = format!("ReplicateKey of {} was told that {} exists", known.name, replica_name(&known.name, &region));
            self.world.history(|history| history.replicated_twice.push(what));
        }
        self.record(Call { client: self.number, action: Action::Appear, key, region, node, begun, ended: NEVER, outcome: outcome.seen() });
    }

    async fn switch(&mut self, key: KeyNumber, region: &Region, enable: bool) {
        let (operation, action) = if enable { (Operation::EnableKey, Action::Enable) } else { (Operation::DisableKey, Action::Disable) };
        let known = self.world.history(|history| history.keys[key].clone());
        let begun = self.world.moment();
        self.world.note(format_args!("client-{} {operation} {} in {region}", self.number, known.name));
        let (node, outcome) = self.insist(region, operation, &json!({ "KeyId": known.id.to_string() })).await;
        self.world.note(format_args!("client-{} {operation} {}: {}", self.number, known.name, outcome.word()));
        let seen = outcome.seen();
        let ended = if seen == Outcome::Unknown { NEVER } else { self.world.moment() };
        self.record(Call { client: self.number, action, key, region: region.clone(), node, begun, ended, outcome: seen });
    }

    /// Makes an alias of a key's home region name this key, or nothing, or looks what it names.
    async fn move_alias(&mut self, key: KeyNumber) {
        let known = self.world.history(|history| history.keys[key].clone());
        let alias = *self.rng.pick(&ALIASES);
        let (operation, action) = match self.rng.below(100) {
            0..20 => (Operation::CreateAlias, AliasAction::Create(key)),
            20..45 => (Operation::UpdateAlias, AliasAction::Update(key)),
            45..60 => (Operation::DeleteAlias, AliasAction::Delete),
            _ => return self.look_at_alias(alias, &known.home).await,
        };
        let mut body = json!({ "AliasName": alias });
        if action != AliasAction::Delete {
            body["TargetKeyId"] = json!(known.id.to_string());
        }
        let begun = self.world.moment();
        self.world.note(format_args!("client-{} {operation} {alias} of {} in {}", self.number, known.name, known.home));
        let (node, outcome) = self.insist(&known.home, operation, &body).await;
        self.world.note(format_args!("client-{} {operation} {alias}: {}", self.number, outcome.word()));
        let outcome = match outcome.seen() {
            Outcome::Done => AliasOutcome::Done,
            Outcome::Refused(code) => AliasOutcome::Refused(code),
            _ => AliasOutcome::Unknown,
        };
        let ended = if outcome == AliasOutcome::Unknown { NEVER } else { self.world.moment() };
        let call = AliasCall { client: self.number, alias, region: known.home, node, action, begun, ended, outcome };
        self.world.history(|history| history.alias_calls.push(call));
        // Whoever moves an alias looks whether it moved, elsewhere.
        let region = self.world.history(|history| history.keys[key].home.clone());
        self.look_at_alias(alias, &region).await;
    }

    async fn look_at_alias(&mut self, alias: &'static str, region: &Region) {
        let node = self.any_node(region);
        let begun = self.world.moment();
        let answer = ask(&node, Operation::DescribeKey, &json!({ "KeyId": alias }), None, self.patience).await;
        let ended = self.world.moment();
        let outcome = match answer {
            Answer::Done(answer) => {
                let id = answer["KeyMetadata"]["KeyId"].as_str().unwrap().parse().unwrap();
                AliasOutcome::Shown(self.world.history(|history| history.keys.iter().position(|key| key.id == id)).unwrap())
            }
            Answer::Refused(code, _) => AliasOutcome::Refused(code),
            Answer::NotSent | Answer::Retry => AliasOutcome::Unknown,
        };
        self.world.note(format_args!("client-{} looks at {alias} on {node}: {outcome:?}", self.number));
        let (client, region, node) = (self.number, region.clone(), Some(node));
        let call = AliasCall { client, alias, region, node, action: AliasAction::Look, begun, ended, outcome };
        self.world.history(|history| history.alias_calls.push(call));
    }

    async fn encrypt(&mut self, key: KeyNumber, region: &Region) {
        let node = self.any_node(region);
        let id = self.world.history(|history| history.keys[key].id);
        let plaintext = STANDARD.encode(self.rng.next().to_be_bytes());
        let begun = self.world.moment();
        let answer = ask(&node, Operation::Encrypt, &json!({ "KeyId": id.to_string(), "Plaintext": plaintext }), None, self.patience).await;
        let ended = self.world.moment();
        let outcome = match answer {
            Answer::Done(answer) => {
                let ciphertext = answer["CiphertextBlob"].as_str().unwrap().to_owned();
                self.world.history(|history| history.blobs.push(Blob { key, ciphertext, plaintext }));
                Outcome::Done
            }
            other => seen(other),
        };
        self.record_read(Call {
            client: self.number,
            action: Action::Encrypt,
            key,
            region: region.clone(),
            node: Some(node),
            begun,
            ended,
            outcome,
        });
    }

    async fn decrypt(&mut self, key: KeyNumber, region: &Region) {
        let node = self.any_node(region);
        let blobs: Vec<Blob> = self.world.history(|history| history.blobs.iter().filter(|blob| blob.key == key).cloned().collect());
        if !blobs.is_empty() {
            let blob = self.rng.pick(&blobs).clone();
            self.decrypt_at(&blob, &node).await;
        }
    }

    async fn decrypt_at(&mut self, blob: &Blob, node: &Node) {
        let begun = self.world.moment();
        let answer = ask(node, Operation::Decrypt, &json!({ "CiphertextBlob": blob.ciphertext }), None, self.patience).await;
        let ended = self.world.moment();
        let outcome = match answer {
            Answer::Done(answer) if answer["Plaintext"] == blob.plaintext.as_str() => Outcome::Done,
            Answer::Done(_) => Outcome::WrongPlaintext,
            other => seen(other),
        };
        let (client, region) = (self.number, node.region.clone());
        self.record_read(Call { client, action: Action::Decrypt, key: blob.key, region, node: Some(node.clone()), begun, ended, outcome });
    }

    async fn describe(&mut self, key: KeyNumber, node: &Node) -> bool {
        let id = self.world.history(|history| history.keys[key].id);
        let begun = self.world.moment();
        let answer = ask(node, Operation::DescribeKey, &json!({ "KeyId": id.to_string() }), None, self.patience).await;
        let ended = self.world.moment();
        let outcome = match answer {
            Answer::Done(answer) if answer["KeyMetadata"]["KeyState"] == "Creating" => Outcome::ShownCreating,
            Answer::Done(answer) => Outcome::Shown(answer["KeyMetadata"]["Enabled"].as_bool().unwrap()),
            other => seen(other),
        };
        let answered = outcome != Outcome::Unknown;
        let (client, region) = (self.number, node.region.clone());
        self.record_read(Call { client, action: Action::Describe, key, region, node: Some(node.clone()), begun, ended, outcome });
        answered
    }

    /// When all is quiet: every key on every node, and a ciphertext of each.
    async fn look_everywhere(&mut self) {
        let (keys, blobs) = self.world.history(|history| (history.keys.clone(), history.blobs.clone()));
        for (number, key) in keys.iter().enumerate() {
            let regions = key.replicas.keys().chain([&key.home]);
            for node in regions.flat_map(Node::all_of) {
                while !self.describe(number, &node).await {}
                if let Some(blob) = blobs.iter().rev().find(|blob| blob.key == number) {
                    self.decrypt_at(blob, &node).await;
                }
            }
        }
    }

    fn record_read(&self, call: Call) {
        self.world.note(format_args!("client-{} {:?}", call.client, (call.action, call.key, &call.node, &call.outcome)));
        self.record(call);
    }

    fn record(&self, call: Call) {
        self.world.history(|history| history.calls.push(call));
    }
}

/// What became of a write.
enum Insisted {
    Done(Value),
    Refused(String),
    /// Refused, after an attempt without an answer.
    RefusedAtLast(String),
    GivenUp,
}

impl Insisted {
    fn code(&self) -> Option<&str> {
        match self {
            Self::Refused(code) | Self::RefusedAtLast(code) => Some(code),
            Self::Done(_) | Self::GivenUp => None,
        }
    }

    fn seen(self) -> Outcome {
        match self {
            Self::Done(_) => Outcome::Done,
            Self::Refused(code) => Outcome::Refused(code),
            Self::RefusedAtLast(_) | Self::GivenUp => Outcome::Unknown,
        }
    }

    fn word(&self) -> &str {
        match self {
            Self::Done(_) => "done",
            Self::GivenUp => "given up",
            Self::Refused(code) | Self::RefusedAtLast(code) => code,
        }
    }
}

fn seen(answer: Answer) -> Outcome {
    match answer {
        Answer::Refused(code, _) => Outcome::Refused(code),
        Answer::NotSent | Answer::Retry | Answer::Done(_) => Outcome::Unknown,
    }
}

/// Refusals of ReplicateKey that say "not now": the key is disabled, or a reservation is under way.
fn is_passing(operation: Operation, code: &str, _message: &str) -> bool {
    operation == Operation::ReplicateKey && matches!(code, "KMSInvalidStateException")
}

/// What a key, or a replica, of this region is tagged with in the API's form: see [`regional_tags`].
fn tags(region: &Region) -> Value {
    regional_tags(region).into_iter().map(|(key, value)| json!({ "TagKey": key, "TagValue": value })).collect()
}
