//! From a leased reply to its settlement.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use voxea_core::base::time::{self, Millis};
use voxea_core::outbox::{Outbound, Settlement};
use voxea_rules::{charset, gsm7, phone, sms};

use super::status;
use crate::content::DefaultAlphabet;
use crate::pdu::{self, Address, Submission};
use crate::session::{Handle, Session, SubmitError};

/// The first pause after the SMSC said that it has enough, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// A text that an SMSC in trouble refuses is tried so often.
const TRIES: i64 = 5;

/// Texts of ours on one link.
pub(super) struct Outgoing {
    number: Address,
    alphabet: DefaultAlphabet,
    under_way: HashMap<Handle, Outbound>,
    settlements: Vec<(String, Settlement)>,
    pause: Duration,
    paused_until: Option<Instant>,
}

impl Outgoing {
    pub(super) fn new(number: Address, alphabet: DefaultAlphabet) -> Self {
        Self {
            number,
            alphabet,
            under_way: HashMap::new(),
            settlements: Vec::new(),
            pause: PAUSE.0,
            paused_until: None,
        }
    }

    /// When sending may go on; `None` when it may.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        self.paused_until.filter(|until| *until > now)
    }

    /// What is to be settled; what fails to be is given back by [`Outgoing::unsettled`].
    pub(super) fn settlements(&mut self) -> Vec<(String, Settlement)> {
        std::mem::take(&mut self.settlements)
    }

    pub(super) fn has_settlements(&self) -> bool {
        !self.settlements.is_empty()
    }

    pub(super) fn unsettled(&mut self, mut settlements: Vec<(String, Settlement)>) {
        settlements.append(&mut self.settlements);
        self.settlements = settlements;
    }

    /// Hands replies back as they were leased.
    pub(super) fn give_back(&mut self, leased: Vec<Outbound>) {
        self.settlements
            .extend(leased.into_iter().map(|reply| (reply.reply_id, Settlement::Return)));
    }

    /// Submits a leased reply.
    pub(super) fn send(&mut self, session: &mut Session, reply: Outbound, now: Instant) {
        if self.paused_until(now).is_some() {
            return self.give_back(vec![reply]);
        }
        let sent = self
            .submission(&reply)
            .and_then(|submission| match session.submit(&submission, now) {
                Ok(handle) => Ok(handle),
                Err(SubmitError::NotBound | SubmitError::WindowFull) => Err(Settlement::Return),
                Err(SubmitError::Unwritable(error)) => Err(Settlement::Rejected { reason: error.to_string() }),
            });
        match sent {
            Ok(handle) => drop(self.under_way.insert(handle, reply)),
            Err(settlement) => self.settlements.push((reply.reply_id, settlement)),
        }
    }

    /// The SMSC answered.
    pub(super) fn answered(&mut self, handle: Handle, code: u32, message_id: Option<String>, now: Instant) -> &'static str {
        let Some(reply) = self.under_way.remove(&handle) else {
            return "responses_odd";
        };
        let busy = matches!(code, pdu::status::THROTTLED | pdu::status::QUEUE_FULL);
        let (settlement, event) = if code == pdu::status::OK {
            self.pause = PAUSE.0;
            (
                Settlement::Submitted {
                    native_id: message_id,
                    last_word: false,
                },
                "texts_out",
            )
        } else if busy || (status::is_passing(code) && reply.attempts < TRIES) {
            (
                Settlement::Retry {
                    at: self.back_off(now),
                    reason: status::name(code),
                },
                "texts_throttled",
            )
        } else {
            (
                Settlement::Rejected {
                    reason: status::name(code),
                },
                "texts_rejected",
            )
        };
        self.settlements.push((reply.reply_id, settlement));
        event
    }

    /// Nobody knows what became of it.
    pub(super) fn unanswered(&mut self, handle: Handle) {
        if let Some(reply) = self.under_way.remove(&handle) {
            let reason = "the SMSC did not answer; it may have been sent".to_owned();
            self.settlements.push((reply.reply_id, Settlement::Unknown { reason }));
        }
    }

    /// Nothing is sent for a while; longer each time. What was in flight together backs off once.
    fn back_off(&mut self, now: Instant) -> Millis {
        let until = self.paused_until(now).unwrap_or_else(|| {
            let until = now + self.pause;
            self.pause = (self.pause * 2).min(PAUSE.1);
            until
        });
        self.paused_until = Some(until);
        time::now() + i64::try_from((until - now).as_millis()).unwrap_or(0)
    }

    fn submission(&self, reply: &Outbound) -> Result<Submission, Settlement> {
        let reject = |reason: &str| Settlement::Rejected { reason: reason.to_owned() };
        let encoded = sms::check_reply(&reply.text).map_err(|_| reject("the text is empty or longer than one message"))?;
        let (data_coding, message) = if encoded.data_coding != 0 {
            (encoded.data_coding, encoded.bytes)
        } else {
            match self.alphabet {
                DefaultAlphabet::Gsm7 => (0, encoded.bytes),
                DefaultAlphabet::Gsm7Packed => (0, gsm7::pack(&encoded.bytes, 0)),
                DefaultAlphabet::Latin1 => latin1(&gsm7::decode(&encoded.bytes).text),
            }
        };
        if message.len() > 254 {
            return Err(reject("the text does not fit the SMSC's alphabet"));
        }
        let to = phone::normalise(&reply.to, "FR");
        let destination = match to.international_digits() {
            Some(digits) => Address {
                ton: 1,
                npi: 1,
                number: digits.to_owned(),
            },
            None if to.is_withheld() => return Err(reject("the citizen's number is not known")),
            None => Address {
                ton: 0,
                npi: 1,
                number: to.into_string(),
            },
        };
        Ok(Submission {
            source: self.number.clone(),
            destination,
            data_coding,
            message,
        })
    }
}

