//! STOP, START, CONTACT and AIDE: the words that a machine answers.
//!
//! A word is a command only when it *is* the message: case, accents, punctuation and spaces are ignored, and beside it
//! stand at most words of courtesy, `SMS`, `PUB` or the number. A sentence with the word in it is a citizen's demand and
//! goes to people: « panneau stop abîmé rue Foch », « aide sociale », « à l'aide ». The first word of a text, which picks
//! its theme ([`crate::keyword`]), is another rule and a looser one, because a wrong theme harms nobody, and a wrong
//! STOP keeps a warning of a flood from somebody.

use crate::keyword;

/// What a citizen asks of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// No campaign any more; confirmed once.
    Stop,
    /// Campaigns again, after a STOP: it counts until its sender writes otherwise, as the charter of the French operators has it,
    /// and this is the word for it that telephones and their users know (with UNSTOP).
    Start,
    /// Who are you, and how are you reached?
    Contact,
    /// What can I write?
    Aide,
}

impl Command {
    /// `stop`, `start`, `contact` or `aide`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Contact => "contact",
            Self::Aide => "aide",
        }
    }
}

/// A longer text, in characters, is nobody's command.
const LONGEST: usize = 80;

/// What may stand in front of a command, and behind.
const COURTESY: [&str; 15] = [
    "sms",
    "pub",
    "bonjour",
    "bonsoir",
    "merci",
    "svp",
    "stp",
    "s",
    "il",
    "te",
    "vous",
    "plait",
    "madame",
    "monsieur",
    "cordialement",
];

/// What may stand behind a STOP or a START: of what there is enough, or not.
const OF_WHAT: [&str; 14] = [
    "mms",
    "pubs",
    "publicite",
    "publicites",
    "message",
    "messages",
    "mairie",
    "au",
    "aux",
    "a",
    "les",
    "la",
    "vos",
    "ces",
];

/// The command that a text is; `None` for every other text.
///
/// A STOP counts before the others wherever they stand, so that nobody who wants to be left alone is sent a phone number.
#[must_use]
pub fn read(text: &str) -> Option<Command> {
    if text.chars().nth(LONGEST).is_some() {
        return None;
    }
    let mut words: Vec<String> = text
        .split(|char: char| !is_within_a_word(char))
        .map(keyword::fold)
        .filter(|word| !word.is_empty())
        .collect();
    // "S.T.O.P", "S T O P".
    if words.len() > 1 && words.iter().all(|word| word.len() == 1) {
        words = vec![words.concat()];
    }
    let mut found = None;
    for word in &words {
        match (command(word), found) {
            (Some(Command::Stop), _) => found = Some(Command::Stop),
            (Some(command), None) => found = Some(command),
            (Some(_), Some(_)) => {}
            (None, None) if is(&COURTESY, word) => {}
            (None, Some(command)) if may_follow(command, word) => {}
            (None, _) => return None,
        }
    }
    found
}

/// A word, alone or run together with what belongs to it: `STOPSMS`, `STOP36123`.
fn command(word: &str) -> Option<Command> {
    match word {
        "start" | "startsms" | "unstop" => return Some(Command::Start),
        "contact" => return Some(Command::Contact),
        "aide" => return Some(Command::Aide),
        _ => {}
    }
    let mut rest = word.strip_prefix("stop")?;
    while let Some(again) = rest.strip_prefix("stop") {
        rest = again;
    }
    let glued = rest.is_empty() || is(&["sms", "mms", "pub"], rest) || is_number(rest);
    glued.then_some(Command::Stop)
}

fn may_follow(command: Command, word: &str) -> bool {
    let of_what = match command {
        Command::Stop | Command::Start => is(&OF_WHAT, word),
        Command::Contact => word == "mairie",
        Command::Aide => false,
    };
    of_what || is_number(word) || is(&COURTESY, word)
}

fn is(known: &[&str], word: &str) -> bool {
    known.contains(&word)
}

