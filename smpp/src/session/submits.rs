//! Requests of ours that wait for their response, and how long responses take.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::event::Handle;
use crate::pdu::command;

/// Responses to what takes a place in the window.
pub(super) const ANSWERS: [u32; 4] = [
    command::SUBMIT_SM_RESP,
    command::CANCEL_SM_RESP,
    command::REPLACE_SM_RESP,
    command::QUERY_SM_RESP,
];
/// Of so many that were given up a late response is known.
const LATE: usize = 1024;
/// A new round trip counts for one part in so many.
const SMOOTHING: u32 = 8;

/// The table of them.
#[derive(Default)]
pub(super) struct Submits {
    open: HashMap<u32, (Handle, Instant)>,
    /// When each is overdue, the earliest first. Answered ones go when they come to the front.
    overdue: VecDeque<(Instant, u32, Handle)>,
    /// Given up, the oldest first: a response that comes after all still tells what became of them.
    late: VecDeque<(u32, Handle)>,
    round_trip: Option<Duration>,
}

impl Submits {
    /// One was sent under this sequence number, and is overdue after `patience`.
    pub(super) fn sent(&mut self, sequence: u32, handle: Handle, now: Instant, patience: Duration) {
        self.late.retain(|(late, _)| *late != sequence);
        self.open.insert(sequence, (handle, now));
        self.overdue.push_back((now + patience, sequence, handle));
    }

    /// Its response came.
    pub(super) fn answered(&mut self, sequence: u32, now: Instant) -> Option<Handle> {
        let Some((handle, sent)) = self.open.remove(&sequence) else {
            let at = self.late.iter().position(|(late, _)| *late == sequence)?;
            return self.late.remove(at).map(|(_, handle)| handle);
        };
        self.took(now.saturating_duration_since(sent));
        while let Some((_, sequence, handle)) = self.overdue.front().copied()
            && !self.waits(sequence, handle)
        {
            self.overdue.pop_front();
        }
        Some(handle)
    }

    /// A request and its response took so long; also of those that are not kept here.
    pub(super) fn took(&mut self, time: Duration) {
        let smoothed = self
            .round_trip
            .map_or(time, |mean| mean * (SMOOTHING - 1) / SMOOTHING + time / SMOOTHING);
        self.round_trip = Some(smoothed);
    }

    /// The smoothed mean; `None` before the first response.
    pub(super) const fn round_trip(&self) -> Option<Duration> {
        self.round_trip
    }

    /// When the next one is overdue.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.overdue.front().map(|(until, ..)| *until)
    }

    /// Takes the first one away, which is overdue: `None` inside when it was answered before. `None` when there is none.
    pub(super) fn give_up(&mut self) -> Option<Option<Handle>> {
        let (_, sequence, handle) = self.overdue.pop_front()?;
        let waits = self.waits(sequence, handle);
        if waits {
            self.open.remove(&sequence);
            if self.late.len() >= LATE {
                self.late.pop_front();
            }
            self.late.push_back((sequence, handle));
        }
        Some(waits.then_some(handle))
    }

    /// All that wait, in the order in which they were sent; none do any more.
    pub(super) fn drain(&mut self) -> Vec<Handle> {
        self.overdue.clear();
        let mut handles: Vec<Handle> = self.open.drain().map(|(_, (handle, _))| handle).collect();
        handles.sort_unstable();
        handles
    }

    /// Whether a sequence number is in use.
    pub(super) fn has(&self, sequence: u32) -> bool {
        self.open.contains_key(&sequence)
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    fn waits(&self, sequence: u32, handle: Handle) -> bool {
        self.open.get(&sequence).is_some_and(|(open, _)| *open == handle)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_are_smoothed() {
        let (mut submits, now) = (Submits::default(), Instant::now());
        let ms = Duration::from_millis;
        for (sequence, time) in [(1, 80), (2, 160)] {
            submits.sent(sequence, Handle(u64::from(sequence)), now, ms(1000));
            assert!(submits.answered(sequence, now + ms(time)).is_some());
        }
        assert_eq!(submits.round_trip(), Some(ms(90)));
        assert!(submits.answered(2, now).is_none() && submits.deadline().is_none());
    }
}
