//! What a packet becomes under session keys, and what it was: no state, no window, no guess.

use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use ring::aead::{Aad, Nonce};
use ring::hmac;

use super::keys::{Counter, Session, Suite};

/// A packet is no packet, not authentic, or was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an authentic packet")]
pub struct Refused;

/// The shortest RTP header, and that of RTCP which stays readable.
const RTP: usize = 12;
pub(super) const RTCP: usize = 8;

/// Octets of a tag of HMAC-SHA1; that of AES-GCM is `ring`'s.
const TAG: usize = Suite::AesCm.tag();

/// The word behind a report: whether it is encrypted, and its index (RFC 3711 §3.4).
const INDEX: usize = 4;
const ENCRYPTED: u32 = 1 << 31;

/// The last index of a report.
pub(super) const LAST_REPORT: u32 = ENCRYPTED - 1;

/// Octets of an RTP header, contributing sources and extension included.
pub(super) fn header(packet: &[u8]) -> Result<usize, Refused> {
    let first = *packet.first().ok_or(Refused)?;
    let mut length = RTP + 4 * usize::from(first & 15);
    if first >> 6 != 2 || packet.len() < length {
        return Err(Refused);
    }
    if first & 16 != 0 {
        let words = packet.get(length + 2..length + 4).ok_or(Refused)?;
        length += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    if packet.len() < length { Err(Refused) } else { Ok(length) }
}

/// The number at this place, which is known to be there.
pub(super) fn u16_at(packet: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([packet[at], packet[at + 1]])
}

/// The same, of 32 bits.
pub(super) fn u32_at(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([packet[at], packet[at + 1], packet[at + 2], packet[at + 3]])
}

/// RFC 3711 §4.1.1: the salt, the source and the index, in a counter's first fourteen octets.
fn counter(key: &[u8; 16], salt: &[u8; 14], ssrc: u32, index: u64) -> Counter {
    let mut iv = [0; 16];
    iv[..14].copy_from_slice(salt);
    let mix = |iv: &mut [u8], octets: &[u8]| iv.iter_mut().zip(octets).for_each(|(iv, octet)| *iv ^= octet);
    mix(&mut iv[4..8], &ssrc.to_be_bytes());
    mix(&mut iv[8..14], &index.to_be_bytes()[2..]);
    Counter::new(key.into(), &iv.into())
}

/// RFC 7714 §8.1: two octets of nothing, the source, the index, under the salt. §9.1 has an index of 32 bits at its end.
fn nonce(salt: &[u8; 12], ssrc: u32, index: u64) -> Nonce {
    let mut iv = *salt;
    let octets = ssrc.to_be_bytes().into_iter().chain(index.to_be_bytes().into_iter().skip(2));
    iv[2..].iter_mut().zip(octets).for_each(|(iv, octet)| *iv ^= octet);
    Nonce::assume_unique_for_key(iv)
}

/// Encrypts what stands behind the header, and appends the tag. `index` is the packet's: rollover and number.
pub(super) fn seal_rtp(session: &Session, packet: &mut Vec<u8>, header: usize, ssrc: u32, index: u64) -> Result<(), Refused> {
    let rollover = (index >> 16) as u32;
    match session {
        Session::AesCm { key, salt, mac } => {
            counter(key, salt, ssrc, index).apply_keystream(&mut packet[header..]);
            let tag = hmac_of(mac, &[packet, &rollover.to_be_bytes()]);
            packet.extend_from_slice(&tag.as_ref()[..TAG]);
        }
        Session::AesGcm { key, salt } => {
            let (head, body) = packet.split_at_mut(header);
            let tag = key.seal_in_place_separate_tag(nonce(salt, ssrc, index), Aad::from(&*head), body);
            packet.extend_from_slice(tag.map_err(|_| Refused)?.as_ref());
        }
    }
    Ok(())
}

/// The reverse. On an error the packet is no longer what came.
pub(super) fn open_rtp(session: &Session, packet: &mut Vec<u8>, header: usize, ssrc: u32, index: u64) -> Result<(), Refused> {
    let rollover = (index >> 16) as u32;
    match session {
        Session::AesCm { key, salt, mac } => {
            let end = packet.len().checked_sub(TAG).filter(|end| *end >= header).ok_or(Refused)?;
            let tag = hmac_of(mac, &[&packet[..end], &rollover.to_be_bytes()]);
            same(&tag.as_ref()[..TAG], &packet[end..])?;
            packet.truncate(end);
            counter(key, salt, ssrc, index).apply_keystream(&mut packet[header..]);
        }
        Session::AesGcm { key, salt } => {
            let (head, body) = packet.split_at_mut(header);
            let opened = key.open_in_place(nonce(salt, ssrc, index), Aad::from(&*head), body);
            let length = opened.map_err(|_| Refused)?.len();
            packet.truncate(header + length);
        }
    }
    Ok(())
}

/// Encrypts a report behind its first header, and appends its index and the tag (RFC 3711 §3.4, RFC 7714 §9).
pub(super) fn seal_rtcp(session: &Session, packet: &mut Vec<u8>, index: u32) -> Result<(), Refused> {
    let (ssrc, word) = (u32_at(packet, 4), (ENCRYPTED | index).to_be_bytes());
    match session {
        Session::AesCm { key, salt, mac } => {
            counter(key, salt, ssrc, index.into()).apply_keystream(&mut packet[RTCP..]);
            packet.extend_from_slice(&word);
            let tag = hmac_of(mac, &[packet]);
            packet.extend_from_slice(&tag.as_ref()[..TAG]);
        }
        Session::AesGcm { key, salt } => {
            let (head, body) = packet.split_at_mut(RTCP);
            let bound = [&*head, &word].concat();
            let tag = key.seal_in_place_separate_tag(nonce(salt, ssrc, index.into()), Aad::from(bound), body);
            packet.extend_from_slice(tag.map_err(|_| Refused)?.as_ref());
            packet.extend_from_slice(&word);
        }
    }
    Ok(())
}

/// Gives the report's index. One that is not encrypted is refused: nobody agreed on that.
pub(super) fn open_rtcp(session: &Session, packet: &mut Vec<u8>) -> Result<u32, Refused> {
    if packet.len() < RTCP + INDEX {
        return Err(Refused);
    }
    let ssrc = u32_at(packet, 4);
    match session {
        Session::AesCm { key, salt, mac } => {
            let end = packet.len().checked_sub(TAG).filter(|end| *end >= RTCP + INDEX).ok_or(Refused)?;
            let tag = hmac_of(mac, &[&packet[..end]]);
            same(&tag.as_ref()[..TAG], &packet[end..])?;
            let word = u32_at(packet, end - INDEX);
            let index = word.checked_sub(ENCRYPTED).ok_or(Refused)?;
            packet.truncate(end - INDEX);
            counter(key, salt, ssrc, index.into()).apply_keystream(&mut packet[RTCP..]);
            Ok(index)
        }
        Session::AesGcm { key, salt } => {
            let end = packet.len().checked_sub(INDEX).filter(|end| *end >= RTCP).ok_or(Refused)?;
            let word = u32_at(packet, end);
            let index = word.checked_sub(ENCRYPTED).ok_or(Refused)?;
            packet.truncate(end);
            let (head, body) = packet.split_at_mut(RTCP);
            let bound = [&*head, &word.to_be_bytes()].concat();
            let opened = key.open_in_place(nonce(salt, ssrc, index.into()), Aad::from(bound), body);
            let length = opened.map_err(|_| Refused)?.len();
            packet.truncate(RTCP + length);
            Ok(index)
        }
    }
}

fn hmac_of(key: &hmac::Key, parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    parts.iter().for_each(|part| context.update(part));
    context.sign()
}

/// Whether two tags are the same, in a time that does not tell where they differ.
fn same(a: &[u8], b: &[u8]) -> Result<(), Refused> {
    let differences = a.iter().zip(b).fold(0, |found, (a, b)| found | (a ^ b));
    if differences == 0 && a.len() == b.len() {
        Ok(())
    } else {
        Err(Refused)
    }
}
