//! Arithmetic on working time.

use std::ops::Range;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::closure::{Closed, Closure};
use super::hours::WeeklyHours;
use super::zone::HolidayZone;

/// After so many days without an opening, the service is taken never to open again.
const NEVER_DAYS: usize = 400;

/// When a service works; built from its parts.
///
/// Its hours are what the clock on the wall shows. When the clock is put forward, a time that it
/// skips is the instant of the change; when it is put back, a time that it shows twice is the
/// first of the two. So spans that part the day part it on those nights too, and what is counted
/// is the time that really went by: 23 hours or 25 where a service never closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    /// Whose clock the hours and dates are of.
    pub time_zone: TimeZone,
    /// On whose public holidays it is closed; `None` works on all of them.
    pub holidays: Option<HolidayZone>,
    /// When it is open in a week without holidays.
    pub hours: WeeklyHours,
    /// When it is closed besides; they may overlap, in any order.
    pub closures: Vec<Closure>,
}

impl Calendar {
    /// The local date of an instant. Milliseconds beyond jiff's range (years -9999 to 9999) are
    /// its nearest end.
    #[must_use]
    pub fn date(&self, at: i64) -> Date {
        let nearest = if at < 0 { Timestamp::MIN } else { Timestamp::MAX };
        self.time_zone
            .to_datetime(Timestamp::from_millisecond(at).unwrap_or(nearest))
            .date()
    }

    /// Whether the service is open at an instant. At its closing time it is closed.
    #[must_use]
    pub fn is_open(&self, at: i64) -> bool {
        // Where the clock is put back over midnight, a day begins while it shows the one before.
        self.openings(days(self.date(at)).take(2)).any(|open| open.contains(&at))
    }

    /// The first instant, from this one on, at which the service is open: this one, if it is.
    /// `None` when it does not open within 400 days.
    #[must_use]
    pub fn next_opening(&self, at: i64) -> Option<i64> {
        let mut openings = self.openings(days(self.date(at)).take(NEVER_DAYS + 1));
        openings.find(|open| open.end > at).map(|open| open.start.max(at))
    }

    /// Working milliseconds from one instant to another; 0 when the second is not after the first.
    #[must_use]
    pub fn working_ms(&self, from: i64, to: i64) -> i64 {
        if to <= from {
            return 0;
        }
        let last = self.date(to);
        // As in `is_open`.
        let last = last.tomorrow().unwrap_or(last);
        let days = days(self.date(from)).take_while(|date| *date <= last);
        self.openings(days)
            .map(|open| length(&(open.start.max(from)..open.end.min(to))))
            .sum()
    }

    /// The instant at which so many working milliseconds have passed since another: when a
    /// deadline of that length falls due. What ends with the opening hours is due at closing
    /// time, not at the next opening. Nothing, or less, is due at once, be it at night.
    ///
    /// `None` when it never comes: the service does not open for 400 days on end, or not often
    /// enough before the year 9999.
    #[must_use]
    pub fn add_working(&self, from: i64, working_ms: i64) -> Option<i64> {
        if working_ms <= 0 {
            return Some(from);
        }
        let mut left = working_ms;
        let mut closed_days = 0;
        for date in days(self.date(from)) {
            closed_days += 1;
            for open in self.openings(std::iter::once(date)) {
                let open = open.start.max(from)..open.end;
                if left <= length(&open) {
                    return Some(open.start + left);
                }
                left -= length(&open);
                closed_days = 0;
            }
            if closed_days > NEVER_DAYS {
                return None;
            }
        }
        None
    }

    /// Whether the service opens on a date, if only for a minute.
    #[must_use]
    pub fn is_working_day(&self, date: Date) -> bool {
        !self.hours.on(date.weekday()).is_empty() && self.closed_by(date).is_none()
    }

    /// The working days after a date, up to and with another; 0 when that is not after the first.
    /// So the day on which a request came does not count, and the next working day is the first.
    #[must_use]
    pub fn working_days(&self, from: Date, to: Date) -> u32 {
        let days = days(from).skip(1).take_while(|date| *date <= to);
        days.fold(0, |count, date| count + u32::from(self.is_working_day(date)))
    }

