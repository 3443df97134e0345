//! RTCP of one leg: its socket, and the time of day that its reports need. What they say is [`crate::rtcp`]'s.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use voxea_recorder::packet::Packet;

use super::leg::Peer;
use super::ports::Pair;
use super::secure::Secure;
use super::socket::{BATCH, Receiver};
use crate::rtcp::{Reporter, Sent, Summary};
use crate::srtp::Refused;

/// Ticks of 20 ms from one look at the leg's reports to the next: two seconds, as they come every five or so. The kernel says
/// when they came.
const SWEEP: u64 = 100;

/// How often the system is asked for reports in one look at most.
const SWEEP_BATCHES: usize = 2;

/// Seconds from NTP's beginning of time, 1900, to that of Unix.
const NTP_EPOCH: u64 = 2_208_988_800;

/// The reports of one leg.
#[derive(Debug)]
pub(super) struct Reports {
    reporter: Reporter,
    sent: Sent,
    target: Option<SocketAddr>,
    muxed: bool,
    emptied: Instant,
    /// Datagrams that were not the peer's, or no reports.
    pub(super) refused: u64,
}

impl Reports {
    pub(super) fn new(ssrc: u32, entropy: [u8; 20], peer: &Peer, now: Instant) -> Self {
        Self {
            reporter: Reporter::new(ssrc, entropy, now),
            sent: Sent::default(),
            target: peer.reports(),
            muxed: peer.muxed,
            emptied: now.checked_sub(Duration::from_secs(60)).unwrap_or(now),
            refused: 0,
        }
    }

    /// The peer is elsewhere now.
    pub(super) fn moved(&mut self, peer: &Peer) {
        self.muxed = peer.muxed;
        self.target = peer.reports();
    }

    /// An RTP packet went out.
    pub(super) const fn sent(&mut self, payload: usize) {
        self.sent.packets = self.sent.packets.wrapping_add(1);
        self.sent.octets = self.sent.octets.wrapping_add(payload as u32);
    }

    /// A packet of the stream that is recorded came; `sound` unless it was a key.
    pub(super) fn hear_rtp(&mut self, packet: &Packet<'_>, sound: bool, at: Instant) {
        let timestamp = sound.then_some(packet.timestamp);
        self.reporter.hear_rtp(packet.ssrc, packet.sequence, timestamp, at);
    }

    /// Whether a datagram on the port of sound is a report.
    pub(super) const fn is_report(&self, datagram: &[u8]) -> bool {
        self.muxed && crate::rtcp::is_rtcp(datagram)
    }

    /// A report of the peer's, opened.
    pub(super) fn hear(&mut self, report: &[u8], at: Instant) {
        if self.reporter.hear(report, at).is_err() {
            self.refused += 1;
        }
    }

    /// Reads what came on the port of reports, now and then. Every port of the peer's host is believed: what is said there is
    /// only counted, and answered to nobody.
    pub(super) fn sweep(&mut self, receiver: &mut Receiver, pair: &Pair, secure: &mut Secure, tick: u64, now: Instant) {
        if tick.is_multiple_of(SWEEP) {
            self.read(receiver, pair, secure, now);
        }
    }

    /// The same at once.
    pub(super) fn read(&mut self, receiver: &mut Receiver, pair: &Pair, secure: &mut Secure, now: Instant) {
        for _ in 0..SWEEP_BATCHES {
            let came = match receiver.fill(&pair.rtcp, pair.v6, self.emptied) {
                Ok(came) => came,
                Err(error) => {
                    tracing::debug!(%error, "RTCP socket");
                    return;
                }
            };
            for datagram in (0..came).filter_map(|index| receiver.datagram(index)) {
                if !self.muxed && self.target.is_some_and(|target| target.ip() == datagram.from.ip()) {
                    match secure.open_report(datagram.octets) {
                        Ok(report) => self.hear(&report, datagram.arrival),
                        Err(Refused) => self.refused += 1,
                    }
                } else {
                    self.refused += 1;
                }
            }
            if came < BATCH {
                self.emptied = now;
                return;
            }
        }
    }

    /// Sends a report when one is due, or the last one. `clock` is the RTP timestamp of `now`, `rtp` where sound goes; a peer
    /// that holds us without an address is told nothing.
    pub(super) fn send(
        &mut self,
        [rtp, rtcp]: [&UdpSocket; 2],
        secure: &mut Secure,
        to: Option<SocketAddr>,
        clock: u32,
        last: bool,
        now: Instant,
    ) {
        if !last && !self.reporter.is_due(now) {
            return;
        }
        let sent = Sent {
            timestamp: clock,
            ..self.sent
        };
        let octets = if last {
            self.reporter.bye(&sent, ntp(), now)
        } else {
            self.reporter.report(&sent, ntp(), now)
        };
        let (socket, to) = if self.muxed {
            (rtp, to)
        } else {
            (rtcp, self.target.filter(|_| to.is_some()))
        };
        if let Some(to) = to
            && let Ok(octets) = secure.seal_report(&octets)
        {
            // One that the system does not take is lost like any other.
            let _ = socket.send_to(&octets, to);
        }
    }

    pub(super) fn summary(&self) -> Summary {
        self.reporter.summary()
    }
}

/// The time of day in NTP's format: seconds since 1900, 32 bits before the point and 32 after it (RFC 3550 §4).
fn ntp() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
    ((now.as_secs().wrapping_add(NTP_EPOCH) & 0xFFFF_FFFF) << 32) | fraction
}
