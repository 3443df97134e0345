//! What a line says beside its greeting: a menu, a sentence for emergencies, another greeting outside the opening hours.

use voxea_core::base::settings::Section;
use voxea_rules::calendar::{Calendar, WeeklyHours};

use super::greeting::{Greeting, prompt};

/// What is said when the line is closed.
#[derive(Debug, Clone)]
pub struct Closed {
    /// Instead of the greeting.
    pub greeting: Greeting,
    /// The line's own hours; without them those of its theme's service, else the organisation's.
    pub hours: Option<WeeklyHours>,
    /// Whether a message is taken all the same.
    pub takes_messages: bool,
}

impl Closed {
    /// Whether the line is open at a moment in milliseconds UTC. `calendar` is its service's: zone, holidays and closures
    /// count also where the line has hours of its own.
    #[must_use]
    pub fn is_open(&self, mut calendar: Calendar, at: i64) -> bool {
        if let Some(hours) = &self.hours {
            calendar.hours.clone_from(hours);
        }
        calendar.is_open(at)
    }
}

/// Reads `menu` and `menu_prompt`.
pub(super) fn menu(section: &Section<'_>) -> Option<Greeting> {
    let wanted = section.bool_or("menu", false);
    let found = section.file("menu_prompt").map(|path| prompt(section, "menu_prompt", &path));
    match (wanted, &found) {
        (true, None) => section.problem(
            "menu_prompt",
            "is missing: only you know which key chooses what on your line, so record a sentence that says it (\"Pour l'état civil, tapez 1\"): menu_prompt = \"menu.wav\"",
        ),
        (false, Some(_)) => section.warning("menu_prompt", "is never heard, because the line has no menu; menu = true"),
        _ => {}
    }
    found.filter(|_| wanted)
}

/// Reads `emergency`.
pub(super) fn emergency(section: &Section<'_>) -> Option<Greeting> {
    section.file("emergency").map(|path| prompt(section, "emergency", &path))
}

/// Reads `closed_greeting`, `hours` and `closed_takes_messages`.
pub(super) fn closed(section: &Section<'_>) -> Option<Closed> {
    let hours = section.parsed::<WeeklyHours>("hours", "mo-fr 09:00-12:00 13:30-17:30");
    let takes_messages = section.bool_or("closed_takes_messages", true);
    let Some(path) = section.file("closed_greeting") else {
        for key in ["hours", "closed_takes_messages"] {
            if section.has(key) {
                section.problem(
                    key,
                    "says what happens when the line is closed, but there is nothing to say then; closed_greeting = \"closed.wav\"",
                );
            }
        }
        return None;
    };
    Some(Closed {
        greeting: prompt(section, "closed_greeting", &path),
        hours,
        takes_messages,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Line;
    use std::path::Path;
    use voxea_core::base::settings::{Problems, parse};
    use voxea_core::base::time;

    /// The first line of a configuration beside which these sounds lie, and what is wrong with it.
    fn read(line: &str) -> (Line, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let sound = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/short-greeting.wav");
        for name in ["menu.wav", "closed.wav", "emergency.wav"] {
            std::fs::copy(&sound, folder.path().join(name)).unwrap();
        }
        let node = parse(&format!("[[line]]\nnumber = \"3000\"\n{line}")).unwrap();
        let problems = Problems::new();
        let mut lines = Section::root(&node, folder.path(), &problems).list("line");
        let line = super::super::line::read(&mut lines[0]);
        drop(lines);
        (line, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn all_of_it_is_read() {
        let (line, problems) = read(
            "menu = true\nmenu_prompt = \"menu.wav\"\nemergency = \"emergency.wav\"\nclosed_greeting = \"closed.wav\"\n\
             hours = \"mo-fr 09:00-12:00\"\nclosed_takes_messages = false\n",
        );
        assert_eq!(problems, [""; 0]);
        assert!(line.menu.is_some() && line.emergency.is_some());
        let closed = line.closed.unwrap();
        assert_eq!((closed.takes_messages, closed.hours.is_some()), (false, true));
        let (line, problems) = read("");
        assert_eq!(problems, [""; 0]);
        assert!(line.menu.is_none() && line.emergency.is_none() && line.closed.is_none());
    }

    #[test]
    fn what_is_missing_or_wrong_says_what_to_do() {
        for (text, expected) in [
            ("menu = true\n", "menu_prompt: is missing"),
            (
                "menu_prompt = \"menu.wav\"\n",
                "warning: line 3: line[0].menu_prompt: is never heard",
            ),
            ("emergency = \"none.wav\"\n", "line 3: line[0].emergency:"),
            ("hours = \"mo-fr 09:00-12:00\"\n", "line 3: line[0].hours: says what happens"),
            (
                "closed_takes_messages = false\n",
                "line 3: line[0].closed_takes_messages: says what",
            ),
            (
                "closed_greeting = \"closed.wav\"\nhours = \"lu-ve 9h\"\n",
                "line 4: line[0].hours: \"lu-ve 9h\" cannot be read: \"lu-ve\" is no day",
            ),
        ] {
            let (_, problems) = read(text);
            assert!(problems.len() == 1 && problems[0].contains(expected), "{expected}: {problems:#?}");
        }
    }

    fn at(utc: &str) -> i64 {
        time::parse_rfc3339(utc).unwrap()
    }

    #[test]
    fn hours_are_local_holidays_count_and_the_clock_changes() {
        let organisation = Calendar {
            time_zone: time::zone("Europe/Paris"),
            holidays: "metropole".parse().ok(),
            hours: "mo-fr 09:00-12:00 13:30-17:30".parse().unwrap(),
            closures: Vec::new(),
        };
        let closed = |hours: Option<&str>| Closed {
            greeting: Greeting::silent(),
            hours: hours.map(|hours| hours.parse().unwrap()),
            takes_messages: true,
        };
        let open = |hours, utc| closed(hours).is_open(organisation.clone(), at(utc));
        // Winter: Paris is an hour ahead of UTC; summer: two.
        assert!(!open(None, "2026-03-27T07:59:59Z") && open(None, "2026-03-27T08:00:00Z"));
        assert!(
            !open(None, "2026-03-30T06:59:59Z") && open(None, "2026-03-30T07:00:00Z"),
            "after the change"
        );
        assert!(
            open(None, "2026-10-23T07:00:00Z") && !open(None, "2026-10-26T07:00:00Z"),
            "and back"
        );
        assert!(!open(None, "2026-03-27T11:15:00Z"), "at lunch");
        // Holidays, also where the line has hours of its own.
        let round_the_clock = Some("mo-su 00:00-24:00");
        for hours in [None, round_the_clock] {
            assert!(!open(hours, "2026-07-14T09:00:00Z"), "the national holiday");
            assert!(open(hours, "2026-07-15T09:00:00Z"));
        }
        // The holiday is Paris's: it begins at 22:00 UTC of the day before and ends as early.
        assert!(open(round_the_clock, "2026-07-13T21:59:59Z") && !open(round_the_clock, "2026-07-13T22:00:00Z"));
        assert!(!open(round_the_clock, "2026-07-14T21:59:59Z") && open(round_the_clock, "2026-07-14T22:00:00Z"));
        // Over the hour that there is twice: 02:30 comes at 00:30 and at 01:30 UTC.
        let night = Some("su 02:00-03:00");
        assert!(open(night, "2026-10-25T00:30:00Z") && open(night, "2026-10-25T01:30:00Z"));
        assert!(!open(night, "2026-10-25T02:30:00Z"));
        assert!(!open(Some("closed"), "2026-07-15T09:00:00Z"));
    }
}
