//! What a machine texts back: the acknowledgement of a request, and the answers to STOP, START, CONTACT and AIDE.
//!
//! Each is one segment of the 7-bit alphabet, always: that is proved when its wording is read, not found out when the
//! thousandth is sent. What gives way when there is no room is the body's name, word by word from its end; the reference
//! never does. Letters that the alphabet lacks are refused in a wording, where somebody chose them and can choose again,
//! and replaced in a name, which is what it is (`L'Haÿ-les-Roses` becomes `L'Hay-les-Roses`).

mod name;
mod problem;

use crate::gsm7;
use crate::reference::Reference;
use crate::sms::Coding;
use crate::typography::{equivalent, typography};
pub use problem::NotANotice;

/// The acknowledgement, unless the configuration has another.
pub const ACKNOWLEDGEMENT: &str = "{organisation} : votre demande {reference} est enregistrée. Pour la compléter, répondez à ce message.";
/// The confirmation of a STOP.
pub const STOPPED: &str =
    "{organisation} : c'est noté, vous ne recevrez plus nos campagnes par SMS. Vos demandes en cours restent suivies.";
/// The confirmation of a START.
pub const STARTED: &str =
    "{organisation} : c'est noté, vous pouvez de nouveau recevoir nos campagnes par SMS. STOP : ne plus les recevoir.";
/// The answer to CONTACT, where a telephone number is known.
pub const CONTACT: &str = "{organisation}, tél. {telephone}.";
/// The answer to CONTACT, where none is.
pub const CONTACT_BY_TEXT: &str = "{organisation} : écrivez-nous votre demande en répondant à ce message, un agent la lira. Urgence : 112.";
/// The answer to AIDE.
pub const HELP: &str =
    "{organisation} : écrivez-nous votre demande par SMS. CONTACT : nous joindre. STOP : ne plus recevoir nos campagnes. Urgence : 112.";

/// The longest reference there is: `2026-0001234567-8`.
const LONGEST_REFERENCE: usize = 17;

/// What may stand in braces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Organisation,
    Reference,
    Telephone,
}

impl Place {
    const ALL: [(&'static str, Self); 3] = [
        ("organisation", Self::Organisation),
        ("reference", Self::Reference),
        ("telephone", Self::Telephone),
    ];
}

/// What a wording is filled with.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The body's name: `Mairie de Saint-Exemple`.
    pub organisation: &'a str,
    /// The body's telephone number, as it is to be read; `None` when there is none.
    pub telephone: Option<&'a str>,
}

/// The acknowledgement of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledgement(Filled);

impl Acknowledgement {
    /// Reads a wording, and proves that it fits one segment with every reference.
    ///
    /// # Errors
    /// [`NotANotice`] says what to change.
    pub fn new(wording: &str, inputs: &Inputs<'_>) -> Result<Self, NotANotice> {
        let filled = Filled::new(wording, inputs)?;
        if !filled.names_a_reference() {
            return Err(NotANotice::NoReference);
        }
        Ok(Self(filled))
    }

    /// The text for a request: at most 160 septets.
    #[must_use]
    pub fn text(&self, reference: Reference) -> String {
        self.0.text(&reference.to_string())
    }

    /// The same with `placeholder` in the reference's place, for who writes it before there is a request. No other brace
    /// is in it: a wording has none, and a name loses its own.
    #[must_use]
    pub fn with_placeholder(&self, placeholder: &str) -> String {
        self.0.text(placeholder)
    }

    /// The name as it is shown, when words of it had to go: worth a warning where the configuration is checked.
    #[must_use]
    pub fn shortened(&self) -> Option<&str> {
        self.0.shortened()
    }
}

/// An answer to a command, the same for everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    text: String,
    shortened: Option<String>,
}

impl Answer {
    /// Reads a wording, and proves that it fits one segment.
    ///
    /// # Errors
    /// [`NotANotice`] says what to change.
    pub fn new(wording: &str, inputs: &Inputs<'_>) -> Result<Self, NotANotice> {
        let filled = Filled::new(wording, inputs)?;
        if filled.names_a_reference() {
            return Err(NotANotice::Reference);
        }
        Ok(Self {
            text: filled.text(""),
            shortened: filled.shortened().map(str::to_owned),
        })
    }

