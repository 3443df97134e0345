//! Mail that a program sent, and that must not be answered by a program (RFC 3834).

/// Our own loop header: what we send carries it, and what carries it is never acknowledged.
pub const LOOP_HEADER: &str = "X-Voxea-Loop";
const OURS: &str = "our own";
const NO_RETURN: &str = "null return path";
const LIST: &str = "list";
/// Of a `multipart/report` (RFC 6522).
pub const REPORT: &str = "report";

/// Why a mail counts as automatic; `None` for a person's mail.
///
/// `headers` are the fields of the mail in order, names as they came, values unfolded or not.
pub fn reason<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<&'static str> {
    let mut reasons = headers.into_iter().filter_map(|(name, value)| field(name.trim(), value.trim()));
    let first = reasons.next()?;
    if spoken_for(first) {
        return reasons.find(|reason| !spoken_for(reason)).or(Some(first));
    }
    Some(first)
}

/// Whether a reason says no more than that a program sent the mail, which the form of a web site does for whoever filled it in.
#[must_use]
pub fn spoken_for(reason: &str) -> bool {
    !matches!(reason, OURS | NO_RETURN | LIST | REPORT)
}

fn field(name: &str, value: &str) -> Option<&'static str> {
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
    if is("Auto-Submitted") {
        // RFC 3834 §5: a keyword, then parameters. "no" is a person's word.
        let keyword = value.split([';', ' ', '(']).next().unwrap_or_default();
        return (!keyword.eq_ignore_ascii_case("no") && !keyword.is_empty()).then_some("auto-submitted");
    }
    if is("Precedence") {
        let bulk = ["bulk", "list", "junk", "auto_reply"]
            .iter()
            .any(|word| value.eq_ignore_ascii_case(word));
        return bulk.then_some("precedence");
    }
    if is("Return-Path") {
        return value.replace(' ', "").eq("<>").then_some(NO_RETURN);
    }
    if is("X-Auto-Response-Suppress") {
        // MS-OXCMAIL §2.2.3.2.14: "None" suppresses nothing.
        return (!value.is_empty() && !value.eq_ignore_ascii_case("none")).then_some("x-auto-response-suppress");
    }
    if [
        "X-Autoreply",
        "X-Autorespond",
        "X-AutoReply-From",
        "X-Mail-Autoreply",
        "X-MS-Exchange-Inbox-Rules-Loop",
    ]
    .iter()
    .any(|name| is(name))
    {
        return (!value.is_empty() && !value.eq_ignore_ascii_case("no")).then_some("autoreply");
    }
    if is("From") {
        return nobody(value).then_some("an address that nobody reads");
    }
    if is(LOOP_HEADER) {
        return Some(OURS);
    }
    // RFC 2369 and RFC 2919: List-Id, List-Unsubscribe, List-Post…
    name.get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("List-"))
        .then_some(LIST)
}

/// Whether it is an address that takes no answer: a mail server's own, or one that says so.
#[must_use]
pub fn nobody(from: &str) -> bool {
    const NAMES: [&str; 5] = ["mailerdaemon", "noreply", "donotreply", "nepasrepondre", "noresponder"];
    let address = from.rsplit('<').next().unwrap_or_default();
    let local = address.split(['@', '>', '+']).next().unwrap_or_default();
    let plain: String = local.trim().chars().filter(|c| !matches!(c, '-' | '_' | '.')).collect();
    NAMES.contains(&plain.to_lowercase().as_str())
}

/// Why a mail counts as automatic by its subject, as programs write it that mark it by nothing else. What answers such a mail begins
/// with `RE:` and is a person's.
pub fn by_subject(subject: &str) -> Option<&'static str> {
    const BEGINNINGS: [&str; 7] = [
        "réponse automatique",
        "reponse automatique",
        "automatic reply",
        "autoreply:",
        "auto-reply:",
        "out of office",
        "automatische antwort",
    ];
    let lower = subject.trim_start().to_lowercase();
    BEGINNINGS
        .iter()
        .any(|known| lower.starts_with(known))
        .then_some("the subject of an automatic answer")
}

#[cfg(test)]
mod tests {
    use super::{by_subject, reason, spoken_for};

    #[test]
    fn programs_are_told_from_people() {
        for (name, value) in [
            ("Auto-Submitted", "auto-replied"),
            ("auto-submitted", "auto-generated; owner-email=\"a@b\""),
            ("Precedence", "BULK"),
            ("List-Id", "<x.example>"),
            ("LIST-UNSUBSCRIBE", "<mailto:x>"),
            ("X-Auto-Response-Suppress", "All"),
            ("Return-Path", " <>"),
            ("X-Voxea-Loop", "mairie"),
            ("Precedence", "auto_reply"),
            ("X-Autoreply", "yes"),
            ("X-Autorespond", "absent"),
            ("X-MS-Exchange-Inbox-Rules-Loop", "zoe@example.fr"),
            ("From", "Mail Delivery System <MAILER-DAEMON@mx.example>"),
            ("From", "no-reply@example.fr"),
            ("From", "Impôts <ne_pas_repondre@example.fr>"),
        ] {
            assert!(reason([("From", "a@b"), (name, value)]).is_some(), "{name}: {value}");
        }
        for (name, value) in [
            ("Auto-Submitted", "no"),
            ("Auto-Submitted", " NO ; x=y"),
            ("Precedence", "first-class"),
            ("Return-Path", "<a@b>"),
            ("Listen", "x"),
            ("X-Auto-Response-Suppress", "None"),
            ("X-Autoreply", "no"),
            ("From", "noreply <zoe@example.fr>"),
            ("From", "Noreplyt <noreplyt@example.fr>"),
            ("Subject", "List-Id"),
        ] {
            assert_eq!(reason([(name, value)]), None, "{name}: {value}");
        }
        // What is not the word of a person whatever sent it goes before what says only that a program did.
        let form = [("From", "noreply@ville.example"), ("Auto-Submitted", "auto-generated")];
        assert!(reason(form).is_some_and(spoken_for));
        assert_eq!(reason(form.into_iter().chain([("X-Voxea-Loop", "mairie")])), Some("our own"));
        assert!(!spoken_for("our own"));
        assert!(by_subject("Réponse automatique : congés").is_some() && by_subject("Automatic reply: x").is_some());
        assert!(by_subject("RE: Réponse automatique : congés").is_none() && by_subject("Ma réponse automatique").is_none());
    }
}
