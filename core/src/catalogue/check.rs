//! What a catalogue must satisfy as a whole.

use std::collections::{BTreeMap, BTreeSet};

use voxea_rules::calendar::WeeklyHours;
use voxea_rules::keyword;
use voxea_rules::visible::is_hidden;

use super::nouns::{Document, Regime, Service, Theme};
use super::schema;

/// Characters of a code.
const CODE: usize = 60;
/// Characters of a label, a name, an address.
const LABEL: usize = 200;
/// Characters of a postal address.
const POSTAL: usize = 500;
/// Keywords, or aliases, of one theme.
const MANY: usize = 50;
/// Domains, services or themes.
const ENTRIES: usize = 2000;
/// Words that belong to every short number: they end or explain the service.
const RESERVED: [&str; 2] = ["stop", "contact"];

/// The key with which every caller can refuse to be recorded.
const REFUSES: &str = "9";

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// A JSON pointer into the document: `/themes/3/keywords/0`.
    pub pointer: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// Everything that is wrong with a catalogue.
#[must_use]
pub fn check(document: &Document) -> Vec<Wrong> {
    let mut found = Found::default();
    for (list, count) in [
        ("/domains", document.domains.len()),
        ("/services", document.services.len()),
        ("/themes", document.themes.len()),
    ] {
        found.unless(count <= ENTRIES, list, || format!("has at most {ENTRIES} entries"));
    }
    let mut domains = BTreeSet::new();
    for (at, domain) in document.domains.iter().enumerate() {
        let place = format!("/domains/{at}");
        found.code(&place, &domain.code, &mut domains);
        found.text(&format!("{place}/label"), Some(&domain.label), LABEL);
    }
    let mut services = BTreeSet::new();
    for (at, service) in document.services.iter().enumerate() {
        found.code(&format!("/services/{at}"), &service.code, &mut services);
    }
    for (at, service) in document.services.iter().enumerate() {
        found.service(&format!("/services/{at}"), service, &domains, &services);
    }
    found.circles(&document.services);
    let (mut themes, mut taken) = (BTreeSet::new(), BTreeMap::new());
    for (at, theme) in document.themes.iter().enumerate() {
        let place = format!("/themes/{at}");
        found.code(&place, &theme.code, &mut themes);
        found.theme(&place, theme, &services, &mut taken);
    }
    found.0
}

#[derive(Default)]
struct Found(Vec<Wrong>);

impl Found {
    fn add(&mut self, pointer: &str, message: impl Into<String>) {
        self.0.push(Wrong {
            pointer: pointer.to_owned(),
            message: message.into(),
        });
    }

    fn unless(&mut self, right: bool, pointer: &str, message: impl FnOnce() -> String) {
        if !right {
            self.add(pointer, message());
        }
    }

