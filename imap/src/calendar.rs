//! Invitations to appointments (iCalendar, RFC 5545, with the methods of RFC 5546), as far as a reader wants to know: what,
//! when, where, from whom.

use voxea_rules::moment::Zone;

use crate::name;

/// Most lines that are read.
const LINES: usize = 20_000;
/// Longest name of an unknown zone that is shown, in bytes.
const ZONE_BYTES: usize = 60;
/// Longest text that is kept, in bytes.
const TEXT_BYTES: usize = 300;

/// The first event of an invitation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invitation {
    /// What is asked or told.
    pub method: Method,
    /// `SUMMARY`, one line.
    pub summary: Option<String>,
    /// `LOCATION`, one line.
    pub location: Option<String>,
    /// The name of `ORGANIZER`, or its address.
    pub organiser: Option<String>,
    /// `DTSTART`.
    pub start: Option<When>,
    /// `DTEND`, or `DTSTART` and `DURATION`; of whole days the day after the last.
    pub end: Option<End>,
    /// It has a rule by which it repeats.
    pub repeats: bool,
}

/// RFC 5546 §1.4.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Method {
    /// Invited, changed or announced.
    #[default]
    Request,
    /// Called off.
    Cancel,
    /// Somebody answers an invitation of ours: their `PARTSTAT`.
    Reply(Answer),
    /// Somebody asks for another time.
    Counter,
}

/// RFC 5545 §3.2.12.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// They come.
    Accepted,
    /// They do not.
    Declined,
    /// They may.
    Tentative,
    /// Anything else.
    Other,
}

/// Year, month, day.
pub type Date = (i16, i8, i8);
/// Hour, minute, second.
pub type Time = (i8, i8, i8);

/// A date, or a time of some clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// A whole day.
    Day(Date),
    /// A time; of UTC, of the zone that is named, or of wherever the reader is.
    Time(Date, Time, Clock),
}

/// Whose time it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clock {
    /// Coordinated.
    Utc,
    /// A zone's, as the sender calls it.
    Named(String),
    /// The reader's.
    Floating,
}

/// How an event's end is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// By its time.
    At(When),
    /// By its length, in seconds.
    After(i64),
}

/// Reads the first event of an iCalendar text. `None` when it has none.
#[must_use]
pub fn read(text: &str) -> Option<Invitation> {
    let mut found = Invitation::default();
    let mut components: Vec<String> = Vec::new();
    let mut method = String::new();
    let mut answer = Answer::Other;
    let mut event = false;
    for line in unfolded(text) {
        let Some(property) = Property::read(&line) else { continue };
        match property.name.as_str() {
            "BEGIN" => {
                components.truncate(8);
                components.push(property.value.to_ascii_uppercase());
            }
            "END" => event = components.pop().as_deref() == Some("VEVENT"),
            "METHOD" if components.len() <= 1 => method = property.value.to_ascii_uppercase(),
            // A reminder inside the event has a summary of its own.
            name if components.last().map(String::as_str) == Some("VEVENT") => {
                if name == "ATTENDEE" {
                    answer = answered(property.parameter("PARTSTAT"));
                }
                found.take(&property);
            }
            _ => {}
        }
        if event {
            break;
        }
    }
    found.method = match method.as_str() {
        "CANCEL" => Method::Cancel,
        "REPLY" => Method::Reply(answer),
        "COUNTER" => Method::Counter,
        _ => found.method,
    };
    // An event that was cut off is one too, when it says anything.
    (event || found.start.is_some() || found.summary.is_some()).then_some(found)
}

fn answered(word: Option<&str>) -> Answer {
    match word.unwrap_or_default().to_ascii_uppercase().as_str() {
        "ACCEPTED" => Answer::Accepted,
        "DECLINED" => Answer::Declined,
        "TENTATIVE" => Answer::Tentative,
        _ => Answer::Other,
    }
}

impl Invitation {
    fn take(&mut self, property: &Property) {
        let text = || Some(name::line(&unescaped(&property.value), TEXT_BYTES)).filter(|text| !text.is_empty());
        match property.name.as_str() {
            "SUMMARY" => self.summary = text(),
            "LOCATION" => self.location = text(),
            "ORGANIZER" => {
                let address = property
                    .value
                    .get(7..)
                    .filter(|_| property.value.to_ascii_lowercase().starts_with("mailto:"));
                let named = property.parameter("CN").or(address).unwrap_or_default();
                self.organiser = Some(name::line(named, TEXT_BYTES)).filter(|text| !text.is_empty());
            }
            "DTSTART" => self.start = when(property),
            "DTEND" => self.end = when(property).map(End::At),
            "DURATION" => self.end = self.end.take().or_else(|| duration(&property.value).map(End::After)),
            "RRULE" | "RDATE" => self.repeats = true,
            "STATUS" if property.value.eq_ignore_ascii_case("CANCELLED") => self.method = Method::Cancel,
            _ => {}
        }
    }

