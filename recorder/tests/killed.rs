//! kill -9 in the middle of a call: the file has all but the last second.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use voxea_recorder::Key;
use voxea_recorder::codec::Codec;
use voxea_recorder::packet::Packet;
use voxea_recorder::reader::Reader;
use voxea_recorder::repair::repair;
use voxea_recorder::timeline::{Placed, Timeline};
use voxea_recorder::writer::{Channel, Writer, path_of};

const FOLDER: &str = "VOXEA_TEST_KILLED_FOLDER";
const SEALED: &str = "VOXEA_TEST_KILLED_SEALED";
const FRAME: u32 = 160;

fn key(sealed: bool) -> Option<Key> {
    sealed.then(|| Key::new([5; 32]))
}

fn octet(number: u32) -> u8 {
    (number % 200) as u8
}

/// Records a stream on a clock of its own, as fast as it can, and says after
/// each packet how many samples came in. Runs only as the other test's child.
#[test]
fn child_that_records_until_it_is_killed() {
    let Ok(folder) = std::env::var(FOLDER) else {
        return;
    };
    let start = Instant::now();
    let mut timeline = Timeline::new(Codec::Pcma, start);
    timeline.begin(start);
    let writer = Writer::create(Path::new(&folder), "killed", Codec::Pcma, 0).unwrap();
    let mut writer = writer.under(key(std::env::var_os(SEALED).is_some()));
    let mut out = std::io::stdout().lock();
    for number in 0u32.. {
        let now = start + Duration::from_millis(20) * number;
        let payload = [octet(number); FRAME as usize];
        let packet = Packet {
            ssrc: 1,
            sequence: number as u16,
            timestamp: number * FRAME,
            payload_type: 8,
            marker: false,
            payload: &payload,
        };
        timeline.push(&packet, now);
        if number % 5 == 0 {
            timeline.advance(now);
            while let Some(placed) = timeline.poll() {
                let Placed::Octets { octets, .. } = placed else {
                    panic!("nothing was lost")
                };
                writer.push(Channel::Caller, &octets);
                writer.push_silence(Channel::Us, octets.len() as u64);
            }
            writer.flush().unwrap();
        }
        writeln!(out, "received {}", (number + 1) * FRAME).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn all_but_the_last_second_survives_a_kill() {
    for (enough, sealed) in [9_000u64, 50_000, 123_456]
        .into_iter()
        .flat_map(|enough| [(enough, false), (enough, true)])
    {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_records_until_it_is_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .envs(sealed.then_some((SEALED, "1")))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut received = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            // The harness's own words stand before the first of ours.
            if let Some(count) = line.unwrap().rsplit("received ").next().and_then(|count| count.parse().ok()) {
                received = count;
            }
            if received >= enough {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(received >= enough);

        let path = path_of(folder.path(), "killed").unwrap();
        let key = key(sealed);
        let samples = repair(folder.path(), "killed", key.as_ref(), 0).unwrap().samples;
        assert!(samples + 8_000 >= received, "{samples} of {received} samples are there");
        let reader = Reader::open(&path, key.as_ref()).unwrap();
        let mut wav = vec![0; reader.wav_len() as usize];
        assert_eq!(reader.read_at(0, &mut wav).unwrap(), wav.len());
        let frames = wav[58..].as_chunks::<2>().0;
        assert_eq!(frames.len() as u64, samples);
        for (at, frame) in (0u32..).zip(frames) {
            assert_eq!(*frame, [octet(at / FRAME), 0xD5], "sample {at}");
        }
    }
}
