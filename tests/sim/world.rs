//! What all hosts of a run share, and what outlives them: the machines' disks, the regions' keys, the record of what
//! happened, and the watchers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use claviger_barrier::{Barrier, Keyring, RecordPlace, RootKey};
use claviger_consensus::{Consensus, Leadership, Readiness};
use claviger_crypto::random;
use claviger_crypto::wrap::RegionPrivateKeys;
use claviger_replication::{PeerHello, RegionLife, stored_keys};
use claviger_state::{FoundRegion, MemoryTables, Overlay, RegionKeysRecord, Table, Tables, read};
use claviger_storage::{SimulatedDisk, StateStore};
use claviger_types::{ClusterId, Incarnation, KeyId, Region};
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::history::{History, Moment};
use crate::invariants::{Commit, Final, Violation, Watchers};
use crate::plan::{Node, Plan, account};
use crate::trace::Trace;

/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The regions are being founded.
    Founding,
    /// Clients work, and faults happen.
    Work,
    /// The faults have stopped; clients insist on what they have not been answered.
    Settling,
    /// One client looks at everything on every node.
    Looking,
}

/// A machine: what is left of a node when its process has gone.
pub(crate) struct Machine {
    pub(crate) dir: PathBuf,
    pub(crate) disk: Arc<SimulatedDisk>,
}

/// What a region was founded with.
pub(crate) struct Founding {
    pub(crate) found: FoundRegion,
    pub(crate) barrier: Arc<Barrier>,
    pub(crate) fingerprint: String,
}

/// A node that runs.
pub(crate) struct Running {
    pub(crate) consensus: Arc<Consensus>,
    pub(crate) state: Arc<StateStore>,
}

/// See the module.
pub(crate) struct World {
    pub(crate) plan: Plan,
    pub(crate) machines: BTreeMap<Node, Machine>,
    pub(crate) regions: BTreeMap<Region, Founding>,
    pub(crate) phase: watch::Sender<Phase>,
    record: Mutex<Record>,
}

struct Record {
    moment: Moment,
    /// Since the beginning of the run.
    millis: u128,
    trace: Trace,
    history: History,
    watchers: Watchers,
    violation: Option<Violation>,
    running: BTreeMap<Node, Running>,
    lives: BTreeMap<Node, u64>,
    names: BTreeMap<KeyId, String>,
    slow_disks: BTreeSet<Node>,
    /// Clients that have nothing left to do in this phase.
    idle: BTreeSet<u64>,
    /// Who led and how far everybody was, when it was last noted.
    seen: BTreeMap<Node, (Leadership, Option<u64>)>,
}

impl World {
    pub(crate) fn new(plan: Plan, dir: &Path, spoken: bool) -> Self {
        let machine = |node: &Node| Machine { dir: dir.join(node.to_string()), disk: Arc::default() };
        let record = Record {
            moment: 0,
            millis: 0,
            trace: Trace::new(spoken),
            history: History::default(),
            watchers: Watchers::default(),
            violation: None,
            running: BTreeMap::new(),
            lives: BTreeMap::new(),
            names: BTreeMap::new(),
            slow_disks: BTreeSet::new(),
            idle: BTreeSet::new(),
            seen: BTreeMap::new(),
        };
        Self {
            machines: plan.nodes().iter().map(|node| (node.clone(), machine(node))).collect(),
            regions: plan.regions.iter().map(|region| (region.clone(), Founding::of(region))).collect(),
            phase: watch::Sender::new(Phase::Founding),
            record: Mutex::new(record),
            plan,
        }
    }

    /// The next point in the order of everything.
    pub(crate) fn moment(&self) -> Moment {
        let mut record = self.record.lock();
        record.moment += 1;
        record.moment
    }

    pub(crate) fn set_time(&self, millis: u128) {
        self.record.lock().millis = millis;
    }

    pub(crate) fn note(&self, line: impl Display) {
        let mut record = self.record.lock();
        let millis = record.millis;
        record.trace.note(millis, line);
    }

