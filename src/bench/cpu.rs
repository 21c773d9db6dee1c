//! CPU time that processes used: from the kernel for processes of this machine, else from their own metrics.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a node's metrics may take.
const WITHIN: Duration = Duration::from_secs(5);
/// A node's metrics are some tens of kilobytes.
const METRICS_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// proc(5) counts in clock ticks, which programs see as hundredths of a second on every architecture of Linux 2.6 and later.
const TICKS_PER_SECOND: f64 = 100.0;
/// The standard name, which every Prometheus client library uses.
const METRIC: &str = "process_cpu_seconds_total";

/// Where the CPU time of one process can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CpuSource {
    /// A process of this machine.
    Process(u32),
    /// A metrics listener, `http://host:port`.
    Metrics(String),
}

impl CpuSource {
    /// User and system time so far, in seconds.
    async fn seconds(&self) -> Option<f64> {
        match self {
            Self::Process(pid) => of_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?),
            Self::Metrics(url) => of_metrics(&timeout(WITHIN, scrape(url)).await.ok()??),
        }
    }
}

/// The sum of all, in seconds; none when there is none to ask or one does not say.
pub(crate) async fn seconds(sources: &[CpuSource]) -> Option<f64> {
    let all: Option<Vec<f64>> = futures::future::join_all(sources.iter().map(CpuSource::seconds)).await.into_iter().collect();
    all.filter(|all| !all.is_empty()).map(|all| all.iter().sum())
}

/// utime and stime of proc(5)'s stat. The second field, the command's name, may hold anything, parentheses too.
fn of_stat(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split(' ').skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS_PER_SECOND)
}

fn of_metrics(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(METRIC)?.strip_prefix(' ')?.trim().parse().ok())
}

async fn scrape(url: &str) -> Option<String> {
    let address = url.strip_prefix("http://")?.trim_end_matches('/');
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.take(METRICS_BYTES_MAX).read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_and_metrics() {
        let stat = "4242 (a ) name) S 1 4242 4242 0 -1 4194560 1 0 0 0 250 125 7 7 20 0 4 0 100 1 1";
        assert_eq!(of_stat(stat), Some(3.75));
        assert_eq!(of_stat("4242 (name) S 1"), None);
        let metrics = "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total_x 1\nprocess_cpu_seconds_total 12.5\n";
        assert_eq!(of_metrics(metrics), Some(12.5));
        assert_eq!(of_metrics("process_cpu_seconds_total"), None);
    }

    #[tokio::test]
    async fn own_time_grows_and_one_unknown_source_makes_the_sum_unknown() {
        let own = CpuSource::Process(std::process::id());
        let before = seconds(std::slice::from_ref(&own)).await.unwrap();
        let started = std::time::Instant::now();
        while seconds(std::slice::from_ref(&own)).await.unwrap() <= before {
            assert!(started.elapsed() < Duration::from_secs(60), "no CPU time passes");
        }
        assert_eq!(seconds(&[own, CpuSource::Metrics("http://127.0.0.1:1".to_owned())]).await, None);
        assert_eq!(seconds(&[]).await, None);
    }
}
