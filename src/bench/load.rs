//! The measurement itself: threads, each with its share of the connections, that make requests until the time is over.
//!
//! In a closed loop every connection makes its next request when the last one is answered; in an open loop requests start
//! when `pace` says, and are timed from then. Nothing is shared between threads while they run but the flag that stops
//! them; what each measured is added when all have ended.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::sync::{mpsc, watch};
use tokio::time::sleep_until;

use crate::BenchError;
use crate::client::{Called, Client, Endpoints, Patience};
use crate::cpu::{self, CpuSource};
use crate::pace::Pace;
use crate::record::{Tally, latencies, quantile_ms, record};
use crate::workload::{Invocations, Workload};

/// One answer in so many is read and checked, and the first of each connection.
const CHECK_EVERY: usize = 64;
/// How often somebody is told how it goes.
const SECOND: Duration = Duration::from_secs(1);

/// When the user has had enough.
#[derive(Default)]
pub(crate) struct Stop(OnceLock<Instant>);

impl Stop {
    pub(crate) fn set(&self) {
        let _ = self.0.set(Instant::now());
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.get().is_some()
    }
}

/// How a measurement is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) connections: usize,
    /// None in a closed loop.
    pub(crate) rate_per_s: Option<f64>,
    pub(crate) warm_up: Duration,
    pub(crate) duration: Duration,
    pub(crate) patience: Patience,
    pub(crate) threads: usize,
    /// The empty handler's answers say nothing.
    pub(crate) check_answers: bool,
    /// How long requests of an open loop that are late may still be made once the time is over.
    pub(crate) drain: Duration,
}

/// What came of it.
pub(crate) struct Measured {
    /// One for each operation of the load.
    pub(crate) tallies: Vec<Tally>,
    /// Requests that were made before anything counted.
    pub(crate) warm_up_requests: u64,
    /// What was measured, in seconds.
    pub(crate) seconds: f64,
    /// CPU time of all servers, in seconds; none where it is not known.
    pub(crate) server_cpu_s: Option<f64>,
    /// CPU time of this process.
    pub(crate) client_cpu_s: Option<f64>,
}

/// What all threads share.
struct Shared {
    workload: Arc<Workload>,
    endpoints: Arc<Endpoints>,
    settings: Settings,
    stop: Arc<Stop>,
}

/// The times of a measurement that has begun.
struct Running {
    measure_from: Instant,
    until: Instant,
    pace: Option<Pace>,
}

/// What one thread measured.
struct Shard {
    tallies: Vec<Tally>,
    warm_up_requests: u64,
    /// Since somebody was told last.
    second: Histogram<u64>,
    errors: u64,
}

