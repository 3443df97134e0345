use std::time::Duration;

use proptest::prelude::*;

use super::*;

const FRAME: usize = 160;

struct Leg {
    timeline: Timeline,
    epoch: Instant,
    octets: Vec<u8>,
}

impl Leg {
    fn new() -> Self {
        let epoch = Instant::now();
        let mut timeline = Timeline::new(Codec::Pcma, epoch);
        timeline.begin(epoch);
        Self {
            timeline,
            epoch,
            octets: Vec::new(),
        }
    }

    fn at(&self, ms: u64) -> Instant {
        self.epoch + Duration::from_millis(ms)
    }

    fn push(&mut self, packet: &Packet<'_>, ms: u64) {
        let at = self.at(ms);
        self.timeline.push(packet, at);
        self.drain();
    }

    fn advance(&mut self, ms: u64) {
        let at = self.at(ms);
        self.timeline.advance(at);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(placed) = self.timeline.poll() {
            let (at, mut octets) = match placed {
                Placed::Octets { offset, octets } => (offset, octets),
                Placed::Silence { offset, samples } => (offset, vec![0xD5; samples as usize]),
            };
            assert_eq!(at, self.octets.len() as u64, "each stretch follows the one before");
            self.octets.append(&mut octets);
        }
    }

    fn finish(mut self, ms: u64) -> (Vec<u8>, Vec<Gap>, Counts) {
        self.timeline.finish(ms * 8);
        self.drain();
        self.octets.truncate(ms as usize * 8);
        (self.octets, self.timeline.gaps().to_vec(), self.timeline.counts())
    }
}

/// Frame n of a stream: its octets say which frame it is.
fn frame(n: u32) -> Vec<u8> {
    vec![(n % 200) as u8; FRAME]
}

fn packet(ssrc: u32, sequence: u16, timestamp: u32, payload: &[u8]) -> Packet<'_> {
    Packet {
        ssrc,
        sequence,
        timestamp,
        payload_type: 8,
        marker: false,
        payload,
    }
}

fn nth(first_sequence: u16, first_timestamp: u32, n: u32, payload: &[u8]) -> Packet<'_> {
    packet(
        7,
        first_sequence.wrapping_add(n as u16),
        first_timestamp.wrapping_add(n * 160),
        payload,
    )
}

/// The file that `count` frames make from 0 ms on, frames in `missing` silent.
fn expected(count: u32, missing: &[u32]) -> Vec<u8> {
    (0..count)
        .flat_map(|n| if missing.contains(&n) { vec![0xD5; FRAME] } else { frame(n) })
        .collect()
}

#[test]
fn placed_on_the_arrival_clock() {
    let mut leg = Leg::new();
    leg.push(&packet(1, 9, 1_000, &frame(1)), 500);
    let (octets, gaps, counts) = leg.finish(600);
    assert_eq!(&octets[..4_000], &[0xD5; 4_000]);
    assert_eq!(&octets[4_000..4_160], &frame(1)[..]);
    assert_eq!(octets.len(), 4_800);
    let gap = |offset, samples| Gap { offset, samples };
    assert_eq!(gaps, [gap(0, 4_000), gap(4_160, 640)]);
    assert_eq!((counts.received, counts.lost), (1, 0));
}

#[test]
fn the_packet_with_the_shortest_way_anchors() {
    let mut leg = Leg::new();
    // The first packet was 60 ms late, the others are in time.
    leg.push(&nth(0, 0, 0, &frame(0)), 60);
    for n in 1..20 {
        leg.push(&nth(0, 0, n, &frame(n)), u64::from(n * 20).max(60));
    }
    assert!(leg.finish(400).0 == expected(20, &[]));
}

#[test]
fn what_came_before_the_start_is_cut_and_its_clock_is_kept() {
    let epoch = Instant::now();
    let ms = |ms| epoch + Duration::from_millis(ms);
    let mut leg = Leg {
        timeline: Timeline::new(Codec::Pcma, epoch),
        epoch,
        octets: Vec::new(),
    };
    for n in 0..100 {
        leg.push(&nth(65_500, u32::MAX - 4_000, n, &frame(n)), u64::from(n * 20));
        if n == 50 {
            // In the middle of frame 50, as announced a little late.
            leg.timeline.begin(ms(1_010));
        }
    }
    let (octets, gaps, _) = leg.finish(990);
    assert!(octets == expected(100, &[])[1_010 * 8..]);
    assert_eq!(gaps, []);
}

