//! A key that is told in the media and in the signalling was pressed once.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Digit;

/// How far apart both reports of one press come at most: INFO is sent when the key is let go, and may be repeated.
const WINDOW: Duration = Duration::from_secs(2);

/// Presses that may wait for their other report; older ones had one report only.
const WAITING: usize = 32;

/// By which way a key was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// RFC 4733.
    Media,
    /// INFO.
    Info,
}

/// The presses of one call that were told by one way so far.
#[derive(Debug, Default)]
pub struct Both {
    waiting: VecDeque<(Way, Digit, Instant)>,
}

impl Both {
    /// Whether a report is of a press that nobody told of before.
    pub fn is_new(&mut self, way: Way, digit: Digit, at: Instant) -> bool {
        let apart = |then: Instant| at.saturating_duration_since(then).max(then.saturating_duration_since(at));
        self.waiting.retain(|(_, _, then)| apart(*then) <= WINDOW);
        // One report takes one other away, so that the same key twice stays two, by whichever ways.
        let other = |(known, key, _): &(Way, Digit, Instant)| *known != way && *key == digit;
        if let Some(told) = self.waiting.iter().position(other) {
            self.waiting.remove(told);
            return false;
        }
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((way, digit, at));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reports as way, sign and milliseconds; how many presses they are.
    fn presses(reports: &[(Way, char, u64)]) -> usize {
        let start = Instant::now();
        let mut both = Both::default();
        let new = |(way, sign, ms): &&(Way, char, u64)| {
            let digit = Digit::of_char(*sign).unwrap();
            both.is_new(*way, digit, start + Duration::from_millis(*ms))
        };
        reports.iter().filter(new).count()
    }

    #[test]
    fn both_ways_are_one_press() {
        use Way::{Info, Media};
        assert_eq!(presses(&[(Media, '1', 0), (Info, '1', 120)]), 1);
        assert_eq!(presses(&[(Info, '1', 100), (Media, '1', 40)]), 1, "the media are read later");
        assert_eq!(presses(&[(Media, '1', 0), (Media, '1', 300)]), 2);
        assert_eq!(
            presses(&[(Media, '1', 0), (Info, '1', 100), (Media, '1', 300), (Info, '1', 400)]),
            2
        );
        assert_eq!(
            presses(&[(Media, '1', 0), (Media, '1', 300), (Info, '1', 310), (Info, '1', 600)]),
            2
        );
        assert_eq!(presses(&[(Media, '1', 0), (Info, '2', 100)]), 2);
        assert_eq!(
            presses(&[(Media, '1', 0), (Info, '1', 2_100)]),
            2,
            "seconds later it is another one"
        );
    }

    #[test]
    fn what_waits_is_bounded() {
        let now = Instant::now();
        let mut both = Both::default();
        for _ in 0..1_000 {
            both.is_new(Way::Media, Digit::NINE, now);
        }
        assert_eq!(both.waiting.len(), WAITING);
    }
}
