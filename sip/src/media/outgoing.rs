//! What we send: greeting, beep, then silence, a packet every 20 ms.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rtp_rs::{RtpPacketBuilder, Seq};
use voxea_recorder::codec::Codec;
use voxea_recorder::prompt;

/// Samples, and octets, in a packet.
pub(super) const FRAME: usize = 160;

/// Time between packets.
pub(super) const PACKET: Duration = Duration::from_millis(20);

/// A thread that was held up sends at most this much at once; beyond it the
/// schedule moves, and the timestamps say so.
const CATCH_UP: Duration = Duration::from_millis(200);

/// Octets of a packet: RTP's fixed header and one frame.
pub(super) const PACKET_LEN: usize = 12 + FRAME;

/// The stream of one leg.
#[derive(Debug)]
pub(super) struct Outgoing {
    codec: Codec,
    script: Script,
    packets: u64,
    next: Instant,
    marker: bool,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

/// Greeting and beep, whole packets each, one after the other.
#[derive(Debug)]
struct Script {
    greeting: Arc<[u8]>,
    beep: &'static [u8],
    silence: u8,
}

/// What [`Outgoing::next_packet`] made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Sent {
    /// When the packet was due.
    pub(super) due: Instant,
    /// True for the last packet of greeting and beep.
    pub(super) last_of_script: bool,
}

impl Outgoing {
    /// `entropy` gives SSRC, first sequence number and timestamp, which must
    /// not be guessable (RFC 3550 §5.1).
    pub(super) fn new(codec: Codec, greeting: Arc<[u8]>, with_beep: bool, now: Instant, entropy: [u8; 10]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j] = entropy;
        let beep = if with_beep { beep(codec) } else { &[] };
        Self {
            codec,
            script: Script {
                greeting,
                beep,
                silence: codec.silence(),
            },
            packets: 0,
            next: now,
            marker: true,
            ssrc: u32::from_be_bytes([a, b, c, d]),
            timestamp: u32::from_be_bytes([e, f, g, h]),
            sequence: u16::from_be_bytes([i, j]),
        }
    }

    /// True if there is neither greeting nor beep: recording begins at once.
    pub(super) fn is_mute(&self) -> bool {
        self.script.packets() == 0
    }

    /// How long greeting and beep last.
    pub(super) fn script_length(&self) -> Duration {
        PACKET * self.script.packets() as u32
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
        self.script.frame(self.packets, &mut payload);
        let built = RtpPacketBuilder::new()
            .payload_type(self.codec.payload_type())
            .marked(self.marker)
            .sequence(Seq::from(self.sequence))
            .timestamp(self.timestamp)
            .ssrc(self.ssrc)
            .payload(&payload)
            .build_into(buf);
        debug_assert_eq!(built, Ok(PACKET_LEN));
        let sent = Sent {
            due: self.next,
            last_of_script: self.packets + 1 == self.script.packets(),
        };
        self.marker = false;
        self.packets += 1;
        self.next += PACKET;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        Some(sent)
    }
}

impl Script {
    fn packets(&self) -> u64 {
        (self.greeting.len().div_ceil(FRAME) + self.beep.len().div_ceil(FRAME)) as u64
    }

    /// Frame number `index`; beyond the script it is silence.
    fn frame(&self, index: u64, out: &mut [u8; FRAME]) {
        let greeting = self.greeting.len().div_ceil(FRAME) as u64;
        let (source, index) = if index < greeting {
            (&*self.greeting, index)
        } else {
            (self.beep, index - greeting)
        };
        let rest = usize::try_from(index)
            .ok()
            .and_then(|index| source.get(index.checked_mul(FRAME)?..));
        let rest = rest.unwrap_or_default();
        let count = rest.len().min(FRAME);
        out[..count].copy_from_slice(&rest[..count]);
        out[count..].fill(self.silence);
    }
}

fn beep(codec: Codec) -> &'static [u8] {
    static PCMA: OnceLock<Vec<u8>> = OnceLock::new();
    static PCMU: OnceLock<Vec<u8>> = OnceLock::new();
    let made = match codec {
        Codec::Pcma => &PCMA,
        Codec::Pcmu => &PCMU,
    };
    made.get_or_init(|| prompt::beep().encoded(codec))
}

#[cfg(test)]
mod tests {
    use rtp_rs::RtpReader;

    use super::*;

    fn collect(outgoing: &mut Outgoing, now: Instant) -> Vec<(Vec<u8>, Sent)> {
        let mut buf = [0; PACKET_LEN];
        std::iter::from_fn(|| outgoing.next_packet(now, &mut buf).map(|sent| (buf.to_vec(), sent))).collect()
    }

    #[test]
    fn greeting_then_beep_then_silence_without_a_seam() {
        let start = Instant::now();
        let greeting: Arc<[u8]> = vec![1u8; FRAME * 2 + 10].into();
        let mut outgoing = Outgoing::new(Codec::Pcma, greeting, true, start, [0xFF; 10]);
        assert_eq!(outgoing.script_length(), Duration::from_millis(60 + 300));
        let mut packets = Vec::new();
        for tick in 0..30 {
            packets.extend(collect(&mut outgoing, start + PACKET * tick));
        }
        assert_eq!(packets.len(), 30, "one a tick");
        for (index, (packet, sent)) in packets.iter().enumerate() {
            let rtp = RtpReader::new(packet).unwrap();
            assert_eq!(u16::from(rtp.sequence_number()), 0xFFFFu16.wrapping_add(index as u16));
            assert_eq!(rtp.timestamp(), u32::MAX.wrapping_add(index as u32 * 160));
            assert_eq!((rtp.payload_type(), rtp.mark()), (8, index == 0));
            assert_eq!(sent.last_of_script, index == 17);
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
        let mut outgoing = Outgoing::new(Codec::Pcmu, Arc::new([]), false, start, [0; 10]);
        assert!(outgoing.is_mute());
        assert_eq!(collect(&mut outgoing, start).len(), 1);
        assert_eq!(collect(&mut outgoing, start + PACKET * 5).len(), 5);
        let late = collect(&mut outgoing, start + PACKET * 106);
        assert_eq!(late.len(), 1, "no burst of a hundred packets");
        let rtp = RtpReader::new(&late[0].0).unwrap();
        assert_eq!((rtp.timestamp(), rtp.mark()), (106 * 160, true));
        assert_eq!(u16::from(rtp.sequence_number()), 6);
    }
}
