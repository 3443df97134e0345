//! Mail that a program sent, and that must not be answered by a program (RFC 3834).

/// Our own loop header: what we send carries it, and what carries it is never acknowledged.
pub const LOOP_HEADER: &str = "X-Voxea-Loop";

/// Why a mail counts as automatic; `None` for a person's mail.
///
/// `headers` are the fields of the mail in order, names as they came, values unfolded or not.
pub fn reason<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Option<&'static str> {
    headers.into_iter().find_map(|(name, value)| field(name.trim(), value.trim()))
}

fn field(name: &str, value: &str) -> Option<&'static str> {
    let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
    if is("Auto-Submitted") {
        // RFC 3834 §5: a keyword, then parameters. "no" is a person's word.
        let keyword = value.split([';', ' ', '(']).next().unwrap_or_default();
        return (!keyword.eq_ignore_ascii_case("no") && !keyword.is_empty()).then_some("auto-submitted");
    }
    if is("Precedence") {
        let bulk = ["bulk", "list", "junk"].iter().any(|word| value.eq_ignore_ascii_case(word));
        return bulk.then_some("precedence");
    }
    if is("Return-Path") {
        return value.replace(' ', "").eq("<>").then_some("null return path");
    }
    if is("X-Auto-Response-Suppress") {
        return Some("x-auto-response-suppress");
    }
    if is(LOOP_HEADER) {
        return Some("our own");
    }
    // RFC 2369 and RFC 2919: List-Id, List-Unsubscribe, List-Post…
    name.get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("List-"))
        .then_some("list")
}

#[cfg(test)]
mod tests {
    use super::reason;

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
        ] {
            assert!(reason([("From", "a@b"), (name, value)]).is_some(), "{name}: {value}");
        }
        for (name, value) in [
            ("Auto-Submitted", "no"),
            ("Auto-Submitted", " NO ; x=y"),
            ("Precedence", "first-class"),
            ("Return-Path", "<a@b>"),
            ("Listen", "x"),
            ("Subject", "List-Id"),
        ] {
            assert_eq!(reason([(name, value)]), None, "{name}: {value}");
        }
    }
}
