//! One leg's reports: when they go out, what they say, and what the peer's say of us.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use rtcp_types::prelude::*;
use rtcp_types::{Bye, Compound, Packet, ReceiverReport, ReportBlock, Sdes, SdesChunk, SdesItem, SenderReport};

use super::reception::Reception;
use super::{CLOCK, Malformed, Mark, Sent, Summary};

/// RFC 3550 §6.2: between two members with a telephone's bandwidth this least interval is what counts.
const INTERVAL: Duration = Duration::from_secs(5);

/// RFC 3550 §6.3.1: e - 3/2, which makes up for what the reconsideration of timers would add.
const COMPENSATION: f64 = 1.218_28;

/// Reports of ours that an answer may name.
const REMEMBERED: usize = 4;

/// Packets of one datagram, and blocks of one packet, that are looked at.
const PACKETS: usize = 32;
const BLOCKS: usize = 31;

/// The item `CNAME` of an SDES packet (RFC 3550 §6.5.1).
const CNAME: u8 = 1;

/// The machine. Instants are arguments; it reads no clock.
#[derive(Debug)]
pub struct Reporter {
    ssrc: u32,
    cname: String,
    epoch: Instant,
    next: Instant,
    random: u64,
    reception: Option<Reception>,
    /// Middle of the NTP time of our last reports, and when they left.
    ours: VecDeque<(u32, Instant)>,
    /// Middle of the NTP time of the peer's last sender report, and when it came.
    theirs: Option<(u32, Instant)>,
    round_trips: u32,
    round_trip_sum: Duration,
    /// Packets and jitter of ours, as the peer counts them.
    remote: Option<(u32, u32)>,
    heard: u64,
}

impl Reporter {
    /// Reports of the source `ssrc`, from `now` on. `entropy` gives the intervals' spread and a name that tells nothing and
    /// is used for one call (RFC 7022 §4.2).
    #[must_use]
    pub fn new(ssrc: u32, entropy: [u8; 20], now: Instant) -> Self {
        let [a, b, c, d, e, f, g, h, name @ ..] = entropy;
        let mut reporter = Self {
            ssrc,
            cname: name.iter().map(|octet| format!("{octet:02x}")).collect(),
            epoch: now,
            next: now,
            random: u64::from_be_bytes([a, b, c, d, e, f, g, h]) | 1,
            reception: None,
            ours: VecDeque::new(),
            theirs: None,
            round_trips: 0,
            round_trip_sum: Duration::ZERO,
            remote: None,
            heard: 0,
        };
        // RFC 3550 §6.2: the first one may come after half the time.
        reporter.next = now + reporter.interval() / 2;
        reporter
    }

    /// Takes note of a packet of the stream that is being recorded; `timestamp` only of one that is sound.
    pub fn hear_rtp(&mut self, ssrc: u32, sequence: u16, timestamp: Option<u32>, at: Instant) {
        let arrival = at.saturating_duration_since(self.epoch);
        let reception = match &mut self.reception {
            Some(known) if known.ssrc() == ssrc => known,
            other => other.insert(Reception::new(ssrc, sequence)),
        };
        reception.hear(sequence, timestamp, arrival);
    }

    /// Takes one datagram of the peer's reports.
    ///
    /// # Errors
    /// [`Malformed`] for what is no compound packet that begins with a report (RFC 3550 §A.2); what stood before the fault is
    /// not undone.
    pub fn hear(&mut self, datagram: &[u8], at: Instant) -> Result<(), Malformed> {
        let mut first = true;
        for packet in Compound::parse(datagram).map_err(|_| Malformed)?.take(PACKETS) {
            match packet.map_err(|_| Malformed)? {
                Packet::Sr(report) => {
                    self.theirs = Some((middle(report.ntp_timestamp()), at));
                    report.report_blocks().take(BLOCKS).for_each(|block| self.hear_block(&block, at));
                }
                Packet::Rr(report) => report.report_blocks().take(BLOCKS).for_each(|block| self.hear_block(&block, at)),
                // Reduced-size packets (RFC 5506) were not negotiated.
                _ if first => return Err(Malformed),
                // A BYE is no end of the call: SIP says that, or silence does.
                _ => {}
            }
            first = false;
        }
        self.heard += 1;
        Ok(())
    }