    /// The first working day after a date; `None` when there is none within 400 days.
    #[must_use]
    pub fn next_working_day(&self, date: Date) -> Option<Date> {
        days(date).skip(1).take(NEVER_DAYS).find(|date| self.is_working_day(*date))
    }

    /// What closes a date, whatever its weekday; the town's own closure before the holiday.
    #[must_use]
    pub fn closed_by(&self, date: Date) -> Option<Closed<'_>> {
        if let Some(closure) = self.closures.iter().find(|closure| closure.contains(date)) {
            return Some(Closed::Closure(closure.label()));
        }
        self.holidays?.holiday(date).map(Closed::Holiday)
    }

    /// The open spans of these days, in order, disjoint, none of them empty.
    fn openings(&self, days: impl Iterator<Item = Date>) -> impl Iterator<Item = Range<i64>> {
        days.filter(|date| self.is_working_day(*date)).flat_map(move |date| {
            let spans = self.hours.on(date.weekday()).iter();
            let instants = spans.filter_map(move |span| Some(self.instant(date, span.start())?..self.instant(date, span.end())?));
            // The clock can skip a whole span.
            instants.filter(|open| open.start < open.end)
        })
    }

    /// The instant of a local time, in minutes since midnight; `None` beyond jiff's range.
    fn instant(&self, date: Date, minutes: u16) -> Option<i64> {
        let (hour, minute) = (i8::try_from(minutes / 60).ok()?, i8::try_from(minutes % 60).ok()?);
        let local = match hour {
            24 => date.tomorrow().ok()?.to_datetime(Time::midnight()),
            _ => DateTime::from_parts(date, Time::new(hour, minute, 0, 0).ok()?),
        };
        let read = self.time_zone.to_ambiguous_timestamp(local);
        let earlier = read.earlier().ok()?;
        let instant = match read.offset() {
            // The earlier reading of a skipped time lies before the change.
            AmbiguousOffset::Gap { .. } => self.time_zone.following(earlier).next()?.timestamp(),
            AmbiguousOffset::Unambiguous { .. } | AmbiguousOffset::Fold { .. } => earlier,
        };
        Some(instant.as_millisecond())
    }
}

/// A date and all after it.
fn days(first: Date) -> impl Iterator<Item = Date> {
    std::iter::successors(Some(first), |date| date.tomorrow().ok())
}

