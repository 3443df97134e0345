//! Characters that a name must not have, because whoever reads it does not see them.
//!
//! Control characters, and the twelve characters with which a text turns the direction of what follows (Unicode's property
//! `Bidi_Control`, UAX #9 §2): with U+202E, `gpj.exe` is read as `exe.jpg`, and a name of a citizen can rewrite the line in
//! which an agent reads it. Letters of right-to-left scripts need none of them to be shown as they should.

/// Whether a character turns the direction of a text without being seen.
#[must_use]
pub const fn turns_direction(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a name may not have a character.
#[must_use]
pub fn is_hidden(char: char) -> bool {
    char.is_control() || turns_direction(char)
}

/// Takes out what turns the direction of a name that came from outside, where nothing is refused.
pub fn straighten(name: &mut String) {
    if name.contains(turns_direction) {
        name.retain(|char| !turns_direction(char));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_as_it_is_written() {
        let of = |name: &str| {
            let mut name = name.to_owned();
            straighten(&mut name);
            name
        };
        assert_eq!(of("Claire\u{202e} tnegA"), "Claire tnegA");
        assert_eq!(of("\u{2067}a\u{2069}\u{200f}\u{61c}"), "a");
        for kept in ["Zoé d'Hôtel-Dieu", "שרה", "محمد", "李", "a\u{200d}b", "a\nb"] {
            assert_eq!(of(kept), kept);
        }
        assert!(is_hidden('\n') && is_hidden('\u{202e}') && !is_hidden('é') && !is_hidden(' '));
    }
}
