//! `validity_period` (SMPP 3.4 §7.1.1): until when the SMSC may try.

/// In which of the standard's two ways it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For so long from the SMSC's receipt of it (§7.1.1.2): no two clocks need agree.
    Relative,
    /// Until then (§7.1.1.1), in UTC.
    Absolute,
}

const SECOND: i64 = 1000;
const DAY: i64 = 86_400;

/// Sixteen characters for what may be under way until `expires_at` and leaves at `now`, both milliseconds UTC. Shorter than
/// a second there is none, and of relative ones none beyond 99 days.
#[must_use]
pub fn period(form: Form, expires_at: i64, now: i64) -> String {
    match form {
        Form::Relative => {
            // 86,400 s is a day on every clock; a month is not the same on all, so there is none.
            let left = ((expires_at - now) / SECOND).clamp(1, 99 * DAY);
            let (days, rest) = (left / DAY, left % DAY);
            let (hours, minutes, seconds) = (rest / 3600, rest % 3600 / 60, rest % 60);
            format!("0000{days:02}{hours:02}{minutes:02}{seconds:02}000R")
        }
        Form::Absolute => {
            let at = expires_at.max(now + SECOND) / SECOND;
            let (year, month, day) = civil(at.div_euclid(DAY));
            let rest = at.rem_euclid(DAY);
            let (hours, minutes, seconds) = (rest / 3600, rest % 3600 / 60, rest % 60);
            format!(
                "{:02}{month:02}{day:02}{hours:02}{minutes:02}{seconds:02}000+",
                year.rem_euclid(100)
            )
        }
    }
}

/// Year, month and day of a number of days since 1970-01-01, in the Gregorian calendar.
fn civil(days: i64) -> (i64, i64, i64) {
    // Counted from 1 March of the year 0, so that the leap day is a year's last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-24T08:00:00Z.
    const NOW: i64 = 1_795_507_200_000;

    #[test]
    fn periods_to_the_second() {
        for (seconds, relative, absolute) in [
            (172_800, "000002000000000R", "261126080000000+"),
            (60, "000000000100000R", "261124080100000+"),
            (86_399, "000000235959000R", "261125075959000+"),
            (604_800, "000007000000000R", "261201080000000+"),
            (0, "000000000001000R", "261124080001000+"),
            (-9, "000000000001000R", "261124080001000+"),
        ] {
            assert_eq!(period(Form::Relative, NOW + seconds * 1000, NOW), relative);
            assert_eq!(period(Form::Absolute, NOW + seconds * 1000, NOW), absolute);
        }
    }

    #[test]
    fn days_have_their_dates() {
        for (days, date) in [
            (0, (1970, 1, 1)),
            (19_782, (2024, 2, 29)),
            (19_783, (2024, 3, 1)),
            (20_819, (2027, 1, 1)),
            (11_016, (2000, 2, 29)),
        ] {
            assert_eq!(civil(days), date);
        }
    }
}
