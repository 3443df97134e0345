//! One direction of a leg: what leaves is protected, what comes is let through once, and only when it is authentic.

use super::keys::{Master, Of, Session};
use super::transform::{LAST_REPORT, RTCP, Refused, header, open_rtcp, open_rtp, seal_rtcp, seal_rtp, u16_at, u32_at};
use super::window::Window;

/// The last index of a packet (RFC 3711 §9.2): 32 bits of rollover, 16 of number.
const LAST: u64 = (1 << 48) - 1;

/// Sources of one peer that are remembered; who claims more is not heard.
const SOURCES: usize = 32;

/// Keys of before whose packets are remembered.
const PAST: usize = 8;

/// Our direction. One source only: ours.
#[derive(Debug)]
pub struct Sender {
    master: Master,
    sound: Session,
    reports: Session,
    /// Index of the last packet: how often its number went round, and the number.
    last: Option<u64>,
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
            last: None,
            report: 0,
        }
    }

    /// Another description of the call: the same key goes on, and so do the counts under another (RFC 3711 §3.3.1).
    pub fn moved(&mut self, master: &Master) {
        if self.master != *master {
            let (last, report) = (self.last, self.report);
            *self = Self {
                last,
                report,
                ..Self::new(master)
            };
        }
    }

    /// An RTP packet as it leaves.
    ///
    /// # Errors
    /// [`Refused`] for what is no RTP packet, for a number that was sent before or goes back, and when all that a key may
    /// protect was sent (RFC 3711 §9.2): no key stream is used twice.
    pub fn protect(&mut self, packet: &[u8]) -> Result<Vec<u8>, Refused> {
        let header = header(packet)?;
        let (sequence, ssrc) = (u16_at(packet, 2), u32_at(packet, 8));
        let index = match self.last {
            None => u64::from(sequence),
            Some(last) => {
                let step = sequence.wrapping_sub(last as u16);
                if step == 0 || step > i16::MAX as u16 {
                    return Err(Refused);
                }
                last + u64::from(step)
            }
        };
        if index > LAST {
            return Err(Refused);
        }
        let mut out = packet.to_vec();
        seal_rtp(&self.sound, &mut out, header, ssrc, index)?;
        self.last = Some(index);
        Ok(out)
    }

    /// A compound RTCP packet as it leaves.
    ///
    /// # Errors
    /// [`Refused`] for what is no RTCP packet, and when all that a key may protect was sent.
    pub fn protect_report(&mut self, packet: &[u8]) -> Result<Vec<u8>, Refused> {
        if packet.len() < RTCP || self.report == LAST_REPORT {
            return Err(Refused);
        }
        self.report += 1;
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
    /// What came under keys of before, should they come back.
    past: Vec<(Master, Vec<Source>)>,
}

/// What came of one source under one key.
#[derive(Debug, Clone, Copy)]
struct Source {
    ssrc: u32,
    sound: Window,
    reports: Window,
    /// Its highest index under the key before.
    hint: Option<u64>,
    /// Whether its sound was authentic since this key is the present one.
    proved: bool,
}

impl Source {
    fn new(ssrc: u32) -> Self {
        Self {
            ssrc,
            sound: Window::default(),
            reports: Window::default(),
            hint: None,
            proved: false,
        }
    }

