//! Every target on its seeds, on mutations of them and on large inputs: a bounded number, the same each time.
//!
//! `CLAVIGER_FUZZ_TIMES=20` tries twenty times as many mutations, `CLAVIGER_FUZZ_SEED=7` others. An input that breaks something is
//! left in `target/tmp`, to become a seed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod seeds;

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use claviger_fuzz::mutation::{blown_up, mutated};
use claviger_fuzz::{TARGETS, Target, corpus};
use fastrand::Rng;

/// As large as the body of a request may be.
const LARGE_BYTES: usize = 1 << 20;
/// Inputs of that size that are tried.
const LARGE_INPUTS: u32 = 16;

macro_rules! targets {
    ($($name:ident),+ $(,)?) => {
        $(#[test]
        fn $name() {
            bounded(stringify!($name));
        })+

        #[test]
        fn every_target_has_a_test() {
            let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),+]);
        }
    };
}

targets![
    blob,
    private_key,
    public_key,
    wrapped_material,
    region_batch,
    signature,
    sigv4,
    kms_request,
    sts_form,
    policy,
    name,
    certificate,
    revocation_list,
    attestation,
    node_message,
    region_message,
    command,
    record,
    sealed_record,
    backup,
];

/// What came of many runs of one target.
struct Tally {
    target: &'static Target,
    runs: u64,
    taken: u64,
    heap_bytes_max: usize,
    slowest: Duration,
}

impl Tally {
    fn run(&mut self, input: &[u8]) -> bool {
        let began = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(|| self.target.run(input)));
        let (taken, heap_bytes) = outcome.unwrap_or_else(|panic| {
            keep(self.target.name, input);
            resume_unwind(panic)
        });
        self.runs += 1;
        self.taken += u64::from(taken);
        self.heap_bytes_max = self.heap_bytes_max.max(heap_bytes);
        self.slowest = self.slowest.max(began.elapsed());
        taken
    }
}

/// Leaves what broke something where a person finds it.
fn keep(target: &str, input: &[u8]) {
    let hash = input.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{target}-{hash:016x}"));
    std::fs::write(&path, input).unwrap();
    let into = corpus::seeds_of(target).join("found-…");
    say(&format!(
        "fuzz {target}: an input of {} bytes broke it: {}\nOnce it is mended, keep it: {}",
        input.len(),
        path.display(),
        into.display()
    ));
}

/// To a person, also when the test passes: the test harness keeps back what `eprintln!` writes.
#[allow(clippy::explicit_write, reason = "not what `eprintln!` does here")]
fn say(text: &str) {
    writeln!(std::io::stderr(), "{text}").unwrap();
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

fn bounded(name: &str) {
    let target = Target::named(name).unwrap();
    let seeds = corpus::seeds(name);
    let mut tally = Tally { target, runs: 0, taken: 0, heap_bytes_max: 0, slowest: Duration::ZERO };
    let began = Instant::now();
    tally.run(b"");
    for seed in &seeds {
        let taken = tally.run(&seed.bytes);
        let should_be = seed.name.starts_with("ok-");
        let may_be_either = seed.name.starts_with("found-");
        assert!(taken == should_be || may_be_either, "{name}/{}: taken: {taken}", seed.name);
    }
    assert!(tally.taken > 0, "{name} has no seed that it takes");
    let of_seeds = tally.runs;

    let mut rng = Rng::with_seed(number("CLAVIGER_FUZZ_SEED", 1));
    let seeds: Vec<&[u8]> = seeds.iter().map(|seed| seed.bytes.as_slice()).collect();
    for _ in 0..u64::from(target.mutations) * number("CLAVIGER_FUZZ_TIMES", 1) {
        tally.run(&mutated(&seeds, &mut rng));
    }
    for _ in 0..LARGE_INPUTS {
        tally.run(&blown_up(&seeds, LARGE_BYTES, &mut rng));
    }
    let Tally { runs, taken, heap_bytes_max, slowest, .. } = tally;
    say(&format!(
        "fuzz {name}: {runs} runs ({of_seeds} seeds), {taken} taken, {:.1} s, slowest {} ms, heap at most {} KiB",
        began.elapsed().as_secs_f64(),
        slowest.as_millis(),
        heap_bytes_max.div_ceil(1024),
    ));
}