    fn code<'a>(&mut self, place: &str, code: &'a str, seen: &mut BTreeSet<&'a str>) {
        let pointer = format!("{place}/code");
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        self.unless((1..=CODE).contains(&code.len()) && code.bytes().all(plain), &pointer, || {
            format!("must have 1 to {CODE} lower-case letters, digits and hyphens, such as etat-civil")
        });
        self.unless(seen.insert(code), &pointer, || format!("{code} stands here twice"));
    }

    /// A text, not empty, without characters that nobody sees other than LF.
    fn text(&mut self, pointer: &str, text: Option<&str>, longest: usize) {
        let Some(text) = text else { return };
        let odd = |char: char| is_hidden(char) && char != '\n';
        let right = !text.trim().is_empty() && text.chars().count() <= longest && !text.contains(odd);
        self.unless(right, pointer, || format!("must have 1 to {longest} visible characters"));
    }

    fn service(&mut self, place: &str, service: &Service, domains: &BTreeSet<&str>, services: &BTreeSet<&str>) {
        self.text(&format!("{place}/name"), Some(&service.name), LABEL);
        self.text(&format!("{place}/postal_address"), service.postal_address.as_deref(), POSTAL);
        self.text(&format!("{place}/phone"), service.phone.as_deref(), LABEL);
        self.text(&format!("{place}/email"), service.email.as_deref(), LABEL);
        let known = domains.contains(service.domain.as_str());
        self.unless(known, &format!("{place}/domain"), || {
            format!("there is no domain {}", service.domain)
        });
        if let Some(error) = service.hours.as_ref().and_then(|hours| hours.parse::<WeeklyHours>().err()) {
            self.add(
                &format!("{place}/hours"),
                format!("{error}; an example: mo-fr 09:00-12:00 13:30-17:30"),
            );
        }
        self.unless(service.closures.len() <= MANY, &format!("{place}/closures"), || {
            format!("has at most {MANY} entries")
        });
        for (at, closed) in service.closures.iter().enumerate() {
            self.unless(closed.closure().is_some(), &format!("{place}/closures/{at}"), || {
                "says `first` and `last` as dates such as 2026-08-03, the first not after the last".to_owned()
            });
            self.text(&format!("{place}/closures/{at}/label"), closed.label.as_deref(), LABEL);
        }
        if let Some(parent) = &service.parent {
            let known = services.contains(parent.as_str());
            self.unless(known, &format!("{place}/parent"), || format!("there is no service {parent}"));
        }
    }

    /// A service is part of another, which may not be part of it.
    fn circles(&mut self, services: &[Service]) {
        let parents: BTreeMap<&str, Option<&str>> = services
            .iter()
            .map(|service| (service.code.as_str(), service.parent.as_deref()))
            .collect();
        for (at, service) in services.iter().enumerate() {
            let mut above = service.parent.as_deref();
            for _ in 0..services.len() {
                let Some(code) = above else { break };
                if code == service.code {
                    self.add(&format!("/services/{at}/parent"), format!("{code} would be part of itself"));
                    break;
                }
                above = parents.get(code).copied().flatten();
            }
        }
    }

    /// `taken` holds, by what chooses a theme, the theme that it chooses.
    fn theme<'a>(&mut self, place: &str, theme: &'a Theme, services: &BTreeSet<&str>, taken: &mut BTreeMap<String, &'a str>) {
        self.text(&format!("{place}/label"), Some(&theme.label), LABEL);
        let known = services.contains(theme.service.as_str());
        self.unless(known, &format!("{place}/service"), || {
            format!("there is no service {}", theme.service)
        });
        for (list, words) in [("keywords", &theme.keywords), ("aliases", &theme.aliases)] {
            self.unless(words.len() <= MANY, &format!("{place}/{list}"), || {
                format!("has at most {MANY} entries")
            });
        }
        for (at, word) in theme.keywords.iter().enumerate() {
            let (pointer, folded) = (format!("{place}/keywords/{at}"), keyword::fold(word));
            self.unless(keyword::first(word).as_ref() == Some(&folded), &pointer, || {
                format!("{word} must be one word of letters and digits")
            });
            self.unless(!RESERVED.contains(&folded.as_str()), &pointer, || {
                format!("{word} belongs to every short number and can choose no theme")
            });
            self.choice(&pointer, theme, format!("the keyword {folded}"), taken);
        }
        for (at, alias) in theme.aliases.iter().enumerate() {
            let pointer = format!("{place}/aliases/{at}");
            let form = alias
                .split_once('@')
                .is_some_and(|(user, host)| !user.is_empty() && host.contains('.'));
            let right = form && alias.len() <= LABEL && !alias.contains(char::is_whitespace);
            self.unless(right, &pointer, || {
                format!("{alias} must be a mail address such as voirie@example.fr")
            });
            self.choice(&pointer, theme, format!("the address {}", alias.to_lowercase()), taken);
        }
        if let Some(digit) = &theme.digit {
            let pointer = format!("{place}/digit");
            let right = digit.len() == 1 && digit.bytes().all(|byte| byte.is_ascii_digit());
            self.unless(right, &pointer, || "must be one of 0 to 8".to_owned());
            self.unless(digit != REFUSES, &pointer, || {
                format!("{REFUSES} refuses the recording in every call and can choose no theme; take one of 0 to 8")
            });
            self.choice(&pointer, theme, format!("the digit {digit}"), taken);
        }
        let (regime, months) = (theme.decision.regime, theme.decision.months);
        let right = match regime {
            Regime::None => months.is_none(),
            Regime::Acceptance | Regime::Rejection => months.is_some_and(|months| (1..=60).contains(&months)),
        };
        self.unless(right, &format!("{place}/decision"), || {
            "says `months`, 1 to 60, when silence accepts or refuses, and only then".to_owned()
        });
        let minutes = theme.sla_minutes.is_none_or(|minutes| (1..=1_000_000).contains(&minutes));
        self.unless(minutes, &format!("{place}/sla_minutes"), || "must be 1 to 1000000".to_owned());
        let months = theme.retention_months.is_none_or(|months| months <= 1200);
        self.unless(months, &format!("{place}/retention_months"), || "must be at most 1200".to_owned());
        if let Some((pointer, message)) = theme.fields.as_ref().and_then(|fields| schema::check(fields).err()) {
            self.add(&format!("{place}/fields{pointer}"), message);
        }
    }

    /// What is switched off chooses nothing.
    fn choice<'a>(&mut self, pointer: &str, theme: &'a Theme, what: String, taken: &mut BTreeMap<String, &'a str>) {
        if !theme.enabled {
            return;
        }
        match taken.get(&what) {
            Some(other) if *other != theme.code => self.add(pointer, format!("{what} chooses {other} already")),
            Some(_) => self.add(pointer, format!("{what} stands here twice")),
            None => {
                taken.insert(what, &theme.code);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::nouns::ClosedDays;
    use super::*;

    #[test]
    fn what_is_shipped_is_right_and_has_six_domains() {
        let shipped = Document::shipped().unwrap();
        assert_eq!(check(&shipped), []);
        assert_eq!(shipped.domains.len(), 6);
        for domain in &shipped.domains {
            let of_domain = |service: &&Service| service.domain == domain.code;
            let has_theme = |service: &Service| shipped.themes.iter().any(|theme| theme.service == service.code);
            assert!(shipped.services.iter().filter(of_domain).any(has_theme), "{}", domain.code);
        }
    }

    /// What is found when one thing of the shipped catalogue is changed.
    fn wrong(change: impl FnOnce(&mut Document)) -> Vec<String> {
        let mut document = Document::shipped().unwrap();
        change(&mut document);
        check(&document).into_iter().map(|wrong| wrong.pointer).collect()
    }

    #[test]
    fn each_rule_names_its_member() {
        assert_eq!(
            wrong(|all| all.domains[0].code = "État".to_owned()),
            ["/domains/0/code", "/services/0/domain", "/services/1/domain", "/services/2/domain"]
        );
        assert_eq!(wrong(|all| all.themes[1].code = all.themes[0].code.clone()), ["/themes/1/code"]);
        assert_eq!(wrong(|all| all.themes[0].service = "none".to_owned()), ["/themes/0/service"]);
        assert_eq!(
            wrong(|all| all.themes[0].keywords = vec!["Stop".to_owned()]),
            ["/themes/0/keywords/0"]
        );
        assert_eq!(
            wrong(|all| all.themes[0].keywords = vec!["deux mots".to_owned()]),
            ["/themes/0/keywords/0"]
        );
        assert_eq!(
            wrong(|all| all.themes[0].aliases = vec!["voirie".to_owned()]),
            ["/themes/0/aliases/0"]
        );
        assert_eq!(wrong(|all| all.themes[0].digit = Some("10".to_owned())), ["/themes/0/digit"]);
        assert_eq!(wrong(|all| all.themes[0].digit = Some("9".to_owned())), ["/themes/0/digit"]);
        assert_eq!(wrong(|all| all.themes[0].digit = Some("8".to_owned())), [""; 0]);
        assert_eq!(wrong(|all| all.themes[0].decision.months = Some(2)), ["/themes/0/decision"]);
        assert_eq!(
            wrong(|all| all.themes[0].decision.regime = Regime::Rejection),
            ["/themes/0/decision"]
        );
        assert_eq!(wrong(|all| all.themes[0].fields = Some("x".into())), ["/themes/0/fields"]);
        let misspelt = json!({"type": "object", "properties": {"rue": {"type": "text"}}});
        assert_eq!(
            wrong(|all| all.themes[0].fields = Some(misspelt)),
            ["/themes/0/fields/properties/rue/type"]
        );
        assert_eq!(wrong(|all| all.themes[0].label = " ".to_owned()), ["/themes/0/label"]);
        assert_eq!(
            wrong(|all| all.services[0].parent = Some("accueil".to_owned())),
            ["/services/0/parent"]
        );
    }

    #[test]
    fn hours_and_closures_are_what_a_calendar_reads() {
        assert_eq!(
            wrong(|all| all.services[0].hours = Some("lu-ve 9h".to_owned())),
            ["/services/0/hours"]
        );
        let days = |first: &str, last: Option<&str>| ClosedDays {
            first: first.to_owned(),
            last: last.map(str::to_owned),
            label: None,
        };
        let closures = vec![
            days("2026-08-03", None),
            days("2026-08-03", Some("2026-08-02")),
            days("3 août", None),
        ];
        assert_eq!(
            wrong(|all| all.services[0].closures = closures),
            ["/services/0/closures/1", "/services/0/closures/2"]
        );
    }

    #[test]
    fn one_word_chooses_one_theme() {
        // Folded: Éclairage and ECLAIRAGE are one word.
        let found = wrong(|all| all.themes[0].keywords.push("Éclairage".to_owned()));
        assert_eq!(found.len(), 1);
        let off = wrong(|all| {
            all.themes[0].keywords.push("Éclairage".to_owned());
            all.themes[0].enabled = false;
        });
        assert_eq!(off, [""; 0]);
        assert_eq!(
            wrong(|all| (all.themes[0].digit, all.themes[1].digit) = (Some("1".to_owned()), Some("1".to_owned()))),
            ["/themes/1/digit"]
        );
    }
}