    /// The text: at most 160 septets.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As [`Acknowledgement::shortened`].
    #[must_use]
    pub fn shortened(&self) -> Option<&str> {
        self.shortened.as_deref()
    }
}

/// A wording with everything in it but the reference.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filled {
    pieces: Vec<Piece>,
    name: String,
    shortened: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Words(String),
    Name,
    Reference,
}

impl Filled {
    fn new(wording: &str, inputs: &Inputs<'_>) -> Result<Self, NotANotice> {
        let pieces = pieces(wording, inputs.telephone)?;
        if pieces.is_empty() {
            return Err(NotANotice::Empty);
        }
        let mut fixed = 0;
        let mut names = 0;
        for piece in &pieces {
            fixed += match piece {
                Piece::Words(words) => septets(words)?,
                Piece::Reference => LONGEST_REFERENCE,
                Piece::Name => {
                    names += 1;
                    0
                }
            };
        }
        let whole = name::plain(inputs.organisation);
        let limit = Coding::Gsm7.limit();
        let room = limit.saturating_sub(fixed).checked_div(names).unwrap_or(0);
        let too_long = |name| NotANotice::TooLong {
            septets: fixed,
            name: name * names,
        };
        if fixed > limit {
            return Err(too_long(0));
        }
        if names == 0 {
            return Ok(Self {
                pieces,
                name: String::new(),
                shortened: false,
            });
        }
        if whole.is_empty() {
            return Err(NotANotice::NoName);
        }
        let mut least = 0;
        for name in name::shorter_and_shorter(&whole) {
            least = septets(name)?;
            if least <= room {
                let shortened = name != whole;
                let name = name.to_owned();
                return Ok(Self { pieces, name, shortened });
            }
        }
        Err(too_long(least))
    }

    fn names_a_reference(&self) -> bool {
        self.pieces.contains(&Piece::Reference)
    }

    fn shortened(&self) -> Option<&str> {
        self.shortened.then_some(self.name.as_str())
    }

    fn text(&self, reference: &str) -> String {
        let words = self.pieces.iter().map(|piece| match piece {
            Piece::Words(words) => words.as_str(),
            Piece::Name => self.name.as_str(),
            Piece::Reference => reference,
        });
        words.collect()
    }
}

/// The wording between its braces, typography replaced.
fn pieces(wording: &str, telephone: Option<&str>) -> Result<Vec<Piece>, NotANotice> {
    let wording = typography(wording.trim());
    let mut pieces = Vec::new();
    let mut rest = wording.as_str();
    while let Some((words, behind)) = rest.split_once('{') {
        let (name, behind) = behind.split_once('}').ok_or(NotANotice::Brace)?;
        pieces.push(Piece::Words(words.to_owned()));
        let place = Place::ALL.into_iter().find(|(known, _)| *known == name.trim());
        pieces.push(match place {
            Some((_, Place::Organisation)) => Piece::Name,
            Some((_, Place::Reference)) => Piece::Reference,
            Some((_, Place::Telephone)) => Piece::Words(typography(
                telephone
                    .map(str::trim)
                    .filter(|text| !text.is_empty())
                    .ok_or(NotANotice::NoTelephone)?,
            )),
            None => {
                return Err(NotANotice::Unknown(
                    name.chars().filter(|char| !char.is_control()).take(40).collect(),
                ));
            }
        });
        rest = behind;
    }
    pieces.push(Piece::Words(rest.to_owned()));
    let stray = |piece: &Piece| matches!(piece, Piece::Words(words) if words.contains(['{', '}']));
    if pieces.iter().any(stray) {
        return Err(NotANotice::Brace);
    }
    pieces.retain(|piece| !matches!(piece, Piece::Words(words) if words.is_empty()));
    Ok(pieces)
}

