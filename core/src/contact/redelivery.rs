//! Texts that come twice: SMPP has no message id on the way in, so a redelivery is known by what was delivered and not
//! acknowledged.

use crate::base::account::Account;
use crate::base::mutant;
use crate::base::time::Millis;

/// By what a text, or a part of one, is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redelivery {
    /// SHA-256, hexadecimal, of source, destination, UDH and body.
    pub fingerprint: String,
    /// The link (one TCP connection and bind) that it came by: an id that is never used again, [`crate::base::id::new`].
    pub link: String,
    /// `redelivery_seconds` of the account; 0 matches only across links.
    pub window_seconds: u32,
}

/// Names a stored delivery, so that the leaving of its response can be noted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryMark {
    /// The account.
    pub account: Account,
    /// As in [`Redelivery`].
    pub fingerprint: String,
    /// Which of the equal texts it is.
    pub ordinal: i64,
    /// The link that the response leaves by.
    pub link: String,
}

/// What is stored of an earlier delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Earlier<'a> {
    /// When it was first delivered.
    pub delivered_at: Millis,
    /// The link it came by last, or the one its response left by.
    pub link: &'a str,
    /// When its response left, as far as we know.
    pub flushed_at: Option<Millis>,
    /// When that link ended, if it did.
    pub link_ended_at: Option<Millis>,
}

/// How long a delivery is remembered for the rule.
pub const REMEMBERED: Millis = 24 * 3600 * 1000;
/// How near to its link's end a response counts as perhaps lost, when the account names no window.
const NEAR_THE_END: Millis = 60 * 1000;

impl Redelivery {
    /// Whether this delivery, at `now`, is the same text as an earlier one with its fingerprint.
    ///
    /// Within 24 h: its response is not known to have left (on another link, or with any window), or left less than the
    /// window ago, or left so shortly before the end of its link that it may not have arrived.
    #[must_use]
    pub fn repeats(&self, earlier: &Earlier<'_>, now: Millis) -> bool {
        let window = Millis::from(self.window_seconds) * 1000;
        if now - earlier.delivered_at >= REMEMBERED || mutant::active("no_dedup") {
            return false;
        }
        let Some(flushed_at) = earlier.flushed_at else {
            return window > 0 || earlier.link != self.link;
        };
        let near = if window == 0 { NEAR_THE_END } else { window };
        now - flushed_at < window || earlier.link_ended_at.is_some_and(|ended_at| ended_at - flushed_at < near)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Millis = 60_000;
    const HOUR: Millis = 60 * MINUTE;

    fn earlier(flushed_at: Option<Millis>, link_ended_at: Option<Millis>) -> Earlier<'static> {
        Earlier {
            delivered_at: 0,
            link: "one",
            flushed_at,
            link_ended_at,
        }
    }

    fn text(link: &str, window_seconds: u32) -> Redelivery {
        Redelivery {
            fingerprint: String::new(),
            link: link.to_owned(),
            window_seconds,
        }
    }

    #[test]
    fn the_rule_is_this_table() {
        // link, window, now, flushed, link ended, whether it is the same text
        type Row = (&'static str, u32, Millis, Option<Millis>, Option<Millis>, bool);
        let table: &[Row] = &[
            // never flushed
            ("one", 60, HOUR, None, None, true),
            ("one", 0, HOUR, None, None, false),
            ("two", 0, HOUR, None, None, true),
            ("two", 60, 24 * HOUR - 1, None, None, true),
            ("two", 60, 24 * HOUR, None, None, false),
            // flushed within the window
            ("one", 60, MINUTE - 1, Some(0), None, true),
            ("one", 60, MINUTE, Some(0), None, false),
            ("two", 60, MINUTE - 1, Some(0), None, true),
            ("one", 0, 1, Some(0), None, false),
            // flushed, and the link ended thereafter
            ("two", 60, HOUR, Some(0), Some(MINUTE - 1), true),
            ("two", 60, HOUR, Some(0), Some(MINUTE), false),
            ("two", 0, HOUR, Some(0), Some(MINUTE - 1), true),
            ("two", 0, HOUR, Some(0), Some(MINUTE), false),
            ("two", 600, HOUR, Some(0), Some(9 * MINUTE), true),
            ("two", 60, 25 * HOUR, Some(0), Some(1), false),
        ];
        for (link, window, now, flushed, ended, expected) in table {
            let seen = text(link, *window).repeats(&earlier(*flushed, *ended), *now);
            assert_eq!(
                seen, *expected,
                "link {link}, window {window}, now {now}, flushed {flushed:?}, ended {ended:?}"
            );
        }
    }
}
