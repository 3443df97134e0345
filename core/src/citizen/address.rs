//! One spelling for each address, and the one key by which two of them are compared.

use std::fmt;
use std::str::FromStr;

use voxea_rules::phone::Address as Number;
use voxea_rules::redact::Who;
use voxea_rules::{mail_domain, phone, postal};

use crate::base::account::{Channel, Unknown};
use crate::vault::{Index, Vault};

/// By whose dialling plan a national number is read.
const COUNTRY: &str = "FR";
/// The longest mail address, in bytes (RFC 5321 §4.5.3.1.3, without its angle brackets).
const MAIL_BYTES: usize = 254;

/// The longest address that is compared, in bytes, more than any that comes in; PostgreSQL's index rows end at 2,700.
const LONGEST: usize = 1500;

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PointKind {
    /// A telephone number.
    Phone,
    /// A mail address.
    Email,
    /// A postal address.
    Postal,
    /// Anything else: an account of a network, an identifier of another program.
    Other,
}

impl PointKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Phone, Self::Email, Self::Postal, Self::Other];

    /// The name that the API and the database use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Postal => "postal",
            Self::Other => "other",
        }
    }

    /// The channel of whose campaigns somebody with such an address may want none.
    #[must_use]
    pub const fn campaigns(self) -> Option<Channel> {
        match self {
            Self::Phone => Some(Channel::Sms),
            Self::Email => Some(Channel::Email),
            Self::Postal | Self::Other => None,
        }
    }
}

impl fmt::Display for PointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for PointKind {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let found = Self::ALL.into_iter().find(|kind| kind.as_str() == text);
        found.ok_or_else(|| Unknown(text.to_owned()))
    }
}

/// An address in its one spelling. `Debug` prints it redacted.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Address {
    kind: PointKind,
    normalised: String,
}

impl Address {
    /// Reads an address as a person wrote it or a channel received it. Numbers are E.164 where they can be; short codes and
    /// whatever else is no number stay as they are. `None` when it is nobody's: empty, endless, a withheld number, or a mail
    /// address or postal address that is none.
    #[must_use]
    pub fn read(kind: PointKind, raw: &str) -> Option<Self> {
        let raw = raw.trim();
        let normalised = match kind {
            PointKind::Phone => match phone::normalise(raw, COUNTRY) {
                Number::Withheld(_) => return None,
                number => number.into_string(),
            },
            PointKind::Email => mail(raw)?,
            PointKind::Postal => postal::fold(raw),
            PointKind::Other => raw.to_owned(),
        };
        let sound = !normalised.is_empty() && normalised.len() <= LONGEST && !normalised.contains('\0');
        sound.then_some(Self { kind, normalised })
    }

    /// The address of whoever sent a contact by a channel: calls, texts and faxes have numbers, mails have mail addresses,
    /// and what a person or a form noted is what it looks like.
    #[must_use]
    pub fn of_sender(channel: Channel, from: &str) -> Option<Self> {
        let kind = match channel {
            Channel::Call | Channel::Voicemail | Channel::Sms | Channel::Fax => PointKind::Phone,
            Channel::Email => PointKind::Email,
            _ if from.contains('@') => PointKind::Email,
            _ => match phone::normalise(from.trim(), COUNTRY) {
                Number::Named(_) => PointKind::Postal,
                _ => PointKind::Phone,
            },
        };
        Self::read(kind, from)
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> PointKind {
        self.kind
    }

    /// The spelling that is stored and shown beside the one that was written.
    #[must_use]
    pub fn normalised(&self) -> &str {
        &self.normalised
    }

    /// By what two addresses are compared, everywhere: equal keys are one address. Nothing else makes such keys.
    #[must_use]
    pub fn match_key(&self, vault: &Vault) -> String {
        vault.index(Index::Address, &format!("{}:{}", self.kind, self.normalised))
    }

    /// Whether a telephone can be reached by it: E.164, or a short number within the town.
    #[must_use]
    pub(super) fn is_dialled(&self) -> bool {
        let number = phone::normalise(&self.normalised, COUNTRY);
        matches!(number, Number::International(_) | Number::Short(_))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}({})", self.kind, Who(&self.normalised))
    }
}

