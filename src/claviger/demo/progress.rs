//! What the demo prints: a line for each step with its time, or one JSON object at the end.

use std::io::Write;
use std::time::Instant;

use serde_json::{Value, json};

/// Collects steps and shows them as they finish.
pub(super) struct Progress {
    json: bool,
    steps: Vec<Value>,
    started: Instant,
}

impl Progress {
    pub(super) fn new(json: bool) -> Self {
        Self { json, steps: Vec::new(), started: Instant::now() }
    }

    /// Runs a step and ticks it with its time, or crosses it.
    pub(super) async fn step<T>(&mut self, name: &str, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
        let started = Instant::now();
        let outcome = work.await;
        let seconds = started.elapsed().as_secs_f64();
        let mark = if outcome.is_ok() { "✓" } else { "✗" };
        self.note(&format!("  {mark} {name} ({seconds:.2} s)"))?;
        self.steps.push(json!({ "step": name, "ok": outcome.is_ok(), "seconds": seconds }));
        outcome.map_err(|error| error.context(format!("the step does not hold: {name}")))
    }

    /// A line for a person; JSON readers do not get it.
    pub(super) fn note(&self, line: &str) -> anyhow::Result<()> {
        if self.json {
            return Ok(());
        }
        self.say(line)
    }

    /// A line in either form of output.
    pub(super) fn say(&self, line: &str) -> anyhow::Result<()> {
        if self.json {
            writeln!(std::io::stderr(), "{line}")?;
        } else {
            writeln!(std::io::stdout(), "{line}")?;
        }
        Ok(())
    }

    /// The last line.
    pub(super) fn finish(&self, ok: bool) -> anyhow::Result<()> {
        let seconds = self.started.elapsed().as_secs_f64();
        if self.json {
            writeln!(std::io::stdout(), "{}", json!({ "ok": ok, "seconds": seconds, "steps": self.steps }))?;
        } else {
            let verdict = if ok { "every step held" } else { "the demo failed" };
            writeln!(std::io::stdout(), "{verdict}: {} steps in {seconds:.1} s", self.steps.len())?;
        }
        Ok(())
    }
}
