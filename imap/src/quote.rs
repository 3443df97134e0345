//! What the writer wrote, without what the mail program repeated below it.
//!
//! The full text is always kept beside the stripped one, so a line too many or too few loses nothing. A strip that
//! would leave nothing gives the full text, and a forwarded mail is never stripped: what was forwarded is the message.

use crate::name;

/// Longest quote introduction ("Le mardi … a écrit :") in lines; mail programs wrap it.
const INTRODUCTION_LINES: usize = 4;
/// Longest text that is looked at line by line; beyond it the text stays as it is.
const BYTES: usize = 1024 * 1024;

/// The text without quotes, quoted headers and signature.
#[must_use]
pub fn strip(text: &str) -> String {
    if text.len() > BYTES {
        return text.to_owned();
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
        if separator(plain) || header_block(rest) {
            break;
        }
        // RFC 3676 §4.3: dash dash blank. Programs that trim it are common.
        if matches!(line.trim_end_matches('\r'), "-- " | "--") || mobile_signature(plain) {
            index = after_signature(&lines, index);
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
    let quote = rest.iter().position(|line| {
        let line = line.trim();
        line.starts_with('>') || separator(line) || forwarded(line) || ends_introduction(line)
    });
    quote.map_or(lines.len(), |offset| {
        // An introduction may have begun some lines earlier; going back to the signature's end would repeat it, so
        // the lines of the signature before it are lost together with it, as they should be.
        start + 1 + offset
    })
}

/// "-----Message d'origine-----", "________________________________", "--------- Réponse ---------".
fn separator(line: &str) -> bool {
    const WORDS: [&str; 8] = [
        "message d'origine",
        "message d’origine",
        "message original",
        "message initial",
        "message d'origine",
        "original message",
        "ursprüngliche nachricht",
        "mensaje original",
    ];
    if line.len() >= 20 && line.chars().all(|c| c == '_') {
        return true;
    }
    let Some(words) = dashed(line) else { return false };
    let words = words.to_lowercase();
    WORDS.iter().any(|known| words.starts_with(known))
}

fn forwarded(line: &str) -> bool {
    const WORDS: [&str; 6] = [
        "forwarded message",
        "message transféré",
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

/// "De : … Envoyé : … À : …" of Outlook and the webmails: at least three known fields on neighbouring lines, the
/// first of them the sender.
fn header_block(lines: &[&str]) -> bool {
    const FROM: [&str; 3] = ["de", "from", "expéditeur"];
    const OTHERS: [&str; 16] = [
        "envoyé",
        "envoyé le",
        "date",
        "à",
        "a",
        "pour",
        "cc",
        "objet",
        "sent",
        "to",
        "subject",
        "destinataire",
        "copie à",
        "copie",
        "envoye",
        "importance",
    ];
    let field = |line: &str| {
        let line = line.trim().trim_start_matches('*');
        let (name, value) = line.split_once(':')?;
        (name.len() <= 20).then(|| {
            (
                name.trim_matches(|c: char| c.is_whitespace() || c == '*').to_lowercase(),
                !value.trim().is_empty(),
            )
        })
    };
    let Some((first, valued)) = lines.first().and_then(|line| field(line)) else {
        return false;
    };
    if !FROM.contains(&first.as_str()) || !valued {
        return false;
    }
    let near = lines.iter().skip(1).filter(|line| !line.trim().is_empty()).take(6);
    near.filter_map(|line| field(line))
        .filter(|(name, _)| OTHERS.contains(&name.as_str()))
        .count()
        >= 2
}

/// How many lines a quote's introduction takes that begins here: "Le 3 mars à 10:12, X <x@y> a écrit :",
/// "On … wrote:".
fn introduction(lines: &[&str]) -> Option<usize> {
    let first = lines.first()?.trim().to_lowercase();
    let begins = ["le ", "on ", "en date du ", "am "].iter().any(|start| first.starts_with(start));
    if !begins {
        return None;
    }
    let mut whole = String::new();
    for (index, line) in lines.iter().take(INTRODUCTION_LINES).enumerate() {
        if line.trim().is_empty() {
            return None;
        }
        whole.push_str(line.trim());
        if ends_introduction(line.trim()) {
            // A sentence of the citizen's may end so ("Le maire a écrit :"); a date or an address tells a quote.
            return whole.contains(|c: char| c.is_ascii_digit() || c == '@').then_some(index + 1);
        }
        whole.push(' ');
    }
    None
}

fn ends_introduction(line: &str) -> bool {
    let lower = line.to_lowercase().replace(['\u{a0}', '\u{202f}'], " ");
    let Some(before) = lower.strip_suffix(':') else { return false };
    let before = before.trim_end();
    ["a écrit", "a ecrit", "à écrit", "wrote", "schrieb"]
        .iter()
        .any(|end| before.ends_with(end))
}

fn mobile_signature(line: &str) -> bool {
    const STARTS: [&str; 7] = [
        "envoyé de mon ",
        "envoyé depuis mon ",
        "envoyé à partir de ",
        "envoyé depuis l'application",
        "sent from my ",
        "télécharger outlook pour ",
        "obtenir outlook pour ",
    ];
    let lower = name::cut(line, 200).to_lowercase();
    STARTS.iter().any(|start| lower.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::strip;
    use proptest::prelude::*;

    fn strips(text: &str) {
        assert_eq!(strip(text), "Bonjour,\nmerci.", "{text}");
    }

    #[test]
    fn the_clients_of_france_are_known() {
        strips("Bonjour,\nmerci.\n\nLe mar. 3 mars 2026 à 10:12, Mairie <mairie@example.fr> a écrit :\n\n> Votre demande\n> est là.\n");
        strips(
            "Bonjour,\nmerci.\n\nLe mardi 3 mars 2026 à 10:12:33 UTC+1, Mairie de\nSaint-Exemple <mairie@example.fr> a écrit\u{a0}:\n\n> x\n",
        );
        strips(
            "Bonjour,\nmerci.\n\nDe : Mairie <mairie@example.fr>\nEnvoyé : mardi 3 mars 2026 10:12\nÀ : x@example.fr\nObjet : RE: trou\n\nVotre demande\n",
        );
        strips("Bonjour,\nmerci.\n\n-----Message d'origine-----\nDe : x\n");
        strips("Bonjour,\nmerci.\n\n> Message du 03/03/26 10:12\n> De : \"Mairie\" <mairie@example.fr>\n> A : x\n");
        strips("Bonjour,\nmerci.\n\nOn Tue, Mar 3, 2026 at 10:12 AM Mairie <mairie@example.fr> wrote:\n> x\n");
        strips("Bonjour,\nmerci.\n-- \nJeanne Martin\n01 02 03 04 05\n\nLe 3 mars 2026 à 10:12, x a écrit :\n> y");
        strips("Bonjour,\nmerci.\n\nEnvoyé de mon iPhone\n\n> Le 3 mars 2026 à 10:12, Mairie <m@example.fr> a écrit :\n>\n> x");
        strips("Bonjour,\nmerci.\n________________________________\nDe : x\n");
        strips("> ancien\n\nBonjour,\nmerci.\n");
        strips("Bonjour,\r\nmerci.\r\n\r\n-- \r\nJeanne\r\n".replace('\r', "").as_str());
    }

    #[test]
    fn nothing_of_the_writer_is_taken_away() {
        let kept = "Le maire a écrit :\nvenez donc.";
        assert_eq!(strip(kept), kept);
        assert_eq!(strip("> tout est cité"), "> tout est cité");
        let forward = "Pour vous.\n\n---------- Forwarded message ---------\nDe : x\nDate: y\nSubject: z\n\nBonjour";
        assert_eq!(strip(forward), forward);
        let letter = "De : ma rue\n\nje vois un trou";
        assert_eq!(strip(letter), letter);
    }

    proptest! {
        #[test]
        fn a_text_never_becomes_nothing(text in "[ a>\\-:\n]{0,200}") {
            prop_assert_eq!(strip(&text).is_empty(), text.trim().is_empty());
        }
    }
}
