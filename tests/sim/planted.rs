//! Bugs that are planted on purpose (`types/known_bugs.rs`): in a build with them the simulation finds each within a bounded
//! number of seeds; a program so built starts only if it is told which bug to have; any other build has none.

use std::process::{Command, Output};

const BINARY: &str = env!("CARGO_BIN_EXE_claviger");
const VARIABLE: &str = "CLAVIGER_BUG";

fn claviger(bug: Option<&str>) -> Output {
    let mut command = Command::new(BINARY);
    command.arg("--version").env_remove(VARIABLE);
    if let Some(bug) = bug {
        command.env(VARIABLE, bug);
    }
    command.output().unwrap()
}

/// A build without the feature does not know the variable.
#[cfg(not(feature = "known-bugs"))]
#[test]
fn an_ordinary_build_has_no_bugs_to_choose_from() {
    for bug in [None, Some("flush-before-fsync"), Some("no-such-bug")] {
        assert!(claviger(bug).status.success(), "{bug:?}");
    }
}

#[cfg(feature = "known-bugs")]
mod with_them {
    use std::collections::BTreeMap;
    use std::env;
    use std::time::{Duration, Instant};

    use claviger_types::known_bugs::KnownBug;
    use parking_lot::Mutex;

    use super::{Command, VARIABLE, claviger};
    use crate::seeds::explore;

    /// Every bug is found within so many seeds.
    const SEEDS: u64 = 60;
    /// Set in the process that has the bug.
    const HUNT: &str = "CLAVIGER_SIM_HUNT";
    const CAUGHT: &str = "caught: ";

    #[test]
    fn it_starts_only_if_it_is_told_which_bug_to_have() {
        for bug in KnownBug::ALL {
            assert!(claviger(Some(bug.name())).status.success(), "{bug:?}");
        }
        for wrong in [None, Some(""), Some("no-such-bug")] {
            let refused = claviger(wrong);
            let text = String::from_utf8_lossy(&refused.stderr).into_owned();
            assert!(!refused.status.success() && text.contains(VARIABLE) && text.contains("no-dedup"), "{wrong:?}: {text}");
        }
    }

    /// In a process of its own: the environment plants one bug, for the whole process.
    #[test]
    fn hunt() {
        if env::var_os(HUNT).is_none() {
            return;
        }
        let begun = Instant::now();
        let first = Mutex::new(None::<(u64, String)>);
        let explored = explore(1, SEEDS, |verdict, done| {
            let Some(violation) = &verdict.violation else { return true };
            let took = begun.elapsed().as_secs_f64();
            let what = violation.what.lines().next().unwrap_or_default();
            let line = format!("{} | {} | {done} | {took:.1} s | {what}", verdict.seed, violation.invariant);
            first.lock().get_or_insert((verdict.seed, line));
            false
        });
        if let Some((_, line)) = first.into_inner() {
            println!("{CAUGHT}{line}");
        }
        assert!(!explored.failed.is_empty(), "{SEEDS} seeds and no violation");
    }

    #[test]
    fn every_one_is_caught() {
        let begun = Instant::now();
        let mut caught = BTreeMap::new();
        for bug in KnownBug::ALL {
            let hunted = Command::new(env::current_exe().unwrap())
                .args(["planted::with_them::hunt", "--exact", "--nocapture"])
                .env(VARIABLE, bug.name())
                .env(HUNT, "1")
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&hunted.stdout).into_owned();
            let line = text.lines().find_map(|line| line.strip_prefix(CAUGHT)).map(str::to_owned);
            println!("{} | {}", bug.name(), line.as_deref().unwrap_or("NOT CAUGHT"));
            caught.insert(bug.name(), line);
        }
        println!("bug | seed | invariant | seeds tried | time to detection | what was seen");
        println!("--- | --- | --- | --- | --- | ---");
        caught.iter().for_each(|(bug, line)| println!("{bug} | {}", line.as_deref().unwrap_or("not caught")));
        let took: Duration = begun.elapsed();
        println!("{took:.0?} in all");
        assert!(caught.values().all(Option::is_some), "a planted bug was not caught");
    }
}
