//! One direction of a leg: what leaves is protected, what comes is let through once, and only when it is authentic.

use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use ring::aead::{Aad, Nonce};
use ring::hmac;

use super::keys::{Counter, Master, Of, Session};
use super::window::Window;

/// The shortest RTP header, and that of RTCP which stays readable.
const RTP: usize = 12;
const RTCP: usize = 8;

/// The word behind a report: whether it is encrypted, and its index (RFC 3711 §3.4).
const INDEX: usize = 4;
const ENCRYPTED: u32 = 1 << 31;

/// Sources of one peer that are remembered; who claims more is not heard.
const SOURCES: usize = 8;

/// A packet is no packet, not authentic, or was there before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an authentic packet")]
pub struct Refused;

/// Our direction. One source only: ours.
#[derive(Debug)]
pub struct Sender {
    master: Master,
    sound: Session,
    reports: Session,
    /// How often the sequence number went round, and the last one.
    rollover: u32,
    last: Option<u16>,
    report: u32,
}

impl Sender {
    /// Under a key that nothing was sent under before.
    #[must_use]
    pub fn new(master: &Master) -> Self {
        Self {
            master: *master,
            sound: Session::new(master, Of::Sound),
            reports: Session::new(master, Of::Reports),
            rollover: 0,
            last: None,
            report: 0,
        }
    }

    /// Another description of the call: the same key goes on, and so do the counts under another (RFC 3711 §3.3.1).
    pub fn moved(&mut self, master: &Master) {
        if self.master != *master {
            let (rollover, last, report) = (self.rollover, self.last, self.report);
            *self = Self {
                rollover,
                last,
                report,
                ..Self::new(master)
            };
        }
    }

    /// An RTP packet as it leaves. Numbers must not go back.
    ///
    /// # Errors
    /// [`Refused`] for what is no RTP packet.
    pub fn protect(&mut self, packet: &[u8]) -> Result<Vec<u8>, Refused> {
        let header = header(packet)?;
        let (sequence, ssrc) = (u16_at(packet, 2), u32_at(packet, 8));
        if self.last.is_some_and(|last| sequence < last && last - sequence > 1 << 15) {
            self.rollover = self.rollover.wrapping_add(1);
        }
        self.last = Some(sequence);
        let mut out = packet.to_vec();
        seal_rtp(&self.sound, &mut out, header, ssrc, self.rollover, sequence)?;
        Ok(out)
    }

    /// A compound RTCP packet as it leaves.
    ///
    /// # Errors
    /// [`Refused`] for what is no RTCP packet.
    pub fn protect_report(&mut self, packet: &[u8]) -> Result<Vec<u8>, Refused> {
        if packet.len() < RTCP {
            return Err(Refused);
        }
        self.report = (self.report + 1) & (ENCRYPTED - 1);
        let mut out = packet.to_vec();
        seal_rtcp(&self.reports, &mut out, self.report)?;
        Ok(out)
    }
}

/// The peer's direction.
#[derive(Debug)]
pub struct Receiver {
    master: Master,
    sound: Session,
    reports: Session,
    sources: Vec<Source>,
    /// Whether anything was authentic under this key.
    proved: bool,
}

#[derive(Debug)]
struct Source {
    ssrc: u32,
    sound: Window,
    reports: Window,
}

impl Receiver {
    /// Of a peer of whom nothing was heard.
    #[must_use]
    pub fn new(master: &Master) -> Self {
        Self {
            master: *master,
            sound: Session::new(master, Of::Sound),
            reports: Session::new(master, Of::Reports),
            sources: Vec::new(),
            proved: false,
        }
    }

    /// Another description of the call: the same key goes on as it was. Under another the counts go on (RFC 3711 §3.3.1),
    /// unless the peer shows that it began anew.
    pub fn moved(&mut self, master: &Master) {
        if self.master != *master {
            let sources = std::mem::take(&mut self.sources);
            *self = Self {
                sources,
                ..Self::new(master)
            };
        }
    }

