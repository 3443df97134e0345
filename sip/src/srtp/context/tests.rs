use proptest::prelude::*;

use super::super::Suite;
use super::*;

fn masters() -> [Master; 2] {
    Suite::ALL.map(|suite| Master::new(suite, std::array::from_fn(|n| n as u8)))
}

fn rtp(sequence: u16, ssrc: u32) -> Vec<u8> {
    let mut packet = vec![0x80, 8];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 160]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend([0x2A; 20]);
    packet
}

#[test]
fn what_one_seals_the_other_opens_once() {
    for master in masters() {
        let (mut sender, mut receiver) = (Sender::new(&master), Receiver::new(&master));
        for sequence in [65_534u16, 65_535, 0, 1] {
            let plain = rtp(sequence, 7);
            let sealed = sender.protect(&plain).unwrap();
            assert_eq!(sealed.len(), plain.len() + master.suite().tag());
            assert_ne!(sealed[12..32], plain[12..]);
            assert_eq!(receiver.open(&sealed), Ok(plain), "{sequence}");
            assert_eq!(receiver.open(&sealed), Err(Refused), "{sequence} again");
        }
        assert_eq!(sender.last.map(|index| index >> 16), Some(1));
        let report = [0x80, 201, 0, 1, 0, 0, 0, 7, 1, 2, 3, 4];
        let sealed = sender.protect_report(&report).unwrap();
        assert_eq!(receiver.open_report(&sealed), Ok(report.to_vec()));
        assert_eq!(receiver.open_report(&sealed), Err(Refused));
    }
}

#[test]
fn one_flipped_bit_is_noticed_and_changes_nothing() {
    for master in masters() {
        let (mut sender, mut receiver) = (Sender::new(&master), Receiver::new(&master));
        let sealed = sender.protect(&rtp(5, 7)).unwrap();
        let report = sender.protect_report(&[0x80, 201, 0, 1, 0, 0, 0, 7, 9]).unwrap();
        for at in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert!(receiver.open(&changed).is_err(), "{at}");
        }
        for at in 0..report.len() * 8 {
            let mut changed = report.clone();
            changed[at / 8] ^= 1 << (at % 8);
            assert!(receiver.open_report(&changed).is_err(), "{at}");
        }
        assert!(receiver.sources.is_empty());
        assert!(receiver.open(&sealed).is_ok() && receiver.open_report(&report).is_ok());
    }
}

#[test]
fn the_rollover_counter_survives_another_description() {
    let [gcm, cm] = masters();
    for (first, second) in [(gcm, gcm), (gcm, cm), (cm, gcm)] {
        let (mut sender, mut receiver) = (Sender::new(&first), Receiver::new(&first));
        for sequence in [65_535u16, 0, 1] {
            receiver.open(&sender.protect(&rtp(sequence, 7)).unwrap()).unwrap();
        }
        let old = sender.protect(&rtp(2, 7)).unwrap();
        receiver.open(&old).unwrap();
        sender.moved(&second);
        receiver.moved(&second);
        assert_eq!(receiver.open(&old), Err(Refused), "nothing is taken twice");
        let sealed = sender.protect(&rtp(3, 7)).unwrap();
        assert_eq!(receiver.open(&sealed), Ok(rtp(3, 7)), "{first:?} {second:?}");
        assert_eq!(sender.last.map(|index| index >> 16), Some(1));
    }
    // A peer that counts from nothing under its new key is understood.
    let mut receiver = Receiver::new(&gcm);
    let mut sender = Sender::new(&gcm);
    for sequence in [65_535u16, 0] {
        receiver.open(&sender.protect(&rtp(sequence, 7)).unwrap()).unwrap();
    }
    receiver.moved(&cm);
    let sealed = Sender::new(&cm).protect(&rtp(1, 7)).unwrap();
    assert_eq!(receiver.open(&sealed), Ok(rtp(1, 7)));
}

#[test]
fn no_key_stream_is_used_twice() {
    for master in masters() {
        let mut sender = Sender::new(&master);
        sender.protect(&rtp(10, 7)).unwrap();
        for back in [10, 9, 10 + (1 << 15)] {
            assert_eq!(sender.protect(&rtp(back, 7)), Err(Refused), "{back}");
        }
        sender.last = Some(LAST - 1);
        assert!(sender.protect(&rtp(65_535, 7)).is_ok());
        assert_eq!(sender.protect(&rtp(0, 7)), Err(Refused), "the 48 bits are used up");
        sender.report = LAST_REPORT - 1;
        let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
        let sealed = sender.protect_report(&report).unwrap();
        assert_eq!(sender.protect_report(&report), Err(Refused), "and so are the 31");
        assert_eq!(Receiver::new(&master).open_report(&sealed), Ok(report.to_vec()));
    }
}

