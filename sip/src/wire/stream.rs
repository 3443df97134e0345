//! Messages out of a byte stream (RFC 3261 §18.3), and the keep-alive of RFC 5626 §3.5.1.

use bytes::{Buf as _, Bytes, BytesMut};

use super::lex::{self, Length, MAX_MESSAGE, content_length};

/// What a stream held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// One whole message.
    Message(Bytes),
    /// A double line end between messages: answer with a single one.
    KeepAlive,
    /// The head of a message whose end cannot be known: answer it and close, for what follows is noise.
    Broken(Bytes),
}

/// Cuts a stream into messages. It never holds more than one message and what one read brought.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// How far the buffer was searched for the end of the head.
    searched: usize,
    /// Length of head and body, once the head is whole.
    whole: Option<usize>,
    broken: bool,
}

impl Framer {
    /// Adds what was read. Call [`Framer::next`] until it gives nothing before the next one.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.broken {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next frame, if it is whole. After [`Frame::Broken`] there is none any more.
    #[expect(clippy::should_implement_trait, reason = "a stream that waits for more is not at its end")]
    pub fn next(&mut self) -> Option<Frame> {
        if self.broken {
            return None;
        }
        if self.searched == 0 && self.whole.is_none() {
            if self.buffer.starts_with(b"\r\n\r\n") {
                self.buffer.advance(4);
                return Some(Frame::KeepAlive);
            }
            // A line end that may become a keep-alive waits for its second half.
            while matches!(self.buffer.first(), Some(b'\r' | b'\n')) && !b"\r\n\r\n".starts_with(&self.buffer) {
                self.buffer.advance(1);
                if self.buffer.starts_with(b"\r\n\r\n") {
                    self.buffer.advance(4);
                    return Some(Frame::KeepAlive);
                }
            }
            if matches!(self.buffer.first(), None | Some(b'\r' | b'\n')) {
                return None;
            }
        }
        let whole = match self.whole {
            Some(whole) => whole,
            None => match self.measure() {
                Ok(whole) => whole?,
                Err(head) => return Some(self.give_up(head)),
            },
        };
        if self.buffer.len() < whole {
            self.whole = Some(whole);
            return None;
        }
        self.searched = 0;
        self.whole = None;
        Some(Frame::Message(self.buffer.split_to(whole).freeze()))
    }

    /// The length of the message at the start of the buffer; `None` when its head is not whole yet.
    fn measure(&mut self) -> Result<Option<usize>, usize> {
        let from = self.searched.saturating_sub(3);
        let found = head_end(&self.buffer, from);
        if found.unwrap_or(self.buffer.len()) > MAX_MESSAGE {
            // One octet too many: whoever reads it knows by that, and answers 513.
            return Err(MAX_MESSAGE + 1);
        }
        let Some(head) = found else {
            self.searched = self.buffer.len();
            return Ok(None);
        };
        let bytes = Bytes::copy_from_slice(&self.buffer[..head]);
        let length = lex::lex(&bytes).map_or(Length::Absent, |lexed| content_length(&lexed.headers));
        match length {
            // Mandatory on streams, but a request without body and without the field is clear enough.
            Length::Absent => Ok(Some(head)),
            Length::Of(length) => match head.checked_add(length) {
                Some(whole) if whole <= MAX_MESSAGE => Ok(Some(whole)),
                _ => Err(head),
            },
            Length::Broken => Err(head),
        }
    }

    fn give_up(&mut self, head: usize) -> Frame {
        self.broken = true;
        let head = self.buffer.split_to(head.min(self.buffer.len())).freeze();
        self.buffer = BytesMut::new();
        Frame::Broken(head)
    }
}

/// Where the empty line ends that closes the head.
fn head_end(buffer: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(found) = buffer.get(at..)?.iter().position(|byte| *byte == b'\n') {
        let next = at + found + 1;
        match buffer.get(next..)? {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            _ => at = next,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &[u8] = b"OPTIONS sip:a@b SIP/2.0\r\nl: 4\r\nTo: x\r\n\r\nbody";

    #[test]
    fn byte_at_a_time() {
        let mut framer = Framer::default();
        let mut frames = Vec::new();
        let stream = [b"\r\n\r\n", MESSAGE, b"\r\n", MESSAGE].concat();
        for byte in &stream {
            framer.push(&[*byte]);
            frames.extend(std::iter::from_fn(|| framer.next()));
        }
        let message = Frame::Message(Bytes::from_static(MESSAGE));
        assert_eq!(frames, [Frame::KeepAlive, message.clone(), message]);
    }

    #[test]
    fn several_in_one_read() {
        let mut framer = Framer::default();
        framer.push(&[MESSAGE, MESSAGE, b"OPT"].concat());
        assert!(matches!(framer.next(), Some(Frame::Message(_))));
        assert!(matches!(framer.next(), Some(Frame::Message(_))));
        assert_eq!(framer.next(), None);
    }

    #[test]
    fn a_length_that_lies_ends_the_stream() {
        for length in ["-1", "99999999999999999999", "65535", "18446744073709551615"] {
            let mut framer = Framer::default();
            framer.push(format!("OPTIONS sip:a@b SIP/2.0\r\nContent-Length: {length}\r\n\r\n").as_bytes());
            assert!(matches!(framer.next(), Some(Frame::Broken(_))), "{length}");
            framer.push(MESSAGE);
            assert_eq!(framer.next(), None);
        }
    }

    #[test]
    fn a_head_that_is_too_long_is_told_so() {
        let mut framer = Framer::default();
        framer.push(b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nX-A: ");
        framer.push(&[b'x'; MAX_MESSAGE]);
        framer.push(b"\r\n\r\n");
        let frame = framer.next();
        let Some(Frame::Broken(head)) = frame else { panic!("{frame:?}") };
        let refused = crate::wire::parse(&head).unwrap_err();
        assert_eq!((refused.status, refused.answerable.is_some()), (513, true));
    }

    #[test]
    fn a_head_without_end_is_given_up() {
        let mut framer = Framer::default();
        framer.push(b"OPTIONS sip:a@b SIP/2.0\r\n");
        for _ in 0..70 {
            framer.push(&[b'x'; 1000]);
            if let Some(frame) = framer.next() {
                assert!(matches!(frame, Frame::Broken(_)));
                return;
            }
        }
        panic!("nothing was given up");
    }
}
