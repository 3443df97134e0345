//! Keys over real sockets: they choose, they refuse, and are never heard.

use super::*;
use crate::announcement::Plan;
use crate::dtmf::Digit;

const EVENTS: u8 = 101;

impl Caller {
    /// One packet of an event; sequence and timestamp are those of frame `number`, counted on for the sequence.
    fn event(&self, number: u16, since: u16, payload: [u8; 4]) {
        let packet = RtpPacketBuilder::new()
            .payload_type(EVENTS)
            .ssrc(0xCA11)
            .marked(since == 0)
            .sequence(Seq::from(self.sequence.wrapping_add(number).wrapping_add(since)))
            .timestamp(u32::from(number) * FRAME as u32)
            .payload(&payload)
            .build()
            .unwrap();
        self.socket.send_to(&packet, self.to).unwrap();
    }

    /// Presses a key for 60 ms: three updates and the end three times. Takes the numbers of six frames.
    pub(super) fn press(&self, number: u16, code: u8) {
        for update in 0..6_u16 {
            let [high, low] = (160 * (update + 1).min(4)).to_be_bytes();
            let end = if update < 3 { 0 } else { 0x80 };
            self.event(number, update, [code, end | 10, high, low]);
        }
    }

    /// Payloads up to one that is not this.
    fn plays(&self, octet: u8) -> usize {
        std::iter::from_fn(|| self.receive().3.iter().all(|heard| *heard == octet).then_some(())).count()
    }
}

fn menu(bench: &Bench, remote: SocketAddr, recording: &str) -> Call {
    let call = bench.call(remote, recording);
    Call {
        plan: Plan {
            emergency: true,
            menu: [Digit::of_event(1).unwrap(), Digit::of_event(2).unwrap()].into_iter().collect(),
            ..call.plan
        },
        emergency: vec![0x33; FRAME * 3].into(),
        menu: vec![0x44; FRAME * 500].into(),
        ..call
    }
}

#[test]
fn keys_during_the_message_are_counted_and_neither_sound_nor_loss() {
    let mut bench = Bench::new(27_600..=27_609);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    leg.start(&bench.call(caller.address(), "typed")).unwrap();
    let begun = bench.begun();
    let first = begun + Duration::from_millis(100);
    for number in 0..60_u16 {
        sleep_until(first + Duration::from_millis(20) * u32::from(number));
        match number {
            // 9 and the rest of a code: during the message they mean nothing.
            20 => caller.press(120, 9),
            30 => caller.press(130, 4),
            21..=25 | 31..=35 => {}
            _ => drop(caller.send(number + 100, &[0x2A; FRAME])),
        }
    }
    leg.press(Digit::NINE, Instant::now());
    sleep_until(Instant::now() + Duration::from_millis(50));
    leg.stop(Instant::now());
    let finished = bench.finished();
    assert_eq!((finished.end, finished.events), (None, 12), "{finished:?}");
    let counts = finished.counts;
    assert_eq!((counts.received, counts.lost, counts.ignored), (48, 0, 0), "{counts:?}");
    let (left, _) = channels(sealed(&finished).0);
    let heard = left.iter().filter(|octet| **octet == 0x2A).count();
    let silent = left.iter().filter(|octet| **octet == 0xD5).count();
    assert_eq!((heard, heard + silent), (48 * FRAME, left.len()), "nothing else was recorded");
}

#[test]
fn nine_before_the_message_leaves_no_file() {
    let mut bench = Bench::new(27_610..=27_629);
    for way in ["media", "info", "read late"] {
        let mut leg = bench.engine.reserve().unwrap();
        let caller = Caller::new(&leg);
        let mut call = bench.call(caller.address(), "refused");
        if way != "read late" {
            call.greeting = vec![0x55; FRAME * 100].into();
        }
        leg.start(&call).unwrap();
        caller.receive();
        match way {
            "media" => caller.press(0, 9),
            "info" => leg.press(Digit::NINE, Instant::now()),
            _ => {
                let begun = bench.begun();
                leg.press(Digit::NINE, begun.checked_sub(Duration::from_millis(1)).unwrap());
            }
        }
        assert_eq!(bench.ended(), MediaEnd::Refused, "{way}");
        let finished = bench.finished();
        assert!(
            matches!(finished.outcome, Outcome::Nothing) && finished.started.is_none(),
            "{finished:?}"
        );
        assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_refusal_stays_one_when_the_caller_hangs_up_at_once() {
    let mut bench = Bench::new(27_630..=27_639);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    leg.start(&bench.call(caller.address(), "gone")).unwrap();
    caller.receive();
    caller.press(0, 9);
    std::thread::sleep(Duration::from_millis(5));
    leg.stop(Instant::now());
    assert_eq!(bench.ended(), MediaEnd::Refused);
    assert!(matches!(bench.finished().outcome, Outcome::Nothing));
    assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 0);
}

#[test]
fn a_key_chooses_once_by_both_ways_and_the_beep_waits_until_it_is_stored() {
    let mut bench = Bench::new(27_640..=27_649);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    leg.start(&menu(&bench, caller.address(), "menu")).unwrap();
    assert_eq!(caller.plays(0x33), 3, "the sentence for emergencies comes first");
    caller.press(0, 2);
    leg.press(Digit::of_event(2).unwrap(), Instant::now());
    match bench.next().1 {
        MediaEvent::Chosen { digit } => assert_eq!(digit.code(), 2),
        other => panic!("{other:?}"),
    }
    assert!(caller.plays(0x44) < 100, "the key ends the menu, which is 10 s long");
    assert_eq!(caller.plays(0x55), 4, "the rest of five packets of greeting");
    let mut silent = 1;
    while caller.receive().3 == [0xD5; FRAME] {
        silent += 1;
        if silent == 15 {
            leg.stored();
        }
    }
    assert!((15..100).contains(&silent), "{silent} packets of waiting, 250 at most");
    bench.begun();
    leg.stop(Instant::now());
    bench.finished();
}

#[test]
fn a_stream_of_keys_is_a_sign_of_life() {
    let mut bench = Bench::new(27_650..=27_659);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    let call = Call {
        rtp_timeout: Duration::from_secs(1),
        ..bench.call(caller.address(), "alive")
    };
    leg.start(&call).unwrap();
    let start = Instant::now();
    for number in 0..100_u16 {
        sleep_until(start + Duration::from_millis(20) * u32::from(number));
        let [high, low] = (160 * (number + 1)).to_be_bytes();
        caller.event(0, number, [5, 10, high, low]);
    }
    bench.begun();
    assert!(bench.events.try_recv().is_err(), "2 s without sound, and still there");
    assert_eq!(bench.ended(), MediaEnd::RtpTimeout, "and then not");
}
