//! Packets and keys from anybody, and authentic ones that somebody on the way changes, keeps and brings again, while the
//! description moves from key to key: what is authentic is taken once, everything else is refused and changes nothing.
#![no_main]

use std::collections::HashSet;

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_sip::srtp::{Master, Receiver, Sender, Suite};

/// Deeds of one input at most.
const DEEDS: usize = 400;

fuzz_target!(|data: &[u8]| bounded(|| play(data)));

/// A sealed packet: whether it is a report, and what is inside.
type Sealed = (bool, Vec<u8>, Vec<u8>);

fn play(mut data: &[u8]) {
    // Keys of this input alone: libFuzzer learns from comparisons what was sealed for another one, and brings it.
    let key = |salt: u8| {
        let mut hash = [salt; 30];
        data.iter().enumerate().for_each(|(at, octet)| hash[at % 30] = hash[at % 30].rotate_left(3) ^ octet.wrapping_add(at as u8));
        hash
    };
    let masters: Vec<Master> = [5, 6].iter().flat_map(|salt| Suite::ALL.map(|suite| Master::new(suite, key(*salt)))).collect();
    let (mut sender, mut receiver) = (Sender::new(&masters[0]), Receiver::new(&masters[0]));
    let mut sequence = 65_400u16;
    let mut sealed: Vec<Sealed> = Vec::new();
    let mut taken: HashSet<Vec<u8>> = HashSet::new();
    for _ in 0..DEEDS {
        // Each deed: which, two octets that say how, and, where it needs some, a length and so many octets.
        let [deed, high, low, rest @ ..] = data else { return };
        data = rest;
        let how = usize::from(u16::from_be_bytes([*high, *low]));
        match deed % 8 {
            // Somebody else's.
            0 | 1 => {
                let packet = octets(&mut data);
                let found = if deed % 8 == 0 { receiver.open(packet) } else { receiver.open_report(packet) };
                assert!(found.is_err() || sealed.iter().any(|(_, wire, _)| wire == packet), "nobody sealed it");
            }
            // The peer speaks; its numbers go up by one or so.
            2 | 3 => {
                sequence = sequence.wrapping_add(how as u16 % 300 + 1);
                let body = octets(&mut data);
                let mut plain = vec![0x80 | (how >> 8) as u8 & 0x30, 8];
                plain.extend(sequence.to_be_bytes());
                plain.extend([0, 0, 0, 1, 0, 0, 0, 7]);
                plain.extend_from_slice(body);
                // An extension that is longer than the packet is none.
                let Ok(wire) = sender.protect(&plain) else { continue };
                assert!(sender.protect(&plain).is_err(), "one key stream twice");
                sealed.push((false, wire, plain));
            }
            4 => {
                let mut plain = vec![0x80, 201, 0, 1, 0, 0, 0, 7];
                plain.extend_from_slice(octets(&mut data));
                let wire = sender.protect_report(&plain).expect("a report");
                sealed.push((true, wire, plain));
            }
            // The last that was sealed comes, or one from before.
            5 if !sealed.is_empty() => {
                let at = sealed.len() - 1 - how % sealed.len();
                let (is_report, wire, plain) = &sealed[at];
                let found = if *is_report { receiver.open_report(wire) } else { receiver.open(wire) };
                if let Ok(found) = &found {
                    assert_eq!(found, plain);
                    assert!(taken.insert(wire.clone()), "taken twice");
                }
            }
            // It comes with a bit changed, and then as it was: that it was tried has changed nothing.
            6 if !sealed.is_empty() => {
                let (is_report, wire, plain) = &sealed[sealed.len() - 1];
                let mut changed = wire.clone();
                changed[how / 8 % wire.len()] ^= 1 << (how % 8);
                let mut open = |packet: &[u8]| if *is_report { receiver.open_report(packet) } else { receiver.open(packet) };
                assert!(open(&changed).is_err(), "a bit was changed");
                if let Ok(found) = open(wire) {
                    assert_eq!(&found, plain);
                    assert!(taken.insert(wire.clone()), "taken twice");
                }
            }
            7 => {
                let master = &masters[how % masters.len()];
                sender.moved(master);
                receiver.moved(master);
            }
            _ => {}
        }
    }
}

fn octets<'d>(data: &mut &'d [u8]) -> &'d [u8] {
    let [length, rest @ ..] = *data else { return &[] };
    let (octets, rest) = rest.split_at(rest.len().min(usize::from(*length)));
    *data = rest;
    octets
}
