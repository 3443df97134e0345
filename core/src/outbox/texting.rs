//! How texts go out: what an account lets happen to them, and what a reply asks for.

use std::str::FromStr;

use voxea_rules::sms::{self, Alphabet, Letters, Policy, Prepared, ReferenceWidth};

use super::row::LIFE_MS;
use crate::base::account::{Channel, Unknown};
use crate::base::error::{CoreError, Result};
use crate::base::time::Millis;

/// The longest life that a reply may ask for; no SMSC keeps a text longer.
const LONGEST_LIFE: Millis = 7 * 24 * 3600 * 1000;
/// How far ahead a reply may be queued.
const FARTHEST: Millis = 366 * 24 * 3600 * 1000;

/// How the segments of one text are held together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Joined {
    /// A header with an 8-bit reference (3GPP TS 23.040 §9.2.3.24.1): 153 septets or 67 units a segment.
    #[default]
    Udh8,
    /// A header with a 16-bit reference (§9.2.3.24.8): 152 or 66.
    Udh16,
    /// The optional parameters sar_* (SMPP 3.4 §5.3.2.22 to 24); the SMSC writes the header, of either width, so a segment
    /// holds 152 or 66.
    Sar,
}

impl Joined {
    /// All of them, in the spelling of configuration and database.
    pub const NAMES: [&'static str; 3] = ["udh8", "udh16", "sar"];

    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udh8 => "udh8",
            Self::Udh16 => "udh16",
            Self::Sar => "sar",
        }
    }

    /// How wide a header must be expected.
    #[must_use]
    pub const fn width(self) -> ReferenceWidth {
        match self {
            Self::Udh8 => ReferenceWidth::Eight,
            Self::Udh16 | Self::Sar => ReferenceWidth::Sixteen,
        }
    }
}

impl FromStr for Joined {
    type Err = Unknown;

    fn from_str(name: &str) -> std::result::Result<Self, Unknown> {
        match name {
            "udh8" => Ok(Self::Udh8),
            "udh16" => Ok(Self::Udh16),
            "sar" => Ok(Self::Sar),
            other => Err(Unknown(other.to_owned())),
        }
    }
}

/// What an account does with texts of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Texting {
    /// What becomes of letters that the 7-bit alphabet lacks.
    pub letters: Letters,
    /// What its peer reads besides UCS-2.
    pub alphabet: Alphabet,
    /// How many segments a reply may take that asks to be split; 1: none may.
    pub most_segments: u8,
    /// How they are held together.
    pub joined: Joined,
    /// How long a text may be under way, milliseconds.
    pub life: Millis,
    /// The SMSC sends one receipt for all segments: the first that says "delivered" counts for them all.
    pub one_receipt: bool,
    /// The SMSC is asked to forget what it was given and an agent takes back.
    pub cancel: bool,
    /// The SMSC is asked to replace what it was given by another text.
    pub replace: bool,
    /// The SMSC is asked what became of a text whose life is over and of which no receipt came.
    pub query: bool,
}

impl Default for Texting {
    fn default() -> Self {
        Self {
            letters: Letters::default(),
            alphabet: Alphabet::default(),
            most_segments: 5,
            joined: Joined::default(),
            life: LIFE_MS,
            one_receipt: false,
            cancel: false,
            replace: false,
            query: false,
        }
    }
}

impl Texting {
    /// What the 160 engine is told.
    #[must_use]
    pub fn policy(&self, split: bool) -> Policy {
        Policy {
            letters: self.letters,
            most_segments: if split { self.most_segments } else { 1 },
            width: self.joined.width(),
            alphabet: self.alphabet,
        }
    }
}

/// What a reply asks for; nothing by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sending {
    /// It may take as many segments as its account allows. Of a text.
    pub split: bool,
    /// How long it may be under way, milliseconds from when it is to be sent; the account's when absent. Of a text.
    pub life: Option<Millis>,
    /// Not before this, milliseconds UTC. It is kept here, and not with the SMSC.
    pub send_at: Option<Millis>,
    /// 0 to 3: the SMSC's to heed (SMPP 3.4 §5.2.14). Of a text.
    pub priority: u8,
}

/// A text as it is queued.
pub(super) struct Shape {
    pub(super) text: String,
    pub(super) segments: i64,
    pub(super) joined: Option<Joined>,
    pub(super) receipts: i64,
    pub(super) send_at: Millis,
    pub(super) expires_at: Option<Millis>,
    pub(super) priority: i64,
}

