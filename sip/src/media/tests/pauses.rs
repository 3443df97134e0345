//! Pauses over real sockets: what was said in one is nowhere, and what comes after stands at its time.

use tokio::sync::oneshot;
use voxea_core::artefact::Pause;
use voxea_core::contact::Done;

use super::*;
use crate::dtmf::Digit;

/// Pauses or resumes `at` that instant; what is in force, and when that was known.
fn pause(leg: &Leg, paused: bool, at: Instant) -> (Done, Duration) {
    let (answer, done) = oneshot::channel();
    leg.pause(paused, at, answer);
    // Never unanswered: what is wanted is in force, or there is nothing to pause.
    (done.blocking_recv().unwrap(), at.elapsed())
}

fn in_force(done: Done) -> Pause {
    match done {
        Done::InForce(Some(pause)) => pause,
        other => panic!("{other:?}"),
    }
}

/// Goes red where a pause begins with the sweep that reads its packets, where it moves what comes after it, and where it ends
/// the call by its silence.
#[test]
fn what_is_said_in_a_pause_is_silence_to_the_sample() {
    let mut bench = Bench::new(27_400..=27_419);
    for encrypted in [false, true] {
        let mut leg = bench.engine.reserve().unwrap();
        let caller = Caller::new(&leg);
        let name = if encrypted { "sealed" } else { "plain" };
        let mut call = bench.call(caller.address(), name);
        // Shorter than the pause.
        call.silence = Duration::from_millis(700);
        let key = voxea_recorder::Key::new([7; 32]);
        call.kept.key = encrypted.then(|| key.clone());
        leg.start(&call).unwrap();
        let begun = bench.begun();
        // Speech that the ear takes for speech, each frame another one.
        let frame = |number: u16| -> Vec<u8> { (0..FRAME).map(|n| [0x2A, 0xAA][n / 4 % 2] ^ (number % 16) as u8).collect() };
        let first = begun + Duration::from_millis(100);
        let (mut pauses, mut expected_start) = (Vec::new(), first + Duration::from_secs(9));
        for number in 0..150_u16 {
            sleep_until(first + Duration::from_millis(20) * u32::from(number));
            if number == 40 || number == 100 {
                // Between two packets.
                let at = Instant::now();
                let (done, took) = pause(&leg, number == 40, at);
                assert!(took < Duration::from_millis(200), "{took:?}");
                pauses.push((at, in_force(done)));
            }
            let sent = caller.send(number, &frame(number));
            expected_start = expected_start.min(sent - Duration::from_millis(20) * u32::from(number));
        }
        leg.stop(first + Duration::from_millis(3_000));
        let finished = bench.finished();
        assert_eq!(finished.end, None, "the pause was longer than the silence that ends a call");
        let (path, samples) = sealed(&finished);
        let reader = Reader::open(path, encrypted.then_some(&key)).unwrap();
        let mut wav = vec![0; reader.wav_len() as usize];
        reader.read_at(0, &mut wav).unwrap();
        let (left, right): (Vec<u8>, Vec<u8>) = wav[58..].as_chunks::<2>().0.iter().map(|&[left, right]| (left, right)).unzip();
        assert!(right.iter().all(|&octet| octet == 0xD5));
        assert_eq!(left.len() as u64, samples);

        let offset = |at: Instant| (at - begun).as_micros() as i64 * 8 / 1_000;
        let [(from, began), (to, ended)] = pauses[..] else { panic!() };
        assert_eq!((began.number, began.samples, ended.first), (0, None, began.first));
        let length = ended.samples.unwrap();
        assert!((began.first as i64 - offset(from)).abs() <= 1, "{began:?} {}", offset(from));
        assert!(((began.first + length) as i64 - offset(to)).abs() <= 1, "{ended:?} {}", offset(to));
        assert_eq!(
            finished.pauses,
            [Gap {
                offset: began.first,
                samples: length
            }]
        );
        // Every sample: silence in the pause, and outside of it what was sent, where it was sent.
        let start = left.windows(FRAME).position(|window| window == frame(0)).unwrap();
        let expected_at = ((expected_start - begun).as_micros() * 8 / 1_000) as usize;
        assert!(start.abs_diff(expected_at) <= 16, "{start} {expected_at}");
        let pause = began.first as usize..(began.first + length) as usize;
        for (at, &octet) in left.iter().enumerate() {
            let said = at.checked_sub(start).filter(|since| since / FRAME < 150);
            let expected = match said {
                Some(since) if !pause.contains(&at) => frame((since / FRAME) as u16)[since % FRAME],
                _ => 0xD5,
            };
            assert_eq!(octet, expected, "sample {at}, pause {pause:?}");
        }
        assert!(
            finished
                .gaps
                .iter()
                .all(|gap| gap.offset < start as u64 || gap.offset >= (start + 150 * FRAME) as u64)
        );
    }
}

