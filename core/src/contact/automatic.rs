//! What an account of texts answers by itself: the acknowledgement of a request, and the answers to STOP, START,
//! CONTACT and AIDE.
//!
//! A text that is a command and nothing else is a contact like any other, with a request of its own; but nobody has to work
//! on it, so that its request is closed at once, and it neither joins nor carries on a conversation. Its answer is written
//! in the transaction that takes it in, so that neither a repetition nor the death of the process answers twice.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use voxea_rules::answerable::may_be_answered;
use voxea_rules::command::{self, Command};
use voxea_rules::notice::{Acknowledgement, Answer};
use voxea_rules::phone;

use super::acknowledgement::{NewAcknowledgement, REFERENCE};
use super::contact::{Contact, Flag, Joining};
use crate::base::account::{Account, Channel};

/// By whose dialling plan our own numbers are read.
const COUNTRY: &str = "FR";

/// What an account of texts answers by itself.
#[derive(Debug, Clone)]
pub struct AutomaticTexts {
    /// The account that sends; `None` when none can, and then nothing is answered.
    pub sender: Option<Account>,
    /// The number that citizens see.
    pub from: String,
    /// Other numbers of ours, which are not answered either.
    pub ours: Vec<String>,
    /// Of a request that a text has opened.
    pub acknowledgement: Option<Acknowledgement>,
    /// To commands; `None` when they are texts like any other.
    pub commands: Option<CommandAnswers>,
    /// At most so many of all these an hour.
    pub per_hour: u32,
}

/// The answers to commands.
#[derive(Debug, Clone)]
pub struct CommandAnswers {
    /// To STOP.
    pub stop: Answer,
    /// To START.
    pub start: Answer,
    /// To CONTACT.
    pub contact: Answer,
    /// To AIDE.
    pub help: Answer,
}

impl CommandAnswers {
    const fn to(&self, command: Command) -> &Answer {
        match command {
            Command::Stop => &self.stop,
            Command::Start => &self.start,
            Command::Contact => &self.contact,
            Command::Aide => &self.help,
        }
    }
}

/// The accounts that answer by themselves. Clones share them.
#[derive(Debug, Clone, Default)]
pub(super) struct Automatic(Arc<RwLock<Known>>);

#[derive(Debug, Default)]
struct Known {
    accounts: HashMap<String, AutomaticTexts>,
    /// Our own numbers, normalised: two of our accounts must not thank each other.
    ours: Vec<String>,
}

