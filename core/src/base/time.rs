//! Wall-clock time: milliseconds since the Unix epoch, UTC.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z.
pub type Millis = i64;

/// The present, by the machine's clock.
#[must_use]
pub fn now() -> Millis {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX))
}

/// RFC 3339 with `Z` and three digits of milliseconds: `2026-11-24T08:00:00.000Z`.
#[must_use]
pub fn rfc3339(at: Millis) -> String {
    let time = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    format!("{time:.3}")
}

/// As HTTP has dates (RFC 9110 §5.6.7): `Tue, 24 Nov 2026 08:00:00 GMT`.
#[must_use]
pub fn http_date(at: Millis) -> String {
    let time = jiff::Timestamp::from_millisecond(at).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// Reads an RFC 3339 time; `None` when it is none.
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<Millis> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond)
}

/// Whether this is an IANA time zone of the bundled data: `Europe/Paris`.
#[must_use]
pub fn is_zone(name: &str) -> bool {
    jiff::tz::TimeZone::get(name).is_ok()
}

/// The zone of an IANA name; UTC for what is none ([`is_zone`] tells).
#[must_use]
pub fn zone(name: &str) -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::get(name).unwrap_or(jiff::tz::TimeZone::UTC)
}

/// The first moment after a day such as `2027-12-31` in a zone; `None` when it is none.
#[must_use]
pub fn end_of_day(day: &str, time_zone: &str) -> Option<Millis> {
    let next = day.parse::<jiff::civil::Date>().ok()?.tomorrow().ok()?;
    next.to_zoned(zone(time_zone)).ok().map(|at| at.timestamp().as_millisecond())
}

/// The first moment of a day such as `2027-12-31` in a zone; `None` when it is none.
#[must_use]
pub fn start_of_day(day: &str, time_zone: &str) -> Option<Millis> {
    let day = day.parse::<jiff::civil::Date>().ok()?;
    day.to_zoned(zone(time_zone)).ok().map(|at| at.timestamp().as_millisecond())
}

/// The calendar year of a moment, UTC; references carry it.
#[must_use]
pub fn year(at: Millis) -> i16 {
    jiff::Timestamp::from_millisecond(at)
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned(jiff::tz::TimeZone::UTC)
        .year()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_with_milliseconds_and_read_back() {
        assert_eq!(rfc3339(1_795_507_200_000), "2026-11-24T08:00:00.000Z");
        assert_eq!(rfc3339(1_795_507_200_007), "2026-11-24T08:00:00.007Z");
        assert_eq!(http_date(1_795_507_200_007), "Tue, 24 Nov 2026 08:00:00 GMT");
        assert_eq!(parse_rfc3339("2026-11-24T09:00:00+01:00"), Some(1_795_507_200_000));
        assert_eq!(parse_rfc3339("yesterday"), None);
        assert_eq!(end_of_day("2026-11-23", "Europe/Paris"), parse_rfc3339("2026-11-24T00:00:00+01:00"));
        assert_eq!(end_of_day("2026-02-30", "Europe/Paris"), None);
        assert_eq!(start_of_day("2026-11-24", "Europe/Paris"), end_of_day("2026-11-23", "Europe/Paris"));
        assert_eq!(year(1_795_507_200_000), 2026);
        assert!(is_zone("Europe/Paris") && !is_zone("Europe/Pari"));
    }
}