/// A short code, or a number with its ten digits or more. "Stop 12" is a house.
fn is_number(word: &str) -> bool {
    matches!(word.len(), 5 | 10..=13) && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// Letters and digits, and the accents that some telephones send as marks of their own.
fn is_within_a_word(char: char) -> bool {
    char.is_alphanumeric() || matches!(char, '\u{300}'..='\u{36f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_command_in_every_dress() {
        for text in [
            "STOP",
            "stop",
            "Stop.",
            " stop \n",
            "« STOP »",
            "\"Stop\"!!!",
            "STOP…",
            "-stop-",
            "Stôp",
            "STO\u{301}P",
            "S.T.O.P",
            "s t o p",
            "STOP 🙏",
            "Stop\u{200b}",
            "\u{feff}STOP",
            "\u{202a}STOP\u{202c}",
            "STOP SMS",
            "Stop sms svp",
            "STOPSMS",
            "StopPub",
            "stop pub",
            "pub : stop",
            "SMS STOP",
            "STOP 36123",
            "STOP36123",
            "stop au 36123",
            "STOP 0937000000",
            "STOP +33937000000",
            "Stop, merci",
            "Merci, STOP.",
            "Bonjour, stop s'il vous plaît",
            "Stop aux messages",
            "STOP MAIRIE",
            "stop stop stop",
            "STOPSTOP",
            "contact stop",
            "STOP CONTACT",
        ] {
            assert_eq!(read(text), Some(Command::Stop), "{text:?}");
        }
        for text in [
            "START",
            "start.",
            "« Start ! »",
            "Stârt",
            "S.T.A.R.T",
            "STARTSMS",
            "Bonjour, start svp",
            "start 36123",
            "Unstop",
            "START aux messages",
        ] {
            assert_eq!(read(text), Some(Command::Start), "{text:?}");
        }
        for text in ["start stop", "STOP START", "stop, unstop"] {
            assert_eq!(read(text), Some(Command::Stop), "{text:?}");
        }
        for text in [
            "CONTACT",
            "Contact ?",
            "contact svp",
            "Contact mairie",
            "Cóntact",
            "c o n t a c t",
            "contact aide",
        ] {
            assert_eq!(read(text), Some(Command::Contact), "{text:?}");
        }
        for text in [
            "AIDE",
            "aide!",
            "Aide SVP",
            "« Aide »",
            "Aidé",
            "Bonjour, aide s’il te plait",
            "aide 36123",
            "Aide contact",
        ] {
            assert_eq!(read(text), Some(Command::Aide), "{text:?}");
        }
    }

    #[test]
    fn a_sentence_is_for_people() {
        for text in [
            "",
            "   ",
            "?!",
            "😀",
            "Bonjour",
            "Merci",
            "36123",
            "arrêt de bus stop",
            "Arrêt",
            "Panneau stop abîmé rue Foch",
            "Le panneau STOP est tombé",
            "Stop à la pollution rue Foch !",
            "Stop bus",
            "le stop",
            "les stop",
            "mairie stop",
            "messages : stop",
            "Non-stop",
            "auto-stop",
            "autostop",
            "stopper",
            "starter",
            "Start-up rue Foch",
            "restart",
            "Mon scooter ne start plus",
            "stop 12",
            "Il faut stopper les travaux, stop",
            "STOP je ne veux plus de vos messages depuis que vous avez oublié de ramasser mes encombrants rue Foch",
            "À l'aide",
            "aide sociale",
            "Aide-ménagère pour ma mère",
            "aides",
            "Demande d'aide",
            "Je cherche un contact à l'état civil",
            "contacts",
            "contactez-moi",
            "Contact rompu avec le service des eaux",
            "СТОП",
        ] {
            assert_eq!(read(text), None, "{text:?}");
        }
        assert_eq!(read(&format!("stop{}", " ".repeat(LONGEST))), None, "longer than any command");
    }

    proptest! {
        #[test]
        fn dress_changes_nothing(
            spelled in "[sS][tT][oOôÔòÓ][pP]", before in "[ .,!\"«»*_\n\t()-]{0,8}", behind in "[ .,!?…\"«»*_\n\t()-]{0,8}",
        ) {
            prop_assert_eq!(read(&format!("{before}{spelled}{behind}")), Some(Command::Stop));
        }

        #[test]
        fn another_word_makes_it_a_sentence(word in "[b-zB-Z]{3,9}", first: bool) {
            let known = is(&COURTESY, &word.to_lowercase()) || may_follow(Command::Stop, &word.to_lowercase()) || command(&word.to_lowercase()).is_some();
            let text = if first { format!("{word} stop") } else { format!("stop {word}") };
            prop_assert!(known || read(&text).is_none());
        }

        #[test]
        fn nothing_is_too_odd(text in "\\PC{0,120}") {
            let _ = read(&text);
        }
    }
}
