//! What we send: the clips of the announcement, then silence, a packet every 20 ms.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rtp_rs::{RtpPacketBuilder, Seq};
use voxea_recorder::codec::Codec;
use voxea_recorder::prompt;

use super::leg::Call;
use crate::announcement::{Announcement, Clip, Reaction, Step};
use crate::dtmf::Digit;

/// Octets, and units of the timestamp, in a packet: of G.722 too (RFC 3551 §4.5.2).
pub(super) const FRAME: usize = 160;

/// Time between packets.
pub(super) const PACKET: Duration = Duration::from_millis(20);

/// A thread that was held up sends at most this much at once; beyond it the
/// schedule moves, and the timestamps say so.
const CATCH_UP: Duration = Duration::from_millis(200);

/// Octets of a packet: RTP's fixed header and one frame.
pub(super) const PACKET_LEN: usize = 12 + FRAME;

/// How long a key is waited for after the menu, in packets: 5 s.
const PAUSE: usize = 250;
/// How long the beep waits for a choice that is being stored: 100 ms.
const WAIT: usize = 5;
/// The silence before we hang up: 200 ms, more than a peer's jitter buffer holds.
const TAIL: usize = 10;

/// The stream of one leg.
#[derive(Debug)]
pub(super) struct Outgoing {
    codec: Codec,
    announcement: Announcement,
    sounds: Sounds,
    playing: Playing,
    next: Instant,
    marker: bool,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

/// What the line says, in the codec.
#[derive(Debug)]
struct Sounds {
    emergency: Arc<[u8]>,
    menu: Arc<[u8]>,
    greeting: Arc<[u8]>,
}

/// One clip, whole packets of it, or silence.
#[derive(Debug)]
struct Playing {
    sound: Sound,
    /// Packets sent of it, and in all.
    sent: usize,
    packets: usize,
}

#[derive(Debug)]
enum Sound {
    Shared(Arc<[u8]>),
    Built(&'static [u8]),
    Silence,
}

/// What comes after a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// The next one.
    More,
    /// The message begins.
    Record,
    /// The call is to be hung up.
    HangUp,
}

/// What [`Outgoing::next_packet`] made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// When the packet was due.
    pub(super) due: Instant,
    /// What comes after it.
    pub(super) then: Then,
}

impl Outgoing {
    /// `entropy` gives SSRC, first sequence number and timestamp, which must
    /// not be guessable (RFC 3550 §5.1). Also says what comes before any packet: the recording, when there is nothing to say.
    pub(super) fn new(call: &Call, now: Instant, entropy: [u8; 10]) -> (Self, Then) {
        let [a, b, c, d, e, f, g, h, i, j] = entropy;
        let mut outgoing = Self {
            codec: call.codec,
            announcement: Announcement::new(call.plan),
            sounds: Sounds {
                emergency: Arc::clone(&call.emergency),
                menu: Arc::clone(&call.menu),
                greeting: Arc::clone(&call.greeting),
            },
            playing: Playing {
                sound: Sound::Silence,
                sent: 0,
                packets: 0,
            },
            next: now,
            marker: true,
            ssrc: u32::from_be_bytes([a, b, c, d]),
            timestamp: u32::from_be_bytes([e, f, g, h]),
            // Below half a turn: who misses the first packets would otherwise count one turn too few (RFC 3711 §3.3.1).
            sequence: u16::from_be_bytes([i, j]) >> 1,
        };
        let then = outgoing.go_on();
        (outgoing, then)
    }

    /// The stream's source.
    pub(super) const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// The timestamp that a packet of this instant would have.
    pub(super) fn clock(&self, now: Instant) -> u32 {
        let units = |span: Duration| (span.as_micros() / 125) as u32;
        let late = units(now.saturating_duration_since(self.next));
        let early = units(self.next.saturating_duration_since(now));
        self.timestamp.wrapping_add(late).wrapping_sub(early)
    }

