//! The nearest known name of one that is none: whoever mistyped it sees at once what was meant.

/// How alike two names must be, from 0 to 1, before one is proposed for the other.
const ALIKE: f64 = 0.75;

/// The known name that is most like another, if any is like it at all.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter().map(|known| (strsim::jaro_winkler(known, name), known));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score > ALIKE).map(|(_, known)| known)
}

/// `; did you mean …?`, or nothing.
pub fn hint<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |known| format!("; did you mean {known}?"))
}

/// What somebody sent, as far as it is repeated to them.
#[must_use]
pub fn quoted(name: &str) -> String {
    const LONGEST: usize = 60;
    let shown: String = name
        .chars()
        .take(LONGEST)
        .map(|char| if char.is_control() { '\u{fffd}' } else { char })
        .collect();
    let more = if name.chars().count() > LONGEST { "…" } else { "" };
    format!("`{shown}{more}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_recognised_and_nothing_is_guessed() {
        let known = ["voirie", "eclairage", "dechets"];
        assert_eq!(nearest("voiri", known), Some("voirie"));
        assert_eq!(nearest("eclairge", known), Some("eclairage"));
        assert_eq!(nearest("xyz", known), None);
        assert_eq!(nearest("voirie", []), None);
        assert_eq!(hint("voiri", known), "; did you mean voirie?");
        assert_eq!(hint("xyz", known), "");
        assert_eq!(quoted("a\nb"), "`a\u{fffd}b`");
        assert!(quoted(&"x".repeat(1000)).chars().count() < 70);
    }
}
