//! Which stretches of a recording are not recorded.
//!
//! A pause holds by place in the recording, not by when its packets are read: what arrived from its instant on is silence,
//! also what was on the way through the timeline at that moment. Nothing that was said in one is handed to a writer.

use voxea_core::artefact::Pause;
use voxea_recorder::timeline::{Gap, Placed};

/// Pauses of one recording at most: what its manifest and its row have room for.
const MOST: usize = 256;

/// The pauses of one recording, in order.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    over: Vec<Gap>,
    /// The first sample of the one that lasts.
    since: Option<u64>,
}

/// It was paused [`MOST`] times.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Pauses {
    /// Pauses from this sample on, unless it is paused.
    pub(super) fn pause(&mut self, at: u64) -> Result<(), Full> {
        if self.since.is_none() {
            if self.over.len() >= MOST {
                return Err(Full);
            }
            let free = self.over.last().map_or(0, |last| last.offset + last.samples);
            self.since = Some(at.max(free));
        }
        Ok(())
    }

    /// Records again from this sample on, if it is paused.
    pub(super) fn resume(&mut self, at: u64) {
        if let Some(offset) = self.since.take() {
            let samples = at.saturating_sub(offset);
            self.over.push(Gap { offset, samples });
        }
    }

    /// The last one: as long as it is, or lasting.
    pub(super) fn last(&self) -> Option<Pause> {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let over = self.over.last().map(|last| Pause {
            number: number(self.over.len() - 1),
            first: last.offset,
            samples: Some(last.samples),
        });
        let lasting = self.since.map(|first| Pause {
            number: number(self.over.len()),
            first,
            samples: None,
        });
        lasting.or(over)
    }

    /// Whether this sample is not recorded.
    pub(super) fn cover(&self, sample: u64) -> bool {
        let over = || self.over.iter().rev().find(|gap| gap.offset <= sample);
        self.since.is_some_and(|since| sample >= since) || over().is_some_and(|gap| sample - gap.offset < gap.samples)
    }

    /// Makes silence of what is not recorded of a stretch; whether there was any of it.
    pub(super) fn hush(&self, placed: &mut Placed, silence: u8) -> bool {
        let (from, length) = match placed {
            Placed::Octets { offset, octets } => (*offset, octets.len() as u64),
            Placed::Silence { offset, samples } => (*offset, *samples),
        };
        let lasting = self.since.map(|since| (since, u64::MAX));
        // The latest come first, and those before the stretch end the search.
        let over = self.over.iter().rev().map(|gap| (gap.offset, gap.offset + gap.samples));
        let mut any = false;
        for (begin, end) in lasting.into_iter().chain(over.take_while(|(_, end)| *end >= from)) {
            let (begin, end) = (begin.max(from), end.min(from + length));
            if begin >= end {
                continue;
            }
            any = true;
            if let Placed::Octets { octets, .. } = placed {
                octets[(begin - from) as usize..(end - from) as usize].fill(silence);
            }
        }
        any
    }

    /// All of them, when the recording ends at sample `total`; those of no length too.
    pub(super) fn finish(mut self, total: u64) -> Vec<Gap> {
        self.resume(total);
        for gap in &mut self.over {
            gap.samples = gap.samples.min(total.saturating_sub(gap.offset));
        }
        self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SILENCE: u8 = 0xD5;

    fn speech(offset: u64, length: usize) -> Placed {
        Placed::Octets {
            offset,
            octets: vec![0x2A; length],
        }
    }

    #[test]
    fn silence_takes_the_place_of_what_was_said_to_the_sample() {
        let mut pauses = Pauses::default();
        let mut placed = speech(0, 100);
        assert!(!pauses.hush(&mut placed, SILENCE) && placed == speech(0, 100));
        pauses.pause(50).unwrap();
        assert!(pauses.cover(50) && !pauses.cover(49) && pauses.cover(u64::MAX));
        assert!(pauses.hush(&mut placed, SILENCE));
        let Placed::Octets { octets, .. } = placed else { panic!() };
        assert_eq!((&octets[..50], &octets[50..]), (&[0x2A; 50][..], &[SILENCE; 50][..]));
        pauses.resume(130);
        let mut after = speech(100, 100);
        assert!(pauses.hush(&mut after, SILENCE));
        let Placed::Octets { octets, .. } = after else { panic!() };
        assert_eq!((&octets[..30], &octets[30..]), (&[SILENCE; 30][..], &[0x2A; 70][..]));
        assert!(!pauses.hush(&mut speech(200, 100), SILENCE));
        assert!(!pauses.cover(130));
    }

    #[test]
    fn a_second_word_changes_nothing() {
        let mut pauses = Pauses::default();
        pauses.resume(7);
        assert_eq!(pauses.last(), None);
        pauses.pause(10).unwrap();
        pauses.pause(20).unwrap();
        let lasting = Pause {
            number: 0,
            first: 10,
            samples: None,
        };
        assert_eq!(pauses.last(), Some(lasting));
        pauses.resume(30);
        pauses.resume(40);
        let over = Pause {
            samples: Some(20),
            ..lasting
        };
        assert_eq!(pauses.last(), Some(over));
        // What was paused is not found again by a wish that was on its way.
        pauses.pause(25).unwrap();
        assert_eq!(pauses.last().map(|pause| (pause.number, pause.first)), Some((1, 30)));
    }

    #[test]
    fn one_that_lasts_ends_with_the_recording() {
        let mut pauses = Pauses::default();
        for (from, to) in [(10, 20), (30, 30), (40, 60)] {
            pauses.pause(from).unwrap();
            pauses.resume(to);
        }
        pauses.pause(70).unwrap();
        let stretch = |(offset, samples)| Gap { offset, samples };
        assert_eq!(pauses.finish(50), [(10, 10), (30, 0), (40, 10), (70, 0)].map(stretch));
        let mut open = Pauses::default();
        open.pause(5).unwrap();
        assert_eq!(open.finish(9), [stretch((5, 4))]);
    }

    #[test]
    fn there_are_so_many_and_no_more() {
        let mut pauses = Pauses::default();
        for number in 0..MOST as u64 {
            pauses.pause(number * 2).unwrap();
            pauses.resume(number * 2 + 1);
        }
        assert_eq!(pauses.pause(9_999), Err(Full));
        assert_eq!(pauses.finish(u64::MAX).len(), MOST);
    }

    proptest! {
        /// However the recording is cut into stretches, exactly what was paused is silent.
        #[test]
        fn every_cut_hushes_the_same(spans in prop::collection::vec((0u64..300, 0u64..300), 0..8), open: bool, cuts in prop::collection::vec(1usize..400, 1..20)) {
            let (mut pauses, mut at, mut paused) = (Pauses::default(), 0, vec![false; 10_000]);
            for (index, (before, length)) in spans.iter().enumerate() {
                at += before;
                pauses.pause(at).unwrap();
                if open && index + 1 == spans.len() {
                    paused[at as usize..].fill(true);
                    break;
                }
                paused[at as usize..(at + length) as usize].fill(true);
                at += length;
                pauses.resume(at);
            }
            let mut offset = 0;
            for cut in cuts {
                let mut placed = speech(offset, cut);
                let any = pauses.hush(&mut placed, SILENCE);
                let Placed::Octets { octets, .. } = placed else { panic!() };
                for (sample, octet) in (offset..).zip(&octets) {
                    prop_assert_eq!(*octet == SILENCE, paused[sample as usize], "sample {}", sample);
                    prop_assert_eq!(pauses.cover(sample), paused[sample as usize]);
                }
                prop_assert_eq!(any, octets.contains(&SILENCE));
                offset += cut as u64;
            }
        }
    }
}