fn septets(words: &str) -> Result<usize, NotANotice> {
    words
        .chars()
        .map(|char| gsm7::septets(char).ok_or_else(|| NotANotice::Foreign(char, equivalent(char, None))))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;
    use crate::sms::{check_reply, preview};
    use proptest::prelude::*;

    const TOWN: Inputs<'static> = Inputs {
        organisation: "Mairie de Saint-Exemple",
        telephone: Some("01 40 20 50 50"),
    };

    fn acknowledged(organisation: &str, reference: Reference) -> String {
        let inputs = Inputs { organisation, ..TOWN };
        Acknowledgement::new(ACKNOWLEDGEMENT, &inputs).unwrap().text(reference)
    }

    #[test]
    fn the_whole_texts() {
        let reference = Reference::new(2026, 1_234).unwrap();
        assert_eq!(
            acknowledged(TOWN.organisation, reference),
            format!("Mairie de Saint-Exemple : votre demande {reference} est enregistrée. Pour la compléter, répondez à ce message.")
        );
        let notice = Acknowledgement::new(ACKNOWLEDGEMENT, &TOWN).unwrap();
        assert_eq!(
            notice
                .with_placeholder("{reference}")
                .replace("{reference}", &reference.to_string()),
            notice.text(reference)
        );
        for (wording, text) in [
            (
                STOPPED,
                "Mairie de Saint-Exemple : c'est noté, vous ne recevrez plus nos campagnes par SMS. Vos demandes en cours restent suivies.",
            ),
            (
                STARTED,
                "Mairie de Saint-Exemple : c'est noté, vous pouvez de nouveau recevoir nos campagnes par SMS. STOP : ne plus les recevoir.",
            ),
            (CONTACT, "Mairie de Saint-Exemple, tél. 01 40 20 50 50."),
            (
                CONTACT_BY_TEXT,
                "Mairie de Saint-Exemple : écrivez-nous votre demande en répondant à ce message, un agent la lira. Urgence : 112.",
            ),
            (
                HELP,
                "Mairie de Saint-Exemple : écrivez-nous votre demande par SMS. CONTACT : nous joindre. STOP : ne plus recevoir nos campagnes. Urgence : 112.",
            ),
        ] {
            let answer = Answer::new(wording, &TOWN).unwrap();
            assert_eq!((answer.text(), answer.shortened()), (text, None));
            let preview = preview(answer.text());
            assert_eq!((preview.coding, preview.segments), (Coding::Gsm7, 1));
        }
    }

    #[test]
    fn the_name_gives_way_at_a_word_and_the_reference_never() {
        let longest = Reference::new(2026, 9_999_999_999).unwrap();
        for (name, shown) in [
            ("L’Haÿ-les-Roses", "L'Hay-les-Roses"),
            ("Hôtel de ville\nde Fort-de-France", "Hotel de ville de Fort-de-France"),
            (
                "Communauté d’agglomération de Saint-Exemple-les-Bains et du Pays des Trois Rivières",
                "Communauté d'agglomération de Saint-Exemple-les-Bains et du Pays",
            ),
            (
                "Syndicat intercommunal à vocation multiple pour la gestion des déchets et de l'eau",
                "Syndicat intercommunal à vocation multiple pour la gestion",
            ),
            (
                "Mairie de Saint-Exemple-sur-Seine-et-Marne-la-Vallée-aux-Loups-et-Renards",
                "Mairie",
            ),
            ("Ville [centre] 😀 d’Orléans", "Ville [centre] d'Orléans"),
        ] {
            let text = acknowledged(name, longest);
            assert_eq!(text.split(" : ").next(), Some(shown), "{name}");
            assert_eq!(reference::find(&text), Some(longest));
            assert!(check_reply(&text).is_ok_and(|encoded| encoded.coding == Coding::Gsm7 && encoded.bytes.len() <= 160));
        }
        let inputs = Inputs {
            organisation: "Communauté d'agglomération de Saint-Exemple-les-Bains et de la Vallée-Longue",
            ..TOWN
        };
        let long = Acknowledgement::new(ACKNOWLEDGEMENT, &inputs).unwrap();
        assert_eq!(long.shortened(), Some("Communauté d'agglomération de Saint-Exemple-les-Bains"));
        assert_eq!(Acknowledgement::new(ACKNOWLEDGEMENT, &TOWN).unwrap().shortened(), None);
    }

    #[test]
    fn what_cannot_be_promised_is_refused_at_the_start() {
        use NotANotice::{Brace, Empty, Foreign, NoName, NoReference, NoTelephone, TooLong, Unknown};
        let read = |wording: &str| Acknowledgement::new(wording, &TOWN).map(|notice| notice.shortened().is_some());
        assert_eq!(read("{reference}"), Ok(false));
        assert_eq!(read("Réf. { reference } « merci »"), Ok(false));
        let filler = "a".repeat(160 - LONGEST_REFERENCE);
        assert_eq!(read(&format!("{filler}{{reference}}")), Ok(false));
        for (wording, why) in [
            ("  ", Empty),
            ("Bonjour", NoReference),
            ("{organisation}", NoReference),
            ("{reference", Brace),
            ("reference} {reference}", Brace),
            ("{{reference}}", Unknown("{reference".to_owned())),
            ("{nom} {reference}", Unknown("nom".to_owned())),
            ("Demande reçue : {reference}", Foreign('ç', Some("c"))),
            ("Спасибо {reference}", Foreign('С', None)),
            ("Merci 😀 {reference}", Foreign('😀', Some(""))),
            (&format!("{filler}a{{reference}}"), TooLong { septets: 161, name: 0 }),
            (
                &format!("{}{{organisation}}{{reference}}", &filler[5..]),
                TooLong { septets: 155, name: 6 },
            ),
        ] {
            assert_eq!(read(wording), Err(why.clone()), "{wording}");
            assert!(why.to_string().len() > 30, "{why}");
        }
        assert_eq!(
            TooLong { septets: 155, name: 6 }.to_string(),
            "has 155 septets beside the organisation's name, which takes at least 6, and one message holds 160: shorten it by 1"
        );
        let unnamed = Inputs {
            organisation: "بلدية",
            telephone: None,
        };
        assert_eq!(Acknowledgement::new(ACKNOWLEDGEMENT, &unnamed), Err(NoName));
        assert_eq!(Answer::new(CONTACT, &Inputs { telephone: None, ..TOWN }), Err(NoTelephone));
        assert_eq!(
            Answer::new(
                CONTACT,
                &Inputs {
                    telephone: Some(" "),
                    ..TOWN
                }
            ),
            Err(NoTelephone)
        );
        assert_eq!(Answer::new(ACKNOWLEDGEMENT, &TOWN), Err(NotANotice::Reference));
        assert_eq!(
            Answer::new(
                "{telephone}",
                &Inputs {
                    telephone: Some("{"),
                    ..TOWN
                }
            ),
            Err(Brace)
        );
    }

    proptest! {
        #[test]
        fn whatever_is_accepted_is_one_segment(
            wording in "[a-zA-Zéèà€’… ]{0,90}\\{reference\\}[ .é]{0,9}(\\{organisation\\}[ a-z]{0,30}){0,2}",
            organisation in "\\PC{0,40}|[A-ZÀ-Öa-zà-ÿ’ ]{0,120}", number in 0_u64..=9_999_999_999,
        ) {
            let reference = Reference::new(2026, number).unwrap();
            if let Ok(notice) = Acknowledgement::new(&wording, &Inputs { organisation: &organisation, telephone: None }) {
                let text = notice.text(reference);
                let encoded = check_reply(&text);
                prop_assert!(encoded.is_ok_and(|encoded| encoded.coding == Coding::Gsm7), "{}", text);
                prop_assert!(text.contains(&reference.to_string()));
                prop_assert_eq!(typography(&text), text, "nothing is left to be replaced");
            }
        }

        #[test]
        fn every_french_name_of_some_words_is_acknowledged(words in proptest::collection::vec("[A-Za-zéèêçôâ'’-]{1,20}", 1..30)) {
            let inputs = Inputs { organisation: &words.join(" "), telephone: None };
            let notice = Acknowledgement::new(ACKNOWLEDGEMENT, &inputs);
            prop_assert!(notice.is_ok(), "{:?}", notice);
        }
    }
}