    pub(crate) fn trace_hash(&self) -> u64 {
        self.record.lock().trace.hash()
    }

    pub(crate) fn history<T>(&self, work: impl FnOnce(&mut History) -> T) -> T {
        work(&mut self.record.lock().history)
    }

    /// The first violation stands.
    pub(crate) fn violate(&self, violation: Violation) {
        self.note(format_args!("VIOLATION {}", violation.invariant));
        self.record.lock().violation.get_or_insert(violation);
    }

    pub(crate) fn violation(&self) -> Option<Violation> {
        self.record.lock().violation.clone()
    }

    /// A node's process begins; how often it has done so.
    pub(crate) fn begin_life(&self, node: &Node) -> u64 {
        let mut record = self.record.lock();
        let life = record.lives.entry(node.clone()).or_default();
        *life += 1;
        *life
    }

    pub(crate) fn is_up(&self, node: &Node, running: Running) {
        self.note(format_args!("{node} is up"));
        self.record.lock().running.insert(node.clone(), running);
    }

    /// Forgets a node whose process ends.
    pub(crate) fn forget(&self, node: &Node) {
        let gone = self.record.lock().running.remove(node);
        drop(gone);
    }

    pub(crate) fn set_slow(&self, node: &Node, slow: bool) {
        let mut record = self.record.lock();
        if slow {
            record.slow_disks.insert(node.clone());
        } else {
            record.slow_disks.remove(node);
        }
    }

    pub(crate) fn is_slow(&self, node: &Node) -> bool {
        self.record.lock().slow_disks.contains(node)
    }

    pub(crate) fn set_idle(&self, client: u64) {
        self.record.lock().idle.insert(client);
    }

    pub(crate) fn enter(&self, phase: Phase) {
        self.note(format_args!("phase: {phase:?}"));
        self.record.lock().idle.clear();
        self.phase.send_replace(phase);
    }

    pub(crate) fn all_idle(&self) -> bool {
        self.record.lock().idle.len() as u64 == self.plan.clients
    }

    /// A node has applied a change of these keys.
    pub(crate) fn committed(&self, node: &Node, life: u64, state: &StateStore, keys: &[KeyId]) {
        let moment = self.moment();
        let record = &mut *self.record.lock();
        for key in keys {
            let Some(key_record) = read::key(state, key).unwrap() else { continue };
            let name = record.names.entry(*key).or_insert_with(|| key_record.regional.description.clone());
            let line = format!("{node} has {name} at {}, enabled: {}", key_record.document.version, key_record.regional.enabled);
            record.trace.note(record.millis, line);
            let barrier = &self.regions[&node.region].barrier;
            let commit = Commit { node, life, moment, record: &key_record, tables: state, barrier };
            if let Err(violation) = record.watchers.committed(&commit) {
                record.violation.get_or_insert(violation);
            }
        }
    }

    /// Notes who leads and how far everybody is, where that has changed.
    pub(crate) fn observe(&self) {
        let record = &mut *self.record.lock();
        for (node, running) in &record.running {
            let leadership = *running.consensus.leadership().borrow();
            let applied = running.consensus.status().applied_index;
            let seen = record.seen.insert(node.clone(), (leadership, applied));
            if seen != Some((leadership, applied)) {
                let Leadership { leader, term, .. } = leadership;
                record.trace.note(record.millis, format_args!("{node}: leader {leader:?} of term {term}, applied {applied:?}"));
            }
        }
    }

    /// Whether all nodes serve in groups of full strength that know all their peers.
    pub(crate) fn is_founded(&self) -> bool {
        let record = self.record.lock();
        self.machines.keys().all(|node| {
            record.running.get(node).is_some_and(|running| {
                let voters = running.consensus.status().voters.len();
                voters == usize::try_from(crate::plan::NODES).unwrap()
                    && running.consensus.readiness() == Readiness::Ready
                    && read::account(&*running.state, account()).unwrap().is_some()
                    && read::peers(&*running.state).unwrap().len() == self.regions.len() - 1
            })
        })
    }

