//! The last protocol units of an account, masked, for whoever must find out what two machines said to each other.
//!
//! What is put in must hold no personal data and no secret: the channel masks it before. A ring in memory, bounded in
//! number and in bytes; it is gone with the process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::base::time::Millis;

/// Units that are kept of one account.
const KEPT: usize = 500;
/// Bytes that are kept of one unit.
const LONGEST: usize = 512;

/// One protocol unit as it was sent or received, masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// Counts from 1 since the start; a gap between two looks is what the ring has forgotten.
    pub number: u64,
    /// When, milliseconds UTC.
    pub at: Millis,
    /// Whether we sent it.
    pub sent: bool,
    /// On which connection of the account.
    pub bind: Arc<str>,
    /// The masked bytes, 512 at most.
    pub bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct Ring {
    units: VecDeque<Captured>,
    count: u64,
}

/// The ring of one account; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Capture(Arc<Mutex<Ring>>);

impl Capture {
    /// Keeps a unit; the oldest is forgotten for it. `masked` holds nothing that must not be shown.
    pub fn keep(&self, at: Millis, sent: bool, bind: &Arc<str>, mut masked: Vec<u8>) {
        masked.truncate(LONGEST);
        let mut ring = self.lock();
        if ring.units.len() == KEPT {
            ring.units.pop_front();
        }
        ring.count += 1;
        let number = ring.count;
        ring.units.push_back(Captured {
            number,
            at,
            sent,
            bind: Arc::clone(bind),
            bytes: masked,
        });
    }

    /// What is kept, the oldest first.
    #[must_use]
    pub fn units(&self) -> Vec<Captured> {
        self.lock().units.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_in_number_and_in_bytes() {
        let (capture, bind) = (Capture::default(), Arc::from("1"));
        for at in 0..1000 {
            capture.keep(at, at % 2 == 0, &bind, vec![0; 70_000]);
        }
        let units = capture.units();
        assert_eq!((units.len(), units[0].number, units[499].number), (500, 501, 1000));
        assert!(units.iter().all(|unit| unit.bytes.len() == LONGEST));
    }
}
