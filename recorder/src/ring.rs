//! About one second of one leg's octets, each either received or not yet.
//!
//! Positions are samples on the leg's own axis and may be negative. The window
//! is `floor .. floor + LEN`; everything below the floor has been handed out.

use std::ops::Range;

/// Samples the ring holds: 1.024 s, a power of two so that wrapping is a mask.
pub(crate) const LEN: i64 = 8_192;

const MASK: i64 = LEN - 1;

/// What is known of one sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Mark {
    #[default]
    Missing,
    /// The peer said that it would send nothing here.
    Meant,
    Received,
}

/// Fixed memory: 8 KiB of octets and as much of marks.
#[derive(Debug)]
pub(crate) struct Ring {
    octets: Box<[u8]>,
    marks: Box<[Mark]>,
    floor: i64,
    silence: u8,
}

/// A stretch handed out by [`Ring::take`]: was it received (or meant to be
/// silent), and how long is it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) received: bool,
    pub(crate) samples: i64,
}

impl Ring {
    pub(crate) fn new(floor: i64, silence: u8) -> Self {
        Self {
            octets: vec![silence; LEN as usize].into_boxed_slice(),
            marks: vec![Mark::Missing; LEN as usize].into_boxed_slice(),
            floor,
            silence,
        }
    }

    /// The first position not handed out yet.
    pub(crate) fn floor(&self) -> i64 {
        self.floor
    }

    /// Writes what falls inside the window and was not received before; the
    /// first to come wins. Returns how many samples were new.
    pub(crate) fn place(&mut self, position: i64, octets: &[u8]) -> usize {
        let from = position.max(self.floor);
        let to = (position + octets.len() as i64).min(self.floor + LEN);
        let mut new = 0;
        for (at, slots) in slots(from, to) {
            let (marks, held) = (&mut self.marks[slots.clone()], &mut self.octets[slots]);
            let octets = &octets[(at - position) as usize..][..marks.len()];
            if !marks.contains(&Mark::Received) {
                // As nearly always: at one go.
                held.copy_from_slice(octets);
                marks.fill(Mark::Received);
                new += octets.len();
                continue;
            }
            for ((mark, held), &octet) in marks.iter_mut().zip(held).zip(octets) {
                if *mark != Mark::Received {
                    *mark = Mark::Received;
                    *held = octet;
                    new += 1;
                }
            }
        }
        new
    }

    /// Marks `from..to` as meant silence where nothing was received.
    pub(crate) fn place_silence(&mut self, from: i64, to: i64) {
        for position in from.max(self.floor)..to.min(self.floor + LEN) {
            let mark = &mut self.marks[(position & MASK) as usize];
            if *mark == Mark::Missing {
                *mark = Mark::Meant;
            }
        }
    }

    /// Moves the floor up to `to`, handing out at most [`LEN`] samples: octets
    /// to `out`, and each stretch's nature to `runs`.
    pub(crate) fn take(&mut self, to: i64, out: &mut Vec<u8>, mut runs: impl FnMut(Run)) {
        let end = to.min(self.floor + LEN);
        let mut run: Option<Run> = None;
        for (_, slots) in slots(self.floor, end) {
            let (marks, octets) = (&mut self.marks[slots.clone()], &mut self.octets[slots]);
            out.extend_from_slice(octets);
            octets.fill(self.silence);
            let mut rest = &*marks;
            while let Some(&first) = rest.first() {
                let received = first != Mark::Missing;
                let length = rest
                    .iter()
                    .position(|&mark| (mark != Mark::Missing) != received)
                    .unwrap_or(rest.len());
                rest = &rest[length..];
                match &mut run {
                    Some(open) if open.received == received => open.samples += length as i64,
                    _ => {
                        let samples = length as i64;
                        if let Some(done) = run.replace(Run { received, samples }) {
                            runs(done);
                        }
                    }
                }
            }
            marks.fill(Mark::Missing);
        }
        if let Some(done) = run {
            runs(done);
        }
        self.floor = self.floor.max(end);
    }

    /// Moves an emptied ring's floor without handing anything out.
    pub(crate) fn skip_to(&mut self, floor: i64) {
        self.floor = self.floor.max(floor);
    }
}

/// The slots of positions `from..to`, [`LEN`] at most: one stretch, or two where the window comes round. Each with its first
/// position.
fn slots(from: i64, to: i64) -> impl Iterator<Item = (i64, Range<usize>)> {
    let middle = ((from & !MASK) + LEN).min(to);
    [(from, middle), (middle, to)]
        .into_iter()
        .filter(|(from, to)| from < to)
        .map(|(from, to)| {
            let first = (from & MASK) as usize;
            (from, first..first + (to - from) as usize)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(ring: &mut Ring, to: i64) -> (Vec<u8>, Vec<Run>) {
        let (mut out, mut runs) = (Vec::new(), Vec::new());
        ring.take(to, &mut out, |run| runs.push(run));
        (out, runs)
    }

    #[test]
    fn hands_out_in_order_with_silence_between() {
        let mut ring = Ring::new(-4, 0xD5);
        assert_eq!(ring.place(2, &[3, 4]), 2);
        assert_eq!(ring.place(-4, &[1, 2]), 2);
        let (out, runs) = take(&mut ring, 4);
        assert_eq!(out, [1, 2, 0xD5, 0xD5, 0xD5, 0xD5, 3, 4]);
        let run = |received, samples| Run { received, samples };
        assert_eq!(runs, [run(true, 2), run(false, 4), run(true, 2)]);
        assert_eq!(ring.floor(), 4);
    }

    #[test]
    fn first_to_come_wins_and_outside_is_ignored() {
        let mut ring = Ring::new(0, 0);
        assert_eq!(ring.place(0, &[1, 2]), 2);
        assert_eq!(ring.place(1, &[9, 3]), 1);
        assert_eq!(ring.place(-3, &[7, 7, 7]), 0);
        assert_eq!(ring.place(LEN, &[7]), 0);
        assert_eq!(take(&mut ring, 3).0, [1, 2, 3]);
    }

    #[test]
    fn a_stretch_that_comes_round_is_one() {
        let mut ring = Ring::new(LEN - 3, 0xD5);
        assert_eq!(ring.place(LEN - 2, &[1, 2, 3, 4]), 4);
        assert_eq!(ring.place(LEN - 3, &[9; 6]), 2);
        let (out, runs) = take(&mut ring, LEN + 4);
        assert_eq!(out, [9, 1, 2, 3, 4, 9, 0xD5]);
        let run = |received, samples| Run { received, samples };
        assert_eq!(runs, [run(true, 6), run(false, 1)]);
    }

    #[test]
    fn slots_are_clean_when_the_window_comes_round() {
        let mut ring = Ring::new(0, 0xFF);
        ring.place(10, &[1; 100]);
        take(&mut ring, LEN);
        let (out, runs) = take(&mut ring, 2 * LEN);
        assert!(out.iter().all(|&o| o == 0xFF));
        assert_eq!(
            runs,
            [Run {
                received: false,
                samples: LEN
            }]
        );
    }
}