/// Measures. `tell` gets a line each second.
pub(crate) async fn measure(
    workload: &Arc<Workload>,
    endpoints: &Arc<Endpoints>,
    cpu: &[CpuSource],
    settings: Settings,
    stop: &Arc<Stop>,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Measured, BenchError> {
    let shared = Arc::new(Shared { workload: Arc::clone(workload), endpoints: Arc::clone(endpoints), settings, stop: Arc::clone(stop) });
    let (begin, begun) = watch::channel(None);
    let (alive, mut ready) = mpsc::channel(settings.connections.max(1));
    let threads = settings.threads.clamp(1, settings.connections.max(1));
    let shards: Vec<_> = (0..threads).map(|_| Arc::new(Mutex::new(Shard::new(workload.requests.len())))).collect();
    for (index, shard) in shards.iter().enumerate() {
        let (shared, shard, alive, begun) = (Arc::clone(&shared), Arc::clone(shard), alive.clone(), begun.clone());
        let connections: Vec<usize> = (index..settings.connections).step_by(threads).collect();
        let name = format!("bench-{index}");
        let thread = move || run_thread(&shared, &shard, &connections, &alive, begun);
        std::thread::Builder::new().name(name).spawn(thread).map_err(BenchError::Thread)?;
    }
    drop(alive);
    for _ in 0..threads {
        ready.recv().await;
    }
    let running = Arc::new(Running::begin(&settings));
    begin.send_replace(Some(Arc::clone(&running)));
    let clock = keep_pace(&running, &shared)?;

    sleep_until(running.measure_from.into()).await;
    let cpu_before = cpu_seconds(cpu).await;
    let mut reports = 0;
    loop {
        tokio::select! {
            // Closed when the last thread has ended.
            _ = ready.recv() => break,
            () = sleep_until((running.measure_from + SECOND * (reports + 1)).into()) => {
                reports += 1;
                tell(&line(&shards, reports));
            }
        }
    }
    let cpu_after = cpu_seconds(cpu).await;
    if let Some(clock) = clock {
        // It has ended before the threads that waited for it.
        let _ = clock.join();
    }
    let ended = stop.0.get().map_or(running.until, |stopped| running.until.min(*stopped));
    let mut measured = Measured {
        tallies: workload.requests.iter().map(|_| Tally::new()).collect(),
        warm_up_requests: 0,
        seconds: ended.saturating_duration_since(running.measure_from).as_secs_f64(),
        server_cpu_s: used(cpu_before.0, cpu_after.0),
        client_cpu_s: used(cpu_before.1, cpu_after.1),
    };
    for shard in &shards {
        let shard = lock(shard);
        measured.tallies.iter_mut().zip(&shard.tallies).for_each(|(sum, tally)| sum.add(tally));
        measured.warm_up_requests += shard.warm_up_requests;
    }
    Ok(measured)
}

/// Of the servers, and of this process.
async fn cpu_seconds(servers: &[CpuSource]) -> (Option<f64>, Option<f64>) {
    (cpu::seconds(servers).await, cpu::seconds(&[CpuSource::Process(std::process::id())]).await)
}

/// A process that was started again in between has less than before.
fn used(before: Option<f64>, after: Option<f64>) -> Option<f64> {
    Some(after? - before?).filter(|used| *used >= 0.0)
}

fn keep_pace(running: &Arc<Running>, shared: &Arc<Shared>) -> Result<Option<std::thread::JoinHandle<()>>, BenchError> {
    if running.pace.is_none() {
        return Ok(None);
    }
    let (running, shared) = (Arc::clone(running), Arc::clone(shared));
    let keep = move || {
        if let Some(pace) = &running.pace {
            pace.keep(shared.settings.connections, || shared.stop.is_set());
        }
    };
    std::thread::Builder::new().name("bench-pace".to_owned()).spawn(keep).map(Some).map_err(BenchError::Thread)
}

impl Running {
    fn begin(settings: &Settings) -> Self {
        let start = Instant::now();
        let measure_from = start + settings.warm_up;
        let until = measure_from + settings.duration;
        Self { measure_from, until, pace: settings.rate_per_s.map(|rate| Pace::new(start, until, rate)) }
    }

    /// When the next request begins, or was meant to; none when the time is over.
    async fn next(&self) -> Option<Instant> {
        match &self.pace {
            Some(pace) => pace.next().await,
            None => Some(Instant::now()).filter(|now| *now < self.until),
        }
    }
}

impl Shard {
    fn new(operations: usize) -> Self {
        let tallies = (0..operations).map(|_| Tally::new()).collect();
        Self { tallies, warm_up_requests: 0, second: latencies(), errors: 0 }
    }
}

/// No code that can panic runs under this lock.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

fn line(shards: &[Arc<Mutex<Shard>>], second: u32) -> String {
    let (mut all, mut errors) = (latencies(), 0);
    for shard in shards {
        let mut shard = lock(shard);
        // Both have the same bounds.
        let _ = all.add(&shard.second);
        shard.second.reset();
        errors += shard.errors;
    }
    let (p50, p99) = (quantile_ms(&all, 0.5), quantile_ms(&all, 0.99));
    format!("{second:>4} s  {:>8}/s  p50 {p50:>8.3} ms  p99 {p99:>8.3} ms  errors {errors}", all.len())
}

/// One thread: its connections first, then, once all threads have theirs, the load.
fn run_thread(
    shared: &Shared,
    shard: &Mutex<Shard>,
    connections: &[usize],
    alive: &mpsc::Sender<()>,
    mut begun: watch::Receiver<Option<Arc<Running>>>,
) {
    // Without a runtime this thread measures nothing, and the report shows fewer requests; it needs an epoll and no more.
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
    runtime.block_on(async {
        let mut clients: Vec<_> =
            connections.iter().map(|index| Client::new(Arc::clone(&shared.endpoints), shared.settings.patience, *index)).collect();
        futures::future::join_all(clients.iter_mut().map(Client::connect)).await;
        // The measurement may have been given up.
        if alive.send(()).await.is_err() {
            return;
        }
        let Ok(Some(running)) = begun.wait_for(Option::is_some).await.map(|running| running.clone()) else { return };
        let work = clients.into_iter().zip(connections).map(|(client, index)| work(shared, shard, &running, client, *index));
        futures::future::join_all(work).await;
    });
}

/// One connection's requests.
async fn work(shared: &Shared, shard: &Mutex<Shard>, running: &Running, mut client: Client, index: usize) {
    let Workload { requests, cycle } = &*shared.workload;
    let (mut scratch, mut invocations) = (Vec::new(), Invocations::new());
    let (mut turn, mut is_checked) = (0, false);
    while let Some(began) = running.next().await.filter(|_| !shared.stop.is_set()) {
        // Connections are at different places of the cycle, and of the keys; a step further in each cycle, so that every
        // operation meets every key.
        let operation = cycle[(index + turn) % cycle.len()];
        let keys = &requests[operation];
        let request = &keys[(index + turn + turn / cycle.len()) % keys.len()];
        if running.pace.is_some() && Instant::now() > running.until + shared.settings.drain {
            lock(shard).tallies[operation].record_unsent(began.elapsed());
            continue;
        }
        let mut called = client.call(request.bytes(&mut scratch, &mut invocations)).await;
        let ended = Instant::now();
        let is_measured = began >= running.measure_from;
        // The first that counts, too.
        let check = shared.settings.check_answers && (turn.is_multiple_of(CHECK_EVERY) || is_measured && !is_checked);
        if called.ok && check && !request.is_answered_by(client.body()) {
            called = Called { failed: vec!["WrongAnswer".into()], ok: false };
        }
        is_checked |= check && is_measured;
        turn += 1;
        let mut shard = lock(shard);
        if !is_measured {
            shard.warm_up_requests += 1;
            continue;
        }
        let took = ended - began;
        record(&mut shard.second, took);
        shard.errors += u64::from(!called.ok);
        shard.tallies[operation].record(&called, took, ended <= running.until);
    }
}