    fn hear_block(&mut self, block: &ReportBlock<'_>, at: Instant) {
        if block.ssrc() != self.ssrc {
            return;
        }
        // 24 bits with a sign (RFC 3550 §6.4.1): whom the network brings packets twice has lost less than none.
        let lost = (block.cumulative_lost() << 8) as i32 >> 8;
        self.remote = Some((lost.max(0).unsigned_abs(), block.interarrival_jitter()));
        let named = block.last_sender_report_timestamp();
        let Some((_, left)) = self.ours.iter().find(|(ours, _)| *ours == named) else {
            return;
        };
        // RFC 3550 §6.4.1: less the time for which the peer kept it.
        let kept = Duration::from_nanos(u64::from(block.delay_since_last_sender_report_timestamp()) * 1_000_000_000 / 65_536);
        let elapsed = at.saturating_duration_since(*left);
        // Clocks have grains: a little less than nothing is nothing, more is an invention.
        if kept <= elapsed + Duration::from_millis(10) {
            self.round_trips += 1;
            self.round_trip_sum += elapsed.saturating_sub(kept);
        }
    }

    /// Whether a report is due; then [`report`](Self::report) is to be called, even if it can be sent nowhere.
    #[must_use]
    pub fn is_due(&self, now: Instant) -> bool {
        now >= self.next
    }

    /// The next report. `ntp` is the time of day in NTP's format, `sent` what went out since the call began.
    pub fn report(&mut self, sent: &Sent, ntp: u64, now: Instant) -> Vec<u8> {
        self.next = now + self.interval();
        self.compound(sent, ntp, now, Mark::Goes)
    }

    /// The last report, with a BYE (RFC 3550 §6.6).
    pub fn bye(&mut self, sent: &Sent, ntp: u64, now: Instant) -> Vec<u8> {
        self.compound(sent, ntp, now, Mark::Leaves)
    }

    fn compound(&mut self, sent: &Sent, ntp: u64, now: Instant, mark: Mark) -> Vec<u8> {
        let last = self.theirs.map(|(middle, came)| {
            let kept = now.saturating_duration_since(came).as_nanos() * 65_536 / 1_000_000_000;
            (middle, u32::try_from(kept).unwrap_or(u32::MAX))
        });
        let block = self.reception.as_mut().map(|reception| reception.block(last));
        let mut compound = Compound::builder();
        if sent.packets > 0 {
            let report = SenderReport::builder(self.ssrc)
                .ntp_timestamp(ntp)
                .rtp_timestamp(sent.timestamp)
                .packet_count(sent.packets)
                .octet_count(sent.octets);
            compound = match block {
                Some(block) => compound.add_packet(report.add_report_block(block)),
                None => compound.add_packet(report),
            };
            if self.ours.len() == REMEMBERED {
                self.ours.pop_front();
            }
            self.ours.push_back((middle(ntp), now));
        } else {
            let report = ReceiverReport::builder(self.ssrc);
            compound = match block {
                Some(block) => compound.add_packet(report.add_report_block(block)),
                None => compound.add_packet(report),
            };
        }
        let name = SdesChunk::builder(self.ssrc).add_item(SdesItem::builder(CNAME, &self.cname));
        compound = compound.add_packet(Sdes::builder().add_chunk(name));
        if mark == Mark::Leaves {
            compound = compound.add_packet(Bye::builder().add_source(self.ssrc));
        }
        let mut octets = vec![0; compound.calculate_size().unwrap_or_default()];
        let written = compound.write_into(&mut octets).unwrap_or_default();
        octets.truncate(written);
        octets
    }

    /// What is known of the call's quality.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let units = |units: u32| Duration::from_nanos(u64::from(units) * 1_000_000_000 / u64::from(CLOCK));
        Summary {
            jitter: self.reception.as_ref().map(|reception| units(reception.jitter())),
            round_trip: (self.round_trips > 0).then(|| self.round_trip_sum / self.round_trips.max(1)),
            remote_lost: self.remote.map(|(lost, _)| lost),
            remote_jitter: self.remote.map(|(_, jitter)| units(jitter)),
            heard: self.heard,
        }
    }

    /// RFC 3550 §6.3.1: half to one and a half times the interval, so that the two ends do not fall into step.
    fn interval(&mut self) -> Duration {
        // xorshift; nothing depends on its not being guessed.
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let unit = (self.random >> 11) as f64 / (1u64 << 53) as f64;
        INTERVAL.mul_f64((0.5 + unit) / COMPENSATION)
    }
}