#[test]
fn sequence_and_timestamp_wrap() {
    let mut leg = Leg::new();
    for n in 0..200 {
        leg.push(&nth(65_436, 0u32.wrapping_sub(16_000), n, &frame(n)), u64::from(n * 20));
    }
    let (octets, gaps, counts) = leg.finish(4_000);
    assert!(octets == expected(200, &[]));
    assert_eq!((gaps.len(), counts.lost, counts.anchored_again), (0, 0, 0));
}

#[test]
fn a_long_gap_is_silence_in_its_place() {
    for timestamps_go_on in [true, false] {
        let mut leg = Leg::new();
        for n in 0..50 {
            leg.push(&nth(0, 0, n, &frame(n)), u64::from(n * 20));
        }
        for n in 50..100 {
            // 2 s of nothing; some senders' timestamps stand still meanwhile.
            let timestamp = n * 160 + if timestamps_go_on { 16_000 } else { 0 };
            leg.push(&packet(7, n as u16, timestamp, &frame(n)), u64::from(n * 20) + 2_000);
        }
        let (octets, gaps, counts) = leg.finish(4_000);
        let all = expected(100, &[]);
        assert!(octets[..8_000] == all[..8_000]);
        assert!(octets[8_000..24_000].iter().all(|&o| o == 0xD5));
        assert!(octets[24_000..] == all[8_000..], "timestamps go on: {timestamps_go_on}");
        assert_eq!(
            gaps,
            [Gap {
                offset: 8_000,
                samples: 16_000
            }]
        );
        assert_eq!(counts.anchored_again, u32::from(!timestamps_go_on));
    }
}

#[test]
fn another_ssrc_is_followed_once_the_first_is_silent() {
    let mut leg = Leg::new();
    for n in 0..50 {
        leg.push(&nth(0, 0, n, &frame(n)), u64::from(n * 20));
    }
    for n in 50..100 {
        leg.push(&packet(99, (n + 30_000) as u16, 5_000_000 + n * 160, &frame(n)), u64::from(n * 20));
    }
    let (octets, gaps, counts) = leg.finish(2_000);
    assert!(octets == expected(100, &[]), "nothing is lost in the change");
    assert_eq!((gaps.len(), counts.anchored_again, counts.lost), (0, 1, 0));
}

#[test]
fn an_injector_over_a_living_stream_is_not_heard() {
    let mut leg = Leg::new();
    for n in 0..200 {
        leg.push(&nth(0, 0, n, &frame(n)), u64::from(n * 20));
        leg.push(&packet(666, n as u16, n * 160, &[0x2A; FRAME]), u64::from(n * 20 + 3));
        leg.push(
            &packet(7, (n + 20_000) as u16, n * 160 + 900_000, &[0x2A; FRAME]),
            u64::from(n * 20 + 4),
        );
    }
    let (octets, _, counts) = leg.finish(4_000);
    assert!(octets == expected(200, &[]));
    assert_eq!(counts.received, 200);
    assert!(counts.ignored >= 398, "{counts:?}");
}

#[test]
fn a_burst_after_a_stall_is_late_and_moves_nothing() {
    let mut leg = Leg::new();
    for n in 0..200u32 {
        // Nothing comes from 1 s to 2 s, then all of it at once.
        let ms = if (50..100).contains(&n) { 2_000 } else { n * 20 };
        leg.push(&nth(0, 0, n, &frame(n)), u64::from(ms));
    }
    let (octets, gaps, counts) = leg.finish(4_000);
    let missing: Vec<u32> = (50..90).collect();
    assert!(octets == expected(200, &missing));
    assert_eq!(
        gaps,
        [Gap {
            offset: 8_000,
            samples: 6_400
        }]
    );
    assert_eq!(counts.anchored_again, 0);
}

#[test]
fn comfort_noise_is_meant_silence() {
    let mut leg = Leg::new();
    leg.push(&nth(0, 0, 0, &frame(0)), 0);
    let noise = Packet {
        payload_type: COMFORT_NOISE,
        ..nth(0, 0, 1, &[60])
    };
    leg.push(&noise, 20);
    leg.advance(1_500);
    leg.push(&packet(7, 2, 100 * 160, &frame(100)), 2_000);
    leg.push(&packet(7, 3, 101 * 160, &frame(101)), 2_020);
    let (octets, gaps, counts) = leg.finish(2_040);
    assert_eq!(&octets[16_000..], &[frame(100), frame(101)].concat()[..]);
    assert!(octets[160..16_000].iter().all(|&o| o == 0xD5));
    assert_eq!((gaps.len(), counts.lost), (0, 0));
}

#[test]
fn telephone_events_are_not_audio_and_not_lost() {
    let mut leg = Leg::new();
    for n in 0..20 {
        let payload_type = if n == 10 { 101 } else { 8 };
        leg.push(
            &Packet {
                payload_type,
                ..nth(0, 0, n, &frame(n))
            },
            u64::from(n * 20),
        );
    }
    let (octets, _, counts) = leg.finish(400);
    assert!(octets == expected(20, &[10]));
    assert_eq!((counts.lost, counts.ignored), (0, 1));
}

