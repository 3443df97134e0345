//! What a bind answers by itself, as its `[[smpp]]` says: the acknowledgement, and the answers to STOP, START, CONTACT and
//! AIDE.

use voxea_core::base::account::Account;
use voxea_core::base::settings::Section;
use voxea_core::contact::{AutomaticTexts, CommandAnswers};
use voxea_rules::gsm7;
use voxea_rules::notice::{self, Acknowledgement, Answer, Inputs, NotANotice};
use voxea_rules::sms::typography;

/// At most so many messages an hour, where nobody says; each is paid for.
const PER_HOUR: i64 = 1_000;

/// Reads the keys of a `[[smpp]]` that are about this. Every wording is held against one segment with the longest reference
/// and the body's name; what does not fit is noted in the section's problems. `sender` is the account that sends, if any.
#[must_use]
pub fn automatic(section: &Section<'_>, inputs: &Inputs<'_>, sender: Option<Account>, from: &str) -> AutomaticTexts {
    let acknowledge = section.bool_or("acknowledge", false);
    let commands = section.bool_or("commands", true);
    let per_hour = section.int_or("acknowledge_per_hour", PER_HOUR, 1..=1_000_000);
    let reader = Reader {
        section,
        inputs,
        latin1: section.string("default_alphabet").as_deref() == Some("latin1"),
    };
    let acknowledgement = reader.wording(
        "acknowledge",
        "acknowledge_text",
        notice::ACKNOWLEDGEMENT,
        acknowledge,
        Acknowledgement::new,
    );
    let by_default = if inputs.telephone.is_some() {
        notice::CONTACT
    } else {
        notice::CONTACT_BY_TEXT
    };
    let answer = |key, by_default| reader.wording("commands", key, by_default, commands, Answer::new);
    let (stop, start, contact, help) = (
        answer("stop_text", notice::STOPPED),
        answer("start_text", notice::STARTED),
        answer("contact_text", by_default),
        answer("aide_text", notice::HELP),
    );
    let answers = stop.zip(start).zip(contact.zip(help));
    AutomaticTexts {
        sender,
        from: from.to_owned(),
        ours: Vec::new(),
        acknowledgement,
        commands: answers.map(|((stop, start), (contact, help))| CommandAnswers {
            stop,
            start,
            contact,
            help,
        }),
        per_hour: u32::try_from(per_hour).unwrap_or(u32::MAX),
    }
}

struct Reader<'a> {
    section: &'a Section<'a>,
    inputs: &'a Inputs<'a>,
    /// The SMSC reads Latin-1 in the place of the 7-bit alphabet.
    latin1: bool,
}

