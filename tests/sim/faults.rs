//! What goes wrong, and when: links cut both ways or one way, links that hold their messages back, processes that are
//! killed, machines that lose their power, all at once or one by one, disks that are slow.

use std::time::Duration;

use turmoil::Sim;

use crate::plan::{Node, client_host};
use crate::rng::Rng;
use crate::world::World;

/// A fault that has begun.
#[derive(Clone, Debug)]
enum Fault {
    /// No message passes from one of the first to one of the second, nor back.
    Cut(Vec<String>, Vec<String>),
    /// No message passes from the first to one of the second.
    CutOneWay(String, Vec<String>),
    /// Messages wait.
    Hold(String, String),
    /// The machines have no power.
    Down(Vec<Node>),
    /// Writes take long.
    SlowDisk(Node),
}

/// Begins and ends faults.
pub(crate) struct Faults {
    rng: Rng,
    nodes: Vec<Node>,
    active: Vec<(Duration, Fault)>,
    next: Duration,
    every_ms: u64,
}

/// At once.
const ACTIVE_MAX: usize = 3;

impl Faults {
    pub(crate) fn new(world: &World, now: Duration) -> Self {
        let rng = Rng::new(world.plan.seed, "faults");
        Self { rng, nodes: world.plan.nodes(), active: Vec::new(), next: now, every_ms: world.plan.fault_every_ms }
    }

    /// Ends what is over, begins what is due.
    pub(crate) fn step(&mut self, sim: &mut Sim<'_>, world: &World, now: Duration) {
        while let Some(over) = self.active.iter().position(|(end, _)| *end <= now) {
            let (_, fault) = self.active.remove(over);
            self.end(sim, world, &fault);
        }
        if now >= self.next {
            self.next = now + self.rng.millis(self.every_ms / 3, self.every_ms * 2);
            if self.active.len() < ACTIVE_MAX {
                self.begin(sim, world, now);
            }
        }
    }

    /// Ends everything: the network is whole and all machines run.
    pub(crate) fn stop(&mut self, sim: &mut Sim<'_>, world: &World) {
        for (_, fault) in std::mem::take(&mut self.active) {
            self.end(sim, world, &fault);
        }
    }

    fn begin(&mut self, sim: &mut Sim<'_>, world: &World, now: Duration) {
        let fault = self.choose();
        if !self.fits(&fault) {
            return;
        }
        let most = if self.rng.percent(80) { 2000 } else { 8000 };
        let end = now + self.rng.millis(50, most);
        world.note(format_args!("fault: {fault:?} until {}", end.as_millis()));
        match &fault {
            Fault::Down(nodes) => {
                // Some go without a word: their connections stay open at the other end.
                let silent = self.rng.percent(50);
                for node in nodes {
                    crash(sim, world, node, silent.then(|| self.hosts_but(world, node)));
                }
            }
            Fault::SlowDisk(node) => world.set_slow(node, true),
            Fault::Hold(one, other) => sim.hold(one.as_str(), other.as_str()),
            Fault::Cut(..) | Fault::CutOneWay(..) => cut(sim, &fault),
        }
        self.active.push((end, fault));
    }

    fn choose(&mut self) -> Fault {
        let node = self.rng.pick(&self.nodes).clone();
        let (same, others): (Vec<Node>, Vec<Node>) =
            self.nodes.iter().filter(|other| **other != node).cloned().partition(|other| other.region == node.region);
        let names = |nodes: &[Node]| nodes.iter().map(Node::to_string).collect::<Vec<_>>();
        let one_region = others.is_empty();
        match self.rng.below(100) {
            0..14 => Fault::Cut(vec![node.to_string()], names(&same)),
            14..24 => Fault::CutOneWay(node.to_string(), names(&same)),
            24..32 => {
                let peer = self.rng.pick(&same).to_string();
                Fault::Cut(vec![node.to_string()], vec![peer])
            }
            32..42 => {
                let peer = if one_region { self.rng.pick(&same) } else { self.rng.pick(&others) }.to_string();
                Fault::Hold(node.to_string(), peer)
            }
            42..60 if !one_region => {
                let home: Vec<Node> = same.iter().chain([&node]).cloned().collect();
                Fault::Cut(names(&home), names(&others))
            }
            42..72 => Fault::Down(vec![node]),
            72..80 => Fault::Down(vec![node, self.rng.pick(&same).clone()]),
            // The power of the whole place fails.
            80..92 => Fault::Down(same.iter().chain([&node]).cloned().collect()),
            _ => Fault::SlowDisk(node),
        }
    }

    /// A machine goes down once; holding back and cutting are not done to the same link, which the simulated network
    /// cannot tell apart.
    fn fits(&self, fault: &Fault) -> bool {
        let cuts = |fault: &Fault| matches!(fault, Fault::Cut(..) | Fault::CutOneWay(..));
        self.active.iter().all(|(_, active)| match (fault, active) {
            (Fault::Down(new), Fault::Down(old)) => !new.iter().any(|node| old.contains(node)),
            (Fault::Hold(..), active) => !cuts(active) && !matches!(active, Fault::Hold(..) | Fault::Down(..)),
            (fault, Fault::Hold(..)) => !cuts(fault) && !matches!(fault, Fault::Down(..)),
            (Fault::SlowDisk(new), Fault::SlowDisk(old)) => new != old,
            _ => true,
        })
    }

    fn end(&self, sim: &mut Sim<'_>, world: &World, fault: &Fault) {
        world.note(format_args!("over: {fault:?}"));
        match fault {
            Fault::Down(nodes) => {
                for node in nodes {
                    pairs(&[node.to_string()], &self.hosts_but(world, node), |one, other| sim.repair(one, other));
                }
                self.cut_again(sim);
                nodes.iter().for_each(|node| sim.bounce(node.to_string()));
            }
            Fault::SlowDisk(node) => world.set_slow(node, false),
            Fault::Hold(one, other) => sim.release(one.as_str(), other.as_str()),
            Fault::Cut(one, other) => {
                pairs(one, other, |one, other| sim.repair(one, other));
                self.cut_again(sim);
            }
            Fault::CutOneWay(one, other) => {
                pairs(std::slice::from_ref(one), other, |one, other| sim.repair(one, other));
                self.cut_again(sim);
            }
        }
    }

    /// Whatever was mended may still be cut by another fault.
    fn cut_again(&self, sim: &Sim<'_>) {
        self.active.iter().for_each(|(_, fault)| cut(sim, fault));
    }

    fn hosts_but(&self, world: &World, node: &Node) -> Vec<String> {
        let nodes = self.nodes.iter().filter(|other| *other != node).map(Node::to_string);
        nodes.chain((1..=world.plan.clients).map(client_host)).collect()
    }
}

fn cut(sim: &Sim<'_>, fault: &Fault) {
    match fault {
        Fault::Cut(one, other) => pairs(one, other, |one, other| sim.partition(one, other)),
        Fault::CutOneWay(one, other) => pairs(std::slice::from_ref(one), other, |one, other| sim.partition_oneway(one, other)),
        _ => {}
    }
}

fn pairs(some: &[String], others: &[String], mut work: impl FnMut(&str, &str)) {
    for one in some {
        others.iter().for_each(|other| work(one, other));
    }
}

/// Takes a node's process and what its disk had not synced.
fn crash(sim: &mut Sim<'_>, world: &World, node: &Node, cut_off_from: Option<Vec<String>>) {
    if let Some(hosts) = cut_off_from {
        pairs(&[node.to_string()], &hosts, |one, other| sim.partition(one, other));
    }
    world.forget(node);
    sim.crash(node.to_string());
    world.machines[node].disk.crash();
}
