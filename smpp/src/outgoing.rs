//! The PDUs that a text of ours becomes.

use voxea_rules::sms::{Policy, Segment, prepare};
use voxea_rules::{gsm7, phone};

use crate::content::DefaultAlphabet;
use crate::held::{Held, Replacement};
use crate::pdu::{Address, Part};
use crate::submit::{Extras, Submission};

/// The longest short_message (SMPP 3.4 §5.2.22 allows 254).
const LONGEST: usize = 254;

/// How the segments of a long text are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joining {
    /// By a header in front of each.
    Header,
    /// By optional parameters (§5.3.2.22 to 24); the SMSC writes the header.
    Parameters,
}

/// A text that is to go out.
#[derive(Clone, Copy)]
pub struct Text<'a> {
    /// Our number.
    pub source: &'a Address,
    /// The citizen's, as requests keep it.
    pub to: &'a str,
    /// What it says.
    pub text: &'a str,
    /// What may be done to it, and into how many segments it may be cut.
    pub policy: Policy,
    /// How these are told apart.
    pub joining: Joining,
    /// What tells this text's from another's.
    pub reference: u16,
    /// What the SMSC means by data_coding 0.
    pub alphabet: DefaultAlphabet,
    /// priority_flag.
    pub priority: u8,
    /// validity_period.
    pub validity: &'a str,
}

/// One PDU a segment, in order.
///
/// # Errors
/// Why it cannot be sent, in words for an agent.
pub fn submissions(text: &Text<'_>) -> Result<Vec<Submission>, &'static str> {
    let policy = Policy {
        alphabet: text.alphabet.of_texts(),
        ..text.policy
    };
    let prepared = prepare(text.text, &policy).map_err(|_| "the text is empty or longer than it may be")?;
    let destination = destination(text.to)?;
    let segments = prepared.segments(text.reference);
    let (mut submissions, total) = (Vec::with_capacity(segments.len()), segments.len());
    for (at, segment) in segments.iter().enumerate() {
        let (data_coding, message) = coded(segment, text)?;
        if message.len() > LONGEST {
            return Err("the text does not fit the SMSC's alphabet");
        }
        let parameters = total > 1 && text.joining == Joining::Parameters;
        let small = |number: usize| u8::try_from(number).unwrap_or(u8::MAX);
        submissions.push(Submission {
            source: text.source.clone(),
            destination: destination.clone(),
            data_coding,
            message,
            extras: Extras {
                has_header: total > 1 && !parameters,
                priority: text.priority,
                validity: text.validity.to_owned(),
                sar: parameters.then(|| Part {
                    reference: text.reference,
                    total: small(total),
                    number: small(at + 1),
                }),
            },
        });
    }
    Ok(submissions)
}

/// A text in the place of the one that the SMSC calls `message_id`, and that says `before`. replace_sm tells no alphabet, so
/// that both must be one segment of data_coding 0 (SMPP 3.4 §4.10.1).
///
/// # Errors
/// Why it cannot be sent, in words for an agent.
pub fn replacement(text: &Text<'_>, message_id: &str, before: &str) -> Result<Replacement, &'static str> {
    let one = |text: &Text<'_>| match &mut submissions(text)?[..] {
        [
            Submission {
                data_coding: 0, message, ..
            },
        ] => Ok(std::mem::take(message)),
        _ => Err("one of the two texts is not one segment of the SMSC's alphabet, and a replacement cannot tell another"),
    };
    one(&Text { text: before, ..*text })?;
    Ok(Replacement {
        held: Held {
            source: text.source.clone(),
            message_id: message_id.to_owned(),
        },
        validity: text.validity.to_owned(),
        message: one(text)?,
    })
}

fn destination(to: &str) -> Result<Address, &'static str> {
    let to = phone::normalise(to, "FR");
    match to.international_digits() {
        Some(digits) => Ok(Address {
            ton: 1,
            npi: 1,
            number: digits.to_owned(),
        }),
        None if to.is_withheld() => Err("the citizen's number is not known"),
        None => Ok(Address {
            ton: 0,
            npi: 1,
            number: to.into_string(),
        }),
    }
}