    /// The RTP packet that came as this.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn open(&mut self, packet: &[u8]) -> Result<Vec<u8>, Refused> {
        let header = header(packet)?;
        let (sequence, ssrc) = (u16_at(packet, 2), u32_at(packet, 8));
        let known = self.sources.iter().position(|source| source.ssrc == ssrc);
        let window = known
            .and_then(|at| self.sources.get(at))
            .map(|source| source.sound)
            .unwrap_or_default();
        let guessed = guess(window.highest(), sequence);
        let mut opened = self.try_open(packet, header, ssrc, &window, guessed);
        if opened.is_err() && !self.proved && guessed != u64::from(sequence) {
            opened = self.try_open(packet, header, ssrc, &Window::default(), u64::from(sequence));
        }
        let (plain, mut window, index) = opened?;
        window.note(index);
        self.source(ssrc)?.sound = window;
        self.proved = true;
        Ok(plain)
    }

    fn try_open(&self, packet: &[u8], header: usize, ssrc: u32, window: &Window, index: u64) -> Result<(Vec<u8>, Window, u64), Refused> {
        if !window.is_new(index) {
            return Err(Refused);
        }
        let mut out = packet.to_vec();
        open_rtp(&self.sound, &mut out, header, ssrc, (index >> 16) as u32, index as u16)?;
        Ok((out, *window, index))
    }

    /// The compound RTCP packet that came as this.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn open_report(&mut self, packet: &[u8]) -> Result<Vec<u8>, Refused> {
        if packet.len() < RTCP + INDEX + self.master.suite().tag() {
            return Err(Refused);
        }
        let mut out = packet.to_vec();
        let index = open_rtcp(&self.reports, &mut out)?;
        let window = &mut self.source(u32_at(packet, 4))?.reports;
        if !window.is_new(index.into()) {
            return Err(Refused);
        }
        window.note(index.into());
        Ok(out)
    }

    /// A source that has proved itself.
    fn source(&mut self, ssrc: u32) -> Result<&mut Source, Refused> {
        let at = match self.sources.iter().position(|source| source.ssrc == ssrc) {
            Some(at) => at,
            None if self.sources.len() < SOURCES => {
                self.sources.push(Source {
                    ssrc,
                    sound: Window::default(),
                    reports: Window::default(),
                });
                self.sources.len() - 1
            }
            None => return Err(Refused),
        };
        self.sources.get_mut(at).ok_or(Refused)
    }
}

/// The index of a packet with this number (RFC 3711 §3.3.1).
fn guess(highest: Option<u64>, sequence: u16) -> u64 {
    let Some(highest) = highest else { return sequence.into() };
    let (rollover, last) = (highest >> 16, highest as u16);
    let step = sequence.wrapping_sub(last) as i16;
    let rollover = match (step > 0, sequence < last) {
        (true, true) => rollover + 1,
        // Behind the last one, and beyond the turn.
        (false, false) if sequence != last => rollover.saturating_sub(1),
        _ => rollover,
    };
    (rollover << 16 | u64::from(sequence)) & ((1 << 48) - 1)
}

/// Octets of an RTP header, contributing sources and extension included.
fn header(packet: &[u8]) -> Result<usize, Refused> {
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

fn u16_at(packet: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([packet[at], packet[at + 1]])
}

fn u32_at(packet: &[u8], at: usize) -> u32 {
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

fn seal_rtp(session: &Session, packet: &mut Vec<u8>, header: usize, ssrc: u32, rollover: u32, sequence: u16) -> Result<(), Refused> {
    let index = u64::from(rollover) << 16 | u64::from(sequence);
    match session {
        Session::AesCm { key, salt, mac } => {
            counter(key, salt, ssrc, index).apply_keystream(&mut packet[header..]);
            let tag = hmac_of(mac, &[packet, &rollover.to_be_bytes()]);
            packet.extend_from_slice(&tag.as_ref()[..10]);
        }
        Session::AesGcm { key, salt } => {
            let (head, body) = packet.split_at_mut(header);
            let tag = key.seal_in_place_separate_tag(nonce(salt, ssrc, index), Aad::from(&*head), body);
            packet.extend_from_slice(tag.map_err(|_| Refused)?.as_ref());
        }
    }
    Ok(())
}

fn open_rtp(session: &Session, packet: &mut Vec<u8>, header: usize, ssrc: u32, rollover: u32, sequence: u16) -> Result<(), Refused> {
    let index = u64::from(rollover) << 16 | u64::from(sequence);
    match session {
        Session::AesCm { key, salt, mac } => {
            let end = packet.len().checked_sub(10).filter(|end| *end >= header).ok_or(Refused)?;
            let tag = hmac_of(mac, &[&packet[..end], &rollover.to_be_bytes()]);
            same(&tag.as_ref()[..10], &packet[end..])?;
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

fn seal_rtcp(session: &Session, packet: &mut Vec<u8>, index: u32) -> Result<(), Refused> {
    let (ssrc, word) = (u32_at(packet, 4), (ENCRYPTED | index).to_be_bytes());
    match session {
        Session::AesCm { key, salt, mac } => {
            counter(key, salt, ssrc, index.into()).apply_keystream(&mut packet[RTCP..]);
            packet.extend_from_slice(&word);
            let tag = hmac_of(mac, &[packet]);
            packet.extend_from_slice(&tag.as_ref()[..10]);
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
fn open_rtcp(session: &Session, packet: &mut Vec<u8>) -> Result<u32, Refused> {
    let ssrc = u32_at(packet, 4);
    match session {
        Session::AesCm { key, salt, mac } => {
            let end = packet.len().checked_sub(10).filter(|end| *end >= RTCP + INDEX).ok_or(Refused)?;
            let tag = hmac_of(mac, &[&packet[..end]]);
            same(&tag.as_ref()[..10], &packet[end..])?;
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

#[cfg(test)]
mod tests;
