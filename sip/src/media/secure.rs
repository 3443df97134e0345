//! What a leg's keys do to its packets; without keys, nothing.

use std::borrow::Cow;

use crate::srtp::{Keys, Receiver, Refused, Sender};

/// Both directions of a leg.
#[derive(Debug)]
pub(super) struct Secure(Option<Box<(Sender, Receiver)>>);

impl Secure {
    pub(super) fn new(keys: Option<&Keys>) -> Self {
        Self(keys.map(|keys| Box::new((Sender::new(&keys.ours), Receiver::new(&keys.theirs)))))
    }

    /// Another description of the call; what was counted under keys goes on.
    pub(super) fn moved(&mut self, keys: Option<&Keys>) {
        match (&mut self.0, keys) {
            (Some(pair), Some(keys)) => {
                pair.0.moved(&keys.ours);
                pair.1.moved(&keys.theirs);
            }
            _ => *self = Self::new(keys),
        }
    }

    /// An RTP packet as it leaves.
    pub(super) fn seal<'p>(&mut self, packet: &'p [u8]) -> Result<Cow<'p, [u8]>, Refused> {
        let Some(pair) = &mut self.0 else { return Ok(packet.into()) };
        pair.0.protect(packet).map(Cow::Owned)
    }

    /// A report as it leaves.
    pub(super) fn seal_report<'p>(&mut self, packet: &'p [u8]) -> Result<Cow<'p, [u8]>, Refused> {
        let Some(pair) = &mut self.0 else { return Ok(packet.into()) };
        pair.0.protect_report(packet).map(Cow::Owned)
    }

    /// The RTP packet that came as this.
    pub(super) fn open<'p>(&mut self, packet: &'p [u8]) -> Result<Cow<'p, [u8]>, Refused> {
        let Some(pair) = &mut self.0 else { return Ok(packet.into()) };
        pair.1.open(packet).map(Cow::Owned)
    }

    /// The report that came as this.
    pub(super) fn open_report<'p>(&mut self, packet: &'p [u8]) -> Result<Cow<'p, [u8]>, Refused> {
        let Some(pair) = &mut self.0 else { return Ok(packet.into()) };
        pair.1.open_report(packet).map(Cow::Owned)
    }
}
