//! What a leg's keys do to its packets; without keys, nothing.

use std::borrow::Cow;

use crate::srtp::{Keys, Receiver, Refused, Sender};

/// Both directions of a leg.
#[derive(Debug)]
pub(super) struct Secure {
    /// What was counted under the call's keys, also while the description has none: they may come back, and nothing may be sent
    /// twice under one of them, nor be heard twice.
    pair: Option<Box<(Sender, Receiver)>>,
    on: bool,
}

impl Secure {
    pub(super) fn new(keys: Option<&Keys>) -> Self {
        Self {
            pair: keys.map(|keys| Box::new((Sender::new(&keys.ours), Receiver::new(&keys.theirs)))),
            on: keys.is_some(),
        }
    }

    /// Another description of the call; what was counted under keys goes on.
    pub(super) fn moved(&mut self, keys: Option<&Keys>) {
        self.on = keys.is_some();
        match (&mut self.pair, keys) {
            (Some(pair), Some(keys)) => {
                pair.0.moved(&keys.ours);
                pair.1.moved(&keys.theirs);
            }
            (None, Some(_)) => *self = Self::new(keys),
            (_, None) => {}
        }
    }

    fn pair(&mut self) -> Option<&mut (Sender, Receiver)> {
        self.pair.as_deref_mut().filter(|_| self.on)
    }

    /// An RTP packet as it leaves.
    pub(super) fn seal<'p>(&mut self, packet: &'p [u8]) -> Result<Cow<'p, [u8]>, Refused> {
        let Some(pair) = self.pair() else { return Ok(packet.into()) };
        pair.0.protect(packet).map(Cow::Owned)
    }

    /// A report as it leaves.
    pub(super) fn seal_report<'p>(&mut self, packet: &'p [u8]) -> Result<Cow<'p, [u8]>, Refused> {
        let Some(pair) = self.pair() else { return Ok(packet.into()) };
        pair.0.protect_report(packet).map(Cow::Owned)
    }

    /// The RTP packet that came as this.
    pub(super) fn open<'p>(&mut self, packet: &'p [u8]) -> Result<Cow<'p, [u8]>, Refused> {
        let Some(pair) = self.pair() else { return Ok(packet.into()) };
        pair.1.open(packet).map(Cow::Owned)
    }

    /// The report that came as this.
    pub(super) fn open_report<'p>(&mut self, packet: &'p [u8]) -> Result<Cow<'p, [u8]>, Refused> {
        let Some(pair) = self.pair() else { return Ok(packet.into()) };
        pair.1.open_report(packet).map(Cow::Owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::srtp::{Master, Suite};

    /// A peer that goes from keys to none and back would otherwise get two packets under one key stream, and could be played
    /// again what it had said before.
    #[test]
    fn keys_that_come_back_go_on_where_they_were() {
        for suite in Suite::ALL {
            let keys = Keys {
                ours: Master::new(suite, [1; 30]),
                theirs: Master::new(suite, [2; 30]),
            };
            let mut secure = Secure::new(Some(&keys));
            let report = [0x80, 201, 0, 1, 0, 0, 0, 7];
            let first = secure.seal_report(&report).unwrap().into_owned();
            let said = Sender::new(&keys.theirs)
                .protect(&[[0x80, 8, 0, 1].as_slice(), &[7; 28]].concat())
                .unwrap();
            assert!(secure.open(&said).is_ok());
            secure.moved(None);
            assert_eq!(secure.seal_report(&report).unwrap(), report.as_slice(), "in clear");
            secure.moved(Some(&keys));
            assert_ne!(secure.seal_report(&report).unwrap(), first, "{suite:?}");
            assert!(secure.open(&said).is_err(), "{suite:?}: it was heard before");
        }
    }
}