/// The middle 32 bits of an NTP time (RFC 3550 §4).
const fn middle(ntp: u64) -> u32 {
    (ntp >> 16) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OURS: Sent = Sent {
        packets: 50,
        octets: 8_000,
        timestamp: 9,
    };

    fn reporter(ssrc: u32, now: Instant) -> Reporter {
        Reporter::new(ssrc, [ssrc as u8; 20], now)
    }

    /// Seconds in NTP's format.
    fn ntp(seconds: u64) -> u64 {
        seconds << 32
    }

    fn kinds(octets: &[u8]) -> Vec<u8> {
        let mut rest = octets;
        let mut kinds = Vec::new();
        while let [_, kind, high, low, ..] = rest {
            kinds.push(*kind);
            rest = &rest[4 + 4 * usize::from(u16::from_be_bytes([*high, *low]))..];
        }
        kinds
    }

    #[test]
    fn intervals_are_spread_as_the_rfc_says() {
        let now = Instant::now();
        let mut reporter = reporter(1, now);
        assert!(!reporter.is_due(now + Duration::from_millis(1_000)) && reporter.is_due(now + Duration::from_millis(3_079)));
        let intervals: Vec<Duration> = (0..500).map(|_| reporter.interval()).collect();
        let (least, most) = (intervals.iter().min().unwrap(), intervals.iter().max().unwrap());
        assert!(
            *least >= Duration::from_millis(2_052) && *least < Duration::from_millis(2_300),
            "{least:?}"
        );
        assert!(
            *most <= Duration::from_millis(6_157) && *most > Duration::from_millis(5_900),
            "{most:?}"
        );
    }

    #[test]
    fn a_report_names_its_sender_and_the_last_one_says_goodbye() {
        let now = Instant::now();
        let mut reporter = reporter(1, now);
        let silent = Sent { packets: 0, ..OURS };
        assert_eq!(kinds(&reporter.report(&silent, 0, now)), [201, 202], "nothing was sent: RR");
        assert_eq!(kinds(&reporter.report(&OURS, 0, now)), [200, 202]);
        assert_eq!(kinds(&reporter.bye(&OURS, 0, now)), [200, 202, 203]);
    }

    #[test]
    fn the_round_trip_is_measured_without_the_peers_clock() {
        let now = Instant::now();
        let (mut us, mut peer) = (reporter(1, now), reporter(2, now));
        let at = |ms| now + Duration::from_millis(ms);
        let ours = us.report(&OURS, ntp(77), at(0));
        // 30 ms there, kept for a second, 50 ms back; the peer lost one packet of four.
        peer.hear(&ours, at(30)).unwrap();
        for sequence in [1, 2, 4] {
            peer.hear_rtp(1, sequence, Some(0), at(30));
        }
        let theirs = peer.report(&OURS, ntp(9_999), at(1_030));
        us.hear(&theirs, at(1_080)).unwrap();
        let summary = us.summary();
        let trip = summary.round_trip.unwrap();
        assert!(trip.abs_diff(Duration::from_millis(80)) < Duration::from_millis(1), "{trip:?}");
        assert_eq!((summary.remote_lost, summary.heard), (Some(1), 1));
    }

    #[test]
    fn what_names_no_report_of_ours_measures_nothing() {
        let now = Instant::now();
        let (mut us, mut peer) = (reporter(1, now), reporter(2, now));
        peer.hear_rtp(1, 1, Some(0), now);
        peer.theirs = Some((4_711, now));
        us.hear(&peer.report(&OURS, 0, now), now).unwrap();
        assert_eq!(us.summary().round_trip, None);
        // Kept for longer than it was away.
        us.report(&OURS, ntp(5), now);
        peer.theirs = Some((middle(ntp(5)), now));
        us.hear(&peer.report(&OURS, 0, now + Duration::from_secs(9)), now + Duration::from_secs(1))
            .unwrap();
        assert_eq!(us.summary().round_trip, None);
    }

    #[test]
    fn packets_that_came_twice_are_no_loss() {
        let now = Instant::now();
        let mut reporter = reporter(1, now);
        let lost = |count: [u8; 3]| {
            let about = [0x81, 201, 0, 7, 0, 0, 0, 2, 0, 0, 0, 1, 0];
            [&about[..], &count, &[0; 16]].concat()
        };
        for (count, expected) in [([0xFF, 0xFF, 0xFE], 0), ([0, 1, 4], 260), ([0x7F, 0xFF, 0xFF], 0x7F_FFFF)] {
            reporter.hear(&lost(count), now).unwrap();
            assert_eq!(reporter.summary().remote_lost, Some(expected));
        }
    }

    #[test]
    fn what_is_no_report_is_refused() {
        let mut reporter = reporter(1, Instant::now());
        let at = Instant::now();
        for wrong in [&b""[..], &[0x80; 4], &[0x80, 202, 0, 0], &[0x80, 200, 0, 9, 1, 2, 3, 4]] {
            assert_eq!(reporter.hear(wrong, at), Err(Malformed), "{wrong:?}");
        }
        assert_eq!(reporter.summary().heard, 0);
    }

    proptest! {
        #[test]
        fn never_panics(mut datagram in proptest::collection::vec(any::<u8>(), 0..200), kind in 199u8..206) {
            let now = Instant::now();
            let mut reporter = reporter(1, now);
            reporter.report(&OURS, 0, now);
            let _ = reporter.hear(&datagram, now);
            if let [first, second, third, ..] = &mut datagram[..] {
                (*first, *second, *third) = (0x81, kind, 0);
            }
            let _ = reporter.hear(&datagram, now);
        }
    }
}
