//! What is measured of one connection of an account that may have several: a bind to an SMSC.
//!
//! The connection's task writes, the API and the metrics read. Everything in it is bounded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::state::State;
use crate::base::time::{self, Millis};

/// A rate is the mean over so many whole seconds.
const SECONDS: usize = 10;
/// Different errors that are counted by name; all others are counted together.
const ERRORS: usize = 32;
/// What is counted of the others.
const OTHERS: &str = "other";

/// What is known of one connection.
#[derive(Debug, Clone, PartialEq)]
pub struct BindStatus {
    /// Its name within its account, `1` or `2-receiver`.
    pub name: Arc<str>,
    /// `transceiver`, `transmitter`, `receiver`.
    pub kind: &'static str,
    /// What it is doing.
    pub state: State,
    /// Since when, milliseconds UTC.
    pub since: Millis,
    /// The peer that was reached, `tcp:192.0.2.1:2775`, or `tls:…`.
    pub address: Option<String>,
    /// What went wrong last. Says nothing about citizens.
    pub last_error: Option<String>,
    /// When the next attempt is due.
    pub next_attempt: Option<Millis>,
    /// Texts of ours that may wait for their response at once.
    pub window: u64,
    /// Of these, how many do.
    pub in_use: u64,
    /// Texts and receipts that came, since the start.
    pub received: u64,
    /// Texts that were sent, since the start.
    pub sent: u64,
    /// Texts and receipts that come a second, over the last ten seconds.
    pub in_per_second: f64,
    /// Texts that go out a second, over the last ten seconds.
    pub out_per_second: f64,
    /// From a request of ours to its response, in milliseconds, smoothed.
    pub round_trip_ms: Option<f64>,
    /// How loaded the peer says it is, 0 to 100 (SMPP 5.0 §4.8.4.18).
    pub congestion: Option<u8>,
    /// What the peer refused, by the name of the error.
    pub errors: Vec<(String, u64)>,
    /// When the last receipt came, milliseconds UTC.
    pub last_receipt: Option<Millis>,
}

/// Counts by second, of the last few.
#[derive(Debug, Default)]
struct Rate {
    total: u64,
    second: i64,
    counts: [u64; SECONDS + 1],
}

fn place(second: i64) -> usize {
    usize::try_from(second.rem_euclid(SECONDS as i64 + 1)).unwrap_or(0)
}

impl Rate {
    fn add(&mut self, now: Millis, n: u64) {
        self.pass(now / 1000);
        self.total += n;
        if let Some(count) = self.counts.get_mut(place(self.second)) {
            *count += n;
        }
    }

    /// Forgets what is too old by `second`.
    fn pass(&mut self, second: i64) {
        let gone = (second - self.second).clamp(0, SECONDS as i64 + 1);
        for step in 1..=gone {
            if let Some(count) = self.counts.get_mut(place(second - gone + step)) {
                *count = 0;
            }
        }
        self.second = self.second.max(second);
    }

    /// Of the whole seconds before the running one.
    #[expect(clippy::cast_precision_loss, reason = "counts of ten seconds are small")]
    fn per_second(&mut self, now: Millis) -> f64 {
        self.pass(now / 1000);
        let running = self.counts.get(place(self.second)).copied().unwrap_or(0);
        (self.counts.iter().sum::<u64>() - running) as f64 / SECONDS as f64
    }
}

#[derive(Debug)]
struct Inner {
    status: BindStatus,
    received: Rate,
    sent: Rate,
    errors: BTreeMap<String, u64>,
}

/// The measures of one connection; clones share them.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Mutex<Inner>>);

