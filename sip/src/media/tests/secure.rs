//! A leg with keys: what leaves can be opened, what comes is heard once, and nothing that is not authentic.

use super::*;
use crate::srtp::{Keys, Master, Receiver, Sender, Suite};

fn packet(number: u16, payload: u8) -> Vec<u8> {
    RtpPacketBuilder::new()
        .payload_type(8)
        .ssrc(0xCA11)
        // Round the turn of the numbers.
        .sequence(Seq::from(65_500u16.wrapping_add(number)))
        .timestamp(u32::from(number) * FRAME as u32)
        .payload(&[payload; FRAME])
        .build()
        .unwrap()
}

fn talks(suite: Suite, ports: RangeInclusive<u16>) {
    let mut bench = Bench::new(ports);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    let keys = Keys {
        ours: Master::new(suite, [1; 30]),
        theirs: Master::new(suite, [2; 30]),
    };
    let mut call = bench.call(caller.address(), "secure");
    call.peer.srtp = Some(keys);
    call.peer.muxed = true;
    leg.start(&call).unwrap();
    let mut open = Receiver::new(&keys.ours);
    let begun = bench.begun();
    let (mut seal, mut intruder) = (Sender::new(&keys.theirs), Sender::new(&Master::new(suite, [3; 30])));
    for number in 0..100 {
        sleep_until(begun + Duration::from_millis(20) * u32::from(number));
        let sealed = seal.protect(&packet(number, 0x2A)).unwrap();
        // From the peer's own address: in clear, under another key, and what was there already.
        for wrong in [packet(number, 0xEE), intruder.protect(&packet(number, 0xEE)).unwrap()] {
            caller.socket.send_to(&wrong, caller.to).unwrap();
        }
        for _ in 0..2 {
            caller.socket.send_to(&sealed, caller.to).unwrap();
        }
        if number == 60 {
            // A re-INVITE that changes nothing but the peer's mind: the counts go on.
            leg.redirect(call.peer);
        }
    }
    leg.stop(begun + Duration::from_millis(2_000));
    // 20 packets of greeting and beep, then silence, and the last report: all of it opens.
    let (mut sound, mut kinds) = (Vec::new(), Vec::new());
    while kinds.last() != Some(&203) {
        let mut buffer = [0; 2_048];
        let length = caller.socket.recv(&mut buffer).unwrap();
        let datagram = &buffer[..length];
        if (192..224).contains(&datagram[1]) {
            let report = open.open_report(datagram).unwrap();
            // The last of its packets: BYE, or a name.
            kinds.push(if report.windows(2).any(|pair| pair == [0x81, 203]) {
                203
            } else {
                report[1]
            });
        } else {
            let plain = open.open(datagram).unwrap();
            sound.push(RtpReader::new(&plain).unwrap().payload().to_vec());
        }
    }
    assert!(sound.len() > 100 && sound[..5].iter().all(|frame| frame == &[0x55; FRAME]));

    let finished = bench.finished();
    let (left, _) = channels(sealed(&finished).0);
    assert!(!left.contains(&0xEE));
    let heard = left.iter().filter(|&&octet| octet == 0x2A).count();
    assert!(heard >= FRAME * 95, "{heard}");
    assert_eq!((finished.rejected, finished.counts.lost), (300, 0), "{:?}", finished.counts);
}

#[test]
fn a_leg_in_counter_mode() {
    talks(Suite::AesCm, 27_360..=27_369);
}

#[test]
fn a_leg_in_galois_counter_mode() {
    talks(Suite::AesGcm, 27_370..=27_379);
}

/// What anybody can send from another port of the peer's host shall not turn our packets there, however long the peer is silent.
#[test]
fn what_is_not_authentic_turns_nothing() {
    let mut bench = Bench::new(27_380..=27_389);
    let mut leg = bench.engine.reserve().unwrap();
    let caller = Caller::new(&leg);
    let keys = Keys {
        ours: Master::new(Suite::AesGcm, [1; 30]),
        theirs: Master::new(Suite::AesGcm, [2; 30]),
    };
    let mut call = bench.call(caller.address(), "turned");
    call.peer.srtp = Some(keys);
    leg.start(&call).unwrap();
    let begun = bench.begun();
    let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    other.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (mut seal, mut intruder) = (Sender::new(&keys.theirs), Sender::new(&Master::new(Suite::AesGcm, [3; 30])));
    for number in 0..30 {
        sleep_until(begun + Duration::from_millis(20) * u32::from(number));
        other.send_to(&intruder.protect(&packet(number, 0xEE)).unwrap(), caller.to).unwrap();
    }
    other.set_nonblocking(true).unwrap();
    assert!(other.recv(&mut [0; 2_048]).is_err(), "it is sent nothing");
    other.set_nonblocking(false).unwrap();
    // The peer itself behind an address that renumbers ports: its keys show that it is.
    for number in 30..60 {
        sleep_until(begun + Duration::from_millis(20) * u32::from(number));
        other.send_to(&seal.protect(&packet(number, 0x2A)).unwrap(), caller.to).unwrap();
    }
    let mut open = Receiver::new(&keys.ours);
    let mut buffer = [0; 2_048];
    let length = other.recv(&mut buffer).unwrap();
    assert!(open.open(&buffer[..length]).is_ok());
    leg.stop(Instant::now());
    let finished = bench.finished();
    assert!((30..50).contains(&finished.rejected), "{finished:?}");
}
