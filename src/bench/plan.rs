//! What to measure, and where.

use std::time::Duration;

use claviger_tls::ClientTls;

use crate::client::Patience;
use crate::cpu::CpuSource;
use crate::empty::EmptyHandlerCommand;
use crate::{BenchError, Load};

/// The deployment under load.
#[derive(Clone)]
pub struct Target {
    /// Its api listeners, `https://host:port`; connections are dealt round robin.
    pub urls: Vec<String>,
    /// The principal that asks.
    pub tls: ClientTls,
    /// Where the CPU time of every process that serves can be read, the nodes without connections included; empty when
    /// nobody says.
    pub cpu: Vec<CpuSource>,
}

/// Everything that is measured in one run.
pub struct Plan {
    /// The deployment.
    pub target: Target,
    /// Each is measured with each number of connections.
    pub loads: Vec<Load>,
    /// Connections at once.
    pub connections: Vec<usize>,
    /// Requests a second in all, for an open loop; a closed loop without it.
    pub rate_per_s: Option<f64>,
    /// Keys that the requests use in turn.
    pub keys: usize,
    /// Bytes of plaintext; `generate-random` asks for as many, data keys are AES-256 always.
    pub plaintext_bytes: usize,
    /// Load before anything counts.
    pub warm_up: Duration,
    /// What counts.
    pub duration: Duration,
    /// Of the clients.
    pub patience: Patience,
    /// Threads of the generator.
    pub threads: usize,
    /// How the empty handler to compare with is started, if it is to be.
    pub empty_handler: Option<EmptyHandlerCommand>,
}

/// `500ms`, `8s` or `5m`.
///
/// # Errors
/// When it is not of that form, or nothing.
pub fn parse_duration(text: &str) -> Result<Duration, BenchError> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let millis = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        _ => 0,
    };
    let number: u64 = number.parse().unwrap_or_default();
    match number.checked_mul(millis) {
        Some(millis) if millis > 0 => Ok(Duration::from_millis(millis)),
        _ => Err(BenchError::Duration(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let good = [("500ms", 500), ("8s", 8000), ("5m", 300_000), ("1ms", 1)];
        for (text, millis) in good {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(millis), "{text}");
        }
        for bad in ["", "8", "s", "0s", "-1s", "1.5s", "8 s", "8h", "99999999999999999999s", "18446744073709551615m"] {
            assert!(matches!(parse_duration(bad), Err(BenchError::Duration(_))), "{bad}");
        }
    }
}