/// Milliseconds of a span; 0 for one that ends before it starts.
fn length(open: &Range<i64>) -> i64 {
    open.end.saturating_sub(open.start).max(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Zoned;

    const HOUR: i64 = 3_600_000;

    fn calendar(zone: HolidayZone, hours: &str) -> Calendar {
        Calendar {
            time_zone: TimeZone::get(zone.time_zone()).unwrap(),
            holidays: Some(zone),
            hours: hours.parse().unwrap(),
            closures: vec![],
        }
    }

    fn office() -> Calendar {
        calendar(HolidayZone::Metropole, "mo-fr 09:00-18:00")
    }

    fn paris(local: &str) -> i64 {
        format!("{local}[Europe/Paris]")
            .parse::<Zoned>()
            .unwrap()
            .timestamp()
            .as_millisecond()
    }

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    /// So many working hours from a local time fall due at another.
    #[track_caller]
    fn due(calendar: &Calendar, from: &str, hours: i64, until: &str) {
        let due = calendar.add_working(paris(from), hours * HOUR);
        let local = due.map(|due| {
            calendar
                .time_zone
                .to_datetime(Timestamp::from_millisecond(due).unwrap())
                .to_string()
        });
        assert_eq!(local, Some(format!("{until}:00")), "{from} + {hours} h");
    }

    #[test]
    fn deadlines_run_in_working_hours() {
        let office = office();
        // Over the night on which the clock is put forward.
        due(&office, "2026-03-27T17:55", 4, "2026-03-30T12:55");
        due(&office, "2026-03-20T17:55", 4, "2026-03-23T12:55");
        // Over Easter Monday.
        due(&office, "2026-04-03T17:55", 4, "2026-04-07T12:55");
        // Vendredi saint is a holiday there, so nothing runs on it.
        due(
            &calendar(HolidayZone::AlsaceMoselle, "mo-fr 09:00-18:00"),
            "2026-04-03T17:55",
            4,
            "2026-04-07T13:00",
        );
        // Before opening, over lunch, on a Sunday.
        due(&office, "2026-06-02T03:00", 4, "2026-06-02T13:00");
        let lunch = calendar(HolidayZone::Metropole, "mo-fr 09:00-12:00 13:30-17:30");
        due(&lunch, "2026-06-02T11:00", 4, "2026-06-02T16:30");
        due(&lunch, "2026-06-07T11:00", 4, "2026-06-08T14:30");
        // The sum that ends at closing time is due then.
        due(&office, "2026-06-05T14:00", 4, "2026-06-05T18:00");
        due(&lunch, "2026-06-05T09:00", 3, "2026-06-05T12:00");
        due(&office, "2026-06-05T18:00", 9, "2026-06-08T18:00");
        // A week of five days of nine hours, and one holiday in it (14 July, a Tuesday).
        due(&office, "2026-07-13T09:00", 45, "2026-07-20T18:00");
        assert_eq!(office.add_working(paris("2026-06-07T12:00"), 0), Some(paris("2026-06-07T12:00")));
        assert_eq!(office.add_working(7, -1), Some(7));
    }

    #[test]
    fn open_and_closed() {
        let office = office();
        for (local, open) in [
            ("2026-06-05T08:59:59.999", false),
            ("2026-06-05T09:00", true),
            ("2026-06-05T17:59:59.999", true),
            ("2026-06-05T18:00", false),
            ("2026-06-06T10:00", false),
            ("2026-05-14T10:00", false),
            ("2026-05-15T10:00", true),
        ] {
            assert_eq!(office.is_open(paris(local)), open, "{local}");
        }
        for (local, opening) in [
            ("2026-06-05T10:11", "2026-06-05T10:11"),
            ("2026-06-05T18:00", "2026-06-08T09:00"),
            ("2026-05-13T20:00", "2026-05-15T09:00"),
        ] {
            assert_eq!(office.next_opening(paris(local)), Some(paris(opening)), "{local}");
        }
    }

    #[test]
    fn nights_on_which_the_clock_changes() {
        let mut always = calendar(HolidayZone::Metropole, "mo-su 00:00-24:00");
        let whole = |date| always.working_ms(paris(&format!("{date}T00:00")), paris(&format!("{date}T23:59")) + 60_000);
        assert_eq!(
            [whole("2026-03-28"), whole("2026-03-29"), whole("2026-10-25")],
            [24 * HOUR, 23 * HOUR, 25 * HOUR]
        );
        // What the clock skips begins and ends with the change, at 01:00 UTC; what it shows
        // twice (from 00:00 to 02:00 UTC) begins and ends the first time.
        for (hours, spring, autumn) in [
            ("su 01:00-02:30", 60, 90),
            ("su 02:30-04:00", 60, 150),
            ("su 02:00-03:00", 0, 120),
            ("su 02:15-02:45", 0, 30),
            ("su 02:15-02:30 02:45-03:30", 30, 120),
        ] {
            always.hours = hours.parse().unwrap();
            let minutes = |date: &str| {
                let noon = paris(&format!("{date}T12:00"));
                always.working_ms(noon - 24 * HOUR, noon) / 60_000
            };
            assert_eq!((minutes("2026-03-29"), minutes("2026-10-25")), (spring, autumn), "{hours}");
        }
        always.hours = "su 02:30-04:00".parse().unwrap();
        assert_eq!(always.next_opening(paris("2026-03-28T12:00")), Some(paris("2026-03-29T03:00")));
        always.hours = "su 02:00-03:00".parse().unwrap();
        assert_eq!(always.next_opening(paris("2026-03-28T12:00")), Some(paris("2026-04-05T02:00")));
    }

    /// In Newfoundland the clock went from 00:01 back to 23:01 of the day before.
    #[test]
    fn a_clock_put_back_over_midnight() {
        let time_zone = TimeZone::get("America/St_Johns").unwrap();
        let always = Calendar {
            time_zone,
            holidays: None,
            hours: "mo-su 00:00-24:00".parse().unwrap(),
            closures: vec![],
        };
        let change: Timestamp = "2006-10-29T02:31Z".parse().unwrap();
        let from = change.as_millisecond() - 30 * HOUR;
        assert_eq!(always.working_ms(from, from + 60 * HOUR), 60 * HOUR);
        let while_yesterday_shows_again = 30 * HOUR + HOUR / 2;
        assert_eq!(
            always.working_ms(from, from + while_yesterday_shows_again),
            while_yesterday_shows_again
        );
        assert!((0..60 * 60).all(|minute| always.is_open(from + minute * 60_000)));
    }

    #[test]
    fn closures() {
        let mut office = office();
        let christmas = Closure::new(day("2026-12-24"), day("2027-01-01"), Some("Fermeture de Noël".to_owned())).unwrap();
        office.closures = vec![christmas, Closure::new(day("2026-12-23"), day("2026-12-23"), None).unwrap()];
        assert_eq!(office.closed_by(day("2026-12-22")), None);
        assert_eq!(office.closed_by(day("2026-12-23")), Some(Closed::Closure(None)));
        assert_eq!(
            office.closed_by(day("2026-12-25")),
            Some(Closed::Closure(Some("Fermeture de Noël")))
        );
        assert_eq!(office.closed_by(day("2026-11-11")), Some(Closed::Holiday("Armistice de 1918")));
        assert_eq!(office.next_opening(paris("2026-12-22T18:00")), Some(paris("2027-01-04T09:00")));
    }

    #[test]
    fn working_days() {
        let office = office();
        for (from, to, count) in [
            ("2026-06-05", "2026-06-05", 0),
            ("2026-06-05", "2026-06-07", 0),
            ("2026-06-05", "2026-06-08", 1),
            ("2026-06-06", "2026-06-08", 1),
            ("2026-06-08", "2026-06-05", 0),
            ("2026-04-03", "2026-04-10", 4),
            ("2025-12-31", "2026-12-31", 252),
        ] {
            assert_eq!(office.working_days(day(from), day(to)), count, "{from} {to}");
        }
        assert_eq!(office.next_working_day(day("2026-04-03")), Some(day("2026-04-07")));
        assert_eq!(office.next_working_day(day("2026-05-13")), Some(day("2026-05-15")));
        assert_eq!(office.date(paris("2026-06-05T23:30")), day("2026-06-05"));
    }

    #[test]
    fn what_never_opens_and_what_never_ends() {
        let mut closed = calendar(HolidayZone::Metropole, "closed");
        assert_eq!(closed.next_opening(0), None);
        assert_eq!(closed.add_working(0, 1), None);
        assert_eq!(closed.next_working_day(day("2026-01-01")), None);
        closed.hours = "mo-fr 09:00-18:00".parse().unwrap();
        closed.closures = vec![Closure::new(day("2026-01-01"), day("2027-12-31"), None).unwrap()];
        assert_eq!(closed.next_opening(paris("2026-01-01T10:00")), None);
        assert_eq!(closed.add_working(paris("2025-12-31T17:00"), 2 * HOUR), None);
        assert_eq!(closed.add_working(paris("2025-12-31T17:00"), HOUR), Some(paris("2025-12-31T18:00")));
        for at in [i64::MIN, i64::MAX] {
            assert!(!closed.is_open(at));
            assert_eq!(closed.working_ms(at, at), 0);
        }
        assert_eq!(closed.add_working(i64::MAX, 1), None);
        assert_eq!(closed.next_opening(i64::MAX), None);
        assert_eq!(closed.working_ms(i64::MAX - 1, i64::MAX), 0);
    }
}