impl Sending {
    fn check(&self, channel: Channel, now: Millis) -> Result<()> {
        if let Some(at) = self.send_at
            && !(now..=now + FARTHEST).contains(&at)
        {
            return Err(CoreError::invalid("/send_at", "must lie ahead, and within a year"));
        }
        if channel != Channel::Sms {
            let member = [
                (self.split, "/split"),
                (self.life.is_some(), "/validity_seconds"),
                (self.priority != 0, "/priority"),
            ];
            if let Some((_, member)) = member.iter().find(|(asked, _)| *asked) {
                return Err(CoreError::invalid(*member, "is for texts; this reply goes by another channel"));
            }
        }
        if self.priority > 3 {
            return Err(CoreError::invalid("/priority", "must be 0, 1, 2 or 3"));
        }
        if self.life.is_some_and(|life| !(60_000..=LONGEST_LIFE).contains(&life)) {
            return Err(CoreError::invalid(
                "/validity_seconds",
                format!("must lie between 60 and {}", LONGEST_LIFE / 1000),
            ));
        }
        Ok(())
    }

    /// What a reply becomes in an account, or why not.
    pub(super) fn shape(&self, channel: Channel, texting: &Texting, text: &str, now: Millis) -> Result<Shape> {
        self.check(channel, now)?;
        let send_at = self.send_at.unwrap_or(0);
        if channel != Channel::Sms {
            return Ok(Shape {
                text: text.to_owned(),
                segments: 1,
                joined: None,
                receipts: 1,
                send_at,
                expires_at: None,
                priority: 0,
            });
        }
        let prepared = prepare(text, &texting.policy(self.split))?;
        let segments = i64::try_from(prepared.count()).unwrap_or(i64::MAX);
        Ok(Shape {
            text: prepared.text(),
            segments,
            joined: (segments > 1).then_some(texting.joined),
            receipts: if texting.one_receipt { 1 } else { segments },
            send_at,
            expires_at: Some(send_at.max(now) + self.life.unwrap_or(texting.life)),
            priority: i64::from(self.priority),
        })
    }
}

fn prepare(text: &str, policy: &Policy) -> Result<Prepared> {
    sms::prepare(text, policy).map_err(|refused| CoreError::TextTooLong(Box::new(refused.preview)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_795_507_200_000;

    #[test]
    fn what_a_reply_asks_for_is_checked() {
        let texting = Texting::default();
        let shape = |sending: Sending, channel| sending.shape(channel, &texting, &"a".repeat(161), NOW);
        let split = Sending {
            split: true,
            ..Sending::default()
        };
        assert!(matches!(shape(Sending::default(), Channel::Sms), Err(CoreError::TextTooLong(_))));
        let shaped = shape(split, Channel::Sms).unwrap();
        assert_eq!((shaped.segments, shaped.joined, shaped.receipts), (2, Some(Joined::Udh8), 2));
        assert_eq!(shaped.expires_at, Some(NOW + LIFE_MS));
        for wrong in [
            Sending { priority: 4, ..split },
            Sending { life: Some(1), ..split },
            Sending {
                send_at: Some(NOW - 1),
                ..split
            },
            Sending {
                send_at: Some(NOW + FARTHEST + 1),
                ..split
            },
        ] {
            assert!(matches!(shape(wrong, Channel::Sms), Err(CoreError::Invalid { .. })), "{wrong:?}");
        }
        assert!(matches!(shape(split, Channel::Email), Err(CoreError::Invalid { .. })));
        let later = Sending {
            send_at: Some(NOW + 1000),
            ..Sending::default()
        };
        let mail = shape(later, Channel::Email).unwrap();
        assert_eq!((mail.send_at, mail.expires_at), (NOW + 1000, None));
    }

    /// Red where it is queued and then refused by the channel.
    #[test]
    fn what_the_peer_cannot_read_is_refused_with_its_place() {
        let texting = Texting {
            alphabet: Alphabet::Latin1,
            ..Texting::default()
        };
        let text = format!("{}€", "a".repeat(100));
        let Err(CoreError::TextTooLong(preview)) = Sending::default().shape(Channel::Sms, &texting, &text, NOW).map(|_| ()) else {
            panic!("it is queued");
        };
        assert_eq!((preview.offending[0].char, preview.offending[0].index), ('€', 100));
        let split = Sending {
            split: true,
            ..Sending::default()
        };
        assert_eq!(split.shape(Channel::Sms, &texting, &text, NOW).unwrap().segments, 2);
    }

    #[test]
    fn letters_are_replaced_where_the_account_says_so() {
        let texting = Texting {
            letters: Letters::Replace,
            ..Texting::default()
        };
        let text = format!("{}ç", "a".repeat(100));
        let shaped = Sending::default().shape(Channel::Sms, &texting, &text, NOW).unwrap();
        assert!(shaped.text.ends_with("ac"), "what is kept is what goes out");
        assert!(Sending::default().shape(Channel::Sms, &Texting::default(), &text, NOW).is_err());
    }
}
