//! What a leg says, and whether anybody hears it.

use std::time::Instant;

use super::super::leg::MediaEnd;
use super::super::outgoing::{FRAME, PACKET, PACKET_LEN, Then};
use super::Session;

impl Session {
    /// Sends what is due. The announcement goes on with what the network took; nothing is announced to who does not listen.
    pub(super) fn send(&mut self, now: Instant) {
        if self.outgoing.is_announcing() && !self.listens() {
            self.unheard.get_or_insert(now);
            return self.outgoing.wait(now);
        }
        let mut packet = [0; PACKET_LEN];
        while let Some(due) = self.outgoing.next_packet(now, &mut packet) {
            if self.hand_over(&packet) {
                self.unheard = None;
                self.reports.sent(FRAME);
                let then = self.outgoing.taken();
                self.then(then, due + PACKET);
            } else if self.outgoing.is_announcing() {
                self.unheard.get_or_insert(due);
            }
        }
    }

    /// Whether the peer listens, by its last description (RFC 3264 §5.1), and says where.
    fn listens(&self) -> bool {
        self.held.is_none() && self.latch.target().is_some()
    }

    /// Whether the network took a packet. One that it did not take is lost like any other.
    fn hand_over(&mut self, packet: &[u8]) -> bool {
        let Some(target) = self.latch.target() else { return false };
        let sealed = self.secure.seal(packet);
        sealed.is_ok_and(|sealed| self.pair.rtp.send_to(&sealed, target).is_ok())
    }

    /// What comes after a packet that was played up to then.
    pub(super) fn then(&mut self, then: Then, at: Instant) {
        match then {
            Then::More => {}
            Then::Record => self.begin(at),
            Then::HangUp => self.over = Some(MediaEnd::Said),
            Then::Untold => self.over = Some(MediaEnd::Unheard),
        }
    }

    /// The end of a leg whose announcement nobody hears, when it has waited long enough.
    pub(super) fn is_unheard(&self, now: Instant) -> Option<MediaEnd> {
        let limit = if self.held.is_some() {
            self.limits.hold
        } else {
            self.limits.rtp_timeout
        };
        let waited = now.saturating_duration_since(self.unheard?);
        (waited >= limit).then_some(MediaEnd::Unheard)
    }
}
