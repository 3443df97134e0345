//! What is said on a line now: which greeting, which keys, and whether a message is taken.

use voxea_core::Core;
use voxea_core::base::time::Millis;
use voxea_core::catalogue::{Snapshot, Theme};

use crate::announcement::Plan;
use crate::config::{Greeting, Line};
use crate::dtmf::Digit;

/// What one call is told, decided when it is answered.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) plan: Plan,
    /// The greeting, or the one for outside the opening hours.
    pub(super) greeting: Greeting,
    /// The codes of the themes that keys choose.
    pub(super) themes: Vec<(Digit, String)>,
}

/// What a line says at a moment.
pub(super) fn said(line: &Line, core: &Core, at: Millis) -> Said {
    let calendar = || core.catalogue.calendar(line.theme.as_deref());
    let closed = line.closed.as_ref().filter(|closed| !closed.is_open(calendar(), at));
    let records = closed.is_none_or(|closed| closed.takes_messages);
    // Where no message is taken there is nothing to choose for.
    let themes = match &line.menu {
        Some(_) if records => themes(&core.catalogue.current()),
        _ => Vec::new(),
    };
    Said {
        plan: Plan {
            emergency: line.emergency.is_some(),
            menu: themes.iter().map(|(digit, _)| *digit).collect(),
            records,
            beep: line.beep,
        },
        greeting: closed.map_or(&line.greeting, |closed| &closed.greeting).clone(),
        themes,
    }
}

/// The themes that have a key.
fn themes(catalogue: &Snapshot) -> Vec<(Digit, String)> {
    let of = |theme: &Theme| {
        let digit = Digit::of_char(theme.digit.as_ref()?.chars().next()?)?;
        Some((digit, theme.code.clone()))
    };
    let in_use = catalogue.document.themes.iter().filter(|theme| theme.enabled);
    in_use.filter_map(of).filter(|(digit, _)| *digit != Digit::NINE).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Closed;
    use voxea_core::CoreConfig;
    use voxea_core::base::actor::Actor;
    use voxea_core::base::time;
    use voxea_core::catalogue::{Document, Expected};

    /// A line that says another sentence when it is closed.
    fn line(theme: Option<&str>, hours: Option<&str>, takes_messages: bool) -> Line {
        Line {
            number: "3000".to_owned(),
            greeting: Greeting::silent(),
            emergency: None,
            menu: Some(Greeting::silent()),
            closed: Some(Closed {
                greeting: Greeting::silent(),
                hours: hours.map(|hours| hours.parse().unwrap()),
                takes_messages,
            }),
            beep: true,
            max: Duration::from_secs(1),
            silence: Duration::from_secs(1),
            rtp_timeout: Duration::from_secs(1),
            hold: Duration::from_secs(1),
            keep_days: crate::config::KEEP_DAYS,
            theme: theme.map(str::to_owned),
        }
    }

    #[tokio::test]
    async fn a_line_is_closed_by_its_hours_its_service_s_or_the_organisation_s() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = CoreConfig::embedded(folder.path());
        config.calendar.hours = "mo-fr 09:00-17:00".parse().unwrap();
        config.calendar.holidays = "metropole".parse().ok();
        let core = Core::open(config).await.unwrap();
        let catalogue = core.catalogue.current();
        let theme = catalogue.theme("voirie").unwrap();
        let mut service = catalogue.service(&theme.service).unwrap().clone();
        service.hours = Some("sa 10:00-12:00".to_owned());
        let put = core.catalogue.put_service(&Actor::System, &Expected::Any, service).await;
        put.unwrap();
        let at = |utc: &str| time::parse_rfc3339(utc).unwrap();
        // A Monday, a Saturday, a national holiday; Paris is two hours ahead.
        let (monday, saturday, holiday) = (at("2026-06-01T08:00:00Z"), at("2026-06-06T08:30:00Z"), at("2026-07-14T08:00:00Z"));
        let records = |theme, hours, at| said(&line(theme, hours, false), &core, at).plan.records;
        let all = |theme, hours| [monday, saturday, holiday].map(|at| records(theme, hours, at));
        assert_eq!(all(None, None), [true, false, false], "the organisation's");
        assert_eq!(all(Some("voirie"), None), [false, true, false], "the service's");
        assert_eq!(all(Some("voirie"), Some("mo-su 00:00-24:00")), [true, true, false], "the line's");
        let taken = said(&line(None, None, true), &core, saturday);
        assert!(taken.plan.records, "closed, and messages are taken");
        assert!(taken.plan.menu.is_empty(), "no theme has a key yet, so there is nothing to choose");
    }

    #[test]
    fn themes_in_use_have_their_keys_and_nine_is_none() {
        let mut document = Document::shipped().unwrap();
        for (theme, digit) in document.themes.iter_mut().zip(["1", "2", "9", "0"]) {
            theme.digit = Some(digit.to_owned());
        }
        document.themes[1].enabled = false;
        let found = themes(&Snapshot::new(1, document.clone(), Default::default()));
        let expected = [("1", 0), ("0", 3)].map(|(digit, at)| {
            (
                Digit::of_char(digit.chars().next().unwrap()).unwrap(),
                document.themes[at].code.clone(),
            )
        });
        assert_eq!(found, expected);
    }
}
