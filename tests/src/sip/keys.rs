//! Keys of the caller: RFC 4733 beside the speech, and INFO in the dialog.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::time::{sleep, timeout};

use super::{Call, T1};

/// The payload type that our offers give to telephone events.
pub const EVENTS: u8 = 101;

/// Time between two packets.
const PACKET: Duration = Duration::from_millis(20);

/// One packet of an event (RFC 4733 §2.3): `number` is its place in the sequence, `begun` that of the event's first packet.
#[must_use]
pub fn event(number: usize, begun: usize, code: u8, ended: bool, duration: u16) -> Vec<u8> {
    let mut packet = super::rtp(EVENTS, number, 0x5EED, &[]);
    packet[1] |= if number == begun { 0x80 } else { 0 };
    packet[4..8].copy_from_slice(&((begun * 160) as u32).to_be_bytes());
    packet.extend_from_slice(&[code, if ended { 0x8A } else { 0x0A }]);
    packet.extend_from_slice(&duration.to_be_bytes());
    packet
}

/// The event code of a key's sign.
fn code(sign: char) -> Option<u8> {
    "0123456789*#ABCD".chars().position(|key| key == sign).map(|at| at as u8)
}

impl Call {
    /// Presses a key for 100 ms by RFC 4733: five packets and the last one again twice, of which `lost` (from 0) do not arrive.
    ///
    /// # Errors
    /// When the socket fails, or there is no such key.
    pub async fn press(&self, sign: char, lost: &[usize]) -> Result<()> {
        let code = code(sign).context("no such key")?;
        let begun = self.media.place();
        for at in 0..7_usize {
            let packet = event(begun + at.min(4), begun, code, at >= 4, 160 * (at.min(4) as u16 + 1));
            if !lost.contains(&at) {
                self.media.socket.send_to(&packet, self.media.remote).await?;
            }
            // The repetitions leave a packet's time later, so that nothing that follows has a number of ours.
            if at < 5 {
                sleep(PACKET).await;
            }
        }
        Ok(())
    }

    /// Sends an INFO with a body, twice as a network does that doubles; the status of its answer.
    ///
    /// # Errors
    /// When nothing answers within 32 s.
    pub async fn inform(&self, kind: &str, body: &str) -> Result<u16> {
        let number = self.next_cseq();
        let branch = format!("z9hG4bK-k{number}-{}", self.dialog.local.port());
        let headers = [format!("Content-Type: {kind}")];
        let request = self.dialog.request("INFO", number, &branch, &headers, body);
        let mut answers = self.informed.clone();
        for _ in 0..2 {
            self.socket.send(request.as_bytes()).await?;
        }
        let answer = answers.wait_for(|answer| answer.0 == number);
        let answer = timeout(64 * T1, answer).await.context("no answer to INFO")?;
        Ok(answer.context("the reader ended")?.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_says_when_it_began() {
        let packet = event(12, 10, 9, true, 480);
        assert_eq!(packet.len(), 16);
        assert_eq!(packet[..4], [0x80, 101, 0, 12]);
        assert_eq!(packet[4..8], 1_600_u32.to_be_bytes());
        assert_eq!(packet[12..], [9, 0x8A, 1, 0xE0]);
        assert_eq!(event(10, 10, 9, false, 160)[1], 0x80 | 101);
        assert_eq!((code('#'), code('x')), (Some(11), None));
    }
}