/// A mail address in lower case. Servers may tell `A` from `a` in front of the @ (RFC 5321 §2.4), and none does; a domain
/// beyond ASCII is its punycode, as which the DNS knows it.
fn mail(raw: &str) -> Option<String> {
    let (local, domain) = raw.rsplit_once('@')?;
    let odd = |char: char| char.is_whitespace() || char.is_control();
    let sound = !local.is_empty() && !domain.is_empty() && raw.len() <= MAIL_BYTES && !raw.contains(odd);
    sound.then(|| mail_domain::ascii(&raw.to_lowercase()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(kind: PointKind, raw: &str) -> Option<String> {
        Address::read(kind, raw).map(|address| address.match_key(&Vault::off()))
    }

    #[test]
    fn every_spelling_of_a_number_has_one_key() {
        for raw in [
            "+33612345678",
            "0033 6 12 34 56 78",
            "06 12 34 56 78",
            " 06.12.34.56.78 ",
            "tel:+33612345678",
        ] {
            assert_eq!(key(PointKind::Phone, raw).as_deref(), Some("phone:+33612345678"), "{raw}");
        }
        assert_eq!(key(PointKind::Phone, "+44 (0)7911 123456").as_deref(), Some("phone:+447911123456"));
        assert_eq!(key(PointKind::Phone, "0044 7911 123456").as_deref(), Some("phone:+447911123456"));
        assert_eq!(key(PointKind::Phone, "36123").as_deref(), Some("phone:36123"));
        assert_eq!(key(PointKind::Phone, "MAIRIE").as_deref(), Some("phone:MAIRIE"));
        for nobody in ["", "  ", "anonymous", "Anonymous", "masqué", "anonymous@anonymous.invalid"] {
            assert_eq!(key(PointKind::Phone, nobody), None, "{nobody:?}");
        }
    }

    #[test]
    fn mails_ignore_case_and_keep_their_letters() {
        assert_eq!(
            key(PointKind::Email, " Marie.Durand@Example.FR ").as_deref(),
            Some("email:marie.durand@example.fr")
        );
        for one in ["a@École.fr", "A@école.fr", "a@XN--cole-9oa.fr"] {
            assert_eq!(key(PointKind::Email, one).as_deref(), Some("email:a@xn--cole-9oa.fr"), "{one}");
        }
        assert_eq!(key(PointKind::Email, "Zoé@example.fr").as_deref(), Some("email:zoé@example.fr"));
        assert_ne!(key(PointKind::Email, "a+b@example.fr"), key(PointKind::Email, "a@example.fr"));
        let long = format!("{}@example.fr", "a".repeat(MAIL_BYTES));
        for none in ["", "a", "@", "a@", "@b", "a b@c", "a\u{7}@b", &long] {
            assert_eq!(key(PointKind::Email, none), None, "{none:?}");
        }
    }

    #[test]
    fn kinds_never_match_each_other() {
        assert_eq!(key(PointKind::Postal, "12, rue Foch").as_deref(), Some("postal:12 rue foch"));
        assert_eq!(key(PointKind::Postal, "—"), None);
        assert_eq!(key(PointKind::Other, " @marie ").as_deref(), Some("other:@marie"));
        for none in ["a\0b", &"x".repeat(LONGEST + 1)] {
            assert_eq!(key(PointKind::Other, none), None);
        }
        assert_ne!(key(PointKind::Other, "36123"), key(PointKind::Phone, "36123"));
        for kind in PointKind::ALL {
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
    }

    #[test]
    fn a_sender_is_what_the_channel_says_or_what_it_looks_like() {
        let sender = |channel, from| Address::of_sender(channel, from).map(|address| address.match_key(&Vault::off()));
        assert_eq!(sender(Channel::Sms, "0612345678").as_deref(), Some("phone:+33612345678"));
        assert_eq!(sender(Channel::Voicemail, "anonymous@anonymous.invalid"), None);
        assert_eq!(sender(Channel::Call, ""), None);
        assert_eq!(sender(Channel::Email, "A@b.fr").as_deref(), Some("email:a@b.fr"));
        assert_eq!(sender(Channel::Email, "undisclosed"), None);
        assert_eq!(sender(Channel::Counter, "A@b.fr").as_deref(), Some("email:a@b.fr"));
        assert_eq!(sender(Channel::Letter, "06 12 34 56 78").as_deref(), Some("phone:+33612345678"));
        assert_eq!(sender(Channel::Letter, "12, rue Foch").as_deref(), Some("postal:12 rue foch"));
        assert_eq!(sender(Channel::Web, ""), None);
    }

    #[test]
    fn what_was_read_once_reads_the_same_again() {
        for (kind, raw) in [
            (PointKind::Phone, "06 12 34 56 78"),
            (PointKind::Email, "A@B.fr"),
            (PointKind::Postal, "12, rue de l’Église"),
            (PointKind::Other, "x"),
        ] {
            let once = Address::read(kind, raw).unwrap();
            assert_eq!(Address::read(kind, once.normalised()), Some(once));
        }
    }

    #[test]
    fn debug_tells_no_address() {
        let address = Address::read(PointKind::Phone, "0612345678").unwrap();
        assert_eq!(format!("{address:?}"), "phone(+336•••••78)");
    }
}
