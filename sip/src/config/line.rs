//! Which numbers are answered, and with what: `[[sip.line]]`.

use std::time::Duration;

use voxea_core::base::settings::Section;
use voxea_recorder::greeting;

use super::announce::{self, Closed};
use super::greeting::{Greeting, prompt, read_as};

/// A number that takes messages.
#[derive(Debug, Clone)]
pub struct Line {
    /// The dialled user part, or `*`.
    pub number: String,
    /// What the caller hears, in every codec.
    pub greeting: Greeting,
    /// The sentence for emergencies, heard before everything else.
    pub emergency: Option<Greeting>,
    /// What is said before keys choose a theme; without it they choose none.
    pub menu: Option<Greeting>,
    /// What is said outside the opening hours; without it the line is never closed.
    pub closed: Option<Closed>,
    /// Whether a beep follows.
    pub beep: bool,
    /// The longest message.
    pub max: Duration,
    /// So much silence ends it.
    pub silence: Duration,
    /// No packet for so long, and the caller is gone without a BYE.
    pub rtp_timeout: Duration,
    /// The same of a caller who holds the call, and of whom nothing need come.
    pub hold: Duration,
    /// A message is kept so many days after its request is closed.
    pub keep_days: u32,
    /// The theme of its calls.
    pub theme: Option<String>,
}

/// Days after the end of its request that a message is kept unless a line says otherwise.
pub const KEEP_DAYS: u32 = 90;

/// What a line has unless it says otherwise, in seconds.
const MAX: i64 = 180;
const RTP_TIMEOUT: i64 = 20;
const HOLD: i64 = 120;

/// Reads a line.
pub(super) fn read(section: &mut Section<'_>) -> Line {
    let number = section.required_string("number", "3000");
    if number.contains(|char: char| char.is_whitespace() || char.is_control() || "@:;<>\"".contains(char)) {
        section.problem(
            "number",
            format!("{number:?} is never dialled: write it as the PBX does, without spaces, \"sip:\" or \"@host\": number = \"3000\""),
        );
    }
    let greeting = match section.file("greeting") {
        None => read_as(section, "greeting", greeting::french().map_err(|error| error.to_string())),
        Some(path) => prompt(section, "greeting", &path),
    };
    let beep = section.bool_or("beep", true);
    if !beep && !section.has("greeting") {
        section.warning(
            "beep",
            "is false, but the built-in greeting asks to speak after the beep; beep = true, or a greeting of your own: greeting = \"greeting.wav\"",
        );
    }
    let max = seconds(section.int_or("max_seconds", MAX, 1..=7_200));
    let silence = seconds(section.int_or("silence_seconds", 10, 1..=600));
    if section.has("silence_seconds") && silence > max {
        section.problem(
            "silence_seconds",
            format!(
                "is longer than max_seconds = {}, so that silence never ends a message; make it shorter, or max_seconds longer",
                max.as_secs()
            ),
        );
    }
    let rtp_timeout = seconds(section.int_or("rtp_timeout_seconds", RTP_TIMEOUT, 1..=600));
    let hold = seconds(section.int_or("hold_seconds", HOLD, 1..=7_200));
    if hold < rtp_timeout {
        let key = if section.has("hold_seconds") {
            "hold_seconds"
        } else {
            "rtp_timeout_seconds"
        };
        section.problem(
            key,
            format!(
                "would end a call on hold after {} s and any other only after {} s without sound; hold_seconds must not be less than rtp_timeout_seconds",
                hold.as_secs(),
                rtp_timeout.as_secs()
            ),
        );
    }
    Line {
        number,
        greeting,
        emergency: announce::emergency(section),
        menu: announce::menu(section),
        closed: announce::closed(section),
        beep,
        max,
        silence,
        rtp_timeout,
        hold,
        keep_days: keep_days(section),
        theme: section.string("theme"),
    }
}

/// CNIL: a message that somebody left is kept as long as it serves its request, and some time for objections.
fn keep_days(section: &Section<'_>) -> u32 {
    let days = section.int_or("keep_days", KEEP_DAYS.into(), 1..=3_650);
    u32::try_from(days).unwrap_or(KEEP_DAYS)
}

fn seconds(number: i64) -> Duration {
    Duration::from_secs(number.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use voxea_core::base::settings::{Problems, parse};

    fn problems(text: &str) -> Vec<String> {
        let node = parse(&format!("[[line]]\nnumber = \"1\"\n{text}")).unwrap();
        let problems = Problems::new();
        let mut lines = Section::root(&node, Path::new("/nowhere"), &problems).list("line");
        let _ = read(&mut lines[0]);
        drop(lines);
        problems.into_sorted().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn hold_is_given_no_less_time_than_absence() {
        for (wrong, expected) in [
            (
                "rtp_timeout_seconds = 30\nhold_seconds = 29\n",
                "line 4: line[0].hold_seconds: would end a call on hold after 29 s",
            ),
            ("rtp_timeout_seconds = 300\n", "line 3: line[0].rtp_timeout_seconds: would end"),
            ("hold_seconds = 5\n", "line 3: line[0].hold_seconds: would end"),
            ("rtp_timeout_seconds = 0\n", "line 3: line[0].rtp_timeout_seconds: is 0"),
        ] {
            let found = problems(wrong);
            assert!(found.len() == 1 && found[0].contains(expected), "{found:#?}");
        }
        for right in ["rtp_timeout_seconds = 5\nhold_seconds = 5\n", "hold_seconds = 3600\n", ""] {
            assert_eq!(problems(right), [""; 0], "{right}");
        }
    }

    #[test]
    fn a_silence_longer_than_the_message_is_said_where_it_was_written() {
        let found = problems("max_seconds = 20\nsilence_seconds = 21\n");
        assert!(
            found.len() == 1 && found[0].contains("line 4: line[0].silence_seconds: is longer than max_seconds = 20"),
            "{found:#?}"
        );
        for right in ["max_seconds = 20\nsilence_seconds = 20\n", "max_seconds = 5\n"] {
            assert_eq!(problems(right), [""; 0], "{right}");
        }
    }
}
