//! Over real sockets and real time: a caller that sends and listens.

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;

use rtp_rs::{RtpPacketBuilder, RtpReader, Seq};
use voxea_recorder::reader::Reader;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use voxea_recorder::codec::Codec;
use voxea_recorder::timeline::Gap;

use super::*;
use crate::announcement::Plan;
use crate::dtmf::Keys;

mod keys;
mod limits;
mod pauses;
mod reports;
mod secure;
mod told;

const FRAME: usize = 160;

struct Bench {
    engine: MediaEngine,
    events: mpsc::Receiver<(LegId, MediaEvent)>,
    folder: tempfile::TempDir,
}

/// The caller's side of one call, paced by its own clock.
struct Caller {
    socket: UdpSocket,
    to: SocketAddr,
    sequence: u16,
}

impl Bench {
    fn new(ports: RangeInclusive<u16>) -> Self {
        let config = MediaConfig {
            bind: Ipv4Addr::LOCALHOST.into(),
            ports,
            threads: 2,
        };
        let (engine, events) = MediaEngine::start(&config).unwrap();
        Self {
            engine,
            events,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn call(&self, remote: SocketAddr, recording: &str) -> Call {
        Call {
            peer: Peer {
                remote,
                rtcp: None,
                muxed: false,
                sources: crate::sdp::Sources::default(),
                srtp: None,
                holds: false,
                events: Some(101),
            },
            codec: Codec::Pcma,
            plan: Plan {
                emergency: false,
                menu: Keys::default(),
                records: true,
                beep: true,
            },
            emergency: Arc::new([]),
            menu: Arc::new([]),
            greeting: vec![0x55; FRAME * 5].into(),
            max: Duration::from_secs(60),
            silence: Duration::from_secs(60),
            rtp_timeout: Duration::from_secs(60),
            hold: Duration::from_secs(60),
            kept: Kept {
                folder: self.folder.path().to_path_buf(),
                recording: recording.to_owned(),
                key: None,
                signer: None,
            },
        }
    }

    fn next(&mut self) -> (LegId, MediaEvent) {
        self.events.blocking_recv().unwrap()
    }

    fn begun(&mut self) -> Instant {
        match self.next().1 {
            MediaEvent::RecordingStarted { at } => at,
            other => panic!("{other:?}"),
        }
    }

    fn ended(&mut self) -> MediaEnd {
        match self.next().1 {
            MediaEvent::Ended { end } => end,
            other => panic!("{other:?}"),
        }
    }

    fn finished(&mut self) -> Finished {
        match self.next().1 {
            MediaEvent::Finished(finished) => *finished,
            other => panic!("{other:?}"),
        }
    }
}

impl Caller {
    fn new(leg: &Leg) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self {
            socket,
            to: (Ipv4Addr::LOCALHOST, leg.port()).into(),
            sequence: 65_530,
        }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    /// Sends one frame; sequence and timestamp are those of frame `number`.
    /// Returns when.
    fn send(&self, number: u16, payload: &[u8]) -> Instant {
        let packet = RtpPacketBuilder::new()
            .payload_type(8)
            .ssrc(0xCA11)
            .sequence(Seq::from(self.sequence.wrapping_add(number)))
            .timestamp(u32::from(number) * FRAME as u32)
            .payload(payload)
            .build()
            .unwrap();
        let now = Instant::now();
        self.socket.send_to(&packet, self.to).unwrap();
        now
    }

    /// Receives one packet: sequence, timestamp, marker, payload.
    fn receive(&self) -> (u16, u32, bool, Vec<u8>) {
        let mut buf = [0; 2_048];
        let length = self.socket.recv(&mut buf).unwrap();
        let rtp = RtpReader::new(&buf[..length]).unwrap();
        (rtp.sequence_number().into(), rtp.timestamp(), rtp.mark(), rtp.payload().to_vec())
    }
}

fn sleep_until(at: Instant) {
    std::thread::sleep(at.saturating_duration_since(Instant::now()));
}

/// Left and right channel of a recording.
fn channels(path: &Path) -> (Vec<u8>, Vec<u8>) {
    let reader = Reader::open(path, None).unwrap();
    let mut wav = vec![0; reader.wav_len() as usize];
    reader.read_at(0, &mut wav).unwrap();
    wav[58..].as_chunks::<2>().0.iter().map(|&[left, right]| (left, right)).unzip()
}

fn sealed(finished: &Finished) -> (&Path, u64) {
    match &finished.outcome {
        Outcome::Sealed { path, samples } => (path, *samples),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_call_is_greeted_and_recorded_from_the_end_of_the_beep() {
    let mut bench = Bench::new(27_200..=27_219);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    // Early media of the caller; nothing may be sent to it before the start.
    caller.send(0, &[0x11; FRAME]);
    caller.socket.set_nonblocking(true).unwrap();
    std::thread::sleep(Duration::from_millis(60));
    assert!(caller.socket.recv(&mut [0; 64]).is_err(), "no RTP before the ACK");
    caller.socket.set_nonblocking(false).unwrap();

    leg.start(&bench.call(caller.address(), "call")).unwrap();
    // 100 ms of greeting, 300 ms of beep, in one unbroken stream.
    let mut end_of_beep = Instant::now() + Duration::from_secs(9);
    let mut heard = Vec::new();
    for left in (1..=20).rev() {
        heard.push(caller.receive());
        // The packet that was held up least tells when the beep ends.
        end_of_beep = end_of_beep.min(Instant::now() + Duration::from_millis(20) * left);
    }
    for (index, pair) in heard.windows(2).enumerate() {
        assert_eq!(pair[1].0, pair[0].0.wrapping_add(1), "packet {index}");
        assert_eq!(pair[1].1, pair[0].1.wrapping_add(160));
    }
    assert!(heard[0].2 && heard[1..].iter().all(|packet| !packet.2));
    assert!(heard[..5].iter().all(|packet| packet.3 == [0x55; FRAME]));
    let begun = bench.begun();
    let apart = begun.max(end_of_beep) - begun.min(end_of_beep);
    assert!(apart < Duration::from_millis(10), "sample 0 is the end of the beep: {apart:?}");

    // 50 frames from 100 ms on; some lost, some exchanged, one twice, and a
    // stranger on another port of the same host.
    let stranger = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let first = begun + Duration::from_millis(100);
    let mut order: Vec<u16> = (0..50).filter(|n| ![20, 21, 30].contains(n)).collect();
    order.swap(7, 8);
    order.swap(40, 42);
    let mut expected_start = first + Duration::from_secs(9);
    for (slot, &number) in order.iter().enumerate() {
        sleep_until(first + Duration::from_millis(20) * u32::from((slot as u16).max(number)));
        let sent = caller.send(number + 100, &[number as u8; FRAME]);
        if number < 5 {
            expected_start = expected_start.min(sent - Duration::from_millis(20) * u32::from(number));
        }
        stranger.send_to(&[0x80; 172], caller.to).unwrap();
    }
    caller.send(149, &[0xEE; FRAME]);
    let bye = first + Duration::from_millis(1_050);
    sleep_until(bye);
    leg.stop(bye);
    let finished = bench.finished();

    let (path, samples) = sealed(&finished);
    assert_eq!(finished.end, None);
    let expected = ((bye - begun).as_micros() * 8 / 1_000) as i64;
    assert!((samples as i64 - expected).abs() <= 1, "{samples} {expected}");
    let (left, right) = channels(path);
    assert_eq!(left.len() as u64, samples);
    assert!(right.iter().all(|&octet| octet == 0xD5), "our side is silent");
    let start = left.iter().position(|&octet| octet == 0).unwrap();
    let expected_start = ((expected_start - begun).as_micros() * 8 / 1_000) as usize;
    assert!(
        start.abs_diff(expected_start) <= 16,
        "placed within 2 ms of its time: {start} {expected_start}"
    );
    for number in 0..50u8 {
        let at = start + usize::from(number) * FRAME;
        let frame = &left[at..at + FRAME];
        let expected = if [20, 21, 30].contains(&number) { 0xD5 } else { number };
        assert!(frame.iter().all(|&octet| octet == expected), "frame {number}");
    }
    assert_eq!((finished.counts.duplicated, finished.rejected), (1, 47));
    let at = |number: u64| start as u64 + number * 160;
    let gaps: Vec<Gap> = finished
        .gaps
        .iter()
        .copied()
        .filter(|gap| (at(0)..at(50)).contains(&gap.offset))
        .collect();
    assert_eq!(
        gaps,
        [
            Gap {
                offset: at(20),
                samples: 320
            },
            Gap {
                offset: at(30),
                samples: 160
            }
        ]
    );
    assert!(
        stranger.set_nonblocking(true).is_ok() && stranger.recv(&mut [0; 64]).is_err(),
        "and it is sent nothing"
    );
    assert_eq!(bench.engine.legs(), 0);
}

#[test]
fn silence_length_and_absence_end_a_call() {
    let mut bench = Bench::new(27_220..=27_239);
    let cases = [
        (
            "silence",
            Duration::from_millis(600),
            Duration::from_secs(9),
            Duration::from_secs(9),
            MediaEnd::Silence,
        ),
        (
            "max",
            Duration::from_secs(9),
            Duration::from_millis(450),
            Duration::from_secs(9),
            MediaEnd::MaxLength,
        ),
        (
            "absent",
            Duration::from_secs(9),
            Duration::from_secs(9),
            Duration::from_millis(900),
            MediaEnd::RtpTimeout,
        ),
    ];
    for (name, silence, max, rtp_timeout, expected) in cases {
        let mut leg = bench.engine.reserve().unwrap();
        let caller = Caller::new(&leg);
        let call = Call {
            silence,
            max,
            rtp_timeout,
            ..bench.call(caller.address(), name)
        };
        leg.start(&call).unwrap();
        bench.begun();
        assert_eq!(bench.ended(), expected);
        let finished = bench.finished();
        let (_, samples) = sealed(&finished);
        match expected {
            MediaEnd::Silence => assert_eq!(samples, 4_800, "to the sample"),
            MediaEnd::MaxLength => assert_eq!(samples, 3_600, "to the sample"),
            // 900 ms after the start, that is 500 ms after the beep, and the sweep.
            _ => assert!((4_000..5_600).contains(&samples), "{samples}"),
        }
        leg.stop(Instant::now());
    }
    assert!(bench.events.try_recv().is_err(), "one end each");
}

#[test]
fn hung_up_during_the_greeting_leaves_no_file() {
    let mut bench = Bench::new(27_240..=27_259);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    leg.start(&bench.call(caller.address(), "early")).unwrap();
    caller.receive();
    drop(leg);
    let finished = bench.finished();
    assert!(matches!(finished.outcome, Outcome::Nothing), "{finished:?}");
    assert_eq!(std::fs::read_dir(bench.folder.path()).unwrap().count(), 0);
    assert_eq!(bench.engine.legs(), 0);
}

#[test]
fn a_recording_that_exists_is_not_overwritten() {
    let mut bench = Bench::new(27_260..=27_279);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    std::fs::write(bench.folder.path().join("taken.vrec"), b"older").unwrap();
    let refused = leg.start(&bench.call(caller.address(), "../up"));
    assert!(matches!(refused, Err(StartError::Recorder(_))), "{refused:?}");
    // The leg stays after a refusal.
    leg.start(&bench.call(caller.address(), "taken")).unwrap();
    assert!(matches!(
        leg.start(&bench.call(caller.address(), "again")),
        Err(StartError::NotReserved)
    ));
    let begun = bench.begun();
    leg.stop(begun + Duration::from_millis(100));
    let finished = bench.finished();
    assert!(matches!(finished.outcome, Outcome::Partial { samples: 0, .. }), "{finished:?}");
    assert_eq!(std::fs::read(bench.folder.path().join("taken.vrec")).unwrap(), b"older");
}

#[test]
fn ports_are_bounded_and_come_back() {
    let bench = Bench::new(27_280..=27_287);
    let legs: Vec<Leg> = std::iter::from_fn(|| bench.engine.reserve().ok()).collect();
    assert!(legs.len() <= bench.engine.capacity());
    assert_eq!(bench.engine.legs(), legs.len());
    assert!(bench.engine.reserve().is_err());
    drop(legs);
    assert_eq!(bench.engine.legs(), 0);
    assert!(bench.engine.reserve().is_ok());
}

#[test]
fn shutdown_seals_what_runs() {
    let mut bench = Bench::new(27_288..=27_299);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    let mut call = bench.call(caller.address(), "cut");
    call.plan.beep = false;
    leg.start(&call).unwrap();
    bench.begun();
    (0..20).for_each(|_| drop(caller.receive()));
    bench.engine.shutdown();
    assert_eq!(bench.ended(), MediaEnd::Shutdown);
    let finished = bench.finished();
    let (path, samples) = sealed(&finished);
    assert!(samples > 1_600, "{samples}");
    assert_eq!(Reader::open(path, None).unwrap().samples(), samples);
    let mut after = bench.engine.reserve().unwrap();
    assert!(after.start(&bench.call(caller.address(), "after")).is_err());
}

/// CPU of the engine's own threads, in milliseconds.
fn cpu_of_engine() -> u64 {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let ticks: u64 = threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("stat")).ok())
        .filter(|stat| stat.contains("(voxea-"))
        .map(|stat| {
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
        })
        .sum();
    ticks * 10
}

#[test]
#[ignore = "a measurement of ten seconds: cargo test --release -p voxea-sip media -- --ignored --nocapture"]
fn what_a_hundred_calls_cost() {
    const CALLS: usize = 100;
    const SECONDS: u16 = 10;
    let mut bench = Bench::new(28_000..=28_999);
    let mut legs = Vec::new();
    for index in 0..CALLS {
        let mut leg = bench.engine.reserve().unwrap();
        let caller = Caller::new(&leg);
        leg.start(&bench.call(caller.address(), &format!("cost-{index}"))).unwrap();
        legs.push((leg, caller));
    }
    let before = cpu_of_engine();
    let start = Instant::now();
    for number in 0..SECONDS * 50 {
        sleep_until(start + Duration::from_millis(20) * u32::from(number));
        for (_, caller) in &legs {
            caller.send(number, &[0x2A; FRAME]);
        }
    }
    let spent = cpu_of_engine() - before;
    let each = spent as f64 / f64::from(SECONDS) / CALLS as f64;
    println!("{spent} ms of CPU for {CALLS} calls of {SECONDS} s: {each:.3} ms a call-second");
    drop(legs);
    let mut sealed_calls = 0;
    while sealed_calls < CALLS {
        if let (_, MediaEvent::Finished(finished)) = bench.next() {
            let (_, samples) = sealed(&finished);
            assert!(samples > 8_000 * (u64::from(SECONDS) - 1), "{samples}");
            assert!(finished.counts.lost == 0 && finished.rejected == 0, "{finished:?}");
            sealed_calls += 1;
        }
    }
    assert!(each <= 1.5);
}