    /// When the next packet is due.
    pub(super) const fn due(&self) -> Instant {
        self.next
    }

    /// A key was pressed before the recording began: what it did, and what comes before the next packet.
    pub(super) fn press(&mut self, digit: Digit) -> (Reaction, Then) {
        let reaction = self.announcement.press(digit);
        let then = if reaction.cut { self.go_on() } else { Then::More };
        (reaction, then)
    }

    /// What was chosen is stored.
    pub(super) const fn stored(&mut self) {
        self.announcement.stored();
    }

    /// Makes the next packet into `buf`, if one is due.
    pub(super) fn next_packet(&mut self, now: Instant, buf: &mut [u8; PACKET_LEN]) -> Option<Sent> {
        if self.next > now {
            return None;
        }
        if now - self.next > CATCH_UP {
            let missed = (now - self.next).as_millis() / PACKET.as_millis();
            self.next = now;
            self.timestamp = self.timestamp.wrapping_add((missed as u32).wrapping_mul(FRAME as u32));
            self.marker = true;
        }
        let mut payload = [0; FRAME];
        self.playing.frame(self.codec.silence(), &mut payload);
        let built = RtpPacketBuilder::new()
            .payload_type(self.codec.payload_type())
            .marked(self.marker)
            .sequence(Seq::from(self.sequence))
            .timestamp(self.timestamp)
            .ssrc(self.ssrc)
            .payload(&payload)
            .build_into(buf);
        debug_assert_eq!(built, Ok(PACKET_LEN));
        let due = self.next;
        self.marker = false;
        self.next += PACKET;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        let over = self.playing.is_over_after_this();
        let then = if over { self.go_on() } else { Then::More };
        Some(Sent { due, then })
    }

    /// On to the next clip that has any sound.
    fn go_on(&mut self) -> Then {
        loop {
            let (playing, then) = match self.announcement.step() {
                Step::Play(clip) => (self.clip(clip), Then::More),
                Step::Record => (Playing::of(Sound::Silence, 0), Then::Record),
                Step::HangUp => (Playing::of(Sound::Silence, 0), Then::HangUp),
            };
            let silent = playing.packets == 0;
            self.playing = playing;
            if !silent || then != Then::More {
                return then;
            }
        }
    }

    fn clip(&self, clip: Clip) -> Playing {
        let shared = |octets: &Arc<[u8]>| Playing::of(Sound::Shared(Arc::clone(octets)), octets.len().div_ceil(FRAME));
        let built = |octets: &'static [u8]| Playing::of(Sound::Built(octets), octets.len().div_ceil(FRAME));
        match clip {
            Clip::Emergency => shared(&self.sounds.emergency),
            Clip::Menu => shared(&self.sounds.menu),
            Clip::Greeting => shared(&self.sounds.greeting),
            Clip::Beep => built(beep(self.codec)),
            Clip::Refusal => built(refusal(self.codec)),
            Clip::Pause => Playing::of(Sound::Silence, PAUSE),
            Clip::Wait => Playing::of(Sound::Silence, WAIT),
            Clip::Tail => Playing::of(Sound::Silence, TAIL),
        }
    }
}

impl Playing {
    const fn of(sound: Sound, packets: usize) -> Self {
        Self { sound, sent: 0, packets }
    }

    /// The next frame; beyond the clip it is silence.
    fn frame(&self, silence: u8, out: &mut [u8; FRAME]) {
        let source: &[u8] = match &self.sound {
            Sound::Shared(octets) => octets,
            Sound::Built(octets) => octets,
            Sound::Silence => &[],
        };
        let rest = self.sent.checked_mul(FRAME).and_then(|at| source.get(at..)).unwrap_or_default();
        let count = rest.len().min(FRAME);
        out[..count].copy_from_slice(&rest[..count]);
        out[count..].fill(silence);
    }

