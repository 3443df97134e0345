//! A year's working time against numbers that another program counted, and the arithmetic
//! against a clock that is read minute by minute.

#![expect(clippy::unwrap_used, reason = "a calendar of the test's own making is sound")]

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use proptest::prelude::*;
use voxea_rules::calendar::{Calendar, Closure, HolidayZone};

const MINUTE: i64 = 60_000;
const OFFICE: &str = "mo-fr 09:00-12:00 13:30-17:30; sa 09:00-12:00";
const ALWAYS: &str = "mo-su 00:00-24:00";

fn calendar(zone: HolidayZone, hours: &str) -> Calendar {
    Calendar {
        time_zone: TimeZone::get(zone.time_zone()).unwrap(),
        holidays: Some(zone),
        hours: hours.parse().unwrap(),
        closures: vec![],
    }
}

fn midnight(calendar: &Calendar, date: Date) -> i64 {
    let zoned = date.to_zoned(calendar.time_zone.clone()).unwrap();
    zoned.timestamp().as_millisecond()
}

/// Open minutes of the years 2024 to 2028, office hours and round the clock. Counted in Python
/// (zoneinfo, and the lists of the package `holidays` with Polynesia's 2025 put right) by going
/// through each year in UTC, half hour by half hour, and reading the local clock.
///
/// By hand, 2024 in the metropole: 366 days from a Monday are 262 weekdays and 52 Saturdays; ten
/// holidays fall on weekdays (14 July is a Sunday); 252 × 420 + 52 × 180 = 115,200. 2026: 261
/// weekdays less nine, 52 Saturdays less 15 August; 252 × 420 + 51 × 180 = 115,020. Round the
/// clock: (366 - 11) × 1,440 = 511,200, since 23 and 25 hours make up for each other. In Miquelon
/// the long day of 2026 is Toussaint: (365 - 11) × 1,440 - 60 = 509,700.
#[test]
fn years_that_another_program_counted() {
    for (zone, office, always) in [
        (
            HolidayZone::Metropole,
            [115_200, 114_600, 115_020, 115_500, 114_600],
            [511_200, 509_760, 509_760, 509_760, 511_200],
        ),
        (
            HolidayZone::AlsaceMoselle,
            [114_360, 113_760, 114_420, 115_080, 113_760],
            [508_320, 506_880, 506_880, 506_880, 508_320],
        ),
        (
            HolidayZone::Reunion,
            [114_780, 114_420, 115_020, 115_080, 114_180],
            [509_760, 508_320, 508_320, 508_320, 509_760],
        ),
        (
            HolidayZone::WallisEtFutuna,
            [114_600, 113_760, 113_760, 114_240, 113_580],
            [506_880, 505_440, 505_440, 505_440, 506_880],
        ),
        (
            HolidayZone::PolynesieFrancaise,
            [114_180, 113_760, 113_760, 114_480, 113_760],
            [506_880, 505_440, 505_440, 505_440, 506_880],
        ),
        (
            HolidayZone::SaintPierreEtMiquelon,
            [115_200, 114_600, 115_020, 115_500, 114_600],
            [511_200, 509_760, 509_700, 509_760, 511_200],
        ),
        (
            HolidayZone::NouvelleCaledonie,
            [114_780, 114_180, 114_600, 115_080, 114_600],
            [509_760, 508_320, 508_320, 508_320, 509_760],
        ),
        (
            HolidayZone::SaintBarthelemy,
            [114_780, 114_180, 114_600, 115_320, 114_180],
            [509_760, 508_320, 508_320, 508_320, 509_760],
        ),
    ] {
        for (hours, counted) in [(OFFICE, office), (ALWAYS, always)] {
            let calendar = calendar(zone, hours);
            let minutes = (2024..=2028).map(|year| {
                let (from, to) = (Date::constant(year, 1, 1), Date::constant(year + 1, 1, 1));
                calendar.working_ms(midnight(&calendar, from), midnight(&calendar, to)) / MINUTE
            });
            assert_eq!(minutes.collect::<Vec<i64>>(), counted, "{zone} {hours}");
        }
    }
}

#[test]
fn working_days_of_the_years() {
    let calendar = calendar(HolidayZone::Metropole, "mo-fr 09:00-17:00");
    let days = (2024..=2028).map(|year| calendar.working_days(Date::constant(year - 1, 12, 31), Date::constant(year, 12, 31)));
    assert_eq!(days.collect::<Vec<u32>>(), [252, 251, 252, 254, 251]);
}

#[test]
#[ignore = "prints a measurement"]
fn cost() {
    let calendar = calendar(HolidayZone::AlsaceMoselle, OFFICE);
    let from = midnight(&calendar, Date::constant(2026, 1, 1));
    for days in [1, 7, 365, 3_650] {
        let start = std::time::Instant::now();
        let worked = std::hint::black_box(calendar.working_ms(from, from + days * 1_440 * MINUTE));
        let counted = start.elapsed();
        let start = std::time::Instant::now();
        let due = std::hint::black_box(calendar.add_working(from, worked));
        println!("{days} days: working_ms {counted:?}, add_working {:?} ({due:?})", start.elapsed());
    }
}

