//! Easter Sunday, from which Ascension and Whit Monday follow.

use jiff::civil::Date;

/// The first year of the Gregorian calendar that had its Easter by this rule.
const FIRST: i16 = 1583;

/// Easter Sunday of a year by the Gregorian computus (the anonymous algorithm of *Nature*,
/// 20 April 1876, as Meeus and Jones print it). `None` before 1583, when there was none, and
/// beyond 9999, jiff's last year.
#[must_use]
pub fn sunday(year: i16) -> Option<Date> {
    if year < FIRST {
        return None;
    }
    let y = i32::from(year);
    let golden = y % 19;
    let (century, rest) = (y / 100, y % 100);
    let moon_drift = (century - (century + 8) / 25 + 1) / 3;
    let epact = (19 * golden + century - century / 4 - moon_drift + 15) % 30;
    let to_sunday = (32 + 2 * (century % 4) + 2 * (rest / 4) - epact - rest % 4) % 7;
    // Easter is never on 26 April, and on 25 April not twice in nineteen years: then it is a week earlier.
    let exception = (golden + 11 * epact + 22 * to_sunday) / 451;
    let since_march = epact + to_sunday - 7 * exception + 114;
    let (month, day) = (since_march / 31, since_march % 31 + 1);
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The dates of the ecclesiastical tables: of the years at hand, then the earliest and the
    /// latest possible, then those that the exception moves.
    #[test]
    fn sundays_of_the_tables() {
        for date in [
            "2024-03-31",
            "2025-04-20",
            "2026-04-05",
            "2027-03-28",
            "2028-04-16",
            "1583-04-10",
            "1818-03-22",
            "2285-03-22",
            "1943-04-25",
            "2038-04-25",
            "2008-03-23",
            "1954-04-18",
            "1981-04-19",
            "2049-04-18",
            "2076-04-19",
        ] {
            let date: Date = date.parse().unwrap();
            assert_eq!(sunday(date.year()), Some(date));
        }
        assert_eq!(sunday(1582), None);
        assert_eq!(sunday(i16::MIN), None);
        assert_eq!(sunday(i16::MAX), None);
        assert!(sunday(9_999).is_some());
    }

    /// Every year up to 4099 against python-dateutil's `easter`: the days of the year, folded
    /// into one number there and here.
    #[test]
    fn every_year_agrees_with_another_program() {
        let folded = (FIRST..=4_099).fold(0_i64, |sum, year| {
            let day = sunday(year).unwrap().day_of_year();
            (sum * 31 + i64::from(day)) % 1_000_000_007
        });
        assert_eq!(folded, 831_366_016);
    }
}