#[test]
fn drift_is_corrected_in_silence() {
    let mut leg = Leg::new();
    let silence = [0xD5; FRAME];
    // The way grows by 60 ms at once, and stays so: beyond drift, within hold.
    for n in 0..1_200u32 {
        let late = if n < 100 { 0 } else { 60 };
        leg.push(&nth(0, 0, n, &silence), u64::from(n * 20 + late));
    }
    assert_eq!(leg.timeline.counts().anchored_again, 1);
    leg.push(&nth(0, 0, 1_200, &frame(1)), 24_060);
    let (octets, ..) = leg.finish(24_080);
    assert_eq!(&octets[24_060 * 8..], &frame(1)[..]);
}

#[test]
fn a_jump_of_the_timestamp_loses_nothing() {
    for jump in [900_000u32, 0u32.wrapping_sub(900_000)] {
        let mut leg = Leg::new();
        for n in 0..100 {
            let timestamp = (n * 160u32).wrapping_add(if n < 50 { 0 } else { jump });
            leg.push(&packet(7, n as u16, timestamp, &frame(n)), u64::from(n * 20));
        }
        let (octets, gaps, counts) = leg.finish(2_000);
        assert!(octets == expected(100, &[]), "{jump}");
        assert_eq!((gaps.len(), counts.anchored_again, counts.lost, counts.ignored), (0, 1, 0, 0));
    }
}

/// A clock that is wrong by some parts in a million, for ten minutes of speech with pauses: what is said at the end stands
/// within 40 ms, and one window of drift, of its time.
#[test]
fn a_clock_that_runs_too_fast_or_too_slowly_is_followed() {
    for ppm in [-300i64, 300] {
        let mut leg = Leg::new();
        let mut last = 0;
        for n in 0..30_000u32 {
            // The caller's 20 ms, as our clock sees them.
            last = (i64::from(n) * 20 * (1_000_000 + ppm) / 1_000_000) as u64;
            let payload = if n % 100 < 60 { frame(n % 100) } else { vec![0xD5; FRAME] };
            leg.push(&nth(0, 0, n, &payload), last);
        }
        assert!(
            (2..=8).contains(&leg.timeline.counts().anchored_again),
            "{:?}",
            leg.timeline.counts()
        );
        leg.push(&nth(0, 0, 30_000, &[1; FRAME]), last + 20);
        let (octets, ..) = leg.finish(last + 200);
        let found = octets.iter().rposition(|&octet| octet == 1).unwrap() as i64 - 159;
        let off = (found - (last as i64 + 20) * 8).abs();
        assert!(off <= 320 + 24, "{ppm} ppm: {off} samples off");
    }
}

#[test]
fn hold_is_a_gap_and_what_follows_stands_at_its_time() {
    // Off hold comes whatever the system likes: the same stream, timestamps that stood still, another source.
    for (ssrc, stood_still) in [(7, false), (7, true), (8, false), (8, true)] {
        let mut leg = Leg::new();
        for n in 0..50 {
            leg.push(&nth(0, 0, n, &frame(n)), u64::from(n * 20));
        }
        for ms in (1_000..61_000).step_by(100) {
            leg.advance(ms);
        }
        for n in 50..100 {
            let timestamp = n * 160 + if stood_still { 0 } else { 60_000 * 8 };
            leg.push(&packet(ssrc, n as u16, timestamp, &frame(n)), u64::from(n * 20) + 60_000);
        }
        let (octets, gaps, counts) = leg.finish(62_000);
        let all = expected(100, &[]);
        assert!(
            octets[..8_000] == all[..8_000] && octets[61_000 * 8..] == all[8_000..],
            "{ssrc} {stood_still}"
        );
        assert_eq!((gaps.len(), gaps[0].offset, gaps[0].samples), (1, 8_000, 60_000 * 8));
        assert_eq!((counts.received, counts.lost), (100, 0));
    }
}

#[test]
fn drift_of_wideband_waits_for_silence_that_was_heard() {
    let epoch = Instant::now();
    let mut timeline = Timeline::new(Codec::G722, epoch);
    timeline.begin(epoch);
    let tone: Vec<i16> = (0..320 * 1_000).map(|n| (6_000.0 * (f64::from(n) * 0.3).sin()) as i16).collect();
    let mut speech = Codec::G722.encode_all(&tone);
    speech.extend(Codec::G722.encode_all(&vec![0; 320 * 100]));
    let mut at_silence = 0;
    for (n, payload) in (0u32..).zip(speech.chunks(160)) {
        let late = if n < 100 { 0 } else { 60 };
        let packet = Packet {
            payload_type: 9,
            ..nth(0, 0, n, payload)
        };
        timeline.push(&packet, epoch + Duration::from_millis(u64::from(n * 20 + late)));
        while timeline.poll().is_some() {}
        if n == 1_000 {
            at_silence = timeline.counts().anchored_again;
        }
    }
    assert_eq!(
        (at_silence, timeline.counts().anchored_again),
        (0, 1),
        "never while somebody speaks"
    );
}

