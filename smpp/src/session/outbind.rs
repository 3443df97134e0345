//! The door for an SMSC that connects to us: it says outbind with the right credentials, and is bound to on the same
//! connection (SMPP 3.4 §2.2.1, §4.1.7). Anything else is sent away before anything is done for it.

use crate::frame::{Framer, HEADER};
use crate::pdu::command;

/// The longest outbind: a system_id of 16 and a password of 9, their ends included (§4.1.7.1).
const LONGEST: usize = HEADER + 16 + 9;

/// What is known of a stranger by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has not said enough yet.
    More,
    /// It is the SMSC: bind to it.
    Welcome,
    /// It is not; the reason names nothing that it sent.
    Refused(&'static str),
}

/// Listens to one stranger.
pub struct Doorman {
    framer: Framer,
    heard: usize,
    system_id: String,
    password: String,
}

impl std::fmt::Debug for Doorman {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Doorman").field("heard", &self.heard).finish_non_exhaustive()
    }
}

impl Doorman {
    /// Lets in who calls itself `system_id` and knows `password`.
    #[must_use]
    pub fn new(system_id: &str, password: &str) -> Self {
        Self {
            framer: Framer::default(),
            heard: 0,
            system_id: system_id.to_owned(),
            password: password.to_owned(),
        }
    }

    /// Takes bytes as they came. No more than an outbind's are ever held, and after another verdict than
    /// [`Verdict::More`] it is not asked again.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Verdict {
        self.heard += bytes.len();
        if self.heard > LONGEST {
            return Verdict::Refused("it sent more than an outbind");
        }
        self.framer.push(bytes);
        let frame = match self.framer.next_frame() {
            Ok(Some(frame)) => frame,
            Ok(None) => return Verdict::More,
            Err(_) => return Verdict::Refused("it sent a length that is none"),
        };
        if frame.id() != command::OUTBIND {
            return Verdict::Refused("it sent something else than outbind");
        }
        if frame.bytes().len() != self.heard {
            // Before our bind there is nothing to be said.
            return Verdict::Refused("it sent more than an outbind");
        }
        let mut fields = frame.body().split(|byte| *byte == 0);
        let (system_id, password) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let ended = fields.next().is_some_and(<[u8]>::is_empty) && fields.next().is_none();
        // Both are compared to their end, so that the time tells nothing.
        let known = same(system_id, self.system_id.as_bytes()) & same(password, self.password.as_bytes());
        if ended && known && !self.password.is_empty() {
            Verdict::Welcome
        } else {
            Verdict::Refused("its system_id or password is wrong")
        }
    }
}

/// Compares in a time that depends on the lengths alone.
fn same(given: &[u8], ours: &[u8]) -> bool {
    let different = given.iter().zip(ours).fold(0, |different, (a, b)| different | (a ^ b));
    given.len() == ours.len() && std::hint::black_box(different) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outbind(id: u32, body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(HEADER + body.len()).unwrap();
        [&length.to_be_bytes()[..], &id.to_be_bytes(), &[0; 4], &[0, 0, 0, 1], body].concat()
    }

    fn asked(bytes: &[u8], cut: usize) -> Verdict {
        let mut doorman = Doorman::new("smsc", "secret");
        for piece in bytes.chunks(cut) {
            match doorman.handle_input(piece) {
                Verdict::More => {}
                other => return other,
            }
        }
        Verdict::More
    }

    #[test]
    fn only_the_smsc_is_let_in() {
        let right = outbind(0x0B, b"smsc\0secret\0");
        for cut in 1..=right.len() {
            assert_eq!(asked(&right, cut), Verdict::Welcome, "{cut}");
        }
        for wrong in [
            outbind(0x0B, b"smsc\0secre\0"),
            outbind(0x0B, b"smsc\0secret1\0"),
            outbind(0x0B, b"SMSC\0secret\0"),
            outbind(0x0B, b"smsc\0\0"),
            outbind(0x0B, b"smsc\0secret"),
            outbind(0x0B, b"smsc\0secret\0x\0"),
            outbind(0x0B, b""),
            outbind(0x09, b"smsc\0secret\0"),
            outbind(0x05, &[0; 60_000]),
            [right.clone(), vec![0]].concat(),
            vec![0, 0, 0, 1],
            b"GET / HTTP/1.1\r\n".to_vec(),
        ] {
            assert!(matches!(asked(&wrong, 4096), Verdict::Refused(_)), "{wrong:?}");
        }
        assert_eq!(asked(&right[..right.len() - 1], 7), Verdict::More);
        let mut unset = Doorman::new("", "");
        assert!(
            matches!(unset.handle_input(&outbind(0x0B, b"\0\0")), Verdict::Refused(_)),
            "nothing is no password"
        );
    }

    proptest! {
        #[test]
        fn nobody_else_comes_in(bytes in proptest::collection::vec(any::<u8>(), 0..80), cut in 1_usize..80) {
            prop_assert_ne!(asked(&bytes, cut), Verdict::Welcome);
        }
    }
}
