//! What we send: the clips of the announcement, then silence, a packet every 20 ms.
//!
//! The announcement goes on with every packet of it that the network took, and by nothing else: one that was not taken is said
//! again in the next one's place, and what a caller did not listen to begins again. So nobody is recorded who was not told.

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
    /// Packets of sentences that were taken.
    announced: u32,
    /// The whole greeting was taken.
    told: bool,
}

/// What the line says, in the codec.
#[derive(Debug)]
struct Sounds {
    emergency: Arc<[u8]>,
    menu: Arc<[u8]>,
    greeting: Arc<[u8]>,
}

/// One clip, whole packets of it, or the silence that has no end.
#[derive(Debug)]
struct Playing {
    clip: Option<Clip>,
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
    /// The message would begin, but there was nothing to say before it.
    Untold,
}

impl Outgoing {
    /// `entropy` gives SSRC, first sequence number and timestamp, which must
    /// not be guessable (RFC 3550 §5.1). Also says what comes before any packet.
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
            playing: Playing::ENDLESS,
            next: now,
            marker: true,
            ssrc: u32::from_be_bytes([a, b, c, d]),
            timestamp: u32::from_be_bytes([e, f, g, h]),
            // Below half a turn: who misses the first packets would otherwise count one turn too few (RFC 3711 §3.3.1).
            sequence: u16::from_be_bytes([i, j]) >> 1,
            announced: 0,
            told: false,
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

    /// Whether there is something that the caller must hear.
    pub(super) const fn is_announcing(&self) -> bool {
        self.playing.clip.is_some()
    }

    /// How long sentences were played, with what was repeated; neither beeps nor silence.
    pub(super) fn announced(&self) -> Duration {
        PACKET * self.announced
    }

    /// The caller does not listen: time passes, and what was being said begins again when it does.
    pub(super) fn wait(&mut self, now: Instant) {
        while self.next <= now {
            self.next += PACKET;
            self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        }
        self.marker = true;
        self.playing.sent = 0;
    }

    /// Makes the next packet into `buf`, if one is due; when it was due. Once the network has it, [`taken`](Self::taken).
    pub(super) fn next_packet(&mut self, now: Instant, buf: &mut [u8; PACKET_LEN]) -> Option<Instant> {
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
        Some(due)
    }

    /// The network has the packet that was made last: what comes after it.
    pub(super) fn taken(&mut self) -> Then {
        let Some(clip) = self.playing.clip else { return Then::More };
        if matches!(clip, Clip::Emergency | Clip::Menu | Clip::Greeting) {
            self.announced = self.announced.saturating_add(1);
        }
        self.playing.sent += 1;
        if self.playing.sent < self.playing.packets {
            return Then::More;
        }
        self.told |= clip == Clip::Greeting;
        self.go_on()
    }

    /// On to the next clip that has any sound.
    fn go_on(&mut self) -> Then {
        loop {
            let (playing, then) = match self.announcement.step() {
                Step::Play(clip) => (self.clip(clip), Then::More),
                Step::Record if self.told => (Playing::ENDLESS, Then::Record),
                Step::Record => (Playing::ENDLESS, Then::Untold),
                Step::HangUp => (Playing::ENDLESS, Then::HangUp),
            };
            let silent = playing.packets == 0;
            self.playing = playing;
            if !silent || then != Then::More {
                return then;
            }
        }
    }

    fn clip(&self, clip: Clip) -> Playing {
        let (sound, packets) = match clip {
            Clip::Emergency => shared(&self.sounds.emergency),
            Clip::Menu => shared(&self.sounds.menu),
            Clip::Greeting => shared(&self.sounds.greeting),
            Clip::Beep => built(beep(self.codec)),
            Clip::Refusal => built(refusal(self.codec)),
            Clip::Pause => (Sound::Silence, PAUSE),
            Clip::Wait => (Sound::Silence, WAIT),
            Clip::Tail => (Sound::Silence, TAIL),
        };
        Playing {
            clip: Some(clip),
            sound,
            sent: 0,
            packets,
        }
    }
}

fn shared(octets: &Arc<[u8]>) -> (Sound, usize) {
    (Sound::Shared(Arc::clone(octets)), octets.len().div_ceil(FRAME))
}

fn built(octets: &'static [u8]) -> (Sound, usize) {
    (Sound::Built(octets), octets.len().div_ceil(FRAME))
}

impl Playing {
    /// What is sent when all is said.
    const ENDLESS: Self = Self {
        clip: None,
        sound: Sound::Silence,
        sent: 0,
        packets: 0,
    };

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
mod tests;
