//! The sound of one recording between its media thread and the disk's.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use voxea_recorder::timeline::Placed;

/// Octets that may wait: 30 s, the time that a full or stalled disk has to recover without loss.
pub(super) const ROOM: usize = 240_000;

/// What is placed and not written yet, in order. What does not fit becomes silence of the same length, so that what comes
/// after it stands in its place.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    stretches: VecDeque<Placed>,
    octets: usize,
    lost: u64,
}

impl Pipe {
    /// Puts the next stretch in.
    pub(super) fn push(&self, placed: Placed) {
        let mut waiting = self.lock();
        let (offset, samples) = match placed {
            Placed::Silence { offset, samples } => (offset, samples),
            Placed::Octets { offset, octets } if waiting.octets + octets.len() > ROOM => {
                waiting.lost += octets.len() as u64;
                (offset, octets.len() as u64)
            }
            Placed::Octets { offset, octets } => {
                waiting.octets += octets.len();
                waiting.stretches.push_back(Placed::Octets { offset, octets });
                return;
            }
        };
        if let Some(Placed::Silence { samples: open, .. }) = waiting.stretches.back_mut() {
            *open += samples;
        } else {
            waiting.stretches.push_back(Placed::Silence { offset, samples });
        }
    }

    /// Takes the next stretch out, of a silence no more than so many samples.
    pub(super) fn take(&self, most: u64) -> Option<Placed> {
        let mut waiting = self.lock();
        match waiting.stretches.pop_front()? {
            Placed::Octets { offset, octets } => {
                waiting.octets -= octets.len();
                Some(Placed::Octets { offset, octets })
            }
            Placed::Silence { offset, samples } => {
                let now = samples.min(most);
                if now < samples {
                    let (offset, samples) = (offset + now, samples - now);
                    waiting.stretches.push_front(Placed::Silence { offset, samples });
                }
                Some(Placed::Silence { offset, samples: now })
            }
        }
    }

    /// Samples that did not fit, and are silence now.
    pub(super) fn lost(&self) -> u64 {
        self.lock().lost
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(offset: u64, count: usize) -> Placed {
        let octets = vec![7; count];
        Placed::Octets { offset, octets }
    }

    fn silence(offset: u64, samples: u64) -> Placed {
        Placed::Silence { offset, samples }
    }

    #[test]
    fn stretches_come_out_in_order_and_long_silence_in_pieces() {
        let pipe = Pipe::default();
        pipe.push(octets(0, 10));
        pipe.push(silence(10, 5));
        pipe.push(silence(15, 7));
        pipe.push(octets(22, 1));
        assert_eq!(pipe.take(8), Some(octets(0, 10)));
        assert_eq!(pipe.take(8), Some(silence(10, 8)));
        assert_eq!(pipe.take(8), Some(silence(18, 4)));
        assert_eq!(pipe.take(8), Some(octets(22, 1)));
        assert_eq!(pipe.take(8), None);
        assert_eq!(pipe.lost(), 0);
    }

    #[test]
    fn what_does_not_fit_is_silence_as_long_and_there_is_room_again_later() {
        let pipe = Pipe::default();
        pipe.push(octets(0, ROOM));
        pipe.push(octets(ROOM as u64, 160));
        pipe.push(octets(ROOM as u64 + 160, 160));
        assert_eq!(pipe.lost(), 320);
        assert_eq!(pipe.take(u64::MAX), Some(octets(0, ROOM)));
        pipe.push(octets(ROOM as u64 + 320, 160));
        assert_eq!(pipe.take(u64::MAX), Some(silence(ROOM as u64, 320)));
        assert_eq!(pipe.take(u64::MAX), Some(octets(ROOM as u64 + 320, 160)));
        assert_eq!(pipe.lost(), 320);
    }
}
