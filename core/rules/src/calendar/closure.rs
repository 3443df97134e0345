//! What the town closes itself, beside the public holidays.

use jiff::civil::Date;

/// Days on which a service is closed, the first and the last included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    first: Date,
    last: Date,
    label: Option<String>,
}

/// Why a day is closed whose weekday would be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed<'a> {
    /// A public holiday, by its French name.
    Holiday(&'static str),
    /// The town's own closure, by its label.
    Closure(Option<&'a str>),
}

impl Closure {
    /// From one day to another, both closed; the label is what agents read (`Fermeture de Noël`).
    /// `None` when the last day is before the first.
    #[must_use]
    pub fn new(first: Date, last: Date, label: Option<String>) -> Option<Self> {
        (first <= last).then_some(Self { first, last, label })
    }

    /// The first closed day.
    #[must_use]
    pub fn first(&self) -> Date {
        self.first
    }

    /// The last closed day.
    #[must_use]
    pub fn last(&self) -> Date {
        self.last
    }

    /// What agents read.
    #[must_use]
    pub fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }
    /// Whether it closes a date.
    #[must_use]
    pub fn contains(&self, date: Date) -> bool {
        (self.first..=self.last).contains(&date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_the_first_day_to_the_last() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let closure = Closure::new(day("2026-12-24"), day("2027-01-01"), Some("Fermeture de Noël".to_owned())).unwrap();
        assert_eq!((closure.first(), closure.last()), (day("2026-12-24"), day("2027-01-01")));
        assert_eq!(closure.label(), Some("Fermeture de Noël"));
        let closed = ["2026-12-23", "2026-12-24", "2026-12-28", "2027-01-01", "2027-01-02"].map(|date| closure.contains(day(date)));
        assert_eq!(closed, [false, true, true, true, false]);
        assert!(Closure::new(day("2026-12-24"), day("2026-12-24"), None).is_some());
        assert_eq!(Closure::new(day("2026-12-24"), day("2026-12-23"), None), None);
    }
}
