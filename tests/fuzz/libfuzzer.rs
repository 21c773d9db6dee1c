//! One target under libFuzzer, as `make fuzz` starts it: `CLAVIGER_FUZZ_TARGET` names it.

#![no_main]
#![allow(unsafe_code, reason = "libFuzzer calls functions by their unmangled names")]

use std::path::PathBuf;
use std::sync::OnceLock;

use claviger_fuzz::{Target, corpus};
use libfuzzer_sys::{Corpus, fuzz_target};

static TARGET: OnceLock<&Target> = OnceLock::new();

fuzz_target!(init: begin(), |input: &[u8]| -> Corpus {
    TARGET.get().expect("the target was chosen").run(input);
    Corpus::Keep
});

/// Chooses the target, and lays its seeds where libFuzzer reads them.
fn begin() {
    let variable = |name| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
    let name = variable("CLAVIGER_FUZZ_TARGET");
    let target = Target::named(&name).unwrap_or_else(|| panic!("there is no target {name}"));
    let corpus = PathBuf::from(variable("CLAVIGER_FUZZ_CORPUS"));
    std::fs::create_dir_all(&corpus).expect("the corpus can be written");
    for seed in corpus::seeds(target.name) {
        std::fs::write(corpus.join(seed.name), seed.bytes).expect("the corpus can be written");
    }
    TARGET.set(target).expect("the target is chosen once");
}