/// Whether the clock on the wall shows an open minute.
fn open_by_the_clock(calendar: &Calendar, at: i64) -> bool {
    let local = calendar.time_zone.to_datetime(Timestamp::from_millisecond(at).unwrap());
    let minute = u16::try_from(local.hour()).unwrap() * 60 + u16::try_from(local.minute()).unwrap();
    let spans = calendar.hours.on(local.weekday());
    calendar.closed_by(local.date()).is_none() && spans.iter().any(|span| (span.start()..span.end()).contains(&minute))
}

/// Calendars of every zone, with hours that do not begin or end while a clock is changed, and a
/// closure.
fn calendars() -> impl Strategy<Value = Calendar> {
    let hours = prop::sample::select(vec![
        OFFICE,
        ALWAYS,
        "mo-fr 09:00-18:00",
        "tu 10:00-10:05",
        "fr-su 00:00-00:30 04:00-24:00; mo 00:00-06:00 06:00-07:15",
        "mo,we,fr-sa 08:20-12:05 14:00-19:40; th 00:45-23:55",
    ]);
    let zone = prop::sample::select(HolidayZone::ALL.to_vec());
    (hours, zone, 0_i64..2_000, 0_i64..40).prop_map(|(hours, zone, first, length)| {
        let mut calendar = calendar(zone, hours);
        let first = Date::constant(2024, 1, 1).checked_add(jiff::Span::new().days(first)).unwrap();
        let last = first.checked_add(jiff::Span::new().days(length)).unwrap();
        calendar.closures.extend(Closure::new(first, last, None));
        calendar
    })
}

/// Instants of 2024 to 2028, half of them near a change of the clock in Paris or Miquelon.
fn instants() -> impl Strategy<Value = i64> {
    let changes = prop::sample::select(vec![
        "2024-03-10T05:00Z",
        "2024-03-31T01:00Z",
        "2025-10-26T01:00Z",
        "2026-03-29T01:00Z",
        "2026-10-25T01:00Z",
        "2026-11-01T04:00Z",
        "2028-03-26T01:00Z",
    ]);
    let near = (changes, -5_000 * MINUTE..5_000 * MINUTE)
        .prop_map(|(change, after)| change.parse::<Timestamp>().unwrap().as_millisecond() + after);
    prop_oneof![near, 1_704_067_200_000_i64..1_861_920_000_000]
}

proptest! {
    #[test]
    fn what_is_added_has_passed(calendar in calendars(), from in instants(), working in 1_i64..400 * 60 * MINUTE) {
        let due = calendar.add_working(from, working).unwrap();
        prop_assert_eq!(calendar.working_ms(from, due), working);
        // The first such instant: one that closes a working millisecond.
        prop_assert_eq!(calendar.working_ms(from, due - 1), working - 1);
        prop_assert!(calendar.is_open(due - 1));
    }

    #[test]
    fn it_is_additive_and_monotone(calendar in calendars(), mut at in prop::array::uniform3(instants())) {
        at.sort_unstable();
        let [from, between, to] = at;
        let first = calendar.working_ms(from, between);
        let whole = calendar.working_ms(from, to);
        prop_assert_eq!(first + calendar.working_ms(between, to), whole);
        prop_assert!((0..=whole).contains(&first));
        prop_assert!(whole <= to - from);
        prop_assert_eq!(calendar.working_ms(to, from), 0);
    }

    #[test]
    fn later_from_is_never_due_earlier(calendar in calendars(), from in instants(), later in 0_i64..9_000 * MINUTE, working in 0_i64..3_000 * MINUTE) {
        prop_assert!(calendar.add_working(from, working) <= calendar.add_working(from + later, working));
        prop_assert!(calendar.add_working(from, working) < calendar.add_working(from, working + 1));
    }

    #[test]
    fn the_next_opening_is_the_first(calendar in calendars(), at in instants()) {
        let opening = calendar.next_opening(at).unwrap();
        prop_assert!(opening >= at && calendar.is_open(opening));
        prop_assert_eq!(calendar.working_ms(at, opening), 0);
        prop_assert_eq!(calendar.is_open(at), opening == at);
    }

    #[test]
    fn working_days_are_counted_one_by_one(calendar in calendars(), at in instants()) {
        let date = calendar.date(at);
        let next = calendar.next_working_day(date).unwrap();
        prop_assert_eq!(calendar.working_days(date, next), 1);
        prop_assert!(next > date && calendar.is_working_day(next));
    }
}

proptest! {
    // Every case reads the clock thousands of times.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn it_agrees_with_the_clock_on_the_wall(calendar in calendars(), from in instants(), minutes in 0_i64..6_000) {
        let from = from - from.rem_euclid(MINUTE);
        let read = (0..minutes).filter(|minute| open_by_the_clock(&calendar, from + minute * MINUTE)).count();
        prop_assert_eq!(calendar.working_ms(from, from + minutes * MINUTE), i64::try_from(read).unwrap() * MINUTE);
        prop_assert_eq!(calendar.is_open(from), open_by_the_clock(&calendar, from));
    }
}
