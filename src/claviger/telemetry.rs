//! The metrics listener: `/metrics` (Prometheus), `/livez`, `/readyz`.

use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio::sync::watch;

/// Histogram buckets, seconds: from a cache hit to a lost leader.
const LATENCY_BUCKETS_S: &[f64] =
    &[0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
/// Histogram buckets of what is counted: log entries of one synced write.
const COUNT_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
/// How often histograms are folded, so that what nobody scrapes does not grow.
const UPKEEP: Duration = Duration::from_secs(5);

/// Starts recording.
///
/// # Errors
/// When a recorder is installed already.
pub(crate) fn start() -> anyhow::Result<PrometheusHandle> {
    let suffix = |text: &str| Matcher::Suffix(text.to_owned());
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(suffix("_seconds"), LATENCY_BUCKETS_S)
        .and_then(|builder| builder.set_buckets_for_metric(suffix("_entries"), COUNT_BUCKETS))
        .context("the histogram buckets are empty")?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| anyhow::anyhow!("metrics are recorded already"))?;
    Ok(handle)
}

/// Folds histograms until the node stops.
pub(crate) async fn upkeep(handle: PrometheusHandle, mut shutdown: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(UPKEEP) => handle.run_upkeep(),
            _ = shutdown.wait_for(|stop| *stop) => return,
        }
    }
}

/// The routes; `obstacle` says on every `/readyz` why the node does not serve, if it does not.
pub(crate) fn router(handle: PrometheusHandle, obstacle: impl Fn() -> Option<&'static str> + Clone + Send + Sync + 'static) -> Router {
    Router::new()
        .route("/metrics", get(move || std::future::ready(handle.render() + &cpu_time())))
        .route("/livez", get(|| std::future::ready("ok\n")))
        .route(
            "/readyz",
            get(move || {
                std::future::ready(match obstacle() {
                    None => (StatusCode::OK, "ready\n".to_owned()),
                    Some(obstacle) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {obstacle}\n")),
                })
            }),
        )
}

/// The process's CPU time under the name that every Prometheus client library gives it. It is written here because the
/// recorder's counters hold whole numbers only.
fn cpu_time() -> String {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    format!("# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total {}.{:09}\n", used.tv_sec, used.tv_nsec)
}