#[test]
fn a_silent_hour_costs_one_word() {
    let mut leg = Leg::new();
    leg.push(&nth(0, 0, 0, &frame(0)), 0);
    let hour = leg.at(3_600_000);
    leg.timeline.advance(hour);
    let stretches: Vec<Placed> = std::iter::from_fn(|| leg.timeline.poll()).collect();
    assert_eq!(stretches.len(), 2);
    let total: u64 = stretches
        .iter()
        .map(|placed| match placed {
            Placed::Octets { octets, .. } => octets.len() as u64,
            Placed::Silence { samples, .. } => *samples,
        })
        .sum();
    assert_eq!(total, (3_600_000 - 200) * 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Delays up to the hold reorder the packets in any way; some are lost,
    /// some come twice. The file is the same: frames in place, silence where
    /// packets were lost.
    #[test]
    fn order_and_repetition_do_not_matter(
        first_sequence: u16,
        first_timestamp: u32,
        fates in proptest::collection::vec((0u64..=200, prop::bool::weighted(0.1), prop::option::weighted(0.2, 0u64..=200)), 1..150),
        sweeps in proptest::collection::vec(0u64..3_500, 0..40),
    ) {
        enum Step { Packet(u32), Sweep }
        let mut steps = Vec::new();
        let mut missing = Vec::new();
        for (n, &(delay, lost, again)) in (0u32..).zip(&fates) {
            let sent = u64::from(n) * 20;
            // The first packet sets the clock: it comes, and in time.
            let delay = if n == 0 { 0 } else { delay };
            if lost && n > 0 {
                missing.push(n);
                continue;
            }
            steps.push((sent + delay, Step::Packet(n)));
            if let Some(again) = again {
                steps.push((sent + again, Step::Packet(n)));
            }
        }
        steps.extend(sweeps.iter().map(|&ms| (ms, Step::Sweep)));
        steps.sort_by_key(|(ms, _)| *ms);
        let (mut reordered, mut duplicated, mut highest, mut came) = (0, 0, 0, std::collections::BTreeSet::new());
        for (_, step) in &steps {
            let Step::Packet(n) = step else { continue };
            if !came.insert(*n) {
                duplicated += 1;
            } else if *n < highest {
                reordered += 1;
            }
            highest = highest.max(*n);
        }
        let mut leg = Leg::new();
        for (ms, step) in steps {
            match step {
                Step::Packet(n) => leg.push(&nth(first_sequence, first_timestamp, n, &frame(n)), ms),
                Step::Sweep => leg.advance(ms),
            }
        }
        let count = fates.len() as u32;
        let (octets, gaps, counts) = leg.finish(u64::from(count) * 20);
        prop_assert!(octets == expected(count, &missing));
        prop_assert_eq!(gaps.iter().map(|gap| gap.samples).sum::<u64>(), missing.len() as u64 * 160);
        prop_assert_eq!(counts.received + missing.len() as u64, u64::from(count));
        prop_assert_eq!((counts.late, counts.anchored_again), (0, 0));
        prop_assert_eq!((counts.reordered, counts.duplicated), (reordered, duplicated));
        // By their numbers those after the last that came are missed by nobody.
        let unseen = u64::from(count - 1 - highest);
        prop_assert_eq!(counts.lost + unseen, missing.len() as u64);
    }

    /// Whatever comes, whenever: contiguous output and bounded memory.
    #[test]
    fn anything_may_come(
        packets in proptest::collection::vec((0u32..3, any::<u16>(), any::<u32>(), 0u8..20, 0usize..400, 0u64..400), 0..200),
    ) {
        let mut leg = Leg::new();
        let mut now = 0;
        for (ssrc, sequence, timestamp, payload_type, length, pause) in packets {
            now += pause;
            let payload = vec![1; length];
            let packet = Packet { ssrc, sequence, timestamp, payload_type, marker: false, payload: &payload };
            leg.push(&packet, now);
            leg.advance(now);
            prop_assert!(leg.timeline.emitted() <= now * 8);
        }
        let (octets, ..) = leg.finish(now);
        prop_assert_eq!(octets.len() as u64, now * 8);
    }
}
