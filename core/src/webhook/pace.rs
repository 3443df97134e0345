//! When a delivery is attempted again.

use crate::base::time::Millis;

const SECOND: Millis = 1000;
const MINUTE: Millis = 60 * SECOND;
const HOUR: Millis = 60 * MINUTE;

/// After so long without success a delivery is given up.
pub(super) const LIFE: Millis = 24 * HOUR;
/// Waits after the first, second… attempt of a delivery.
const WAITS: [Millis; 9] = [
    5 * SECOND,
    30 * SECOND,
    2 * MINUTE,
    10 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    4 * HOUR,
    8 * HOUR,
];
/// An endpoint that was away is found to be back within this time.
const LONGEST_PAUSE: Millis = 15 * MINUTE;
/// A last attempt is worth making if it is not just after another one.
const APART: Millis = MINUTE;

/// The wait after so many attempts, 80 to 120 in a hundred of it by `random`, which lies in 0.0..1.0.
fn wait(attempts: i64, random: f64) -> Millis {
    let at = usize::try_from(attempts.max(1) - 1).unwrap_or(usize::MAX);
    let base = WAITS.get(at).or(WAITS.last()).copied().unwrap_or(HOUR);
    // In hundredths, so that no number is rounded that could be large.
    #[expect(clippy::cast_possible_truncation, reason = "it lies between 0 and 40")]
    let share = 80 + (random.clamp(0.0, 1.0) * 40.0) as Millis;
    base * share / 100
}

/// When a delivery that failed is attempted again: by the table, not before the receiver asks for it, and once more at its
/// end. `None` when it is given up.
pub(super) fn next(attempts: i64, now: Millis, give_up_at: Millis, retry_after: Option<Millis>, random: f64) -> Option<Millis> {
    if now >= give_up_at || give_up_at - now < APART {
        return None;
    }
    let asked = retry_after.map_or(now, |wait| now.saturating_add(wait.clamp(0, LIFE)));
    Some((now + wait(attempts, random)).max(asked).min(give_up_at))
}

/// Until when nothing is sent to an endpoint whose last `failures` attempts failed, whichever events they were about.
pub(super) fn pause(failures: i64, now: Millis, retry_after: Option<Millis>, random: f64) -> Millis {
    let asked = retry_after.map_or(0, |wait| wait.clamp(0, LIFE));
    now + wait(failures, random).min(LONGEST_PAUSE).max(asked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_from_five_seconds_and_end_after_a_day() {
        let (begun, mut now, mut attempts, mut waits) = (1_000_000, 1_000_000, 0, Vec::new());
        while let Some(at) = {
            attempts += 1;
            next(attempts, now, begun + LIFE, None, 0.5)
        } {
            waits.push((at - now) / SECOND);
            now = at;
        }
        assert_eq!(waits[..8], [5, 30, 120, 600, 1800, 3600, 7200, 14_400]);
        assert_eq!(now, begun + LIFE, "the last attempt is made at the end");
        assert_eq!(attempts, 12);
    }

    #[test]
    fn jitter_is_a_fifth_to_either_side() {
        assert_eq!((wait(1, 0.0), wait(1, 1.0)), (4000, 6000));
        assert_eq!(wait(0, 0.5), 5000);
        assert_eq!(wait(i64::MAX, 0.5), 8 * HOUR);
    }

    #[test]
    fn the_receiver_may_ask_for_more_time_and_not_for_ever() {
        assert_eq!(next(1, 0, LIFE, Some(90 * SECOND), 0.5), Some(90 * SECOND));
        assert_eq!(next(1, 0, LIFE, Some(1), 0.5), Some(5 * SECOND));
        assert_eq!(next(1, 0, LIFE, Some(Millis::MAX), 0.5), Some(LIFE));
        assert_eq!(pause(1, 0, Some(Millis::MAX), 0.5), LIFE);
        assert_eq!(pause(50, 0, None, 0.5), LONGEST_PAUSE);
        assert_eq!(pause(1, 7, None, 0.5), 7 + 5 * SECOND);
    }
}