/// data_coding and short_message.
fn coded(segment: &Segment, text: &Text<'_>) -> Result<(u8, Vec<u8>), &'static str> {
    let header = match text.joining {
        Joining::Header => &segment.header[..],
        Joining::Parameters => &[],
    };
    if segment.data_coding() != 0 {
        return Ok((segment.data_coding(), [header, &segment.bytes].concat()));
    }
    let bytes = match text.alphabet {
        DefaultAlphabet::Gsm7 => segment.bytes.clone(),
        DefaultAlphabet::Gsm7Packed => gsm7::pack_text(&segment.bytes, gsm7::fill(header.len())),
        DefaultAlphabet::Latin1 => {
            let read = gsm7::decode(&segment.bytes).text;
            let latin1: Result<Vec<u8>, _> = read.chars().map(|char| u8::try_from(u32::from(char))).collect();
            // By the policy it has no other letters.
            latin1.map_err(|_| "the text does not fit the SMSC's alphabet")?
        }
    };
    Ok((0, [header, &bytes].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxea_rules::sms::{Letters, ReferenceWidth};

    fn sent(text: &str, change: impl FnOnce(&mut Text<'_>)) -> Result<Vec<Submission>, &'static str> {
        let source = Address {
            ton: 3,
            npi: 0,
            number: "36123".to_owned(),
        };
        let mut text = Text {
            source: &source,
            to: "+33612345678",
            text,
            policy: Policy {
                most_segments: 3,
                ..Policy::default()
            },
            joining: Joining::Header,
            reference: 0x1234,
            alphabet: DefaultAlphabet::Gsm7,
            priority: 0,
            validity: "",
        };
        change(&mut text);
        submissions(&text)
    }

    fn one(text: &str, alphabet: DefaultAlphabet) -> (u8, Vec<u8>) {
        let sent = sent(text, |text| text.alphabet = alphabet).unwrap();
        let [one] = &sent[..] else { panic!("{} segments", sent.len()) };
        assert!(!one.extras.has_header && one.extras.sar.is_none());
        (one.data_coding, one.message.clone())
    }

    #[test]
    fn one_segment_in_each_alphabet() {
        use DefaultAlphabet::{Gsm7, Gsm7Packed, Latin1};
        assert_eq!(one("déjà", Gsm7), (0, b"d\x05j\x7f".to_vec()));
        assert_eq!(one("Votre dossier est prêt.", Gsm7).0, 8);
        assert_eq!(one("déjà", Latin1), (0, b"d\xE9j\xE0".to_vec()));
        assert_eq!(one("5 €", Latin1).0, 8);
        // Seven spare bits would read as an @.
        assert_eq!(one("1234567", Gsm7Packed), (0, gsm7::pack(b"1234567\r", 0)));
        assert_eq!(one(&"a".repeat(160), Gsm7Packed).1.len(), 140);
    }

    #[test]
    fn a_number_that_is_none_is_not_sent_to() {
        let to = |number: &'static str| sent("a", move |text| text.to = number);
        assert!(to("anonymous").is_err());
        let known = to("+33612345678").unwrap().remove(0).destination;
        assert_eq!((known.ton, known.npi, known.number.as_str()), (1, 1, "33612345678"));
        let local = to("36123").unwrap().remove(0).destination;
        assert_eq!((local.ton, local.number.as_str()), (0, "36123"));
    }

    #[test]
    fn a_replacement_is_of_the_alphabet_of_what_it_replaces() {
        use DefaultAlphabet::{Gsm7, Latin1};
        let source = Address {
            ton: 3,
            npi: 0,
            number: "36123".to_owned(),
        };
        let text = |text: &'static str, alphabet| Text {
            source: &source,
            to: "+33612345678",
            text,
            policy: Policy::default(),
            joining: Joining::Header,
            reference: 0,
            alphabet,
            priority: 0,
            validity: "000000010000000R",
        };
        let made = replacement(&text("déjà", Gsm7), "7", "Bonjour 5 €").unwrap();
        assert_eq!((made.held.message_id.as_str(), made.held.source == source), ("7", true));
        assert_eq!(
            (&made.message[..], made.validity.as_str()),
            (&b"d\x05j\x7f"[..], "000000010000000R")
        );
        assert!(replacement(&text("prêt", Gsm7), "7", "Bonjour").is_err());
        assert!(replacement(&text("Bonjour", Gsm7), "7", "prêt").is_err());
        // There the euro makes it UCS-2.
        assert!(replacement(&text("Bonjour", Latin1), "7", "Bonjour 5 €").is_err());
        assert!(replacement(&text("déjà", Latin1), "7", "Bonjour").is_ok());
    }

    #[test]
    fn segments_by_header_and_by_parameters() {
        let long = "a".repeat(161);
        let parts = sent(&long, |_| ()).unwrap();
        assert_eq!((parts.len(), &parts[1].message[..8]), (2, &b"\x05\0\x03\x34\x02\x02aa"[..]));
        assert!(parts.iter().all(|part| part.extras.has_header));
        let wide = sent(&long, |text| text.policy.width = ReferenceWidth::Sixteen).unwrap();
        assert_eq!(wide[0].message[..8], *b"\x06\x08\x04\x12\x34\x02\x01a");
        let packed = sent(&long, |text| text.alphabet = DefaultAlphabet::Gsm7Packed).unwrap();
        assert_eq!((packed[0].message.len(), packed[0].extras.has_header), (140, true));
        let sar = sent(&long, |text| {
            text.joining = Joining::Parameters;
            text.policy.width = ReferenceWidth::Sixteen;
        })
        .unwrap();
        assert_eq!(
            (sar[0].message.len(), sar[1].message.len(), sar[0].extras.has_header),
            (152, 9, false)
        );
        let part = sar[1].extras.sar.unwrap();
        assert_eq!((part.reference, part.total, part.number), (0x1234, 2, 2));
    }

    #[test]
    fn what_does_not_fit_is_not_cut() {
        assert!(sent(&"a".repeat(153 * 3 + 1), |_| ()).is_err());
        assert!(sent("", |_| ()).is_err());
        let latin1 = |text: &str| sent(text, |text| text.alphabet = DefaultAlphabet::Latin1);
        assert_eq!(latin1(&"é".repeat(161)).unwrap().len(), 2);
        let euro = latin1(&format!("{}€", "é".repeat(161))).unwrap();
        assert!(
            euro.len() == 3 && euro.iter().all(|part| part.data_coding == 8),
            "segments of two alphabets are no text"
        );
    }

    #[test]
    fn letters_go_as_the_account_says() {
        let text = format!("{}ç", "a".repeat(100));
        let replaced = sent(&text, |text| text.policy.letters = Letters::Replace).unwrap();
        assert_eq!((replaced.len(), replaced[0].data_coding), (1, 0));
        assert_eq!(sent(&text, |_| ()).unwrap().len(), 2);
    }
}