#[test]
fn who_turned_before_its_first_packet_came_is_understood() {
    for master in masters() {
        let (mut sender, mut receiver) = (Sender::new(&master), Receiver::new(&master));
        // A report comes first, and says nothing of the numbers of sound.
        let report = sender.protect_report(&[0x80, 201, 0, 1, 0, 0, 0, 7]).unwrap();
        receiver.open_report(&report).unwrap();
        for sequence in [65_534u16, 65_535] {
            sender.protect(&rtp(sequence, 7)).unwrap();
        }
        for sequence in 0..3 {
            let sealed = sender.protect(&rtp(sequence, 7)).unwrap();
            assert_eq!(receiver.open(&sealed), Ok(rtp(sequence, 7)), "{sequence}");
            assert_eq!(receiver.open(&sealed), Err(Refused), "once");
        }
    }
}

#[test]
fn every_source_and_the_reports_may_begin_anew_under_another_key() {
    let [gcm, cm] = masters();
    let (mut first, mut receiver) = ([7, 8].map(|_| Sender::new(&gcm)), Receiver::new(&gcm));
    for (sender, ssrc) in first.iter_mut().zip([7u32, 8]) {
        for sequence in [65_535u16, 0] {
            receiver.open(&sender.protect(&rtp(sequence, ssrc)).unwrap()).unwrap();
        }
        for _ in 0..3 {
            let report = [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes()].concat();
            receiver.open_report(&sender.protect_report(&report).unwrap()).unwrap();
        }
    }
    receiver.moved(&cm);
    for ssrc in [7u32, 8] {
        let mut anew = Sender::new(&cm);
        let report = [&[0x80, 201, 0, 1][..], &ssrc.to_be_bytes()].concat();
        let sealed = anew.protect_report(&report).unwrap();
        assert_eq!(receiver.open_report(&sealed), Ok(report), "{ssrc}");
        assert_eq!(receiver.open_report(&sealed), Err(Refused));
        assert_eq!(receiver.open(&anew.protect(&rtp(1, ssrc)).unwrap()), Ok(rtp(1, ssrc)), "{ssrc}");
    }
}

/// From one key to another and back: what came under the first is not taken again, though the peer begins anew each time.
#[test]
fn a_key_that_comes_back_brings_nothing_back() {
    let [gcm, cm] = masters();
    let (mut sender, mut receiver) = (Sender::new(&gcm), Receiver::new(&gcm));
    let mut before = Vec::new();
    for sequence in [65_000u16, 1, 2, 3] {
        before.push(sender.protect(&rtp(sequence, 7)).unwrap());
        receiver.open(before.last().unwrap()).unwrap();
    }
    let report = sender.protect_report(&[0x80, 201, 0, 1, 0, 0, 0, 7]).unwrap();
    receiver.open_report(&report).unwrap();
    receiver.moved(&cm);
    for sequence in [10u16, 11] {
        receiver.open(&Sender::new(&cm).protect(&rtp(sequence, 7)).unwrap()).unwrap();
    }
    receiver.moved(&gcm);
    for packet in &before {
        assert_eq!(receiver.open(packet), Err(Refused));
    }
    assert_eq!(receiver.open_report(&report), Err(Refused));
    assert_eq!(receiver.open(&sender.protect(&rtp(4, 7)).unwrap()), Ok(rtp(4, 7)), "what is new is");
}

#[test]
fn indices_are_guessed_as_the_rfc_says() {
    let at = |rollover: u64, sequence: u64| rollover << 16 | sequence;
    assert_eq!(guess(at(0, 65_000), 10), at(1, 10));
    assert_eq!(guess(at(1, 10), 65_000), at(0, 65_000));
    assert_eq!(guess(at(1, 10), 9), at(1, 9));
    assert_eq!(guess(at(2, 100), 30_000), at(2, 30_000));
    assert_eq!(guess(at(2, 100), 100), at(2, 100));
    // Half a turn away counts as ahead where it is, and a step more as behind.
    assert_eq!(guess(at(2, 100), 32_868), at(2, 32_868));
    assert_eq!(guess(at(2, 100), 32_869), at(1, 32_869));
    assert_eq!(guess(at(2, 40_000), 7_232), at(2, 7_232));
    assert_eq!(guess(at(2, 40_000), 7_231), at(3, 7_231));
    assert_eq!(guess(LAST, 0), 0, "there is none behind the last: it is refused as too old");
}

#[test]
fn sources_are_bounded() {
    let [master, _] = masters();
    let mut receiver = Receiver::new(&master);
    for ssrc in 0..2 * SOURCES as u32 {
        let opened = receiver.open(&Sender::new(&master).protect(&rtp(1, ssrc)).unwrap());
        assert_eq!(opened.is_ok(), ssrc < SOURCES as u32, "{ssrc}");
    }
}

proptest! {
    #[test]
    fn never_panics(packet in proptest::collection::vec(any::<u8>(), 0..120)) {
        for master in masters() {
            let mut receiver = Receiver::new(&master);
            prop_assert!(receiver.open(&packet).is_err());
            prop_assert!(receiver.open_report(&packet).is_err());
            if let Ok(sealed) = Sender::new(&master).protect(&packet) {
                prop_assert_eq!(receiver.open(&sealed), Ok(packet.clone()));
            }
        }
    }
}