    /// One more was sent; the silence after the announcement is never over.
    const fn is_over_after_this(&mut self) -> bool {
        self.sent = self.sent.saturating_add(1);
        self.sent == self.packets
    }
}

/// How long a call's announcement is when nobody presses a key.
pub(super) fn announcement_length(call: &Call) -> Duration {
    let mut announcement = Announcement::new(call.plan);
    let mut packets = 0;
    while let Step::Play(clip) = announcement.step() {
        packets += match clip {
            Clip::Emergency => call.emergency.len().div_ceil(FRAME),
            Clip::Menu => call.menu.len().div_ceil(FRAME),
            Clip::Greeting => call.greeting.len().div_ceil(FRAME),
            Clip::Beep => beep(call.codec).len().div_ceil(FRAME),
            Clip::Refusal => refusal(call.codec).len().div_ceil(FRAME),
            Clip::Pause => PAUSE,
            Clip::Wait => WAIT,
            Clip::Tail => TAIL,
        };
    }
    PACKET * u32::try_from(packets).unwrap_or(u32::MAX)
}

fn beep(codec: Codec) -> &'static [u8] {
    static MADE: [OnceLock<Vec<u8>>; 3] = [const { OnceLock::new() }; 3];
    MADE[place(codec)].get_or_init(|| prompt::beep().encoded(codec))
}

fn refusal(codec: Codec) -> &'static [u8] {
    static MADE: [OnceLock<Vec<u8>>; 3] = [const { OnceLock::new() }; 3];
    MADE[place(codec)].get_or_init(|| prompt::refusal().encoded(codec))
}

/// A codec's place among what is made once for all calls.
const fn place(codec: Codec) -> usize {
    match codec {
        Codec::Pcma => 0,
        Codec::Pcmu => 1,
        Codec::G722 => 2,
    }
}

#[cfg(test)]
mod tests {
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

    fn collect(outgoing: &mut Outgoing, now: Instant) -> Vec<(Vec<u8>, Sent)> {
        let mut buf = [0; PACKET_LEN];
        std::iter::from_fn(|| outgoing.next_packet(now, &mut buf).map(|sent| (buf.to_vec(), sent))).collect()
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
        for (index, (packet, sent)) in packets.iter().enumerate() {
            let rtp = RtpReader::new(packet).unwrap();
            assert_eq!(u16::from(rtp.sequence_number()), 0x7FFF + index as u16);
            assert_eq!(rtp.timestamp(), u32::MAX.wrapping_add(index as u32 * 160));
            assert_eq!((rtp.payload_type(), rtp.mark()), (8, index == 0));
            assert_eq!(sent.then, if index == 17 { Then::Record } else { Then::More });
            assert_eq!(sent.due, start + PACKET * index as u32);
        }
        let payload = |index: usize| RtpReader::new(&packets[index].0).unwrap().payload();
        assert_eq!(payload(2)[..11], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0xD5]);
        assert_eq!(payload(10), &beep(Codec::Pcma)[7 * FRAME..8 * FRAME]);
        assert!(payload(18).iter().all(|&octet| octet == 0xD5));
    }

    #[test]
    fn a_short_delay_is_made_up_for_and_a_long_one_moves_the_schedule() {
        let start = Instant::now();
        let (mut outgoing, then) = Outgoing::new(&call(Codec::Pcmu, Vec::new(), false), start, [0; 10]);
        assert_eq!(then, Then::Record);
        assert_eq!(collect(&mut outgoing, start).len(), 1);
        assert_eq!(collect(&mut outgoing, start + PACKET * 5).len(), 5);
        let late = collect(&mut outgoing, start + PACKET * 106);
        assert_eq!(late.len(), 1, "no burst of a hundred packets");
        let rtp = RtpReader::new(&late[0].0).unwrap();
        assert_eq!((rtp.timestamp(), rtp.mark()), (106 * 160, true));
        assert_eq!(u16::from(rtp.sequence_number()), 6);
    }
}