impl Meter {
    /// Of a connection that is not there yet; `window` is how many texts it may have under way.
    #[must_use]
    pub fn new(name: &str, kind: &'static str, window: u64) -> Self {
        let status = BindStatus {
            name: Arc::from(name),
            kind,
            state: State::Connecting,
            since: time::now(),
            address: None,
            last_error: None,
            next_attempt: None,
            window,
            in_use: 0,
            received: 0,
            sent: 0,
            in_per_second: 0.0,
            out_per_second: 0.0,
            round_trip_ms: None,
            congestion: None,
            errors: Vec::new(),
            last_receipt: None,
        };
        Self(Arc::new(Mutex::new(Inner {
            status,
            received: Rate::default(),
            sent: Rate::default(),
            errors: BTreeMap::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, state: State, change: impl FnOnce(&mut BindStatus)) {
        let status = &mut self.lock().status;
        if status.state != state {
            (status.state, status.since) = (state, time::now());
        }
        (status.next_attempt, status.in_use) = (None, 0);
        change(status);
    }

    /// It reaches for its peer.
    pub fn connecting(&self) {
        self.enter(State::Connecting, |_| ());
    }

    /// It works; this peer was reached.
    pub fn up(&self, address: &str) {
        self.enter(State::Up, |status| status.address = Some(address.to_owned()));
    }

    /// It ended; the next attempt is at `next`, or when its account's is. `halted`: the peer refused it, and somebody should
    /// look.
    pub fn failed(&self, error: &str, next: Option<Millis>, halted: bool) {
        let state = if halted { State::Halted } else { State::Retrying };
        self.enter(state, |status| {
            status.last_error = Some(error.to_owned());
            status.next_attempt = next;
        });
    }

    /// It is closing.
    pub fn stopping(&self) {
        self.enter(State::Stopping, |_| ());
    }

    /// What is under way now, what the round trip is, and how loaded the peer says it is.
    pub fn under_way(&self, in_use: usize, round_trip: Option<Duration>, congestion: Option<u8>) {
        let status = &mut self.lock().status;
        status.in_use = in_use as u64;
        status.round_trip_ms = round_trip.map(|time| time.as_secs_f64() * 1000.0);
        status.congestion = congestion;
    }

    /// So many texts or receipts came, and so many texts were sent.
    pub fn passed(&self, received: u64, sent: u64, now: Millis) {
        let mut inner = self.lock();
        inner.received.add(now, received);
        inner.sent.add(now, sent);
    }

    /// A receipt came.
    pub fn receipt(&self, now: Millis) {
        self.lock().status.last_receipt = Some(now);
    }

    /// The peer refused something, for a reason of this name.
    pub fn refused(&self, error: &str) {
        let errors = &mut self.lock().errors;
        let name = if errors.contains_key(error) || errors.len() < ERRORS {
            error
        } else {
            OTHERS
        };
        *errors.entry(name.to_owned()).or_default() += 1;
    }

    /// All of it, with the rates of now.
    #[must_use]
    pub fn status(&self) -> BindStatus {
        let now = time::now();
        let inner = &mut *self.lock();
        BindStatus {
            received: inner.received.total,
            sent: inner.sent.total,
            in_per_second: inner.received.per_second(now),
            out_per_second: inner.sent.per_second(now),
            errors: inner.errors.iter().map(|(name, count)| (name.clone(), *count)).collect(),
            ..inner.status.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_of_the_last_ten_seconds() {
        let mut rate = Rate::default();
        for second in 100..105 {
            rate.add(second * 1000 + 7, 20);
        }
        assert!((rate.per_second(105_000) - 10.0).abs() < 1e-9, "100 in ten seconds");
        assert!(
            (rate.per_second(113_000) - 4.0).abs() < 1e-9,
            "two of the five seconds are in it yet"
        );
        assert!(rate.per_second(200_000).abs() < 1e-9);
        assert!(rate.per_second(1_000).abs() < 1e-9, "a clock that is set back does no harm");
        assert_eq!(rate.total, 100);
    }

    #[test]
    fn errors_are_counted_by_name_and_bounded() {
        let meter = Meter::new("1", "transceiver", 64);
        for code in 0..1000 {
            meter.refused(&format!("command_status {code}"));
        }
        meter.refused("command_status 3");
        let errors = meter.status().errors;
        assert_eq!(
            (errors.len(), errors.iter().map(|(_, count)| count).sum::<u64>()),
            (ERRORS + 1, 1001)
        );
        assert!(errors.contains(&("command_status 3".to_owned(), 2)) && errors.contains(&(OTHERS.to_owned(), 968)));
    }

    #[test]
    fn a_state_keeps_its_beginning_and_forgets_what_is_over() {
        let meter = Meter::new("1", "transceiver", 64);
        meter.up("tcp:127.0.0.1:2775");
        let since = meter.status().since;
        meter.under_way(3, Some(Duration::from_millis(20)), Some(90));
        meter.up("tcp:127.0.0.1:2775");
        let status = meter.status();
        assert_eq!((status.since, status.congestion), (since, Some(90)));
        meter.failed("it closed the connection", Some(42), false);
        let status = meter.status();
        assert_eq!((status.state, status.next_attempt, status.in_use), (State::Retrying, Some(42), 0));
        assert_eq!(status.round_trip_ms, Some(20.0));
    }
}
