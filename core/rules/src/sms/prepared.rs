//! A text on its way out: what an account's policy makes of it, counted and cut.

use super::coding::{Coding, coding, units};
use super::plain::plain;
use super::policy::{Letters, Policy, ReferenceWidth};
use super::segment::{self, Segment};

/// A text as it goes out: typography replaced, letters as the policy says, counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    pub(super) chars: Vec<char>,
    pub(super) coding: Coding,
    pub(super) units: usize,
    /// Segments.
    pub(super) count: usize,
    width: ReferenceWidth,
    /// Letters were replaced.
    pub(super) replaced: bool,
}

impl Prepared {
    /// These characters as they are.
    pub(super) fn new(chars: Vec<char>, policy: &Policy) -> Self {
        let (coding, width) = (coding(&chars, policy.alphabet), policy.width);
        Self {
            units: units(&chars, coding),
            count: segment::cut(&chars, coding, width).len(),
            coding,
            width,
            chars,
            replaced: false,
        }
    }

    /// What goes out for these characters: they themselves, or their plain twins where the policy wants them and they
    /// save a segment. A text that is refused either way is left as it was written.
    pub(super) fn of(chars: Vec<char>, policy: &Policy) -> Self {
        let written = Self::new(chars, policy);
        if policy.letters != Letters::Replace || written.coding == Coding::Gsm7 {
            return written;
        }
        match plain(&written.chars, policy).map(|chars| Self::new(chars, policy)) {
            Some(plain) if (1..written.count).contains(&plain.count) && plain.count <= policy.most() => Self { replaced: true, ..plain },
            _ => written,
        }
    }

    /// The text that goes out; what is to be kept as sent.
    #[must_use]
    pub fn text(&self) -> String {
        self.chars.iter().collect()
    }

    /// Its alphabet.
    #[must_use]
    pub fn coding(&self) -> Coding {
        self.coding
    }

    /// Septets or UTF-16 units in all.
    #[must_use]
    pub fn units(&self) -> usize {
        self.units
    }

    /// How many segments it takes, 1 to 255.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The segments, ready for their PDUs, in order. `number` is to differ between texts that are under way to one
    /// recipient at the same time; of a narrow reference its low 8 bits count.
    #[must_use]
    pub fn segments(&self, number: u16) -> Vec<Segment> {
        segment::segments(&self.chars, self.coding, self.width, number)
    }
}
