//! The weekly opening hours of a service, and their one-line spelling:
//! `mo-fr 09:00-12:00 13:30-17:30; sa 09:00-12:00`.
//!
//! Groups are parted by semicolons; each is days and then times. Days are `mo tu we th fr sa su`
//! or a range of them (`fr-mo` runs over the weekend); spaces and commas part days and times
//! alike. A time is local, `HH:MM`, and `24:00` is the midnight that ends the day. `closed` is a
//! service that never opens.

use std::fmt;
use std::str::FromStr;

use jiff::civil::Weekday;

const DAYS: [&str; 7] = ["mo", "tu", "we", "th", "fr", "sa", "su"];

/// Minutes of a day, and the greatest end of a span.
const MIDNIGHT: u16 = 24 * 60;

/// A span of local time within one day, its end excluded: minutes since midnight, 0 to 1440.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    start: u16,
    end: u16,
}

/// The hours of each weekday. The default never opens.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct WeeklyHours([Vec<Span>; 7]);

/// What is wrong with weekly hours; each names the offending piece as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoursError {
    /// Nothing was written.
    Empty,
    /// A word that is neither a day nor a range of days.
    UnknownDay(String),
    /// A day that already has its hours.
    DayTwice(&'static str),
    /// Times without a day before them.
    NoDay(String),
    /// Days without times after them.
    NoTimes(String),
    /// A day that stands after times.
    DayAfterTimes(String),
    /// A word that is no span of time.
    NotASpan(String),
    /// A span whose end is not after its start.
    Backwards(String),
    /// Two spans of one day that share time.
    Overlap(Span, Span),
}

impl fmt::Display for HoursError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no hours; write them like \"mo-fr 09:00-12:00 13:30-17:30\", or \"closed\""),
            Self::UnknownDay(word) => write!(f, "{word:?} is no day; the days are {}, or a range like mo-fr", DAYS.join(" ")),
            Self::DayTwice(day) => write!(f, "{day} has hours already; write all its hours in one group"),
            Self::NoDay(group) => write!(f, "{group:?} says no day; write it like \"mo-fr 09:00-12:00\""),
            Self::NoTimes(group) => write!(
                f,
                "{group:?} says no times; write it like \"mo-fr 09:00-12:00\", or leave out a day that is closed"
            ),
            Self::DayAfterTimes(day) => write!(f, "{day:?} stands after times; write a semicolon before the days of the next group"),
            Self::NotASpan(word) => write!(
                f,
                "{word:?} is no span of time; write it like 09:00-12:00, without spaces, at most 24:00"
            ),
            Self::Backwards(word) => write!(
                f,
                "{word:?} does not end after it starts; the midnight that ends a day is 24:00, and what lasts longer goes on under the next day"
            ),
            Self::Overlap(one, other) => write!(f, "{one} and {other} overlap; write them as one, or part them"),
        }
    }
}

impl std::error::Error for HoursError {}

impl Span {
    /// A span from and to minutes since midnight; `None` unless start < end ≤ 1440.
    #[must_use]
    pub fn new(start: u16, end: u16) -> Option<Self> {
        (start < end && end <= MIDNIGHT).then_some(Self { start, end })
    }

    /// Its first minute since midnight, 0 to 1439.
    #[must_use]
    pub fn start(self) -> u16 {
        self.start
    }

    /// The minute since midnight at which it ends, 1 to 1440.
    #[must_use]
    pub fn end(self) -> u16 {
        self.end
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, end } = self;
        write!(f, "{:02}:{:02}-{:02}:{:02}", start / 60, start % 60, end / 60, end % 60)
    }
}

impl FromStr for Span {
    type Err = HoursError;

    fn from_str(word: &str) -> Result<Self, HoursError> {
        let times = word.split_once('-').and_then(|(start, end)| Some((minutes(start)?, minutes(end)?)));
        let (start, end) = times.ok_or_else(|| HoursError::NotASpan(word.to_owned()))?;
        Self::new(start, end).ok_or_else(|| HoursError::Backwards(word.to_owned()))
    }
}

impl WeeklyHours {
    /// The spans of a weekday, in order and disjoint.
    #[must_use]
    pub fn on(&self, day: Weekday) -> &[Span] {
        // Monday is 0, Sunday 6.
        let day = usize::from(day.to_monday_zero_offset().unsigned_abs());
        self.0.get(day).map_or(&[], Vec::as_slice)
    }

