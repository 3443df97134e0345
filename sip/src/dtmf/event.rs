//! Telephone events (RFC 4733): from packets to presses.
//!
//! One press is many packets: updates while the key is down, and its last report three times (§2.5.1.4). What they have in
//! common is the RTP timestamp of the press's beginning; by it a press counts once, whichever of its packets were lost,
//! doubled or overtaken. It counts as soon as a packet says that the key was down for 20 ms, so nobody waits for its end.

use std::collections::VecDeque;
use std::time::Instant;

use super::Digit;

/// Presses that are remembered, so that their late packets are known. At 50 ms a key that is most of a second.
const REMEMBERED: usize = 16;

/// Samples at 8 kHz below which it is no key but noise; Q.24 has every receiver take 40 ms.
const SHORTEST: u16 = 160;

/// Quieter than -55 dBm0 must be rejected (ITU-T Q.24 annex A, RFC 2833 §3.5).
const QUIETEST: u8 = 55;

/// From here on a key that stays down may be told in segments, each with a timestamp of its own (§2.5.1.3).
const LONG: u16 = 0x8000;

/// Reports of one packet that are looked at (§2.5.1.5).
const REPORTS: usize = 8;

/// One packet of the negotiated payload type.
#[derive(Debug, Clone, Copy)]
pub struct Heard<'a> {
    /// Synchronisation source.
    pub ssrc: u32,
    /// When the event began, by the sender's clock.
    pub timestamp: u32,
    /// The first packet of an event.
    pub marker: bool,
    /// Reports of four octets.
    pub payload: &'a [u8],
    /// When it came.
    pub at: Instant,
}

/// A key was pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Press {
    /// Which.
    pub digit: Digit,
    /// When its first packet came.
    pub at: Instant,
}

/// The presses of one call. Sans-IO, and never more than it remembers.
#[derive(Debug, Default)]
pub struct Decoder {
    recent: VecDeque<Event>,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    ssrc: u32,
    timestamp: u32,
    digit: Digit,
    first: Instant,
    /// The longest that was told of it, in samples.
    duration: u16,
    ended: bool,
    counted: bool,
}

impl Decoder {
    /// Takes a packet, and gives the presses that count from now on.
    pub fn push(&mut self, heard: &Heard<'_>) -> Vec<Press> {
        let mut presses = Vec::new();
        let mut timestamp = heard.timestamp;
        for (index, report) in heard.payload.as_chunks::<4>().0.iter().take(REPORTS).enumerate() {
            let &[code, flags, high, low] = report;
            let duration = u16::from_be_bytes([high, low]);
            if let Some(digit) = Digit::of_event(code).filter(|_| flags & 0x3F <= QUIETEST) {
                let told = Event {
                    ssrc: heard.ssrc,
                    timestamp,
                    digit,
                    first: heard.at,
                    duration,
                    ended: flags & 0x80 != 0,
                    counted: false,
                };
                presses.extend(self.report(told, heard.marker && index == 0));
            }
            // Events of one packet follow on each other (§2.5.1.5).
            timestamp = timestamp.wrapping_add(duration.into());
        }
        presses
    }

    fn report(&mut self, told: Event, marker: bool) -> Option<Press> {
        let same = |event: &Event| (event.ssrc, event.timestamp, event.digit) == (told.ssrc, told.timestamp, told.digit);
        if let Some(mut event) = self.recent.iter().rposition(same).and_then(|at| self.recent.remove(at)) {
            event.duration = event.duration.max(told.duration);
            event.ended |= told.ended;
            event.first = event.first.min(told.first);
            let press = event.count();
            // Whatever one packet tells of is remembered beyond that packet: nothing else in it may push it out.
            self.recent.push_back(event);
            return press;
        }
        let mut event = told;
        if !marker && let Some(before) = self.recent.iter().rev().find(|before| before.goes_on_in(&told)) {
            event.counted = before.counted;
            event.first = before.first;
        }
        let press = event.count();
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(event);
        press
    }
}

