//! What was measured, for people and as JSON.

use std::fmt::Write;

use serde::Serialize;

use crate::load::Measured;
use crate::record::{Codes, Tally, quantile_ms};

/// All measurements of a run, in the order in which they were made.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The machine that the generator ran on.
    pub(crate) machine: Machine,
    /// Requests that were made to prepare the measurements, all of them successful in the end.
    pub(crate) preparation_requests: u64,
    pub(crate) results: Vec<Row>,
}

/// What else could have had a hand in the figures.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Machine {
    pub(crate) cpus: usize,
    /// The load averages over 1, 5 and 15 minutes when the run began.
    pub(crate) load_average: String,
}

/// One measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// The operation, or the mix.
    pub(crate) op: String,
    pub(crate) connections: usize,
    pub(crate) nodes: usize,
    /// What was asked for, in an open loop.
    pub(crate) rate_per_s: Option<f64>,
    pub(crate) seconds: f64,
    pub(crate) warm_up_requests: u64,
    #[serde(flatten)]
    pub(crate) figures: Figures,
    /// How often the empty handler's CPU time for a request goes into ours: 1 is as cheap, 0.6 is the budget.
    pub(crate) ratio_to_baseline: Option<f64>,
    /// Our requests a second as a share of the empty handler's.
    pub(crate) throughput_ratio: Option<f64>,
    /// The empty handler, measured just before.
    pub(crate) baseline: Option<Figures>,
    /// Of a mix, each operation by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) parts: Vec<Part>,
}

/// One operation of a mix.
#[derive(Debug, Serialize)]
pub(crate) struct Part {
    pub(crate) op: &'static str,
    #[serde(flatten)]
    pub(crate) figures: Figures,
}

/// The numbers of one measurement. Times are in milliseconds, and include retries and the pauses before them.
#[derive(Debug, Serialize)]
pub(crate) struct Figures {
    /// Requests that succeeded in the measured time, a second.
    pub(crate) throughput_per_s: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p90_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) p999_ms: f64,
    pub(crate) max_ms: f64,
    /// Requests that began in the measured time.
    pub(crate) requests: u64,
    /// Those that failed for good, by code.
    pub(crate) errors: Codes,
    /// Those that failed at first and succeeded by a retry.
    pub(crate) mended: u64,
    /// Attempts that failed, by code.
    pub(crate) failed_attempts: Codes,
    /// CPU seconds of all servers for a thousand requests.
    pub(crate) server_cpu_s_per_k: Option<f64>,
    /// CPU seconds of the generator for a thousand requests.
    pub(crate) client_cpu_s_per_k: Option<f64>,
}

impl Figures {
    pub(crate) fn of_all(measured: &Measured) -> Self {
        let mut sum = Tally::new();
        measured.tallies.iter().for_each(|tally| sum.add(tally));
        let per_k = |cpu: Option<f64>| cpu.filter(|_| sum.requests > 0).map(|cpu| cpu * 1000.0 / count(sum.requests));
        let (server, client) = (per_k(measured.server_cpu_s), per_k(measured.client_cpu_s));
        Self { server_cpu_s_per_k: server, client_cpu_s_per_k: client, ..Self::of(&sum, measured.seconds) }
    }

    /// Without CPU time, which cannot be told apart by operation.
    pub(crate) fn of(tally: &Tally, seconds: f64) -> Self {
        let at = |quantile| quantile_ms(&tally.latencies, quantile);
        Self {
            throughput_per_s: if seconds > 0.0 { count(tally.in_time) / seconds } else { 0.0 },
            p50_ms: at(0.5),
            p90_ms: at(0.9),
            p99_ms: at(0.99),
            p999_ms: at(0.999),
            max_ms: at(1.0),
            requests: tally.requests,
            errors: tally.errors.clone(),
            mended: tally.mended,
            failed_attempts: tally.failed_attempts.clone(),
            server_cpu_s_per_k: None,
            client_cpu_s_per_k: None,
        }
    }

    fn errors(&self) -> u64 {
        self.errors.values().sum()
    }
}

impl Row {
    /// Puts the empty handler's figures beside ours.
    pub(crate) fn compare(&mut self, baseline: Figures) {
        let quotient = |over: f64, under: f64| Some(over / under).filter(|quotient| quotient.is_finite());
        let (theirs, ours) = (baseline.server_cpu_s_per_k, self.figures.server_cpu_s_per_k);
        self.ratio_to_baseline = theirs.zip(ours).and_then(|(theirs, ours)| quotient(theirs, ours));
        self.throughput_ratio = quotient(self.figures.throughput_per_s, baseline.throughput_per_s);
        self.baseline = Some(baseline);
    }
}

/// Counts are far below 2^53.
#[allow(clippy::cast_precision_loss, reason = "see above")]
fn count(number: u64) -> f64 {
    number as f64
}

impl Report {
    /// Requests that failed for good, in all measurements.
    pub fn errors(&self) -> u64 {
        self.results.iter().map(|row| row.figures.errors()).sum()
    }

    /// One object, in lines.
    ///
    /// # Errors
    /// Never, with these types.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }

