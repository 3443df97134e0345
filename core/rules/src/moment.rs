//! Dates and times as citizens read them, in the organisation's own time zone.
//!
//! The zone data comes with the binary, so a machine without `/usr/share/zoneinfo` tells the
//! same time.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const MONTHS: [&str; 12] = [
    "janvier",
    "février",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "août",
    "septembre",
    "octobre",
    "novembre",
    "décembre",
];

const DAYS: [&str; 7] = ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"];

/// A time zone by its IANA name, looked up once; cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// No zone of the IANA database has this name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownZone(pub String);

impl fmt::Display for UnknownZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no IANA time zone; France's is \"Europe/Paris\"", self.0)
    }
}

impl std::error::Error for UnknownZone {}

impl Zone {
    /// Looks a zone up: `Europe/Paris`, `Indian/Reunion`.
    ///
    /// # Errors
    /// [`UnknownZone`] when there is none of that name.
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        TimeZone::get(name).map(Self).map_err(|_| UnknownZone(name.to_owned()))
    }

    /// The civil time of an instant. Milliseconds beyond jiff's range (years -9999 to 9999)
    /// are its nearest end.
    fn civil(&self, at: i64) -> DateTime {
        let nearest = if at < 0 { Timestamp::MIN } else { Timestamp::MAX };
        self.0.to_datetime(Timestamp::from_millisecond(at).unwrap_or(nearest))
    }

    /// The instant (milliseconds UTC) of a civil time in this zone: year, month and day, hour, minute and second. In the hour
    /// that comes twice the first is meant, in the one that is skipped the time by the clock before it (RFC 5545 §3.3.5).
    /// `None` for what no calendar has.
    #[must_use]
    pub fn instant(&self, (year, month, day): (i16, i8, i8), (hour, minute, second): (i8, i8, i8)) -> Option<i64> {
        let civil = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
        let zoned = self.0.to_ambiguous_zoned(civil).compatible().ok()?;
        Some(zoned.timestamp().as_millisecond())
    }

    /// The civil year of an instant (milliseconds UTC): the year of a reference.
    #[must_use]
    pub fn year(&self, at: i64) -> i16 {
        self.civil(at).year()
    }

    /// `24 novembre 2026`, `1er janvier 2027`.
    #[must_use]
    pub fn date(&self, at: i64) -> String {
        let civil = self.civil(at);
        let first = if civil.day() == 1 { "er" } else { "" };
        format!("{}{first} {} {}", civil.day(), month(civil), civil.year())
    }

    /// `mardi 24 novembre 2026`.
    #[must_use]
    pub fn weekday_and_date(&self, at: i64) -> String {
        let day = usize::from(self.civil(at).weekday().to_monday_zero_offset().unsigned_abs());
        format!("{} {}", DAYS[day % 7], self.date(at))
    }

    /// `14 h 05`.
    #[must_use]
    pub fn time(&self, at: i64) -> String {
        let civil = self.civil(at);
        format!("{} h {:02}", civil.hour(), civil.minute())
    }

    /// `24 novembre 2026 à 14 h 05`.
    #[must_use]
    pub fn date_and_time(&self, at: i64) -> String {
        format!("{} à {}", self.date(at), self.time(at))
    }
}

fn month(civil: DateTime) -> &'static str {
    MONTHS[usize::from(civil.month().unsigned_abs().saturating_sub(1)) % 12]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(rfc3339: &str) -> i64 {
        rfc3339.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn civil_time_of_the_organisation() {
        for (zone, instant, read) in [
            ("Europe/Paris", "2026-11-24T13:05:00Z", "24 novembre 2026 à 14 h 05"),
            ("Europe/Paris", "2026-07-14T22:30:00Z", "15 juillet 2026 à 0 h 30"),
            ("Europe/Paris", "2026-12-31T23:00:00Z", "1er janvier 2027 à 0 h 00"),
            ("Indian/Reunion", "2026-08-01T09:59:59.999Z", "1er août 2026 à 13 h 59"),
            ("America/Guadeloupe", "2026-02-01T03:00:00Z", "31 janvier 2026 à 23 h 00"),
            // The night that summer time begins, and the hour that comes twice.
            ("Europe/Paris", "2026-03-29T00:59:00Z", "29 mars 2026 à 1 h 59"),
            ("Europe/Paris", "2026-03-29T01:00:00Z", "29 mars 2026 à 3 h 00"),
            ("Europe/Paris", "2026-10-25T00:30:00Z", "25 octobre 2026 à 2 h 30"),
            ("Europe/Paris", "2026-10-25T01:30:00Z", "25 octobre 2026 à 2 h 30"),
        ] {
            assert_eq!(Zone::named(zone).unwrap().date_and_time(at(instant)), read);
        }
    }

    #[test]
    fn civil_times_are_instants() {
        let paris = Zone::named("Europe/Paris").unwrap();
        for (date, time, instant) in [
            ((2026, 11, 24), (9, 0, 0), "2026-11-24T08:00:00Z"),
            ((2026, 7, 14), (9, 30, 0), "2026-07-14T07:30:00Z"),
            ((2026, 3, 29), (2, 30, 0), "2026-03-29T01:30:00Z"),
            ((2026, 10, 25), (2, 30, 0), "2026-10-25T00:30:00Z"),
        ] {
            assert_eq!(paris.instant(date, time), Some(at(instant)));
        }
        assert_eq!(paris.instant((2026, 2, 30), (0, 0, 0)), None);
        assert_eq!(paris.instant((2026, 2, 3), (24, 0, 0)), None);
    }

    #[test]
    fn the_year_is_the_zones() {
        let instant = at("2026-12-31T23:30:00Z");
        assert_eq!(Zone::named("Europe/Paris").unwrap().year(instant), 2027);
        assert_eq!(Zone::named("America/Guadeloupe").unwrap().year(instant), 2026);
    }

    #[test]
    fn the_seven_days() {
        let zone = Zone::named("Europe/Paris").unwrap();
        let monday = at("2026-11-23T12:00:00Z");
        for (day, name) in DAYS.iter().enumerate() {
            let read = zone.weekday_and_date(monday + day as i64 * 86_400_000);
            assert_eq!(read, format!("{name} {} novembre 2026", 23 + day));
        }
    }

    #[test]
    fn odd_zones_and_odd_instants() {
        assert_eq!(Zone::named("Europe/Pari"), Err(UnknownZone("Europe/Pari".to_owned())));
        let zone = Zone::named("Europe/Paris").unwrap();
        assert!(zone.date(i64::MAX).ends_with("9999"));
        assert!(zone.date(i64::MIN).contains("-9999"));
    }
}
