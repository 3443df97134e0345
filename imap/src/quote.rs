//! What the writer wrote, without what the mail program repeated below it.
//!
//! The full text is always kept beside the stripped one, so a line too many or too few loses nothing. A strip that
//! would leave nothing gives the full text, and a forwarded mail is never stripped: what was forwarded is the message.

use crate::name;

/// Longest quote introduction ("Le mardi … a écrit :") in lines; mail programs wrap it.
const INTRODUCTION_LINES: usize = 4;
/// Most lines of a signature that a telephone sets, beyond its first.
const SIGNATURE_LINES: usize = 3;
/// Longest text that is looked at line by line; beyond it the text stays as it is.
const BYTES: usize = 1024 * 1024;

/// The text without quotes, quoted headers and signature. Of a mail whose subject says that it forwards another, all of it.
#[must_use]
pub fn strip(text: &str, subject: Option<&str>) -> String {
    if text.len() > BYTES {
        return text.to_owned();
    }
    if subject.is_some_and(forwards) {
        return text.trim().to_owned();
    }
    let lines: Vec<&str> = text.lines().collect();
    let mut kept: Vec<&str> = Vec::new();
    let mut index = 0;
    while let Some(line) = lines.get(index) {
        let rest = lines.get(index..).unwrap_or_default();
        let plain = line.trim();
        if forwarded(plain) {
            return text.trim().to_owned();
        }
        if (separator(plain) && (!underscores(plain) || begins_header(skip_blank(rest))))
            || header_block(rest)
            || (rule(plain) && header_block(skip_blank(rest)))
        {
            break;
        }
        // RFC 3676 §4.3: dash dash blank. Programs that trim it are common.
        if matches!(line.trim_end_matches('\r'), "-- " | "--") {
            index = after_signature(&lines, index);
            continue;
        }
        if mobile_signature(plain) {
            let end = after_signature(&lines, index);
            let between = lines.get(index + 1..end).unwrap_or_default();
            // Who writes below it has not noticed it.
            let written = between.iter().filter(|line| !line.trim().is_empty()).count() > SIGNATURE_LINES;
            index = if written { index + 1 } else { end };
            continue;
        }
        if let Some(length) = introduction(rest) {
            index += length;
            continue;
        }
        if !plain.starts_with('>') {
            kept.push(line);
        }
        index += 1;
    }
    let stripped = kept.join("\n").trim().to_owned();
    if stripped.is_empty() { text.trim().to_owned() } else { stripped }
}

/// A signature ends where quoting begins: answers below the quote are rare, quotes below the signature are not.
fn after_signature(lines: &[&str], start: usize) -> usize {
    let rest = lines.get(start + 1..).unwrap_or_default();
    let quote = (0..rest.len()).position(|at| {
        let line = rest.get(at).map_or("", |line| line.trim());
        let here = rest.get(at..).unwrap_or_default();
        line.starts_with('>') || separator(line) || forwarded(line) || header_block(here) || introduction(here).is_some()
    });
    quote.map_or(lines.len(), |offset| start + 1 + offset)
}

/// A line across the page.
fn rule(line: &str) -> bool {
    line.len() >= 10 && (line.chars().all(|c| c == '=') || line.chars().all(|c| c == '-') || line.chars().all(|c| c == '_'))
}