impl Event {
    fn count(&mut self) -> Option<Press> {
        let fresh = !self.counted && self.duration >= SHORTEST;
        self.counted |= fresh;
        fresh.then_some(Press {
            digit: self.digit,
            at: self.first,
        })
    }

    /// Whether what follows is the next segment of a key that was not let go.
    const fn goes_on_in(&self, next: &Self) -> bool {
        let since = next.timestamp.wrapping_sub(self.timestamp);
        let same = self.ssrc == next.ssrc && self.digit.code() == next.digit.code();
        same && !self.ended && self.duration >= LONG && since >= self.duration as u32 && since <= u16::MAX as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const END: u8 = 0x80;

    struct Ear {
        decoder: Decoder,
        now: Instant,
    }

    impl Ear {
        fn new() -> Self {
            Self {
                decoder: Decoder::default(),
                now: Instant::now(),
            }
        }

        /// One packet with one report; the codes of what it makes count.
        fn hears(&mut self, timestamp: u32, marker: bool, code: u8, flags: u8, duration: u16) -> Vec<u8> {
            let [high, low] = duration.to_be_bytes();
            self.takes(timestamp, marker, &[code, flags, high, low])
        }

        fn takes(&mut self, timestamp: u32, marker: bool, payload: &[u8]) -> Vec<u8> {
            let heard = Heard {
                ssrc: 7,
                timestamp,
                marker,
                payload,
                at: self.now,
            };
            self.decoder.push(&heard).iter().map(|press| press.digit.code()).collect()
        }
    }

    /// The packets of one press of 100 ms, as a sender makes them: timestamp, marker, flags, duration.
    fn press(timestamp: u32) -> Vec<(u32, bool, u8, u16)> {
        let mut packets: Vec<_> = (1_u16..5).map(|n| (timestamp, n == 1, 10, n * 160)).collect();
        packets.extend([(timestamp, false, END | 10, 800); 3]);
        packets
    }

    #[test]
    fn a_packet_that_tells_of_old_and_new_presses_counts_none_of_them_twice() {
        let mut ear = Ear::new();
        for number in 0..REMEMBERED as u32 {
            assert_eq!(ear.hears(number * 8_000, true, 1, END | 10, 800).len(), 1);
        }
        // The oldest that is remembered, and a new one right behind it.
        let packet = [1, END | 10, 3, 32, 2, END | 10, 3, 32];
        assert_eq!(ear.takes(0, false, &packet), [2]);
        assert!(ear.takes(0, false, &packet).is_empty());
    }

    #[test]
    fn one_press_is_one_digit_whatever_was_lost() {
        let packets = press(1_000);
        // Every subset of the seven packets but the empty one.
        for kept in 1_u32..1 << packets.len() {
            let mut ear = Ear::new();
            let mut found = Vec::new();
            for (at, &(timestamp, marker, flags, duration)) in packets.iter().enumerate() {
                if kept >> at & 1 == 1 {
                    found.extend(ear.hears(timestamp, marker, 5, flags, duration));
                }
            }
            assert_eq!(found, [5], "packets {kept:07b}");
        }
    }

    #[test]
    fn the_first_packet_that_says_nothing_yet_still_gives_the_time() {
        let mut ear = Ear::new();
        let down = ear.now;
        assert!(ear.hears(0, true, 9, 10, 0).is_empty());
        ear.now += std::time::Duration::from_millis(20);
        let heard = Heard {
            ssrc: 7,
            timestamp: 0,
            marker: false,
            payload: &[9, 10, 0, 160],
            at: ear.now,
        };
        assert_eq!(
            ear.decoder.push(&heard),
            [Press {
                digit: Digit::NINE,
                at: down
            }]
        );
    }

    #[test]
    fn the_same_key_twice_counts_twice_and_late_packets_count_nothing() {
        let mut ear = Ear::new();
        assert_eq!(ear.hears(0, true, 1, 10, 160), [1]);
        assert_eq!(ear.hears(2_000, true, 1, 10, 160), [1]);
        assert!(ear.hears(0, false, 1, END | 10, 800).is_empty(), "overtaken by the next press");
        assert!(ear.hears(2_000, false, 1, END | 10, 800).is_empty());
        assert_eq!(
            ear.hears(2_000, false, 2, 10, 160),
            [2],
            "another key at the same time is another key"
        );
    }

    #[test]
    fn a_key_that_stays_down_counts_once() {
        let mut ear = Ear::new();
        assert_eq!(ear.hears(u32::MAX - 9, true, 3, 10, 160), [3]);
        assert!(ear.hears(u32::MAX - 9, false, 3, 10, 0xFFFF).is_empty());
        // The next segment begins where the first one ended.
        let second = (u32::MAX - 9).wrapping_add(0xFFFF);
        assert!(ear.hears(second, false, 3, 10, 160).is_empty());
        assert!(ear.hears(second, false, 3, END | 10, 4_000).is_empty());
        assert_eq!(ear.hears(second.wrapping_add(5_000), false, 3, 10, 160), [3], "it was let go");
        // One that was marked is a new one, however near.
        let mut ear = Ear::new();
        assert_eq!(ear.hears(0, true, 3, 10, 0xF000), [3]);
        assert_eq!(ear.hears(0xF000, true, 3, 10, 160), [3]);
    }

    #[test]
    fn what_is_no_key_is_none() {
        let mut ear = Ear::new();
        assert!(ear.hears(0, true, 16, 10, 800).is_empty(), "a hook flash");
        assert!(ear.hears(1_000, true, 5, 56, 800).is_empty(), "too quiet");
        assert!(ear.hears(2_000, true, 5, END | 10, 159).is_empty(), "too short");
        assert!(ear.takes(3_000, true, &[5, 10, 3]).is_empty(), "cut");
        assert_eq!(ear.hears(4_000, true, 15, 55, 160), [15]);
    }

    #[test]
    fn a_packet_may_tell_of_several() {
        let mut ear = Ear::new();
        let payload = [1, END | 10, 1, 0, 2, 10, 1, 0, 3, 10];
        assert_eq!(ear.takes(500, true, &payload), [1, 2]);
        assert!(
            ear.hears(500 + 256, false, 2, END | 10, 800).is_empty(),
            "the second began when the first ended"
        );
    }

    proptest! {
        #[test]
        fn junk_breaks_nothing_and_is_forgotten(packets in prop::collection::vec((any::<u32>(), any::<bool>(), prop::collection::vec(any::<u8>(), 0..40)), 0..200)) {
            let mut ear = Ear::new();
            for (timestamp, marker, payload) in packets {
                let presses = ear.takes(timestamp, marker, &payload);
                prop_assert!(presses.len() <= REPORTS);
                prop_assert!(ear.decoder.recent.len() <= REMEMBERED);
            }
        }

        /// A number typed over a network that loses, doubles and reorders: every key once and in order, as long as a packet
        /// of each arrives and none is overtaken by more than the memory holds.
        #[test]
        fn a_typed_number_arrives(keys in prop::collection::vec(0_u8..16, 1..12), first in any::<u32>(), lost in any::<u64>(), swapped in any::<u64>()) {
            let mut ear = Ear::new();
            let mut found = Vec::new();
            for (index, key) in keys.iter().enumerate() {
                let timestamp = first.wrapping_add(index as u32 * 1_600);
                let mut packets = press(timestamp);
                // The last of each press comes through.
                let kept = packets.len() - 1;
                let mut at = 0;
                packets.retain(|_| { at += 1; at > kept || lost.rotate_left(index as u32 * 7) >> at & 1 == 0 });
                if swapped >> index & 1 == 1 {
                    packets.reverse();
                }
                for (timestamp, marker, flags, duration) in packets {
                    found.extend(ear.hears(timestamp, marker, *key, flags, duration));
                }
            }
            prop_assert_eq!(found, keys);
        }
    }
}