    /// Open minutes of a week without holidays, by the clock on the wall.
    #[must_use]
    pub fn minutes(&self) -> u32 {
        self.0.iter().flatten().map(|span| u32::from(span.end - span.start)).sum()
    }
}

impl fmt::Display for WeeklyHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut between = "";
        for (day, spans) in self.0.iter().enumerate() {
            // The days of equal hours stand together, where the first of them stands.
            if spans.is_empty() || self.0[..day].contains(spans) {
                continue;
            }
            f.write_str(between)?;
            between = "; ";
            self.write_days(f, spans)?;
            for span in spans {
                write!(f, " {span}")?;
            }
        }
        if between.is_empty() { f.write_str("closed") } else { Ok(()) }
    }
}

impl WeeklyHours {
    fn write_days(&self, f: &mut fmt::Formatter<'_>, spans: &[Span]) -> fmt::Result {
        let mut between = "";
        let mut week = self.0.iter().zip(DAYS).peekable();
        while let Some((hours, first)) = week.next() {
            if hours != spans {
                continue;
            }
            let mut last = first;
            while let Some((_, day)) = week.next_if(|(hours, _)| *hours == spans) {
                last = day;
            }
            write!(f, "{between}{first}")?;
            if last != first {
                write!(f, "-{last}")?;
            }
            between = ",";
        }
        Ok(())
    }
}

impl FromStr for WeeklyHours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        if text.trim().eq_ignore_ascii_case("closed") {
            return Ok(Self::default());
        }
        let mut week = Self::default();
        for group in text.split(';').map(str::trim).filter(|group| !group.is_empty()) {
            let (days, spans) = read_group(group)?;
            for day in days {
                // A group has at least one span, so hours that are there were written before.
                match week.0.get_mut(day) {
                    Some(hours) if hours.is_empty() => hours.clone_from(&spans),
                    _ => return Err(HoursError::DayTwice(DAYS[day % 7])),
                }
            }
        }
        if week.minutes() == 0 { Err(HoursError::Empty) } else { Ok(week) }
    }
}

/// One group: the numbers of its days, and its spans in order.
fn read_group(group: &str) -> Result<(Vec<usize>, Vec<Span>), HoursError> {
    let mut days = Vec::new();
    let mut spans: Vec<Span> = Vec::new();
    let words = group.split(|char: char| char == ',' || char.is_whitespace());
    for word in words.filter(|word| !word.is_empty()) {
        if !word.starts_with(char::is_alphabetic) {
            spans.push(word.parse()?);
        } else if spans.is_empty() {
            days.extend(read_days(word)?);
        } else {
            return Err(HoursError::DayAfterTimes(word.to_owned()));
        }
    }
    if days.is_empty() {
        return Err(HoursError::NoDay(group.to_owned()));
    }
    if spans.is_empty() {
        return Err(HoursError::NoTimes(group.to_owned()));
    }
    spans.sort_unstable();
    for (one, other) in spans.iter().zip(spans.iter().skip(1)) {
        if other.start < one.end {
            return Err(HoursError::Overlap(*one, *other));
        }
    }
    Ok((days, spans))
}

/// `we`, `mo-fr`, or a range over the weekend: `fr-mo`.
fn read_days(word: &str) -> Result<impl Iterator<Item = usize> + use<>, HoursError> {
    let day = |name: &str| DAYS.iter().position(|day| day.eq_ignore_ascii_case(name));
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (Some(first), Some(last)) = (day(first), day(last)) else {
        return Err(HoursError::UnknownDay(word.to_owned()));
    };
    Ok((0..=(last + 7 - first) % 7).map(move |after| (first + after) % 7))
}

