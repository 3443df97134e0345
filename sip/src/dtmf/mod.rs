//! Keys that a caller presses: RFC 4733 in the media, INFO in the signalling, and both at once.

pub mod both;
pub mod event;
pub mod info;

use std::fmt;

/// A key of the telephone: 0 to 9, `*`, `#`, A to D.
///
/// What a caller presses may be a code or a number: its `Debug` prints none of it, so that no log can.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Digit(u8);

/// By event code (RFC 4733 §3.2, table 3).
const KEYS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

impl Digit {
    /// The key that refuses the recording.
    pub const NINE: Self = Self(9);

    /// The key of an event code (RFC 4733 §3.2); `None` for what is no key, a hook flash for instance.
    #[must_use]
    pub const fn of_event(code: u8) -> Option<Self> {
        if code < 16 { Some(Self(code)) } else { None }
    }

    /// The key with this sign on it; letters of either case.
    #[must_use]
    pub fn of_char(sign: char) -> Option<Self> {
        let code = KEYS.iter().position(|key| *key == sign.to_ascii_uppercase())?;
        u8::try_from(code).ok().map(Self)
    }

    /// Its event code, 0 to 15.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }
}

impl fmt::Debug for Digit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digit(…)")
    }
}

/// Some keys.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Keys(u16);

impl Keys {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this one is among them.
    #[must_use]
    pub const fn contains(self, digit: Digit) -> bool {
        self.0 >> digit.0 & 1 == 1
    }
}

impl FromIterator<Digit> for Keys {
    fn from_iter<I: IntoIterator<Item = Digit>>(digits: I) -> Self {
        Self(digits.into_iter().fold(0, |keys, digit| keys | 1 << digit.0))
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({})", self.0.count_ones())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_a_code_and_no_log_shows_it() {
        for (code, sign) in (0..).zip(KEYS) {
            assert_eq!(Digit::of_event(code), Digit::of_char(sign));
            assert_eq!(Digit::of_char(sign).map(Digit::code), Some(code));
            assert_eq!(Digit::of_char(sign).map(|digit| format!("{digit:?}")).as_deref(), Some("Digit(…)"));
        }
        assert_eq!(Digit::of_char('d'), Digit::of_event(15));
        assert_eq!((Digit::of_event(16), Digit::of_char('E')), (None, None));
        let keys: Keys = [Digit(1), Digit(15)].into_iter().collect();
        assert!(keys.contains(Digit(1)) && keys.contains(Digit(15)) && !keys.contains(Digit::NINE));
        assert!(!keys.is_empty() && Keys::default().is_empty());
        assert_eq!(format!("{keys:?}"), "Keys(2)");
    }
}
