//! For crash tests: this test binary again, as a child that writes until it is killed.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs the test `name` as a child with `variable` naming `dir`, and kills it once it has said `times` lines that start with
/// `word`. Returns the number in the last such line that was heard, those from after the kill included.
pub(crate) fn kill_after(name: &str, (variable, dir): (&str, &Path), word: &str, times: u64) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env(variable, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (mut heard, mut last) = (0, 0);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some(number) = line.unwrap().strip_prefix(word) {
            last = number.parse().unwrap();
            heard += 1;
            if heard == times {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    assert!(heard >= times, "the child spoke {heard} times");
    last
}