/// `9:05`, `09:05`, `24:00` as minutes since midnight.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !(1..=2).contains(&hours.len()) || minutes.len() != 2 || !digits(hours) || !digits(minutes) {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let of_day = hours * 60 + minutes;
    (minutes < 60 && of_day <= MIDNIGHT).then_some(of_day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<WeeklyHours, HoursError> {
        text.parse()
    }

    #[test]
    fn a_town_halls_week() {
        let week = read("mo-fr 09:00-12:00 13:30-17:30; sa 09:00-12:00").unwrap();
        let morning = Span::new(540, 720).unwrap();
        let afternoon = Span::new(810, 1050).unwrap();
        assert_eq!(week.on(Weekday::Monday), [morning, afternoon]);
        assert_eq!(week.on(Weekday::Friday), [morning, afternoon]);
        assert_eq!(week.on(Weekday::Saturday), [morning]);
        assert_eq!(week.on(Weekday::Sunday), []);
        assert_eq!(week.minutes(), 5 * 420 + 180);
    }

    #[test]
    fn many_spellings_one_print() {
        for (text, printed) in [
            ("mo-fr 09:00-12:00 13:30-17:30; sa 09:00-12:00", ""),
            (" MO-Fr  13:30-17:30,9:00-12:00 ;", "mo-fr 09:00-12:00 13:30-17:30"),
            ("mo,we th 08:00-24:00; tu 08:30-12:00", "mo,we-th 08:00-24:00; tu 08:30-12:00"),
            ("fr-mo 00:00-24:00", "mo,fr-su 00:00-24:00"),
            ("mo-mo 09:00-12:00 12:00-14:00", "mo 09:00-12:00 12:00-14:00"),
            ("mo-su 00:00-24:00", ""),
            ("Closed", "closed"),
        ] {
            let week = read(text).unwrap();
            assert_eq!(week.to_string(), if printed.is_empty() { text } else { printed });
            assert_eq!(read(&week.to_string()), Ok(week));
        }
        assert_eq!(read("closed").unwrap().minutes(), 0);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let own = str::to_owned;
        for (text, error) in [
            ("", HoursError::Empty),
            (" ; ", HoursError::Empty),
            ("lu-ve 09:00-12:00", HoursError::UnknownDay(own("lu-ve"))),
            ("mo-fr closed", HoursError::UnknownDay(own("closed"))),
            ("mo-tu-we 09:00-12:00", HoursError::UnknownDay(own("mo-tu-we"))),
            ("mo-fr 09:00-12:00; we 13:00-14:00", HoursError::DayTwice("we")),
            ("mo mo 09:00-12:00", HoursError::DayTwice("mo")),
            ("09:00-12:00", HoursError::NoDay(own("09:00-12:00"))),
            ("mo-fr; sa 09:00-12:00", HoursError::NoTimes(own("mo-fr"))),
            ("mo-fr 09:00-12:00 sa 09:00-12:00", HoursError::DayAfterTimes(own("sa"))),
            ("mo 9h-12h", HoursError::NotASpan(own("9h-12h"))),
            ("mo 09:00 - 12:00", HoursError::NotASpan(own("09:00"))),
            ("mo 09:00-24:01", HoursError::NotASpan(own("09:00-24:01"))),
            ("mo 09:60-12:00", HoursError::NotASpan(own("09:60-12:00"))),
            ("mo 9:5-12:00", HoursError::NotASpan(own("9:5-12:00"))),
            ("mo +9:00-12:00", HoursError::NotASpan(own("+9:00-12:00"))),
            ("mo 12:00-09:00", HoursError::Backwards(own("12:00-09:00"))),
            ("mo 12:00-12:00", HoursError::Backwards(own("12:00-12:00"))),
            ("mo 18:00-00:00", HoursError::Backwards(own("18:00-00:00"))),
            (
                "mo 11:00-14:00 09:00-12:00",
                HoursError::Overlap(Span::new(540, 720).unwrap(), Span::new(660, 840).unwrap()),
            ),
        ] {
            assert_eq!(read(text), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_words_say_what_would_be_right() {
        let words = |text| read(text).unwrap_err().to_string();
        assert_eq!(
            words("lu 09:00-12:00"),
            "\"lu\" is no day; the days are mo tu we th fr sa su, or a range like mo-fr"
        );
        assert_eq!(
            words("mo 11:00-14:00 09:00-12:00"),
            "09:00-12:00 and 11:00-14:00 overlap; write them as one, or part them"
        );
        assert!(words("mo 18:00-00:00").contains("24:00"));
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read(edges in proptest::collection::vec(proptest::collection::btree_set(0_u16..=1440, 0..=8), 7)) {
            let spans = |edges: Vec<u16>| edges.chunks_exact(2).filter_map(|pair| Span::new(pair[0], pair[1])).collect::<Vec<Span>>();
            let days: Vec<Vec<Span>> = edges.into_iter().map(|edges| spans(edges.into_iter().collect())).collect();
            let week = WeeklyHours(days.try_into().unwrap());
            prop_assert_eq!(read(&week.to_string()), Ok(week));
        }

        #[test]
        fn no_text_is_too_odd(text in "[mofrsu0-9:;, \\-é–h]{0,60}") {
            if let Ok(week) = read(&text) {
                prop_assert_eq!(read(&week.to_string()), Ok(week));
            }
        }
    }
}