    /// What a reader is told, in French, times by the town's clock:
    ///
    /// ```text
    /// Invitation : Conseil de quartier
    /// Quand : mardi 24 novembre 2026, de 9 h 00 à 10 h 30
    /// Où : salle des fêtes
    /// Organisateur : Jeanne Martin
    /// ```
    #[must_use]
    pub fn described(&self, zone: &Zone) -> String {
        let what = match self.method {
            Method::Request => "Invitation",
            Method::Cancel => "Annulation",
            Method::Counter => "Contre-proposition",
            Method::Reply(Answer::Accepted) => "Invitation acceptée",
            Method::Reply(Answer::Declined) => "Invitation refusée",
            Method::Reply(Answer::Tentative) => "Invitation acceptée provisoirement",
            Method::Reply(Answer::Other) => "Réponse à une invitation",
        };
        let mut lines = vec![format!("{what} : {}", self.summary.as_deref().unwrap_or("sans objet"))];
        let repeats = if self.repeats { " (se répète)" } else { "" };
        lines.extend(self.time(zone).map(|time| format!("Quand : {time}{repeats}")));
        lines.extend(self.location.as_ref().map(|place| format!("Où : {place}")));
        lines.extend(self.organiser.as_ref().map(|who| format!("Organisateur : {who}")));
        lines.join("\n")
    }

    fn time(&self, zone: &Zone) -> Option<String> {
        let start = self.start.as_ref()?;
        let begins = instant(start, zone)?;
        let ends = match &self.end {
            Some(End::At(end)) => instant(end, zone),
            Some(End::After(seconds)) => begins.checked_add(seconds.saturating_mul(1000)),
            None => None,
        };
        let day = |at: i64| zone.weekday_and_date(at);
        if let When::Day(_) = start {
            // Noon of each day; the last day is the one before the end.
            let last = ends.map_or(begins, |end| end.saturating_sub(24 * 3_600_000));
            let several = last > begins && day(last) != day(begins);
            return Some(if several {
                format!("du {} au {}", day(begins), day(last))
            } else {
                format!("{}, toute la journée", day(begins))
            });
        }
        let unknown = match start {
            When::Time(_, _, Clock::Named(name)) if zone_named(name).is_none() => {
                format!(" (heure de « {} »)", crate::name::line(name, ZONE_BYTES))
            }
            _ => String::new(),
        };
        let time = match ends.filter(|end| *end > begins) {
            None => format!("{} à {}", day(begins), zone.time(begins)),
            Some(end) if day(end) == day(begins) => format!("{}, de {} à {}", day(begins), zone.time(begins), zone.time(end)),
            Some(end) => format!("du {} à {} au {} à {}", day(begins), zone.time(begins), day(end), zone.time(end)),
        };
        Some(time + &unknown)
    }
}

/// Of a whole day its noon, which lies in that day by every clock of the zone.
fn instant(when: &When, zone: &Zone) -> Option<i64> {
    match when {
        When::Day(date) => zone.instant(*date, (12, 0, 0)),
        When::Time(date, time, Clock::Utc) => Zone::named("UTC").ok()?.instant(*date, *time),
        When::Time(date, time, Clock::Floating) => zone.instant(*date, *time),
        // Where the zone is unknown its own hour is shown, and its name beside it.
        When::Time(date, time, Clock::Named(name)) => zone_named(name).as_ref().unwrap_or(zone).instant(*date, *time),
    }
}

/// A zone by its IANA name, also with a program's path before it, or by Windows' name.
fn zone_named(name: &str) -> Option<Zone> {
    let mut parts = name.rsplitn(3, '/');
    let tail = parts.next().zip(parts.next()).map(|(city, area)| format!("{area}/{city}"));
    let other = windows_zone(name).map(str::to_owned).or(tail).unwrap_or_default();
    Zone::named(name).or_else(|_| Zone::named(&other)).ok()
}