/// In an account whose data_coding 0 is Latin-1: so where every character is in it, else UCS-2.
fn latin1(text: &str) -> (u8, Vec<u8>) {
    let bytes: Result<Vec<u8>, _> = text.chars().map(|char| u8::try_from(u32::from(char))).collect();
    bytes.map_or_else(|_| (8, charset::encode_ucs2(text)), |bytes| (0, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pdu::{Bind, Credentials};
    use crate::session::{Event, Output, Settings};
    use voxea_core::outbox::ReplyKind;

    fn reply(id: &str, text: &str, attempts: i64) -> Outbound {
        Outbound {
            reply_id: id.to_owned(),
            request_id: String::new(),
            reference: String::new(),
            kind: ReplyKind::Reply,
            channel: "sms".to_owned(),
            to: "+33612345678".to_owned(),
            subject: None,
            text: text.to_owned(),
            message_id: None,
            in_reply_to: None,
            references: Vec::new(),
            attempts,
            created_at: 0,
        }
    }

    fn outgoing() -> Outgoing {
        Outgoing::new(
            Address {
                ton: 3,
                npi: 0,
                number: "36123".to_owned(),
            },
            DefaultAlphabet::Gsm7,
        )
    }

    fn bound(now: Instant) -> Session {
        let credentials = Credentials {
            system_id: "v".into(),
            password: "p".into(),
            system_type: String::new(),
            version: 0x34,
        };
        let (second, window) = (Duration::from_secs(1), 4);
        let settings = Settings {
            bind: Bind::Transceiver,
            credentials,
            window,
            inbound_window: 1,
            enquire_interval: 30 * second,
            response_timeout: 20 * second,
        };
        let mut session = Session::new(settings, now).unwrap();
        session
            .handle_input(&[0, 0, 0, 16, 0x80, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1], now)
            .unwrap();
        assert!(matches!(session.poll_output(), Output::Event(Event::Bound)));
        session
    }

    fn send(outgoing: &mut Outgoing, session: &mut Session, reply: Outbound, now: Instant) -> Handle {
        outgoing.send(session, reply, now);
        *outgoing.under_way.keys().max().unwrap()
    }

    #[test]
    fn answers_become_settlements() {
        let now = Instant::now();
        let (mut outgoing, mut session) = (outgoing(), bound(now));
        for (code, tries, expected) in [
            (
                0,
                1,
                Settlement::Submitted {
                    native_id: Some("7".to_owned()),
                    last_word: false,
                },
            ),
            (
                0x0B,
                1,
                Settlement::Rejected {
                    reason: "ESME_RINVDSTADR (0x0B)".to_owned(),
                },
            ),
            (
                0x08,
                5,
                Settlement::Rejected {
                    reason: "ESME_RSYSERR (0x08)".to_owned(),
                },
            ),
        ] {
            let handle = send(&mut outgoing, &mut session, reply("r", "Bonjour", tries), now);
            outgoing.answered(handle, code, Some("7".to_owned()), now);
            assert_eq!(outgoing.settlements(), [("r".to_owned(), expected)]);
        }
        let handle = send(&mut outgoing, &mut session, reply("r", "Bonjour", 1), now);
        outgoing.unanswered(handle);
        assert!(matches!(&outgoing.settlements()[..], [(_, Settlement::Unknown { .. })]));
    }

    #[test]
    fn a_throttling_smsc_is_left_alone_and_the_order_is_kept() {
        let now = Instant::now();
        let (mut outgoing, mut session) = (outgoing(), bound(now));
        let first = send(&mut outgoing, &mut session, reply("1", "a", 1), now);
        let second = send(&mut outgoing, &mut session, reply("2", "b", 1), now);
        outgoing.answered(first, 0x58, None, now);
        outgoing.answered(second, 0x14, None, now);
        outgoing.send(&mut session, reply("3", "c", 1), now);
        let settled = outgoing.settlements();
        let [
            (_, Settlement::Retry { at: a, .. }),
            (_, Settlement::Retry { at: b, .. }),
            (_, Settlement::Return),
        ] = &settled[..]
        else {
            panic!("{settled:?}")
        };
        assert!((b - a).abs() < 500, "one pause for both");
        assert_eq!(outgoing.paused_until(now), Some(now + Duration::from_secs(1)));
        let later = now + Duration::from_secs(1);
        let again = send(&mut outgoing, &mut session, reply("1", "a", 2), later);
        outgoing.answered(again, 0x58, None, later);
        assert_eq!(outgoing.paused_until(later), Some(later + Duration::from_secs(2)), "twice as long");
    }

    #[test]
    fn what_a_reply_becomes() {
        let submission = outgoing().submission(&reply("1", "Votre dossier est prêt.", 1)).unwrap();
        assert_eq!((submission.destination.ton, submission.destination.npi), (1, 1));
        assert_eq!((submission.destination.number.as_str(), submission.data_coding), ("33612345678", 8));
        assert_eq!(outgoing().submission(&reply("1", "déjà", 1)).unwrap().message, b"d\x05j\x7f");
        assert!(outgoing().submission(&reply("1", &"a".repeat(161), 1)).is_err());
        let latin = Outgoing {
            alphabet: DefaultAlphabet::Latin1,
            ..outgoing()
        };
        assert_eq!(latin.submission(&reply("1", "déjà", 1)).unwrap().message, b"d\xE9j\xE0");
        assert_eq!(latin.submission(&reply("1", "5 €", 1)).unwrap().data_coding, 8);
        assert!(
            outgoing()
                .submission(&Outbound {
                    to: "anonymous".to_owned(),
                    ..reply("1", "a", 1)
                })
                .is_err()
        );
    }
}
