//! One seed from beginning to end: the regions are founded, clients work while things fail, everything is mended, and then
//! it must settle within a bounded time and turn out to have been right all along.

use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use claviger_types::jitter;
use serde::{Deserialize, Serialize};
use turmoil::Sim;

use crate::client::Client;
use crate::faults::Faults;
use crate::host;
use crate::invariants::{Violation, convergence};
use crate::plan::{Node, Plan, client_host};
use crate::world::{Phase, World};

/// Time passes in steps of this length.
const TICK: Duration = Duration::from_millis(1);
/// The shortest way of a message.
const LATENCY_MIN: Duration = Duration::from_millis(1);
/// How long the regions may take to be founded.
const FOUNDED_WITHIN: Duration = Duration::from_secs(60);
/// What passes before the first fault.
const CALM: Duration = Duration::from_secs(2);
/// How long everything may take to settle once nothing fails any more.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// How often it is noted who leads, and looked whether everything has settled.
const LOOK_EVERY: u128 = 100;

/// A node that ends, whether by a fault that it found or by a panic, though nobody killed it.
pub(crate) const STOPPED: &str = "no_node_stops_by_itself";

/// What came of a seed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Verdict {
    pub(crate) seed: u64,
    pub(crate) regions: usize,
    /// Of everything that happened: the same for the same seed.
    pub(crate) hash: u64,
    /// Time in the simulated world.
    pub(crate) simulated: Duration,
    /// Time in this one.
    pub(crate) took: Duration,
    pub(crate) calls: usize,
    pub(crate) violation: Option<Violation>,
}

impl Verdict {
    /// Of a run that could not say what came of it.
    pub(crate) fn died(seed: u64, took: Duration, violation: Violation) -> Self {
        let regions = Plan::of(seed).regions.len();
        Self { seed, regions, hash: 0, simulated: Duration::ZERO, took, calls: 0, violation: Some(violation) }
    }
}

/// Runs a seed with the machines' files in an empty directory, in a thread of its own: nothing that another run has left behind can be seen in it.
pub(crate) fn run(seed: u64, dir: &Path, spoken: bool) -> Verdict {
    let dir = dir.to_owned();
    // The thread's own sequence of random waits is the run's.
    std::thread::Builder::new().name(format!("seed-{seed}")).spawn(move || run_here(seed, &dir, spoken)).unwrap().join().unwrap()
}

fn run_here(seed: u64, dir: &Path, spoken: bool) -> Verdict {
    jitter::seed(seed);
    let begun = Instant::now();
    let plan = Plan::of(seed);
    if spoken {
        println!("{plan:#?}");
    }
    let regions = plan.regions.len();
    let world = Arc::new(World::new(plan, dir, spoken));
    let mut stage = Stage::build(&world);
    let played = panic::catch_unwind(AssertUnwindSafe(|| stage.play()));
    let played = played.unwrap_or_else(|payload| Err(Violation::new(STOPPED, text(&*payload))));
    world.end();
    let simulated = stage.sim.elapsed();
    // What a panic has left of the hosts may panic again when it is dropped: the process is about to end anyway.
    if played.is_err() {
        Box::leak(Box::new(stage));
    }
    Verdict { seed, regions, hash: world.trace_hash(), simulated, took: begun.elapsed(), calls: world.calls(), violation: played.err() }
}

fn text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}

struct Stage<'a> {
    world: Arc<World>,
    sim: Sim<'a>,
}

impl Stage<'_> {
    fn build(world: &Arc<World>) -> Self {
        let plan = &world.plan;
        let mut sim = turmoil::Builder::new()
            .rng_seed(plan.seed)
            .enable_random_order()
            .epoch(std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000))
            .simulation_duration(Duration::from_secs(3600))
            .tick_duration(TICK)
            .min_message_latency(LATENCY_MIN)
            .max_message_latency(Duration::from_millis(plan.near_ms_max))
            .tcp_capacity(1 << 16)
            .build();
        for node in plan.nodes() {
            let world = Arc::clone(world);
            sim.host(node.to_string(), move || host::run(Arc::clone(&world), node.clone()));
        }
        for number in 1..=plan.clients {
            sim.client(client_host(number), Client::new(Arc::clone(world), number).run());
        }
        let nodes = plan.nodes();
        for (index, one) in nodes.iter().enumerate() {
            for other in nodes[index + 1..].iter().filter(|other| other.region != one.region) {
                sim.set_link_max_message_latency(one.to_string(), other.to_string(), Duration::from_millis(plan.far_ms_max));
            }
        }
        Self { world: Arc::clone(world), sim }
    }

    fn play(&mut self) -> Result<(), Violation> {
        self.enter(Phase::Founding);
        self.until("founded", FOUNDED_WITHIN, |world| (!world.is_founded()).then(|| "a region is not founded".to_owned()))?;
        // The last node was let in by a membership of two steps, of which the first shows it as a voter.
        let end = self.sim.elapsed() + CALM;
        while self.sim.elapsed() < end {
            self.step()?;
        }
        self.enter(Phase::Work);
        let end = self.sim.elapsed() + self.world.plan.work;
        let mut faults = Faults::new(&self.world, self.sim.elapsed());
        while self.sim.elapsed() < end {
            let now = self.sim.elapsed();
            faults.step(&mut self.sim, &self.world, now);
            self.step()?;
        }
        faults.stop(&mut self.sim, &self.world);
        self.enter(Phase::Settling);
        let settled = self.until("settled", SETTLED_WITHIN, |world| {
            if world.all_idle() { world.unsettled() } else { Some("a client has no answer".to_owned()) }
        });
        // What clients saw is judged first: it says more than that nothing settles.
        self.world.judge()?;
        settled?;
        self.enter(Phase::Looking);
        self.until("looked at", SETTLED_WITHIN, |world| (!world.all_idle()).then(|| "a client has no answer".to_owned()))?;
        self.until("settled", SETTLED_WITHIN, World::unsettled)?;
        self.world.judge()?;
        self.world.compare()
    }

    fn enter(&self, phase: Phase) {
        self.world.enter(phase);
    }

    /// A step of time for everybody.
    fn step(&mut self) -> Result<(), Violation> {
        let millis = self.sim.elapsed().as_millis();
        self.world.set_time(millis);
        self.sim.step().map_err(|error| Violation::new(STOPPED, error.to_string()))?;
        if millis.is_multiple_of(LOOK_EVERY) {
            self.world.observe();
        }
        match self.world.violation() {
            Some(violation) => Err(violation),
            None => Ok(()),
        }
    }

    /// Lets time pass until nothing keeps it from being so.
    fn until(&mut self, what: &str, within: Duration, missing: impl Fn(&World) -> Option<String>) -> Result<(), Violation> {
        let deadline = self.sim.elapsed() + within;
        loop {
            self.step()?;
            if !self.sim.elapsed().as_millis().is_multiple_of(LOOK_EVERY) {
                continue;
            }
            let Some(missing) = missing(&self.world) else { return Ok(()) };
            if self.sim.elapsed() > deadline {
                return Err(Violation::new(convergence::NAME, format!("not {what} within {within:?}: {missing}")));
            }
        }
    }
}

/// A node's name is that of its host.
#[test]
fn hosts_are_named_after_their_nodes() {
    for node in Plan::of(3).nodes() {
        assert_eq!(node.to_string().parse::<Node>(), Ok(node));
    }
}