/// Windows' names of the zones that French mails name (Unicode CLDR, windowsZones).
fn windows_zone(name: &str) -> Option<&'static str> {
    const ZONES: [(&str, &str); 20] = [
        ("Romance Standard Time", "Europe/Paris"),
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("Central Europe Standard Time", "Europe/Budapest"),
        ("Central European Standard Time", "Europe/Warsaw"),
        ("GMT Standard Time", "Europe/London"),
        ("Greenwich Standard Time", "Atlantic/Reykjavik"),
        ("E. Europe Standard Time", "Europe/Chisinau"),
        ("FLE Standard Time", "Europe/Kiev"),
        ("Morocco Standard Time", "Africa/Casablanca"),
        ("SA Western Standard Time", "America/Martinique"),
        ("SA Eastern Standard Time", "America/Cayenne"),
        ("Mauritius Standard Time", "Indian/Reunion"),
        ("E. Africa Standard Time", "Indian/Mayotte"),
        ("Eastern Standard Time", "America/New_York"),
        ("Central Standard Time", "America/Chicago"),
        ("Pacific Standard Time", "America/Los_Angeles"),
        ("Tokyo Standard Time", "Asia/Tokyo"),
        ("China Standard Time", "Asia/Shanghai"),
        ("Central Pacific Standard Time", "Pacific/Guadalcanal"),
        ("UTC", "Etc/UTC"),
    ];
    ZONES.iter().find(|(windows, _)| *windows == name).map(|(_, iana)| *iana)
}