    /// The indices that a packet of this number may have. Until one was authentic there are several: the counts go on under
    /// another key (RFC 3711 §3.3.1), but some peers begin anew; and who began high had perhaps turned before anything of it
    /// came, which is why the same paragraph has peers begin low.
    fn indices(&self, sequence: u16) -> [Option<u64>; 3] {
        let anew = u64::from(sequence);
        let hinted = self.hint.map(|highest| guess(highest, sequence));
        match self.sound.highest().map(|highest| guess(highest, sequence)) {
            Some(guessed) if self.proved => [Some(guessed), None, None],
            Some(guessed) => [Some(guessed), hinted.filter(|hinted| *hinted != guessed), None],
            None => {
                let turned = (hinted.is_none() && sequence < 1 << 15).then_some(1 << 16 | anew);
                [hinted.filter(|hinted| *hinted != anew), Some(anew), turned]
            }
        }
    }
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
            past: Vec::new(),
        }
    }

    /// Another description of the call: the same key goes on as it was. What came under a key is remembered beyond that, so
    /// that nothing of it is taken again when a later description comes back to it.
    pub fn moved(&mut self, master: &Master) {
        if self.master == *master {
            return;
        }
        let (old, mut past) = (std::mem::take(&mut self.sources), std::mem::take(&mut self.past));
        let known = past.iter().position(|(known, _)| known == master);
        let mut sources = known.map_or_else(Vec::new, |at| past.remove(at).1);
        for source in &mut sources {
            source.proved = false;
        }
        for source in &old {
            let hint = source.sound.highest().or(source.hint);
            if let Some(known) = sources.iter_mut().find(|known| known.ssrc == source.ssrc) {
                known.hint = hint;
            } else if sources.len() < SOURCES {
                let fresh = Source::new(source.ssrc);
                sources.push(Source { hint, ..fresh });
            }
        }
        if past.len() == PAST {
            past.remove(0);
        }
        past.push((self.master, old));
        *self = Self {
            sources,
            past,
            ..Self::new(master)
        };
    }

    /// The RTP packet that came as this.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn open(&mut self, packet: &[u8]) -> Result<Vec<u8>, Refused> {
        let header = header(packet)?;
        let (sequence, ssrc) = (u16_at(packet, 2), u32_at(packet, 8));
        let (known, mut source) = self.source(ssrc);
        let mut indices = source.indices(sequence).into_iter().flatten();
        let opened = indices.find_map(|index| self.try_open(packet, header, &source.sound, ssrc, index).ok());
        let (plain, window) = opened.ok_or(Refused)?;
        source.sound = window;
        source.proved = true;
        self.remember(known, source)?;
        Ok(plain)
    }

    /// What the packet holds, and what is known of the source's numbers then.
    fn try_open(&self, packet: &[u8], header: usize, window: &Window, ssrc: u32, index: u64) -> Result<(Vec<u8>, Window), Refused> {
        if !window.is_new(index) {
            return Err(Refused);
        }
        let mut out = packet.to_vec();
        open_rtp(&self.sound, &mut out, header, ssrc, index)?;
        let mut window = *window;
        window.note(index);
        Ok((out, window))
    }

    /// The compound RTCP packet that came as this.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn open_report(&mut self, packet: &[u8]) -> Result<Vec<u8>, Refused> {
        let mut out = packet.to_vec();
        let index = open_rtcp(&self.reports, &mut out)?.into();
        let (known, mut source) = self.source(u32_at(packet, 4));
        if !source.reports.is_new(index) {
            return Err(Refused);
        }
        source.reports.note(index);
        self.remember(known, source)?;
        Ok(out)
    }

    /// What is known of a source, and where.
    fn source(&self, ssrc: u32) -> (Option<usize>, Source) {
        let known = self.sources.iter().position(|source| source.ssrc == ssrc);
        let source = known.and_then(|at| self.sources.get(at).copied());
        (known, source.unwrap_or_else(|| Source::new(ssrc)))
    }

    /// What is known now of a source that has shown itself to be the peer's.
    fn remember(&mut self, known: Option<usize>, source: Source) -> Result<(), Refused> {
        if let Some(place) = known.and_then(|at| self.sources.get_mut(at)) {
            *place = source;
        } else if self.sources.len() < SOURCES {
            self.sources.push(source);
        } else {
            return Err(Refused);
        }
        Ok(())
    }
}

/// The index of a packet with this number (RFC 3711 §3.3.1, appendix A). Before the first turn there is none behind it.
fn guess(highest: u64, sequence: u16) -> u64 {
    const HALF: u16 = 1 << 15;
    let (rollover, last) = (highest >> 16, highest as u16);
    let rollover = if last < HALF && sequence.saturating_sub(last) > HALF {
        rollover.saturating_sub(1)
    } else if last >= HALF && last - HALF > sequence {
        rollover + 1
    } else {
        rollover
    };
    (rollover << 16 | u64::from(sequence)) & LAST
}

#[cfg(test)]
mod tests;
