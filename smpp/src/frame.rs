//! PDUs cut out of a byte stream by their command_length (SMPP 3.4 §3.2).
//!
//! Each complete PDU is handed on by itself, so that one with rotten content cannot take the
//! stream out of step. Only a length that is no length does that, and ends the session.

use bytes::{Bytes, BytesMut};

/// command_length, command_id, command_status, sequence_number.
pub const HEADER: usize = 16;
/// The longest PDU that is read, in bytes: a message_payload of 64 KiB less the rest of it.
pub const LONGEST: usize = 64 * 1024;

/// One complete PDU, not looked into beyond its header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    fn word(&self, place: usize) -> u32 {
        let word = self.0.get(place..place + 4).and_then(|word| word.try_into().ok());
        word.map_or(0, u32::from_be_bytes)
    }

    /// command_id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.word(4)
    }

    /// command_status.
    #[must_use]
    pub fn status(&self) -> u32 {
        self.word(8)
    }

    /// sequence_number.
    #[must_use]
    pub fn sequence(&self) -> u32 {
        self.word(12)
    }

    /// What follows the header.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        self.0.get(HEADER..).unwrap_or_default()
    }

    /// The PDU as it came, header included.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }
}

/// A command_length outside 16 to [`LONGEST`]: where the next PDU begins is not known any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a command_length of {length} cannot be framed")]
pub struct Unframed {
    /// What stood where the length should be.
    pub length: u32,
    /// The sequence number that stood behind it, 0 when it had not come yet.
    pub sequence: u32,
}

/// Collects bytes until PDUs are whole. Holds at most one unfinished PDU and what was pushed last.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
}

impl Framer {
    /// Takes bytes as they came.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole PDU; `None` until more bytes come.
    ///
    /// # Errors
    /// [`Unframed`]; the stream is of no use then.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, Unframed> {
        let Some(length) = self.peek(0) else { return Ok(None) };
        let size = usize::try_from(length).unwrap_or(usize::MAX);
        if !(HEADER..=LONGEST).contains(&size) {
            let sequence = self.peek(12).unwrap_or(0);
            return Err(Unframed { length, sequence });
        }
        if self.buffer.len() < size {
            self.buffer.reserve(size - self.buffer.len());
            return Ok(None);
        }
        Ok(Some(Frame(self.buffer.split_to(size).freeze())))
    }

    fn peek(&self, place: usize) -> Option<u32> {
        let word = self.buffer.get(place..place + 4)?;
        word.try_into().ok().map(u32::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pdu(id: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + body.len()).unwrap();
        [&length.to_be_bytes()[..], &id.to_be_bytes(), &[0; 4], &sequence.to_be_bytes(), body].concat()
    }

    #[test]
    fn a_pdu_comes_out_at_its_last_byte() {
        let bytes = pdu(0x15, 7, b"ab");
        let mut framer = Framer::default();
        for byte in &bytes[..17] {
            framer.push(&[*byte]);
            assert_eq!(framer.next_frame(), Ok(None));
        }
        framer.push(&bytes[17..]);
        let frame = framer.next_frame().unwrap().unwrap();
        assert_eq!(
            (frame.id(), frame.status(), frame.sequence(), frame.body()),
            (0x15, 0, 7, &b"ab"[..])
        );
        assert_eq!(framer.next_frame(), Ok(None));
    }

    #[test]
    fn lengths_that_are_none() {
        for length in [0_u32, 15, 65_537, u32::MAX] {
            let mut framer = Framer::default();
            framer.push(&length.to_be_bytes());
            assert_eq!(framer.next_frame(), Err(Unframed { length, sequence: 0 }));
            framer.push(&[0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 9]);
            assert_eq!(framer.next_frame(), Err(Unframed { length, sequence: 9 }));
        }
        let mut framer = Framer::default();
        framer.push(&65_536_u32.to_be_bytes());
        assert_eq!(framer.next_frame(), Ok(None), "the longest is allowed");
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..20),
            cut in 1_usize..700,
        ) {
            let stream: Vec<u8> = bodies.iter().flat_map(|body| pdu(5, 1, body)).collect();
            let (mut framer, mut found) = (Framer::default(), Vec::new());
            for piece in stream.chunks(cut) {
                framer.push(piece);
                while let Some(frame) = framer.next_frame().unwrap() {
                    found.push(frame.body().to_vec());
                }
            }
            prop_assert_eq!(found, bodies);
        }
    }
}
