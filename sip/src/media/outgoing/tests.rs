//! What is sent when, and what has to be heard before a message begins.

use rtp_rs::RtpReader;

use super::*;
use crate::announcement::Plan;
use crate::dtmf::Keys;
use crate::media::Kept;
use crate::media::leg::Peer;

fn call(codec: Codec, greeting: Vec<u8>, beep: bool) -> Call {
    Call {
        peer: Peer {
            remote: ([127, 0, 0, 1], 9).into(),
            rtcp: None,
            muxed: false,
            sources: crate::sdp::Sources::default(),
            srtp: None,
            holds: false,
            events: None,
        },
        codec,
        plan: Plan {
            emergency: false,
            menu: Keys::default(),
            records: true,
            beep,
        },
        emergency: Arc::new([]),
        menu: Arc::new([]),
        greeting: greeting.into(),
        max: Duration::ZERO,
        silence: Duration::ZERO,
        rtp_timeout: Duration::ZERO,
        hold: Duration::ZERO,
        kept: Kept {
            folder: std::path::PathBuf::new(),
            recording: String::new(),
            key: None,
            signer: None,
        },
    }
}

/// The packets of a moment, all taken: when each was due, and what comes after it.
fn collect(outgoing: &mut Outgoing, now: Instant) -> Vec<(Vec<u8>, Instant, Then)> {
    let mut buf = [0; PACKET_LEN];
    let next = || {
        let due = outgoing.next_packet(now, &mut buf)?;
        Some((buf.to_vec(), due, outgoing.taken()))
    };
    std::iter::from_fn(next).collect()
}

fn payload(packet: &[u8]) -> &[u8] {
    RtpReader::new(packet).unwrap().payload()
}

#[test]
fn greeting_then_beep_then_silence_without_a_seam() {
    let start = Instant::now();
    let call = call(Codec::Pcma, vec![1u8; FRAME * 2 + 10], true);
    let (mut outgoing, then) = Outgoing::new(&call, start, [0xFF; 10]);
    assert_eq!((announcement_length(&call), then), (Duration::from_millis(60 + 300), Then::More));
    let mut packets = Vec::new();
    for tick in 0..30 {
        packets.extend(collect(&mut outgoing, start + PACKET * tick));
    }
    assert_eq!(packets.len(), 30, "one a tick");
    for (index, (packet, due, then)) in packets.iter().enumerate() {
        let rtp = RtpReader::new(packet).unwrap();
        assert_eq!(u16::from(rtp.sequence_number()), 0x7FFF + index as u16);
        assert_eq!(rtp.timestamp(), u32::MAX.wrapping_add(index as u32 * 160));
        assert_eq!((rtp.payload_type(), rtp.mark()), (8, index == 0));
        assert_eq!(*then, if index == 17 { Then::Record } else { Then::More });
        assert_eq!(*due, start + PACKET * index as u32);
    }
    assert_eq!(payload(&packets[2].0)[..11], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0xD5]);
    assert_eq!(payload(&packets[10].0), &beep(Codec::Pcma)[7 * FRAME..8 * FRAME]);
    assert!(payload(&packets[18].0).iter().all(|&octet| octet == 0xD5));
    assert_eq!(outgoing.announced(), PACKET * 3, "neither the beep nor the silence");
}

#[test]
fn a_short_delay_is_made_up_for_and_a_long_one_moves_the_schedule() {
    let start = Instant::now();
    let (mut outgoing, _) = Outgoing::new(&call(Codec::Pcmu, vec![1; FRAME * 500], false), start, [0; 10]);
    assert_eq!(collect(&mut outgoing, start).len(), 1);
    assert_eq!(collect(&mut outgoing, start + PACKET * 5).len(), 5);
    let late = collect(&mut outgoing, start + PACKET * 106);
    assert_eq!(late.len(), 1, "no burst of a hundred packets");
    let rtp = RtpReader::new(&late[0].0).unwrap();
    assert_eq!((rtp.timestamp(), rtp.mark()), (106 * 160, true));
    assert_eq!(u16::from(rtp.sequence_number()), 6);
}

/// Goes red where a packet counts as said before the network has it.
#[test]
fn what_the_network_did_not_take_is_said_again() {
    let start = Instant::now();
    let greeting: Vec<u8> = (1..=3).flat_map(|number| [number; FRAME]).collect();
    let (mut outgoing, _) = Outgoing::new(&call(Codec::Pcma, greeting, false), start, [0; 10]);
    let mut buf = [0; PACKET_LEN];
    let mut said = Vec::new();
    for tick in 0..6 {
        outgoing.next_packet(start + PACKET * tick, &mut buf).unwrap();
        let taken = tick % 2 == 0;
        let then = if taken { outgoing.taken() } else { Then::More };
        said.push((payload(&buf)[0], then));
    }
    let more = Then::More;
    assert_eq!(
        said,
        [(1, more), (2, more), (2, more), (3, more), (3, Then::Record), (0xD5, more)],
        "the recording begins with the last of it"
    );
    assert_eq!(outgoing.announced(), PACKET * 3, "what was lost was not heard");
    assert_eq!(RtpReader::new(&buf).unwrap().timestamp(), 5 * 160, "time goes on meanwhile");
}

#[test]
fn what_nobody_listens_to_begins_again() {
    let start = Instant::now();
    let greeting: Vec<u8> = (1..=3).flat_map(|number| [number; FRAME]).collect();
    let (mut outgoing, _) = Outgoing::new(&call(Codec::Pcma, greeting, false), start, [0; 10]);
    assert_eq!(collect(&mut outgoing, start + PACKET).len(), 2);
    for tick in 2..100 {
        assert!(outgoing.is_announcing());
        outgoing.wait(start + PACKET * tick);
    }
    let mut after = Vec::new();
    for tick in 100..103 {
        after.extend(collect(&mut outgoing, start + PACKET * tick));
    }
    assert_eq!(after.iter().map(|(packet, ..)| payload(packet)[0]).collect::<Vec<_>>(), [1, 2, 3]);
    let first = RtpReader::new(&after[0].0).unwrap();
    assert_eq!((first.timestamp(), first.mark()), (100 * 160, true));
    assert_eq!(u16::from(first.sequence_number()), 2, "no number is missing");
    assert_eq!((after[2].2, outgoing.announced()), (Then::Record, PACKET * 5));
    assert!(!outgoing.is_announcing());
}

#[test]
fn who_was_told_nothing_is_not_recorded() {
    let start = Instant::now();
    for beep in [false, true] {
        let (mut outgoing, mut then) = Outgoing::new(&call(Codec::Pcma, Vec::new(), beep), start, [0; 10]);
        for tick in 0..30 {
            for (.., after) in collect(&mut outgoing, start + PACKET * tick) {
                then = if then == Then::More { after } else { then };
            }
        }
        assert_eq!(then, Then::Untold, "a beep tells nothing");
    }
}
