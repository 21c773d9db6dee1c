//! A run: prepare, then measure every load with every number of connections, each beside the empty handler if asked.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use claviger_shapes::Operation;
use claviger_tls::ClientTls;

use crate::client::Endpoints;
use crate::cpu::CpuSource;
use crate::empty::EmptyHandler;
use crate::load::{Measured, Settings, Stop, measure};
use crate::prepare::{Caller, host_of, prepare};
use crate::report::{Figures, Machine, Part, Report, Row};
use crate::workload::{Ingredients, Workload};
use crate::{BenchError, Load, Plan};

/// How long requests of an open loop may be late.
const DRAIN: Duration = Duration::from_secs(10);

/// Measures what `plan` says. When `enough` resolves the measurement under way ends, and the report has what was measured
/// until then. `tell` gets a line for every second and every step.
///
/// # Errors
/// When nothing can be measured; what fails while it is measured is in the report.
pub async fn run(
    plan: &Plan,
    enough: impl Future<Output = ()> + Send + 'static,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Report, BenchError> {
    let stop = Arc::new(Stop::default());
    let stopper = tokio::spawn({
        let stop = Arc::clone(&stop);
        async move {
            enough.await;
            stop.set();
        }
    });
    let mut report = Report { machine: machine(), ..Report::default() };
    let outcome = measure_all(plan, &stop, tell, &mut report).await;
    stopper.abort();
    outcome.map(|()| report)
}

fn machine() -> Machine {
    let cpus = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load_average = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    Machine { cpus, load_average: load_average.split(' ').take(3).collect::<Vec<_>>().join(" ") }
}

async fn measure_all(plan: &Plan, stop: &Arc<Stop>, tell: &(dyn Fn(&str) + Sync), report: &mut Report) -> Result<(), BenchError> {
    let target = &plan.target;
    let endpoints = endpoints(target.urls.clone(), &target.tls);
    tell(&format!("preparing {} keys", plan.keys.max(1)));
    let ingredients = prepare(&endpoints, plan.keys.max(1), plan.plaintext_bytes).await?;
    report.preparation_requests = 2 * ingredients.keys.len() as u64;
    let empty = match &plan.empty_handler {
        Some(command) => {
            let answers = answer_sizes(plan, &endpoints, &ingredients).await?;
            report.preparation_requests += answers.len() as u64;
            Some(EmptyHandler::start(command, &answers).await?)
        }
        None => None,
    };
    for load in &plan.loads {
        for connections in &plan.connections {
            if stop.is_set() {
                break;
            }
            let scene = Scene { plan, load, connections: *connections, ingredients: &ingredients, stop, tell };
            let baseline = match &empty {
                Some(empty) => Some(scene.measure(Against::EmptyHandler, &[&empty.url], std::slice::from_ref(&empty.cpu)).await?),
                None => None,
            };
            if stop.is_set() {
                break;
            }
            let urls: Vec<&String> = target.urls.iter().collect();
            let measured = scene.measure(Against::Target, &urls, &target.cpu).await?;
            report.results.push(scene.row(&measured, baseline.as_ref()));
        }
    }
    if let Some(empty) = empty {
        empty.stop().await;
    }
    Ok(())
}

fn endpoints(urls: Vec<String>, tls: &ClientTls) -> Arc<Endpoints> {
    Arc::new(Endpoints { urls, tls: tls.clone() })
}

/// How long the answers to each operation of the run are, by its `X-Amz-Target`.
async fn answer_sizes(plan: &Plan, endpoints: &Arc<Endpoints>, ingredients: &Ingredients) -> Result<Vec<(String, usize)>, BenchError> {
    let mut caller = Caller::new(endpoints, 0);
    let mut sizes = BTreeMap::new();
    for load in &plan.loads {
        let workload = Workload::new(load, ingredients, &host_of(endpoints));
        for ((_, operation), requests) in load.operations().zip(&workload.requests) {
            if let (Some(request), false) = (requests.first(), sizes.contains_key(&target_of(operation))) {
                sizes.insert(target_of(operation), caller.send(operation, request).await?);
            }
        }
    }
    Ok(sizes.into_iter().collect())
}

fn target_of(operation: Operation) -> String {
    format!("TrentService.{operation}")
}

/// Who answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Against {
    Target,
    EmptyHandler,
}

/// One load at one number of connections.
struct Scene<'a> {
    plan: &'a Plan,
    load: &'a Load,
    connections: usize,
    ingredients: &'a Ingredients,
    stop: &'a Arc<Stop>,
    tell: &'a (dyn Fn(&str) + Sync),
}

impl Scene<'_> {
    async fn measure(&self, against: Against, urls: &[&String], cpu: &[CpuSource]) -> Result<Measured, BenchError> {
        let plan = self.plan;
        let endpoints = endpoints(urls.iter().map(|url| (*url).clone()).collect(), &plan.target.tls);
        let workload = Workload::new(self.load, self.ingredients, &host_of(&endpoints));
        let settings = Settings {
            connections: self.connections.max(1),
            rate_per_s: plan.rate_per_s,
            warm_up: plan.warm_up,
            duration: plan.duration,
            patience: plan.patience,
            threads: plan.threads,
            drain: DRAIN,
            check_answers: against == Against::Target,
        };
        let what = if settings.check_answers { "" } else { "the empty handler for " };
        (self.tell)(&format!("{what}{} at {} connections", self.load.name(), settings.connections));
        measure(&Arc::new(workload), &endpoints, cpu, settings, self.stop, self.tell).await
    }

    fn row(&self, measured: &Measured, baseline: Option<&Measured>) -> Row {
        let parts = self.load.operations().zip(&measured.tallies);
        let parts = parts.map(|((op, _), tally)| Part { op, figures: Figures::of(tally, measured.seconds) }).collect::<Vec<_>>();
        let mut row = Row {
            op: self.load.name(),
            connections: self.connections,
            nodes: self.plan.target.urls.len(),
            rate_per_s: self.plan.rate_per_s,
            seconds: measured.seconds,
            warm_up_requests: measured.warm_up_requests,
            figures: Figures::of_all(measured),
            ratio_to_baseline: None,
            throughput_ratio: None,
            baseline: None,
            parts: if parts.len() > 1 { parts } else { Vec::new() },
        };
        if let Some(baseline) = baseline {
            row.compare(Figures::of_all(baseline));
        }
        row
    }
}