    /// A table for people.
    pub fn to_table(&self) -> String {
        let compared = self.results.iter().any(|row| row.baseline.is_some());
        let mut titles = ["OPERATION", "CONN", "REQ/S", "P50 MS", "P99 MS", "P99.9 MS", "MAX MS", "ERRORS", "MENDED", "CPU µS"].to_vec();
        if compared {
            titles.extend(["EMPTY REQ/S", "EMPTY CPU µS", "CPU RATIO", "REQ/S RATIO"]);
        }
        let mut rows = vec![titles.into_iter().map(str::to_owned).collect::<Vec<_>>()];
        rows.extend(self.results.iter().map(|row| cells(row, compared)));
        let mut text = aligned(&rows);
        for row in self.results.iter().filter(|row| !row.figures.failed_attempts.is_empty()) {
            let codes = |codes: &Codes| codes.iter().map(|(code, number)| format!("{code} {number}")).collect::<Vec<_>>().join(", ");
            let (attempts, errors) = (codes(&row.figures.failed_attempts), codes(&row.figures.errors));
            let errors = if errors.is_empty() { "all mended by retries".to_owned() } else { format!("not mended: {errors}") };
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} at {}: attempts that failed: {attempts}; {errors}", row.op, row.connections);
        }
        text
    }
}

fn cells(row: &Row, compared: bool) -> Vec<String> {
    let figures = &row.figures;
    let micros = |figures: &Figures| optional(figures.server_cpu_s_per_k.map(|seconds| seconds * 1000.0), 1);
    let mut cells = vec![row.op.clone(), row.connections.to_string(), format!("{:.0}", figures.throughput_per_s)];
    cells.extend([figures.p50_ms, figures.p99_ms, figures.p999_ms, figures.max_ms].map(|ms| format!("{ms:.3}")));
    cells.extend([figures.errors().to_string(), figures.mended.to_string(), micros(figures)]);
    if compared {
        let baseline = row.baseline.as_ref();
        cells.push(optional(baseline.map(|figures| figures.throughput_per_s), 0));
        cells.push(baseline.map_or_else(|| "-".to_owned(), micros));
        cells.extend([row.ratio_to_baseline, row.throughput_ratio].map(|ratio| optional(ratio, 2)));
    }
    cells
}

fn optional(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
}

/// Columns under each other: the first to the left, numbers to the right.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            let _ = if column == 0 { write!(text, "{cell:<width$}") } else { write!(text, "{gap}{cell:>width$}") };
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::Called;

    fn measured(requests: u64, cpu: Option<f64>) -> Measured {
        let mut tally = Tally::new();
        let ok = Called { ok: true, ..Called::default() };
        (0..requests).for_each(|_| tally.record(&ok, Duration::from_millis(2), true));
        tally.record(&Called { failed: vec!["ThrottlingException".into()], ok: false }, Duration::from_millis(1), true);
        Measured { tallies: vec![tally], warm_up_requests: 7, seconds: 2.0, server_cpu_s: cpu, client_cpu_s: cpu }
    }

    fn row(cpu: Option<f64>) -> Row {
        let measured = measured(999, cpu);
        Row {
            op: "encrypt".to_owned(),
            connections: 16,
            nodes: 3,
            rate_per_s: None,
            seconds: measured.seconds,
            warm_up_requests: measured.warm_up_requests,
            figures: Figures::of_all(&measured),
            ratio_to_baseline: None,
            throughput_ratio: None,
            baseline: None,
            parts: Vec::new(),
        }
    }

    #[test]
    fn the_json_has_what_the_readers_of_the_report_rely_on() {
        let mut row = row(Some(0.05));
        row.compare(Figures::of_all(&measured(1999, Some(0.06))));
        let report = Report { results: vec![row], ..Report::default() };
        let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        let result = &json["results"][0];
        assert_eq!((result["op"].as_str(), result["connections"].as_u64()), (Some("encrypt"), Some(16)));
        let number = |name: &str| result[name].as_f64().unwrap_or_else(|| panic!("{name}: {result}"));
        assert!((number("throughput_per_s") - 499.5).abs() < 1e-9);
        assert!((number("server_cpu_s_per_k") - 0.05).abs() < 1e-9);
        assert!((number("p50_ms") - 2.0).abs() < 0.01 && (number("p99_ms") - 2.0).abs() < 0.01);
        assert!((number("ratio_to_baseline") - 0.6).abs() < 1e-9, "0.03 s of theirs for 0.05 s of ours");
        assert!((number("throughput_ratio") - 499.5 / 999.5).abs() < 1e-9);
        assert_eq!((result["requests"].as_u64(), result["errors"]["ThrottlingException"].as_u64()), (Some(1000), Some(1)));
        assert_eq!(report.errors(), 1);
    }

    #[test]
    fn what_is_not_known_is_null_and_a_dash() {
        let mut row = row(None);
        row.compare(Figures::of_all(&measured(0, None)));
        let report = Report { results: vec![row], ..Report::default() };
        let json: serde_json::Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        for name in ["server_cpu_s_per_k", "ratio_to_baseline", "throughput_ratio"] {
            assert!(json["results"][0][name].is_null(), "{name}");
        }
        let table = report.to_table();
        let line = table.lines().nth(1).unwrap();
        assert!(line.starts_with("encrypt") && line.contains(" - "), "{table}");
        assert!(table.contains("ThrottlingException 1; not mended: ThrottlingException 1"), "{table}");
    }
}