#[test]
fn a_hold_and_another_address_change_nothing_about_a_pause() {
    let mut bench = Bench::new(27_420..=27_439);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    let call = bench.call(caller.address(), "moved");
    leg.start(&call).unwrap();
    let begun = bench.begun();
    let said = |from: &Caller, number: u16| {
        sleep_until(begun + Duration::from_millis(20) * u32::from(number));
        from.send(number, &[0x2A; FRAME]);
    };
    (0..10).for_each(|number| said(&caller, number));
    let began = in_force(pause(&leg, true, Instant::now()).0);
    assert_eq!(in_force(pause(&leg, true, Instant::now()).0), began, "once");
    leg.redirect(Peer { holds: true, ..call.peer });
    (10..20).for_each(|number| said(&caller, number));
    let other = Caller::new(&leg);
    leg.redirect(Peer {
        remote: other.address(),
        ..call.peer
    });
    (20..40).for_each(|number| said(&other, number));
    leg.stop(Instant::now());
    let finished = bench.finished();
    let (path, samples) = sealed(&finished);
    let (left, _) = channels(path);
    let open = Gap {
        offset: began.first,
        samples: samples - began.first,
    };
    assert_eq!(finished.pauses, [open], "one that lasts ends with the last sample");
    let last = left.iter().rposition(|&octet| octet == 0x2A).unwrap() as u64;
    assert!(last < began.first && last > began.first - 800, "{last} {began:?}");
    assert!(finished.counts.received >= 38, "the packets came: {:?}", finished.counts);
}

#[test]
fn a_recording_that_is_none_is_not_paused_and_one_that_is_over_neither() {
    let mut bench = Bench::new(27_440..=27_459);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    assert_eq!(pause(&leg, true, Instant::now()).0, Done::NotBegun);
    leg.start(&bench.call(caller.address(), "early")).unwrap();
    assert_eq!(pause(&leg, true, Instant::now()).0, Done::NotBegun, "the greeting is heard");
    bench.begun();
    assert_eq!(pause(&leg, false, Instant::now()).0, Done::InForce(None));
    leg.stop(Instant::now());
    assert_eq!(pause(&leg, true, Instant::now()).0, Done::Ending);
    assert_eq!(bench.finished().pauses, []);
    // One that has ended by itself, and of which its holder has not heard yet.
    let mut leg = bench.engine.reserve().unwrap();
    let short = Call {
        max: Duration::from_millis(100),
        ..bench.call(caller.address(), "short")
    };
    leg.start(&short).unwrap();
    bench.begun();
    assert_eq!(bench.ended(), MediaEnd::MaxLength);
    bench.finished();
    assert_eq!(pause(&leg, true, Instant::now()).0, Done::Ending);
}

/// Keys of a pause are not even counted: how many there were is the length of a code.
#[test]
fn keys_of_a_pause_are_nobodys_business() {
    let mut bench = Bench::new(27_460..=27_479);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    leg.start(&bench.call(caller.address(), "card")).unwrap();
    let begun = bench.begun();
    let mut number = 0;
    let mut speak = |count: u16| {
        for _ in 0..count {
            sleep_until(begun + Duration::from_millis(20) * u32::from(number));
            caller.send(number, &[0x2A; FRAME]);
            number += 1;
        }
        number
    };
    caller.press(speak(10), 4);
    sleep_until(begun + Duration::from_millis(320));
    in_force(pause(&leg, true, Instant::now()).0);
    for code in [4, 9, 7, 1] {
        caller.press(speak(10) + 100, code);
        leg.press(Digit::of_event(code).unwrap(), Instant::now());
    }
    sleep_until(Instant::now() + Duration::from_millis(60));
    in_force(pause(&leg, false, Instant::now()).0);
    leg.stop(Instant::now());
    let finished = bench.finished();
    assert_eq!((finished.end, finished.events), (None, 6), "the one before the pause");
}

#[test]
fn a_discarded_recording_leaves_no_file() {
    let mut bench = Bench::new(27_480..=27_499);
    for begun in [true, false] {
        let mut leg = bench.engine.reserve().unwrap();
        let caller = Caller::new(&leg);
        leg.start(&bench.call(caller.address(), "gone")).unwrap();
        let file = bench.folder.path().join("gone.vrec");
        if begun {
            let start = bench.begun();
            for number in 0..30_u16 {
                sleep_until(start + Duration::from_millis(20) * u32::from(number));
                caller.send(number, &[0x2A; FRAME]);
            }
            let patience = Instant::now() + Duration::from_secs(5);
            while !file.exists() {
                assert!(Instant::now() < patience, "nothing is written");
                std::thread::yield_now();
            }
        }
        leg.discard(Instant::now());
        let finished = bench.finished();
        assert!(matches!(finished.outcome, Outcome::Nothing), "{finished:?}");
        assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 0);
    }
}
