//! `x-amz-date`: ISO 8601 basic format in UTC, and the window in which a signature is good.

use std::time::Duration;

use claviger_types::Timestamp;
use time::{Date, Month, OffsetDateTime, PrimitiveDateTime, Time};

use crate::SignatureError;

/// How far the signer's clock may be from ours (AWS: five minutes).
const SKEW_MAX: Duration = Duration::from_secs(5 * 60);

/// When a request was signed: the text as it stands in the request, which is signed too.
#[derive(Clone, Copy)]
pub(crate) struct SignedAt<'a> {
    text: &'a str,
    time: Timestamp,
}

impl<'a> SignedAt<'a> {
    /// Parses `YYYYMMDD'T'HHMMSS'Z'` and nothing else.
    pub(crate) fn parse(text: &'a str) -> Result<Self, SignatureError> {
        let time = parse_time(text).ok_or(SignatureError::Incomplete("The header X-Amz-Date must look like 20150830T123600Z."))?;
        Ok(Self { text, time })
    }

    /// As it stands in the request.
    pub(crate) const fn text(&self) -> &'a str {
        self.text
    }

    /// `YYYYMMDD`.
    pub(crate) fn day(&self) -> &'a str {
        &self.text[..8]
    }

    /// Refuses what was signed too long ago, or will be signed too far in the future.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), SignatureError> {
        let signed_at = || self.text.to_owned();
        if now.since(self.time) > SKEW_MAX {
            let oldest = Timestamp::from_millis(now.as_millis().saturating_sub(300_000));
            return Err(SignatureError::Expired { signed_at: signed_at(), oldest: format_time(oldest), now: format_time(now) });
        }
        if self.time.since(now) > SKEW_MAX {
            let newest = now.plus(SKEW_MAX);
            return Err(SignatureError::NotYetCurrent { signed_at: signed_at(), newest: format_time(newest), now: format_time(now) });
        }
        Ok(())
    }
}

fn parse_time(text: &str) -> Option<Timestamp> {
    let shaped = text.bytes().enumerate().all(|(at, byte)| match at {
        8 => byte == b'T',
        15 => byte == b'Z',
        _ => byte.is_ascii_digit(),
    });
    if text.len() != 16 || !shaped {
        return None;
    }
    let part = |range: std::ops::Range<usize>| text[range].parse::<u8>().ok();
    let month = Month::try_from(part(4..6)?).ok()?;
    let date = Date::from_calendar_date(text[..4].parse().ok()?, month, part(6..8)?).ok()?;
    let time = Time::from_hms(part(9..11)?, part(11..13)?, part(13..15)?).ok()?;
    let seconds = PrimitiveDateTime::new(date, time).assume_utc().unix_timestamp();
    Some(Timestamp::from_millis(u64::try_from(seconds).ok()?.checked_mul(1000)?))
}

fn format_time(time: Timestamp) -> String {
    let seconds = i64::try_from(time.as_millis() / 1000).unwrap_or(i64::MAX);
    // Beyond the calendar there is nothing to show.
    let Ok(at) = OffsetDateTime::from_unix_timestamp(seconds) else { return String::new() };
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second) = at.to_hms();
    format!("{year:04}{:02}{day:02}T{hour:02}{minute:02}{second:02}Z", u8::from(month))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp::from_millis(1_440_938_160_000);

    #[test]
    fn the_format_and_nothing_else() {
        assert_eq!(parse_time("20150830T123600Z"), Some(NOON));
        assert_eq!(format_time(NOON), "20150830T123600Z");
        assert_eq!(parse_time("20240229T235959Z").map(format_time).as_deref(), Some("20240229T235959Z"));
        for bad in [
            "",
            "20150830T123600",
            "20150830T123600z",
            "2015-08-30T12:36:00Z",
            "20150830 123600Z",
            "20150832T123600Z",
            "20151330T123600Z",
            "20150229T000000Z",
            "20150830T243600Z",
            "20150830T126000Z",
            "20150830T123660Z",
            "+2150830T123600Z",
            "20150830T123600ZZ",
            "19690101T000000Z",
            "2015083０T12360Z",
            "Sun, 30 Aug 2015",
        ] {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn five_minutes_either_way() {
        let signed = SignedAt::parse("20150830T123600Z").unwrap();
        assert_eq!(signed.day(), "20150830");
        for good in [0, 1, 299_999, 300_000] {
            assert_eq!(signed.check(NOON.plus(Duration::from_millis(good))), Ok(()));
            assert_eq!(signed.check(Timestamp::from_millis(NOON.as_millis() - good)), Ok(()));
        }
        let late = signed.check(NOON.plus(Duration::from_millis(300_001))).unwrap_err().to_string();
        assert_eq!(late, "Signature expired: 20150830T123600Z is now earlier than 20150830T123600Z (20150830T124100Z - 5 min.)");
        let early = signed.check(Timestamp::from_millis(NOON.as_millis() - 360_000)).unwrap_err().to_string();
        assert_eq!(early, "Signature not yet current: 20150830T123600Z is still later than 20150830T123500Z (20150830T123000Z + 5 min.)");
    }
}
