//! The values of conditions that are not text: numbers, times, booleans, bytes, networks.

use std::fmt;
use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use claviger_types::Timestamp;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A whole or decimal number.
pub(crate) fn parse_number(text: &str) -> Option<f64> {
    let shaped = text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    text.parse::<f64>().ok().filter(|number| shaped && number.is_finite())
}

/// Milliseconds since the Unix epoch: ISO 8601 as W3C profiles it, from the year alone to fractions of a second, or seconds since the
/// epoch. Four digits are a year.
pub(crate) fn parse_time(text: &str) -> Option<i64> {
    if text.len() != 4 && !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse::<i64>().ok()?.checked_mul(1000);
    }
    let padded = match text.len() {
        4 => format!("{text}-01-01T00:00:00Z"),
        7 => format!("{text}-01T00:00:00Z"),
        10 => format!("{text}T00:00:00Z"),
        // Hours and minutes, then the zone.
        length if length > 16 && text.is_char_boundary(16) && !text[16..].starts_with(':') => format!("{}:00{}", &text[..16], &text[16..]),
        _ => text.to_owned(),
    };
    let at = OffsetDateTime::parse(&padded, &Rfc3339).ok()?;
    i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

/// A time as ISO 8601, whole seconds.
pub(crate) fn format_time(at: Timestamp) -> String {
    format_seconds(i64::try_from(at.as_millis() / 1000).unwrap_or(i64::MAX))
}

/// Seconds since the Unix epoch as ISO 8601. Beyond the calendar there is nothing to show but the number.
pub(crate) fn format_seconds(seconds: i64) -> String {
    let at = OffsetDateTime::from_unix_timestamp(seconds).ok().and_then(|at| at.format(&Rfc3339).ok());
    at.unwrap_or_else(|| seconds.to_string())
}

pub(crate) fn parse_bool(text: &str) -> Option<bool> {
    match () {
        () if text.eq_ignore_ascii_case("true") => Some(true),
        () if text.eq_ignore_ascii_case("false") => Some(false),
        () => None,
    }
}

pub(crate) fn parse_bytes(text: &str) -> Option<Box<[u8]>> {
    STANDARD.decode(text).ok().map(Into::into)
}

pub(crate) fn format_bytes(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// An address, or a network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().ok()?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = match prefix {
            None => bits_max,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok().filter(|bits| *bits <= bits_max)?,
            Some(_) => return None,
        };
        Some(Self { address, prefix_bits })
    }

    /// An IPv4 address inside IPv6 is the IPv4 address.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(address)) => {
                let differ = own.to_bits() ^ address.to_bits();
                differ.checked_shr(32 - u32::from(self.prefix_bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(address)) => {
                let differ = own.to_bits() ^ address.to_bits();
                differ.checked_shr(128 - u32::from(self.prefix_bits)).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_every_precision() {
        assert_eq!(parse_time("2020"), parse_time("2020-01-01T00:00:00Z"));
        assert_eq!(parse_time("2020-04"), parse_time("2020-04-01T00:00:00Z"));
        assert_eq!(parse_time("2020-04-01"), parse_time("2020-04-01T00:00Z"));
        assert_eq!(parse_time("2020-04-01T00:00:00.500Z").unwrap(), parse_time("2020-04-01").unwrap() + 500);
        assert_eq!(parse_time("2020-04-01T02:00+02:00"), parse_time("2020-04-01"));
        assert_eq!(parse_time("1585699200"), parse_time("2020-04-01"));
        for bad in ["", "x", "2020-13", "2020-04-01T", "2020-04-01 00:00", "99999999999999999999", "-5", "ÿÿÿÿÿÿÿÿÿÿ", "2020-04-01T00:0ÿZ"]
        {
            assert_eq!(parse_time(bad), None, "{bad}");
        }
    }

    #[test]
    fn networks() {
        let holds = |network: &str, address: &str| Network::parse(network).unwrap().contains(address.parse().unwrap());
        assert!(holds("203.0.113.0/24", "203.0.113.255") && !holds("203.0.113.0/24", "203.0.114.0"));
        assert!(holds("203.0.113.7", "203.0.113.7") && !holds("203.0.113.7", "203.0.113.8"));
        assert!(holds("0.0.0.0/0", "1.2.3.4") && !holds("0.0.0.0/0", "::1") && holds("::/0", "::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::") && !holds("2001:db8::/32", "2001:db9::"));
        assert!(holds("10.0.0.0/8", "::ffff:10.1.2.3"));
        for bad in ["", "10.0.0.0/33", "10.0.0", "10.0.0.0/", "10.0.0.0/+8", "::/129", "*"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_and_booleans() {
        assert_eq!((parse_number("7"), parse_number("-1.5")), (Some(7.0), Some(-1.5)));
        assert_eq!((parse_bool("TRUE"), parse_bool("false"), parse_bool("1")), (Some(true), Some(false), None));
        for bad in ["", "seven", "inf", "NaN", "1 ", "0x10"] {
            assert_eq!(parse_number(bad), None, "{bad}");
        }
    }
}