fn skip_blank<'a>(lines: &'a [&'a str]) -> &'a [&'a str] {
    let rest = lines.get(1..).unwrap_or_default();
    let start = rest.iter().position(|line| !line.trim().is_empty()).unwrap_or(rest.len());
    rest.get(start..).unwrap_or_default()
}

/// "TR: ", "Fwd: ": Outlook sets nothing else before what it forwards than it does before what it answers.
fn forwards(subject: &str) -> bool {
    const WORDS: [&str; 7] = ["tr", "fw", "fwd", "i", "wg", "transfert", "rv"];
    let mut subject = subject.trim_start();
    // What gateways set before it: "[EXTERNE]", "***SPAM***".
    for (opens, closes) in [("[", "]"), ("***", "***"), ("[", "]")] {
        if let Some((_, rest)) = subject.strip_prefix(opens).and_then(|rest| rest.split_once(closes)) {
            subject = rest.trim_start();
        }
    }
    let word = subject
        .split(':')
        .next()
        .filter(|word| word.len() < subject.len())
        .unwrap_or_default();
    WORDS.contains(&word.trim().to_lowercase().as_str())
}

/// "-----Message d'origine-----", "________________________________", "--------- Réponse ---------".
fn separator(line: &str) -> bool {
    const WORDS: [&str; 11] = [
        "message d'origine",
        "message d’origine",
        "message original",
        "message initial",
        "mail original",
        "e-mail d'origine",
        "courriel d'origine",
        "original message",
        "original email",
        "ursprüngliche nachricht",
        "mensaje original",
    ];
    if underscores(line) {
        return true;
    }
    let Some(words) = dashed(line) else { return false };
    let words = words.to_lowercase();
    WORDS.iter().any(|known| words.starts_with(known))
}

/// Whether the next line says from whom or when, as Outlook's does below its rule.
fn begins_header(lines: &[&str]) -> bool {
    const NAMES: [&str; 8] = ["de", "from", "expéditeur", "von", "envoyé", "date", "sent", "gesendet"];
    let first = lines.first().and_then(|line| line.split_once(':')).map_or("", |(name, _)| name);
    NAMES.contains(&first.trim_matches(|c: char| c.is_whitespace() || c == '*').to_lowercase().as_str())
}

/// Outlook's rule, above the header of what it quotes.
fn underscores(line: &str) -> bool {
    line.len() >= 20 && line.chars().all(|c| c == '_')
}

fn forwarded(line: &str) -> bool {
    const WORDS: [&str; 9] = [
        "forwarded message",
        "forwarded by",
        "message transféré",
        "message transmis",
        "mail transféré",
        "message transfere",
        "message réexpédié",
        "courriel transféré",
        "début du message",
    ];
    let lower = line.to_lowercase();
    if [
        "début du message réexpédié",
        "début du message transféré",
        "begin forwarded message",
    ]
    .iter()
    .any(|start| lower.starts_with(start))
    {
        return true;
    }
    dashed(line).is_some_and(|words| WORDS.iter().any(|known| words.to_lowercase().contains(known)))
}

/// The words between two runs of dashes.
fn dashed(line: &str) -> Option<&str> {
    let inner = line.strip_prefix("--")?.trim_start_matches('-');
    let inner = inner.strip_suffix("--")?.trim_end_matches('-');
    Some(inner.trim()).filter(|words| !words.is_empty())
}

/// "De : … Envoyé : … À : …" of Outlook and the webmails: at least three known fields on neighbouring lines, the sender's
/// among them, in whatever order (Orange begins with the date). A time or an address is in it: who writes "De : Paris" and
/// "À : Lyon" tells of a journey.
fn header_block(lines: &[&str]) -> bool {
    const FROM: [&str; 4] = ["de", "from", "expéditeur", "von"];
    const DATED: [&str; 8] = [
        "envoyé",
        "envoye",
        "envoyé le",
        "date",
        "date d'envoi",
        "message du",
        "sent",
        "gesendet",
    ];
    const OTHERS: [&str; 23] = [
        "envoyé",
        "envoye",
        "envoyé le",
        "date",
        "date d'envoi",
        "à",
        "a",
        "pour",
        "cc",
        "objet",
        "sujet",
        "message du",
        "sent",
        "to",
        "subject",
        "destinataire",
        "destinataires",
        "copie à",
        "copie",
        "importance",
        "gesendet",
        "an",
        "betreff",
    ];
    let field = |line: &str| {
        let line = line.trim().trim_start_matches('*');
        let (name, value) = line.split_once(':')?;
        let name = name.trim_matches(|c: char| c.is_whitespace() || c == '*');
        (name.len() <= 20).then(|| {
            (
                name.replace('’', "'").to_lowercase(),
                !value.trim_matches(['*', ' ', '\u{a0}']).is_empty(),
            )
        })
    };
    let known = |name: &str| FROM.contains(&name) || OTHERS.contains(&name);
    if !lines
        .first()
        .and_then(|line| field(line))
        .is_some_and(|(name, valued)| valued && known(&name))
    {
        return false;
    }
    let mut names: Vec<String> = Vec::new();
    let mut told = false;
    for line in lines.iter().filter(|line| !line.trim().is_empty()).take(7) {
        match field(line) {
            Some((name, _)) if known(&name) && !names.contains(&name) => {
                told |= line.contains('@') || DATED.contains(&name.as_str()) && timed(line);
                names.push(name);
            }
            _ => {}
        }
    }
    told && names.len() >= 3 && names.iter().any(|name| FROM.contains(&name.as_str()))
}

/// Whether a time of day stands in it: 10:12, 10h12.
fn timed(line: &str) -> bool {
    line.as_bytes()
        .windows(3)
        .any(|three| matches!(three, [before, b':' | b'h', after] if before.is_ascii_digit() && after.is_ascii_digit()))
}

/// How many lines a quote's introduction takes that begins here: "Le 3 mars à 10:12, X <x@y> a écrit :",
/// "On … wrote:".
fn introduction(lines: &[&str]) -> Option<usize> {
    let first = lines.first()?.trim().to_lowercase();
    let begins = ["le ", "on ", "en date du ", "am "].iter().any(|start| first.starts_with(start));
    // "Mairie <mairie@example.fr> a écrit le 24/11/2026 :"
    let named = first.len() <= 300 && first.contains('@') && (first.contains(" a écrit") || first.contains(" wrote"));
    if !(begins || named && first.ends_with(':')) {
        return None;
    }
    let mut whole = String::new();
    for (index, line) in lines.iter().take(INTRODUCTION_LINES).enumerate() {
        if line.trim().is_empty() || whole.len() > 1000 {
            return None;
        }
        whole.push_str(name::cut(line.trim(), 1000));
        if ends_introduction(&whole) || (named && index == 0) {
            // A sentence of the citizen's may end so ("Le maire a écrit :"); a date or an address tells a quote.
            return whole.contains(|c: char| c.is_ascii_digit() || c == '@').then_some(index + 1);
        }
        whole.push(' ');
    }
    None
}

fn ends_introduction(text: &str) -> bool {
    let Some(before) = text.trim_end().strip_suffix(':') else {
        return false;
    };
    // The last words decide; the rest may be long.
    let start = before.char_indices().rev().nth(400).map_or(0, |(at, _)| at);
    let lower = before
        .get(start..)
        .unwrap_or_default()
        .to_lowercase()
        .replace(['\u{a0}', '\u{202f}'], " ");
    let before = lower.trim_end();
    ["a écrit", "a ecrit", "à écrit", "écrivait", "wrote", "schrieb"]
        .iter()
        .any(|end| before.ends_with(end))
        || (before.starts_with("am ") && before.contains(" schrieb "))
}

fn mobile_signature(line: &str) -> bool {
    const STARTS: [&str; 15] = [
        "envoyé de mon ",
        "envoyé depuis mon ",
        "envoyé depuis ma ",
        "envoyé à partir de ",
        "envoyé depuis l'application",
        "envoyé depuis l’application",
        "envoyé avec la messagerie",
        "envoyé avec proton",
        "envoyé par mon ",
        "sent from my ",
        "sent with proton",
        "télécharger outlook pour ",
        "obtenir outlook pour ",
        "get outlook for ",
        "provenance : courrier pour windows",
    ];
    let lower = name::cut(line, 200).to_lowercase();
    STARTS.iter().any(|start| lower.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::strip;
    use proptest::prelude::*;

    fn strips(program: &str, quote: &str) {
        let text = format!("Bonjour,\nmerci.\n{quote}");
        assert_eq!(strip(&text, Some("Re: trou")), "Bonjour,\nmerci.", "{program}");
    }

    #[test]
    fn what_looks_like_a_quote_and_is_the_citizens_own_stays() {
        let rule = "_".repeat(24);
        let journey = format!("Mon trajet :\nDe : Paris\nÀ : Lyon\nDate : 3 décembre 2026\n\nMerci.\n{rule}\nVoici mon signalement.");
        assert_eq!(strip(&journey, Some("Re: trou")), journey);
        let below = "Pour info\n\nDe : a@b.fr\nEnvoyé : lundi 2 mars 2026 10:12\nÀ : c\nObjet : bruit\n\nLe bruit dure.";
        assert_eq!(strip(below, Some("[EXTERNE] TR: bruit")), below);
        assert_eq!(strip(below, Some("[EXTERNE] RE: bruit")), "Pour info");
    }

    #[test]
    fn the_programs_of_france_are_known() {
        let table = [
            (
                "Gmail",
                "\nLe mar. 3 mars 2026 à 10:12, Mairie <mairie@example.fr> a écrit :\n\n> Votre demande\n> est là.\n",
            ),
            (
                "Gmail, wrapped",
                "\nLe mar. 3 mars 2026 à 10:12, Mairie de Saint-Exemple <\nmairie@example.fr> a écrit :\n\n> x\n",
            ),
            (
                "Gmail, wrapped in the verb",
                "\nLe mar. 3 mars 2026 à 10:12, Mairie de Saint-Exemple <mairie@example.fr> a\nécrit :\n> x\n",
            ),
            (
                "Gmail, English",
                "\nOn Tue, Mar 3, 2026 at 10:12 AM Mairie <mairie@example.fr> wrote:\n> x\n",
            ),
            (
                "Yahoo",
                "\nLe mardi 3 mars 2026 à 10:12:33 UTC+1, Mairie de\nSaint-Exemple <mairie@example.fr> a écrit\u{a0}:\n\n> x\n",
            ),
            (
                "Yahoo on a telephone",
                "\nEnvoyé à partir de Yahoo Mail pour iPhone\n\nLe mardi 3 mars 2026, 10:12, Mairie <mairie@example.fr> a écrit :\n\n> x\n",
            ),
            (
                "Thunderbird",
                "\nLe 03/03/2026 à 10:12, Mairie a écrit\u{a0}:\n> Votre demande\n>\n> x\n",
            ),
            (
                "Thunderbird, signature",
                "-- \nJeanne Martin\n01 02 03 04 05\n\nLe 3 mars 2026 à 10:12, x a écrit :\n> y",
            ),
            ("Thunderbird, English", "\nOn 03/03/2026 10:12, Mairie wrote:\n> x\n"),
            (
                "iPhone",
                "\nEnvoyé de mon iPhone\n\n> Le 3 mars 2026 à 10:12, Mairie <m@example.fr> a écrit :\n> \n> \u{feff}x",
            ),
            (
                "Apple Mail, English",
                "\n> On 3 Mar 2026, at 10:12, Mairie <m@example.fr> wrote:\n> \n> x",
            ),
            (
                "Outlook",
                "\nDe : Mairie <mairie@example.fr>\nEnvoyé : mardi 3 mars 2026 10:12\nÀ : x@example.fr\nObjet : RE: trou\n\nVotre demande\n",
            ),
            (
                "Outlook as HTML",
                "\n*De :* Mairie <mairie@example.fr>\n*Envoyé :* mardi 3 mars 2026 10:12\n*À :* x@example.fr\n*Objet :* RE: trou\n\nVotre demande\n",
            ),
            (
                "Outlook, English",
                "\nFrom: Mairie <mairie@example.fr>\nSent: Tuesday, March 3, 2026 10:12 AM\nTo: x@example.fr\nSubject: RE: trou\n\nx\n",
            ),
            ("Outlook, old", "\n-----Message d'origine-----\nDe : x\n"),
            ("Outlook.com", "________________________________\nDe : x\n"),
            (
                "Outlook on a telephone",
                "\nTélécharger Outlook pour Android<https://aka.ms/x>\n________________________________\nFrom: x\n",
            ),
            (
                "Windows Mail",
                "\nProvenance : Courrier pour Windows\n\nDe : Mairie\nEnvoyé le :mardi 3 mars 2026 10:12\nÀ : x\nObjet :RE: trou\n\nx",
            ),
            (
                "Orange",
                "\n\n> Message du 03/03/26 10:12\n> De : \"Mairie\" <mairie@example.fr>\n> A : x@orange.fr\n> Copie à : \n> Objet : trou\n> \n> x\n",
            ),
            (
                "Orange, new",
                "\nenvoyé : 3 mars 2026 à 10:12\nde : Mairie <mairie@example.fr>\nà : x@orange.fr\nobjet : RE: trou\n\nx\n",
            ),
            (
                "Free (Zimbra)",
                "\n----- Mail original -----\nDe: \"Mairie\" <mairie@example.fr>\nÀ: x@free.fr\nEnvoyé: Mardi 3 Mars 2026 10:12:33\nObjet: Re: trou\n\nx\n",
            ),
            (
                "Free (Zimbra, without a line)",
                "\nDe: \"Mairie\" <mairie@example.fr>\nÀ: \"x\" <x@free.fr>\nEnvoyé: Mardi 3 Mars 2026 10:12:33\nObjet: Re: trou\n\nx\n",
            ),
            (
                "La Poste",
                "\nDe : mairie@example.fr\nA : x@laposte.net\nEnvoyé: mardi 3 mars 2026 10:12\nObjet : trou\n\nx\n",
            ),
            (
                "La Poste, old",
                "\n> Message du 03/03/26 10:12\n> De : \"Mairie\" <mairie@example.fr>\n> A : x\n",
            ),
            (
                "SFR",
                "\n========================================\n\nMessage du : 03/03/2026 10:12\nDe : \"Mairie\" <mairie@example.fr>\nA : x@sfr.fr\nSujet : trou\n\nx\n",
            ),
            (
                "Samsung",
                "\nEnvoyé depuis mon smartphone Samsung Galaxy.\n\n-------- Message d'origine --------\nDe : Mairie\nDate : 03/03/2026 10:12 (GMT+01:00)\nÀ : x\nObjet : trou\n\nx",
            ),
            (
                "Proton",
                "\nEnvoyé avec la messagerie sécurisée Proton Mail.\n\nLe mardi 3 mars 2026 à 10:12, Mairie <m@example.fr> a écrit :\n\n> x",
            ),
            (
                "eM Client",
                "\n------ Message d'origine ------\nDe \"Mairie\" <mairie@example.fr>\nÀ x\n",
            ),
            (
                "a webmail that names the writer first",
                "\nMairie <mairie@example.fr> a écrit le 03/03/2026 10:12 :\n> x\n",
            ),
            ("German", "\nAm 03.03.2026 um 10:12 schrieb Mairie:\n> x\n"),
        ];
        for (program, quote) in table {
            strips(program, quote);
        }
        assert_eq!(strip("> ancien\n\nBonjour,\nmerci.\n", None), "Bonjour,\nmerci.");
        let between = "Bonjour,\n\n> Quelle rue ?\n\nRue Hugo.\n\n> Quand ?\n\nHier.\n";
        assert_eq!(strip(between, None), "Bonjour,\n\n\nRue Hugo.\n\n\nHier.");
    }

    #[test]
    fn nothing_of_the_writer_is_taken_away() {
        for kept in [
            "Le maire a écrit :\nvenez donc.",
            "> tout est cité",
            "De : ma rue\n\nje vois un trou",
            "Objet : trou\nDate : hier\n\nje vois un trou",
            "Le 3 mars 2026 à 10:12, un arbre est tombé.\nMerci de venir.",
            "Je suis passé le 3 mars.\nOn m'a dit : revenez.\nA bientôt",
            "Bonjour\n--\n",
        ] {
            assert_eq!(strip(kept, Some("trou")), kept.trim_end_matches("\n--\n"), "{kept}");
        }
    }

    #[test]
    fn what_is_forwarded_is_the_message() {
        let header = "Pour vous.\n\nDe : x <x@y>\nEnvoyé : mardi\nÀ : z\nObjet : trou\n\nBonjour";
        for subject in ["TR: trou", "Tr : trou", "FW: trou", "Fwd: trou"] {
            assert_eq!(strip(header, Some(subject)), header);
        }
        assert_eq!(strip(header, Some("RE: trou")), "Pour vous.");
        for line in [
            "---------- Forwarded message ---------",
            "---------- Message transféré ---------",
            "-------- Message transféré --------",
            "----- Mail transféré -----",
            "Début du message réexpédié :",
            "Begin forwarded message:",
        ] {
            let forward = format!("Pour vous.\n\n{line}\nDe : x\nDate: y\nSubject: z\n\nBonjour");
            assert_eq!(strip(&forward, None), forward);
        }
    }

    proptest! {
        #[test]
        fn a_text_never_becomes_nothing(text in "[ a>\\-:\n]{0,200}") {
            prop_assert_eq!(strip(&text, None).is_empty(), text.trim().is_empty());
        }
    }
}
