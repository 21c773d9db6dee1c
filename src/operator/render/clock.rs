//! The region's clocks as text.

use claviger_shapes::admin::clock::{AcceptClockResult, ClockStatus};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{Format, fields, json, table};

/// Each voter's clock, and what log time makes of them.
pub fn status(status: &ClockStatus, format: Format) -> String {
    if format == Format::Json {
        return json(status);
    }
    let due_work = status.due_work_refused_because.as_ref().map_or_else(|| "allowed".to_owned(), |reason| format!("not allowed: {reason}"));
    let mut text = fields(&[
        ("leader", &status.leader.to_string()),
        ("log time", &moment(status.log_time_millis)),
        ("median", &status.median_millis.map_or_else(|| "unknown".to_owned(), moment)),
        ("due work", &due_work),
    ]);
    text.push('\n');
    let mut rows = vec![["NODE", "OFFSET"].map(str::to_owned)];
    let offset = |seconds: Option<f64>| seconds.map_or_else(|| "unknown".to_owned(), |seconds| format!("{seconds:+.3}s"));
    rows.extend(status.voters.iter().map(|voter| [voter.node.to_string(), offset(voter.offset_seconds)]));
    text + &table(&rows)
}

/// What was, or would be, accepted.
pub fn accept_result(result: &AcceptClockResult, format: Format) -> String {
    if format == Format::Json {
        return json(result);
    }
    let (clock, log_time) = (moment(result.clock_millis), moment(result.log_time_millis));
    if !result.had_jumped {
        return format!("There is no jump to accept: log time is {log_time}, and goes with the clocks. Nothing was changed.\n");
    }
    let is_ahead = result.clock_millis >= result.log_time_millis;
    match (result.changed, is_ahead) {
        (true, true) => format!("Accepted: log time went from {log_time} to {clock}.\n"),
        (true, false) => {
            format!("Accepted: log time is {log_time}, the clock {clock}; log time goes at half speed until the clock has caught up.\n")
        }
        (false, true) => format!("Log time would go from {log_time} to {clock}. Nothing was changed.\n"),
        (false, false) => {
            format!(
                "Log time is {log_time}; it would go at half speed until the clock, which shows {clock}, has caught up. Nothing was changed.\n"
            )
        }
    }
}

/// A time as people write it; milliseconds where it is beyond what can be written so.
fn moment(millis: u64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).ok();
    moment.and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_else(|| format!("{millis} ms after 1970"))
}

#[cfg(test)]
mod tests {
    use claviger_shapes::admin::clock::VoterClock;

    use super::*;

    const THEN: u64 = 1_700_000_000_000;

    #[test]
    fn people_see_offsets_and_the_reason() {
        let known = ClockStatus {
            leader: 2,
            log_time_millis: THEN,
            median_millis: None,
            due_work_allowed: false,
            due_work_refused_because: Some("it is late".to_owned()),
            voters: vec![VoterClock { node: 1, offset_seconds: None }, VoterClock { node: 2, offset_seconds: Some(-0.0021) }],
        };
        let text = status(&known, Format::Human);
        for part in [
            "leader           2\n",
            "2023-11-14T22:13:20Z",
            "median           unknown",
            "not allowed: it is late",
            "1     unknown\n",
            "2     -0.002s\n",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let known = ClockStatus { median_millis: Some(u64::MAX), due_work_allowed: true, due_work_refused_because: None, ..known };
        let text = status(&known, Format::Human);
        assert!(text.contains("due work         allowed\n") && text.contains("18446744073709551615 ms"), "{text}");
        assert_eq!(serde_json::from_str::<ClockStatus>(&status(&known, Format::Json)).unwrap(), known);
    }

    #[test]
    fn what_was_accepted_is_told_from_what_would_be() {
        let done = AcceptClockResult { clock_millis: THEN + 60_000, log_time_millis: THEN, had_jumped: true, changed: true };
        let text = |result: &AcceptClockResult| accept_result(result, Format::Human);
        assert!(text(&done).starts_with("Accepted: log time went from 2023-11-14T22:13:20Z to 2023-11-14T22:14:20Z"));
        let shown = AcceptClockResult { changed: false, ..done.clone() };
        assert!(text(&shown).contains("Nothing was changed") && text(&shown).contains("would"));
        let behind = AcceptClockResult { clock_millis: THEN - 60_000, ..done.clone() };
        assert!(text(&behind).contains("half speed"));
        let nothing = AcceptClockResult { had_jumped: false, changed: false, ..done };
        assert!(text(&nothing).contains("no jump to accept"));
        assert_eq!(serde_json::from_str::<AcceptClockResult>(&accept_result(&nothing, Format::Json)).unwrap(), nothing);
    }
}