impl Automatic {
    pub(super) fn enter(&self, account: &Account, texts: AutomaticTexts) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for number in std::iter::once(&texts.from).chain(&texts.ours) {
            let number = phone::normalise(number, COUNTRY).into_string();
            // The outbox has a number without its plus.
            let international = format!("+{}", number.trim_start_matches('+'));
            for ours in [number, international] {
                if !known.ours.contains(&ours) {
                    known.ours.push(ours);
                }
            }
        }
        known.accounts.insert(account.key(), texts);
    }

    /// Reads what a text asks of the machine, and writes what it is answered. Whether that goes out is decided when it is
    /// taken in.
    pub(super) fn choose(&self, contact: &mut Contact) {
        if contact.channel != Channel::Sms {
            return;
        }
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let Some(texts) = known.accounts.get(&contact.account.key()) else {
            return;
        };
        // Of a text that lacks a part nobody knows what it asks.
        let whole = !contact.flags.contains(&Flag::Partial);
        let said = contact.text.as_deref().filter(|_| whole && texts.commands.is_some());
        contact.command = said.and_then(command::read);
        if contact.command.is_some() {
            contact.flags.push(Flag::Command);
            contact.joining = Joining::New;
        }
        let Some(sender) = &texts.sender else { return };
        // Most texts end here, before anybody asks what their number is.
        let text = match (contact.command, &texts.commands, &texts.acknowledgement) {
            (Some(command), Some(answers), _) => answers.to(command).text().to_owned(),
            (None, _, Some(acknowledgement)) => acknowledgement.with_placeholder(REFERENCE),
            _ => return,
        };
        // What was read of a sender begins with a plus when it is a number that can be dialled, and only then.
        let address = phone::normalise(&contact.from, COUNTRY);
        let ours = known.ours.iter().map(String::as_str);
        if !contact.from.starts_with('+') || may_be_answered(&address, ours).is_err() || contact.flags.contains(&Flag::Quarantined) {
            return;
        }
        contact.acknowledgement = Some(NewAcknowledgement {
            account: sender.clone(),
            channel: Channel::Sms,
            from: texts.from.clone(),
            recipient: contact.from.clone(),
            subject: None,
            text,
            message_id: None,
            in_reply_to: None,
            references: None,
            per_hour: texts.per_hour,
            answers: contact.command,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::account::Kind;
    use crate::contact::Dedup;
    use voxea_rules::notice::{self, Inputs};

    fn account() -> Account {
        Account::new(Kind::Smpp, "short-number")
    }

    fn automatic() -> Automatic {
        let inputs = Inputs {
            organisation: "Mairie de Saint-Exemple",
            telephone: Some("01 40 20 50 50"),
        };
        let answer = |wording| Answer::new(wording, &inputs).unwrap();
        let automatic = Automatic::default();
        let texts = AutomaticTexts {
            sender: Some(account()),
            from: "36123".to_owned(),
            ours: vec!["01 40 20 50 50".to_owned()],
            acknowledgement: Some(Acknowledgement::new(notice::ACKNOWLEDGEMENT, &inputs).unwrap()),
            commands: Some(CommandAnswers {
                stop: answer(notice::STOPPED),
                start: answer(notice::STARTED),
                contact: answer(notice::CONTACT),
                help: answer(notice::HELP),
            }),
            per_hour: 10,
        };
        let other = AutomaticTexts {
            from: "33755000000".to_owned(),
            ..texts.clone()
        };
        automatic.enter(&Account::new(Kind::Smpp, "long-number"), other);
        automatic.enter(&account(), texts);
        automatic
    }

    fn chosen(from: &str, text: &str, flags: &[Flag]) -> Contact {
        let mut contact = Contact::new(account(), 1, Channel::Sms, Dedup::Never, from.to_owned(), "36123".to_owned(), 0);
        contact.text = Some(text.to_owned());
        contact.flags = flags.to_vec();
        contact.joining = Joining::Conversation {
            within: 1,
            reference: None,
            keyword: false,
        };
        automatic().choose(&mut contact);
        contact
    }

    #[test]
    fn a_command_is_answered_and_stands_apart() {
        let stop = chosen("+33612345678", "« Stop ! »", &[]);
        assert_eq!((stop.command, &stop.joining), (Some(Command::Stop), &Joining::New));
        assert_eq!(stop.flags, [Flag::Command]);
        let answer = stop.acknowledgement.unwrap();
        assert!(answer.text.contains("c'est noté") && answer.answers == Some(Command::Stop));
        let contact = chosen("+33612345678", "CONTACT", &[]).acknowledgement.unwrap();
        assert_eq!(contact.text, "Mairie de Saint-Exemple, tél. 01 40 20 50 50.");
        // A sentence is for people, and so is what lacks a part.
        assert_eq!(chosen("+33612345678", "Panneau stop tombé", &[]).command, None);
        let partial = chosen("+33612345678", "STOP […] ", &[Flag::Partial]);
        assert_eq!(partial.command, None);
        assert!(partial.acknowledgement.unwrap().text.contains(REFERENCE));
    }

    #[test]
    fn machines_and_ourselves_are_not_answered() {
        for from in [
            "36124",
            "MAIRIE",
            "",
            "+33937123456",
            "+33899123456",
            "+33755000000",
            "+33140205050",
            "36123",
            "33612345678",
        ] {
            for text in ["STOP", "Bonjour"] {
                assert_eq!(chosen(from, text, &[]).acknowledgement, None, "{from} {text}");
            }
        }
        assert_eq!(chosen("36124", "STOP", &[]).command, Some(Command::Stop), "but it is one");
        assert_eq!(chosen("+33612345678", "", &[Flag::Quarantined]).acknowledgement, None);
    }

    #[test]
    fn who_is_not_entered_answers_nothing() {
        let mut contact = chosen("+33612345678", "Bonjour", &[]);
        contact.acknowledgement = None;
        contact.text = Some("STOP".to_owned());
        Automatic::default().choose(&mut contact);
        assert_eq!((contact.command, contact.acknowledgement), (None, None));
    }
}