    /// What keeps everything from being settled; none when it is.
    pub(crate) fn unsettled(&self) -> Option<String> {
        let record = self.record.lock();
        for node in self.machines.keys() {
            let Some(running) = record.running.get(node) else { return Some(format!("{node} is down")) };
            if running.consensus.readiness() != Readiness::Ready {
                return Some(format!("{node} is {:?}", running.consensus.readiness()));
            }
            let first = record.running.iter().find(|(other, _)| other.region == node.region);
            let applied = |running: &Running| running.consensus.status().applied_index;
            if first.is_some_and(|(_, first)| applied(first) != applied(running)) {
                return Some(format!("{node} has applied other entries than its fellows"));
            }
            for peer in read::peers(&*running.state).unwrap() {
                let dirty = read::dirty_count(&*running.state, &peer.region).unwrap();
                if dirty > 0 {
                    return Some(format!("{node} owes {} {dirty} records", peer.region));
                }
            }
            for key in read::keys_of(&*running.state, account(), None, usize::MAX).unwrap() {
                let document = read::key(&*running.state, &key).unwrap().unwrap().document;
                let waits = document.members.values().find(|member| member.status != claviger_state::protocol::MemberStatus::Active);
                if let Some(member) = waits {
                    return Some(format!("{node} has a key with a member that is {:?}", member.status));
                }
            }
        }
        None
    }

    /// Judges what clients saw.
    pub(crate) fn judge(&self) -> Result<(), Violation> {
        let record = self.record.lock();
        crate::invariants::judge(&record.history, &record.watchers)
    }

    /// Compares what the nodes hold in the end.
    pub(crate) fn compare(&self) -> Result<(), Violation> {
        let record = self.record.lock();
        let nodes = record.running.iter().map(|(node, running)| (node.clone(), copy(&running.state))).collect();
        let end = Final { history: &record.history, nodes };
        crate::invariants::compare(&end, &record.watchers)
    }

    pub(crate) fn calls(&self) -> usize {
        self.record.lock().history.calls.len()
    }

    /// Lets go of everything that could outlive the hosts.
    pub(crate) fn end(&self) {
        let running = std::mem::take(&mut self.record.lock().running);
        drop(running);
    }
}

impl Founding {
    pub(crate) fn of(region: &Region) -> Self {
        let keyring = Keyring::generate().unwrap();
        let sealed_keyring = keyring.seal(&RootKey::generate().unwrap()).unwrap();
        let barrier = Barrier::new(keyring);
        let keys = RegionPrivateKeys::generate().unwrap();
        let private = barrier.seal(RecordPlace::region_keys().context(), &keys.to_secret_bytes()).unwrap();
        let found = FoundRegion {
            region: region.clone(),
            partition: "aws".parse().unwrap(),
            trust_domain: "sim.example".parse().unwrap(),
            cluster_id: ClusterId::from_bytes(random::bytes().unwrap()),
            incarnation: Incarnation::from_bytes(random::bytes().unwrap()),
            keyring: sealed_keyring,
            region_keys: RegionKeysRecord { public: stored_keys(1, &keys.public()), private },
        };
        let life = RegionLife { region: region.clone(), cluster_id: found.cluster_id, incarnation: found.incarnation };
        let fingerprint = PeerHello { life, keys: found.region_keys.public.clone() }.fingerprint().unwrap();
        Self { found, barrier: Arc::new(barrier), fingerprint }
    }
}

fn copy(state: &StateStore) -> MemoryTables {
    let mut copied = MemoryTables::default();
    let mut overlay = Overlay::new(&copied);
    for table in Table::ALL {
        state
            .scan(*table, &[], &mut |row, record| {
                overlay.put_bytes(*table, row, record.to_vec());
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
    }
    let writes = overlay.into_writes();
    copied.commit(writes);
    copied
}
