use proptest::prelude::*;

use super::super::Suite;
use super::super::keys::tests::hex;
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
fn gcm_of_rfc_7714_section_16() {
    let session = Session::gcm(hex("000102030405060708090a0b0c0d0e0f"), hex("517569642070726f2071756f"));
    let plain: [u8; 50] =
        hex("8040f17b 8041f8d3 5501a0b2 47616c6c 69612065 7374206f 6d6e6973 20646976 69736120 696e2070 61727465 73207472 6573");
    let expected: [u8; 66] = hex(
        "8040f17b 8041f8d3 5501a0b2 f24de3a3 fb34de6c acba861c 9d7e4bca be633bd5 0d294e6f 42a5f47a 51c7d19b 36de3adf 8833899d \
         7f27beb1 6a9152cf 765ee439 0cce",
    );
    let mut packet = plain.to_vec();
    seal_rtp(&session, &mut packet, 12, 0x5501_a0b2, 0, 0xf17b).unwrap();
    assert_eq!(packet, expected);
    open_rtp(&session, &mut packet, 12, 0x5501_a0b2, 0, 0xf17b).unwrap();
    assert_eq!(packet, plain);
}

#[test]
fn gcm_of_rfc_7714_section_17() {
    let session = Session::gcm(hex("000102030405060708090a0b0c0d0e0f"), hex("517569642070726f2071756f"));
    let plain: [u8; 52] =
        hex("81c8000d 4d617273 4e545031 4e545032 52545020 0000042a 0000e930 4c756e61 deadbeef deadbeef deadbeef deadbeef deadbeef");
    let expected: [u8; 72] = hex(
        "81c8000d 4d617273 63e94885 dcdab67c a727d766 2f6b7e99 7ff5c0f7 6c06f32d c676a5f1 730d6fda 4ce09b46 86303ded 0bb9275b \
         c84aa458 96cf4d2f c5abf872 45d9eade 800005d4",
    );
    let mut packet = plain.to_vec();
    seal_rtcp(&session, &mut packet, 0x5d4).unwrap();
    assert_eq!(packet, expected);
    assert_eq!(open_rtcp(&session, &mut packet), Ok(0x5d4));
    assert_eq!(packet, plain);
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
        assert_eq!(sender.rollover, 1);
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
        assert_eq!(sender.rollover, 1);
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
fn indices_are_guessed_as_the_rfc_says() {
    let at = |rollover: u64, sequence: u64| rollover << 16 | sequence;
    assert_eq!(guess(None, 9), 9);
    assert_eq!(guess(Some(at(0, 65_000)), 10), at(1, 10));
    assert_eq!(guess(Some(at(1, 10)), 65_000), at(0, 65_000));
    assert_eq!(guess(Some(at(1, 10)), 9), at(1, 9));
    assert_eq!(guess(Some(at(2, 100)), 30_000), at(2, 30_000));
    assert_eq!(guess(Some(at(2, 100)), 100), at(2, 100));
}

#[test]
fn sources_are_bounded() {
    let [master, _] = masters();
    let mut receiver = Receiver::new(&master);
    for ssrc in 0..20 {
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
