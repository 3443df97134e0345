//! What is counted of one source (RFC 3550 §6.4.1, §A.1, §A.3, §A.8), in its own units.

use std::time::Duration;

use rtcp_types::{ReportBlock, ReportBlockBuilder};

/// A step of the transit time beyond this is another clock, not jitter: one second.
const ANOTHER_CLOCK: u32 = super::CLOCK;

/// One source that is heard.
#[derive(Debug)]
pub(super) struct Reception {
    ssrc: u32,
    base: u64,
    /// Extended highest sequence number.
    highest: u64,
    received: u64,
    /// As of the report before.
    expected_prior: u64,
    received_prior: u64,
    /// Relative transit time of the packet before.
    transit: Option<u32>,
    /// Sixteen times the estimate, in units of the timestamp.
    jitter: u32,
}

impl Reception {
    /// A source whose first packet has that number.
    pub(super) fn new(ssrc: u32, sequence: u16) -> Self {
        // One cycle ahead, so that a packet from before the first one needs no negative number.
        let first = (1 << 16) + u64::from(sequence);
        Self {
            ssrc,
            base: first,
            highest: first,
            received: 0,
            expected_prior: 0,
            received_prior: 0,
            transit: None,
            jitter: 0,
        }
    }

    pub(super) const fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// Takes note of a packet. `timestamp` is `None` for what is no sound: the packets of a key share one (RFC 4733 §2.2.1),
    /// which says nothing of jitter. `arrival` counts from any instant that stays the same.
    pub(super) fn hear(&mut self, sequence: u16, timestamp: Option<u32>, arrival: Duration) {
        let step = sequence.wrapping_sub(self.highest as u16) as i16;
        if step > 0 {
            self.highest += u64::from(step.unsigned_abs());
        }
        self.received += 1;
        let Some(timestamp) = timestamp else { return };
        let units = arrival.as_nanos() * u128::from(super::CLOCK) / 1_000_000_000;
        let transit = (units as u32).wrapping_sub(timestamp);
        if let Some(before) = self.transit.replace(transit) {
            let step = (transit.wrapping_sub(before) as i32).unsigned_abs();
            if step < ANOTHER_CLOCK {
                // RFC 3550 §A.8, in integers.
                self.jitter = self.jitter + step - ((self.jitter + 8) >> 4);
            }
        }
    }

    /// The interarrival jitter, in units of the timestamp.
    pub(super) const fn jitter(&self) -> u32 {
        self.jitter >> 4
    }

    /// What a report says of the source; what was lost counts from the report before on. `last` is the middle of the NTP
    /// time of its last sender report and how long ago that was, in 1/65536 s.
    pub(super) fn block(&mut self, last: Option<(u32, u32)>) -> ReportBlockBuilder {
        let expected = self.highest - self.base + 1;
        // Duplicates would make it negative; nobody is helped by fewer than none.
        let lost = expected.saturating_sub(self.received).min(0x7F_FFFF);
        let due = expected - self.expected_prior;
        let missing = due.saturating_sub(self.received - self.received_prior);
        self.expected_prior = expected;
        self.received_prior = self.received;
        let fraction = (missing << 8).checked_div(due).unwrap_or(0).min(255);
        let (lsr, dlsr) = last.unwrap_or_default();
        ReportBlock::builder(self.ssrc)
            .fraction_lost(fraction as u8)
            .cumulative_lost(lost as u32)
            .extended_sequence_number((self.highest - (1 << 16)) as u32)
            .interarrival_jitter(self.jitter())
            .last_sender_report_timestamp(lsr)
            .delay_since_last_sender_report_timestamp(dlsr)
    }
}

#[cfg(test)]
mod tests {
    use rtcp_types::prelude::*;

    use super::*;

    fn block(reception: &mut Reception) -> [u8; 24] {
        let mut octets = [0; 32];
        let report = rtcp_types::ReceiverReport::builder(1).add_report_block(reception.block(None));
        report.write_into(&mut octets).unwrap();
        octets[8..].try_into().unwrap()
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn loss_counts_from_report_to_report() {
        let mut reception = Reception::new(7, 65_534);
        for sequence in [65_534u16, 65_535, 1, 2] {
            reception.hear(sequence, None, ms(0));
        }
        let octets = block(&mut reception);
        let read = ReportBlock::parse(&octets).unwrap();
        assert_eq!(
            (read.ssrc(), read.cumulative_lost(), read.fraction_lost()),
            (7, 1, 51),
            "one of five"
        );
        assert_eq!(read.extended_sequence_number(), 65_536 + 2);
        for sequence in [3u16, 4, 5] {
            reception.hear(sequence, None, ms(0));
        }
        let octets = block(&mut reception);
        let read = ReportBlock::parse(&octets).unwrap();
        assert_eq!((read.cumulative_lost(), read.fraction_lost()), (1, 0), "nothing since");
    }

    #[test]
    fn duplicates_are_no_negative_loss_and_old_packets_raise_nothing() {
        let mut reception = Reception::new(7, 10);
        for sequence in [10u16, 10, 9, 10] {
            reception.hear(sequence, None, ms(0));
        }
        let octets = block(&mut reception);
        let read = ReportBlock::parse(&octets).unwrap();
        assert_eq!((read.cumulative_lost(), read.extended_sequence_number()), (0, 10));
    }

    #[test]
    fn jitter_is_that_of_the_rfc() {
        let mut even = Reception::new(7, 0);
        let mut uneven = Reception::new(7, 0);
        // Every other packet is 4 ms late: |D| is 32 units each time, and so is what the estimate comes to.
        for n in 0..200u16 {
            let at = ms(u64::from(n) * 20);
            let timestamp = Some((u32::MAX - 800).wrapping_add(u32::from(n) * 160));
            even.hear(n, timestamp, at);
            uneven.hear(n, timestamp, at + ms(u64::from(n % 2) * 4));
        }
        assert_eq!(even.jitter(), 0);
        assert!((30..=32).contains(&uneven.jitter()), "{}", uneven.jitter());
    }

    #[test]
    fn a_clock_that_jumps_is_no_jitter() {
        let mut reception = Reception::new(7, 0);
        reception.hear(0, Some(0), ms(0));
        reception.hear(1, Some(3_000_000_000), ms(20));
        reception.hear(2, Some(3_000_000_160), ms(40));
        assert_eq!(reception.jitter(), 0);
    }
}