impl Reader<'_> {
    /// A wording, the town's own or the one that is built in; `None` where `wanted` says so, or what is wrong was noted.
    fn wording<T>(
        &self,
        switch: &'static str,
        key: &'static str,
        by_default: &str,
        wanted: bool,
        new: impl Fn(&str, &Inputs<'_>) -> Result<T, NotANotice>,
    ) -> Option<T> {
        let own = self.section.string(key);
        // One that is switched off is held to the same: it may be switched on in a hurry.
        if !wanted && own.is_none() {
            return None;
        }
        let wording = own.as_deref().unwrap_or(by_default);
        let read = match self.unread(wording) {
            Some(char) => Err(NotANotice::Foreign(char, None)),
            None => new(wording, self.inputs),
        };
        match read {
            Ok(read) => Some(read).filter(|_| wanted),
            Err(error) if own.is_some() => {
                let remedy = match error {
                    NotANotice::NoTelephone => "; write phone = \"01 40 20 50 50\" into [organisation]",
                    NotANotice::NoName => "; write its name in Latin letters into [organisation]",
                    _ => "",
                };
                self.section.problem(key, format!("{error}{remedy}"));
                None
            }
            Err(error) => {
                self.section.problem(
                    switch,
                    format!(
                        "needs a text of this town's own, since the one that is built in {error}; write {key} = \"…\", or {switch} = false"
                    ),
                );
                None
            }
        }
    }

    /// What the 7-bit alphabet has and the SMSC's own does not, as the euro sign: what holds it would be two messages.
    fn unread(&self, wording: &str) -> Option<char> {
        let unread = |char: &char| gsm7::septets(*char).is_some() && u32::from(*char) > 0xFF;
        typography(wording).chars().find(unread).filter(|_| self.latin1)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use voxea_core::base::account::Kind;
    use voxea_core::base::settings::{Problems, parse};

    const TOWN: Inputs<'static> = Inputs {
        organisation: "Mairie de Saint-Exemple",
        telephone: Some("01 40 20 50 50"),
    };

    fn read(text: &str, inputs: &Inputs<'_>) -> (AutomaticTexts, Vec<String>) {
        let node = parse(text).unwrap();
        let problems = Problems::new();
        let sender = Some(Account::new(Kind::Smpp, "short-number"));
        let texts = automatic(&Section::root(&node, Path::new("/nowhere"), &problems), inputs, sender, "36123");
        (texts, problems.into_sorted().iter().map(ToString::to_string).collect())
    }

    #[test]
    fn commands_are_answered_and_requests_acknowledged_where_a_town_says_so() {
        let (texts, problems) = read("", &TOWN);
        assert_eq!(problems, [""; 0]);
        assert!(texts.acknowledgement.is_none() && texts.per_hour == 1_000);
        let answers = texts.commands.unwrap();
        assert_eq!(answers.contact.text(), "Mairie de Saint-Exemple, tél. 01 40 20 50 50.");
        let (texts, _) = read("", &Inputs { telephone: None, ..TOWN });
        assert!(texts.commands.unwrap().contact.text().contains("en répondant à ce message"));
        let (texts, problems) = read(
            "acknowledge = true\ncommands = false\nacknowledge_per_hour = 7\nacknowledge_text = \"Noté : {reference}\"\n",
            &TOWN,
        );
        assert_eq!(problems, [""; 0]);
        assert!(texts.commands.is_none() && texts.per_hour == 7);
        assert_eq!(texts.acknowledgement.unwrap().with_placeholder("#"), "Noté : #");
    }

    #[test]
    fn a_text_that_does_not_fit_is_refused_with_its_remedy() {
        let long = "a".repeat(150);
        for (text, inputs, parts) in [
            (
                &*format!("acknowledge_text = \"{long} {{reference}}\"\n"),
                TOWN,
                &["line 1: acknowledge_text: has 168 septets", "shorten it by 8"][..],
            ),
            ("acknowledge_text = \"Bonjour\"\n", TOWN, &["must have {reference}"]),
            (
                "\nstop_text = \"C'est reçu\"\n",
                TOWN,
                &["line 2: stop_text: has 'ç'", "write \"c\" instead"],
            ),
            (
                "default_alphabet = \"latin1\"\nacknowledge_text = \"Gratuit, 0 € : {reference}\"\n",
                TOWN,
                &["line 2: acknowledge_text: has '€'", "leave it out"],
            ),
            ("start_text = \"Oui {nom}\"\n", TOWN, &["start_text", "nom"]),
            (
                "contact_text = \"Appelez {telephone}\"\n",
                Inputs { telephone: None, ..TOWN },
                &["contact_text: has {telephone}", "[organisation]"],
            ),
            ("aide_text = \"{reference}\"\n", TOWN, &["aide_text: has {reference}"]),
            ("acknowledge_per_hour = 0\n", TOWN, &["acknowledge_per_hour"]),
            (
                "acknowledge = true\ncommands = false\n",
                Inputs {
                    organisation: &"x".repeat(100),
                    ..TOWN
                },
                &["line 1: acknowledge: needs a text of this town's own", "acknowledge_text = "],
            ),
        ] {
            let (_, problems) = read(text, &inputs);
            assert_eq!(problems.len(), 1, "{text}: {problems:?}");
            for part in parts {
                assert!(problems[0].contains(part), "{part}: {}", problems[0]);
            }
        }
    }
}
