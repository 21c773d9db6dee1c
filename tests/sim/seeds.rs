//! Many seeds, one process each, as many at once as there are cores, and what became of them.

use std::env;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tempfile::TempDir;

use crate::invariants::Violation;
use crate::run::{STOPPED, Verdict, run};

/// Seeds of a run that names no number: about a minute on two cores.
const SEEDS: u64 = 60;
/// Names the seed of a process that runs one.
const ONE: &str = "CLAVIGER_SIM_ONE";
/// Before what such a process says in the end.
const VERDICT: &str = "verdict: ";

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, and is {text:?}")))
}

/// Every seed holds.
#[test]
fn seeds_hold() {
    if let Some(seed) = number("CLAVIGER_SIM_SEED") {
        listen();
        let verdict = run(seed, place().path(), true);
        println!("{}", line(&verdict));
        assert!(verdict.violation.is_none(), "seed {seed}");
        return;
    }
    let first = number("CLAVIGER_SIM_FIRST").unwrap_or(1);
    let count = number("CLAVIGER_SIM_SEEDS").unwrap_or(SEEDS);
    let begun = Instant::now();
    let all = explore(first, count, |verdict, done| {
        println!("{done:>5}/{count} {}", line(verdict));
        true
    });
    let Explored { failed, simulated, calls } = all;
    println!(
        "{count} seeds from {first} on: {calls} calls in {simulated:.0?} simulated, {:.0?} real; {} failed",
        begun.elapsed(),
        failed.len()
    );
    assert!(failed.is_empty(), "seeds {failed:?} failed: run one again with CLAVIGER_SIM_SEED=<seed>");
}

/// The same seed is the same run, to the last line of its trace.
#[test]
fn a_seed_repeats_itself() {
    for seed in [2, 3] {
        let [first, second] = [apart(seed), apart(seed)];
        assert_eq!((first.hash, first.calls, first.simulated), (second.hash, second.calls, second.simulated), "seed {seed}");
        assert_ne!(first.hash, apart(seed + 4).hash);
    }
}

/// The one seed of a process that was started for it.
#[test]
fn one() {
    if let Some(seed) = number(ONE) {
        println!("\n{VERDICT}{}", serde_json::to_string(&run(seed, &env::temp_dir(), false)).unwrap());
    }
}

/// Runs a seed in a process of its own: nothing of another run is there to be seen, and a panic in one of its hosts, which
/// may take the process with it, takes nothing else.
fn apart(seed: u64) -> Verdict {
    let begun = Instant::now();
    let arguments = ["seeds::one", "--exact", "--nocapture"];
    // This process's to remove, however the other ends.
    let place = place();
    let mut command = Command::new(env::current_exe().unwrap());
    let ended = command.args(arguments).env(ONE, seed.to_string()).env("TMPDIR", place.path()).output().unwrap();
    let text = String::from_utf8_lossy(&ended.stdout);
    if let Some(verdict) = text.lines().find_map(|line| line.strip_prefix(VERDICT)) {
        return serde_json::from_str(verdict).unwrap();
    }
    let errors = String::from_utf8_lossy(&ended.stderr);
    let why = errors.lines().skip_while(|line| !line.contains("panicked at")).nth(1).unwrap_or("the process ended without a word");
    Verdict::died(seed, begun.elapsed(), Violation::new(STOPPED, why))
}

/// In memory, where there is such a place: what is flushed there costs nothing.
fn place() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// All seeds together.
#[derive(Default)]
pub(crate) struct Explored {
    /// Those in which something did not hold.
    pub(crate) failed: Vec<u64>,
    simulated: Duration,
    calls: usize,
}

/// Runs seeds; `told` hears of each, with how many there were, and says whether to go on.
pub(crate) fn explore(first: u64, count: u64, told: impl Fn(&Verdict, u64) -> bool + Sync) -> Explored {
    let (next, end, done) = (AtomicU64::new(first), AtomicU64::new(first + count), AtomicU64::new(0));
    let explored = Mutex::<Explored>::default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end.load(Ordering::Relaxed) {
            return;
        }
        let verdict = apart(seed);
        let mut explored = explored.lock();
        explored.simulated += verdict.simulated;
        explored.calls += verdict.calls;
        if verdict.violation.is_some() {
            explored.failed.push(seed);
        }
        if !told(&verdict, done.fetch_add(1, Ordering::Relaxed) + 1) {
            end.store(0, Ordering::Relaxed);
        }
    };
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    explored.into_inner()
}

fn line(verdict: &Verdict) -> String {
    let Verdict { seed, regions, hash, simulated, took, calls, violation } = verdict;
    let outcome = violation.as_ref().map_or_else(|| "holds".to_owned(), |violation| format!("VIOLATES {violation}"));
    format!(
        "seed {seed:>5}, {regions} region(s), {calls:>4} calls in {simulated:>6.1?} simulated, {took:>5.1?} real, trace {hash:016x}: {outcome}"
    )
}

/// With `RUST_LOG` set, what the nodes log stands among the trace, with the simulated time of the host in seconds.
fn listen() {
    if env::var_os("RUST_LOG").is_some() {
        let filter = tracing_subscriber::EnvFilter::from_default_env();
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stdout).with_ansi(false).with_timer(SimulatedTime).init();
    }
}

struct SimulatedTime;

impl tracing_subscriber::fmt::time::FormatTime for SimulatedTime {
    fn format_time(&self, writer: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(writer, "{:>8.3}", turmoil::sim_elapsed().unwrap_or_default().as_secs_f64())
    }
}