/// `20261124`, `20261124T090000`, `20261124T080000Z` (RFC 5545 §3.3.4 and §3.3.5).
fn when(property: &Property) -> Option<When> {
    let (date, time) = match property.value.trim().split_once(['T', 't']) {
        Some((date, time)) => (date, Some(time)),
        None => (property.value.trim(), None),
    };
    let [year, month, day] = numbers(date, [4, 2, 2])?;
    let date = (year, i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let Some(time) = time else { return Some(When::Day(date)) };
    let (time, utc) = time.strip_suffix(['Z', 'z']).map_or((time, false), |time| (time, true));
    let [hour, minute, second] = numbers(time, [2, 2, 2])?;
    let time = (
        i8::try_from(hour).ok()?,
        i8::try_from(minute).ok()?,
        i8::try_from(second.min(59)).ok()?,
    );
    let clock = match property.parameter("TZID") {
        _ if utc => Clock::Utc,
        Some(name) => Clock::Named(name.to_owned()),
        None => Clock::Floating,
    };
    Some(When::Time(date, time, clock))
}

fn numbers(text: &str, lengths: [usize; 3]) -> Option<[i16; 3]> {
    let mut rest = text;
    let mut found = [0; 3];
    for (slot, length) in found.iter_mut().zip(lengths) {
        let digits = rest
            .get(..length)
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        *slot = digits.parse().ok()?;
        rest = rest.get(length..)?;
    }
    rest.is_empty().then_some(found)
}

/// `PT1H30M`, `P1D` (RFC 5545 §3.3.6), in seconds; a negative one is none.
fn duration(text: &str) -> Option<i64> {
    let mut rest = text.trim().trim_start_matches('+').strip_prefix('P')?;
    let mut seconds = 0_i64;
    while !rest.is_empty() {
        rest = rest.strip_prefix('T').unwrap_or(rest);
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: i64 = rest.get(..end.min(9))?.parse().ok()?;
        let unit = match rest.get(end..=end)? {
            "W" => 604_800,
            "D" => 86_400,
            "H" => 3_600,
            "M" => 60,
            "S" => 1,
            _ => return None,
        };
        seconds = seconds.checked_add(number.checked_mul(unit)?)?;
        rest = rest.get(end + 1..)?;
    }
    Some(seconds)
}

/// Lines, with those that continue them (RFC 5545 §3.1).
fn unfolded(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines().take(LINES) {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.push_str(rest),
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

struct Property {
    name: String,
    parameters: Vec<(String, String)>,
    value: String,
}

impl Property {
    fn read(line: &str) -> Option<Self> {
        let mut quoted = false;
        let colon = line.char_indices().find(|(_, c)| {
            quoted ^= *c == '"';
            *c == ':' && !quoted
        });
        let (head, value) = line.split_at(colon?.0);
        let mut pieces = head.split(';');
        let name = pieces.next()?.trim().to_ascii_uppercase();
        let parameters = pieces.filter_map(|piece| piece.split_once('=')).take(20);
        Some(Self {
            name,
            parameters: parameters
                .map(|(name, value)| (name.trim().to_ascii_uppercase(), value.trim().trim_matches('"').to_owned()))
                .collect(),
            value: value.get(1..)?.to_owned(),
        })
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// RFC 5545 §3.3.11.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') => out.push(' '),
                Some(other) => out.push(other),
                None => {}
            },
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(event: &str) -> String {
        let text = format!(
            "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VTIMEZONE\r\nTZID:x\r\nBEGIN:STANDARD\r\nDTSTART:16010101T030000\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\nBEGIN:VEVENT\r\n{event}\r\nBEGIN:VALARM\r\nSUMMARY:rappel\r\nEND:VALARM\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
        );
        read(&text).unwrap().described(&Zone::named("Europe/Paris").unwrap())
    }

    #[test]
    fn invitations_are_told_in_french_by_the_towns_clock() {
        for (event, wanted) in [
            (
                "SUMMARY;LANGUAGE=fr:Conseil de quartier\\, salle 2\r\nDTSTART;TZID=Europe/Paris:20261124T090000\r\nDTEND;TZID=Europe/Paris:20261124T103000\r\nLOCATION:salle des\r\n  fêtes\r\nORGANIZER;CN=\"Martin: Jeanne\":mailto:j@example.fr",
                "Invitation : Conseil de quartier, salle 2\nQuand : mardi 24 novembre 2026, de 9 h 00 à 10 h 30\nOù : salle des fêtes\nOrganisateur : Martin: Jeanne",
            ),
            (
                "SUMMARY:x\r\nDTSTART:20260714T070000Z\r\nDURATION:PT1H30M",
                "Invitation : x\nQuand : mardi 14 juillet 2026, de 9 h 00 à 10 h 30",
            ),
            (
                "SUMMARY:x\r\nDTSTART;TZID=Romance Standard Time:20261124T090000",
                "Invitation : x\nQuand : mardi 24 novembre 2026 à 9 h 00",
            ),
            (
                "SUMMARY:x\r\nDTSTART;TZID=America/Martinique:20261124T090000",
                "Invitation : x\nQuand : mardi 24 novembre 2026 à 14 h 00",
            ),
            (
                "SUMMARY:x\r\nDTSTART;TZID=/mozilla.org/20050126_1/America/Martinique:20261124T090000",
                "Invitation : x\nQuand : mardi 24 novembre 2026 à 14 h 00",
            ),
            (
                "SUMMARY:x\r\nDTSTART;TZID=Mon fuseau:20261124T090000",
                "Invitation : x\nQuand : mardi 24 novembre 2026 à 9 h 00 (heure de « Mon fuseau »)",
            ),
            (
                "SUMMARY:x\r\nDTSTART;VALUE=DATE:20261124\r\nDTEND;VALUE=DATE:20261125",
                "Invitation : x\nQuand : mardi 24 novembre 2026, toute la journée",
            ),
            (
                "SUMMARY:x\r\nDTSTART;VALUE=DATE:20261124\r\nDTEND;VALUE=DATE:20261127",
                "Invitation : x\nQuand : du mardi 24 novembre 2026 au jeudi 26 novembre 2026",
            ),
            (
                "DTSTART:20261124T220000Z\r\nDTEND:20261125T010000Z\r\nRRULE:FREQ=DAILY",
                "Invitation : sans objet\nQuand : du mardi 24 novembre 2026 à 23 h 00 au mercredi 25 novembre 2026 à 2 h 00 (se répète)",
            ),
            (
                "SUMMARY:x\r\nSTATUS:CANCELLED\r\nDTSTART:demain\r\nORGANIZER:mailto:j@example.fr",
                "Annulation : x\nOrganisateur : j@example.fr",
            ),
        ] {
            assert_eq!(told(event), wanted);
        }
    }

    #[test]
    fn answers_and_cancellations_say_so() {
        let told = |method: &str, more: &str| {
            let text = format!("BEGIN:VCALENDAR\nMETHOD:{method}\nBEGIN:VEVENT\nSUMMARY:x\n{more}\nEND:VEVENT\n");
            read(&text).unwrap().described(&Zone::named("Europe/Paris").unwrap())
        };
        assert_eq!(told("REPLY", "ATTENDEE;PARTSTAT=ACCEPTED:mailto:a@b"), "Invitation acceptée : x");
        assert_eq!(told("REPLY", "ATTENDEE;PARTSTAT=DECLINED:mailto:a@b"), "Invitation refusée : x");
        assert_eq!(told("CANCEL", ""), "Annulation : x");
        assert_eq!(told("COUNTER", ""), "Contre-proposition : x");
        assert_eq!(read("BEGIN:VCALENDAR\nBEGIN:VTODO\nSUMMARY:x\nEND:VTODO\n"), None);
        assert_eq!(read(""), None);
    }

    proptest! {
        #[test]
        fn any_text_is_told(text in "((BEGIN|END):V(CALENDAR|EVENT)|METHOD:[A-Z]{3,7}|DT(START|END)(;TZID=[A-Za-z/]{0,20})?:[0-9TZ]{0,17}|DURATION:[PTHMS0-9]{0,10}|[ \\\\:;\"a-z]{0,20}|\n){0,30}") {
            if let Some(found) = read(&text) {
                let _ = found.described(&Zone::named("Europe/Paris").unwrap());
            }
        }
    }
}
