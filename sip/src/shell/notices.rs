//! What an operator should read in the log about calls that were not taken: once a minute a kind, however often it happens.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// From one line of a kind to the next.
const PAUSE: Duration = Duration::from_secs(60);

/// What was told when, and how often it happened since; clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Notices(Arc<Mutex<HashMap<&'static str, (Instant, u64)>>>);

impl Notices {
    /// Notes an event by the name of its counter; what is to be said of it now, and how often it happened unsaid.
    pub(super) fn note(&self, event: &'static str, now: Instant) -> Option<(&'static str, u64)> {
        let words = words(event)?;
        self.often(event, now).map(|times| (words, times))
    }

    /// The same of what has its words with it. There are as many causes as the program has texts, so the table is bounded.
    pub(super) fn often(&self, cause: &'static str, now: Instant) -> Option<u64> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((at, unsaid)) = told.get_mut(cause) else {
            told.insert(cause, (now, 0));
            return Some(1);
        };
        *unsaid += 1;
        if now.saturating_duration_since(*at) < PAUSE {
            return None;
        }
        *at = now;
        Some(std::mem::take(unsaid))
    }

    /// What happened more often than was said, of every kind whose minute is over: the event or cause, what is to be said,
    /// how often.
    pub(super) fn due(&self, now: Instant) -> Vec<(&'static str, &'static str, u64)> {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let over = |(at, unsaid): &(Instant, u64)| *unsaid > 0 && now.saturating_duration_since(*at) >= PAUSE;
        let due = told.iter_mut().filter(|(_, entry)| over(entry));
        due.map(|(event, (at, unsaid))| {
            *at = now;
            (*event, words(event).unwrap_or(event), std::mem::take(unsaid))
        })
        .collect()
    }
}

/// What happened, and what to do; nothing for what needs nobody.
fn words(event: &str) -> Option<&'static str> {
    Some(match event {
        "unauthorised" => "a call came with wrong credentials; compare user and password of the trunk with those of the PBX",
        "throttled" => "an address with too many wrong passwords is refused for a while",
        "forbidden" => "somebody calls whom no trunk's `allow` names",
        "no_line" => "a number was called that no [[sip.line]] has",
        "trunk_calls" => "a trunk has more calls than its max_calls",
        "trunk_rate" => "a trunk makes more calls a second than its calls_per_second",
        "overload" => "more calls come than can be held; they are refused for now",
        "call_limit" => "as many calls go on as media_ports has pairs of ports, or as are held at most (2,000); widen media_ports",
        "no_port" => "no media port is free; widen media_ports",
        "store_unavailable" => "calls are refused because the database is away",
        "tls_on_tcp" => "somebody speaks TLS where plain TCP is listened to; send it to the address of a tls: listener",
        "connection_refused" => "more connections come than are held",
        "connection_replaced" => "a trunk opens more connections than are held; those silent longest are closed for new ones",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_a_minute_and_with_how_often() {
        let start = Instant::now();
        let notices = Notices::default();
        assert!(notices.note("no_line", start).is_some_and(|(_, times)| times == 1));
        for second in 1..60 {
            assert_eq!(notices.note("no_line", start + Duration::from_secs(second)), None);
        }
        assert!(notices.note("forbidden", start).is_some(), "each kind has its own minute");
        assert!(notices.note("no_line", start + PAUSE).is_some_and(|(_, times)| times == 60));
        assert_eq!(notices.note("retransmission", start), None, "what needs nobody");
        let told: Vec<u64> = (0..300)
            .filter_map(|_| notices.often("the trunk shows no certificate", start))
            .collect();
        assert_eq!(told, [1], "three hundred handshakes are one line");
        assert_eq!(notices.often("what came is no TLS", start), Some(1), "of each cause");
        assert!(notices.due(start + PAUSE / 2).is_empty(), "its minute is not over");
        let summary = notices.due(start + PAUSE);
        assert_eq!(summary, [("the trunk shows no certificate", "the trunk shows no certificate", 299)]);
        assert!(notices.due(start + PAUSE * 3).is_empty(), "what was said is said");
        assert_eq!(notices.often("the trunk shows no certificate", start + PAUSE * 3), Some(1));
    }
}
