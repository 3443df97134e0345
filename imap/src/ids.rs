//! Message-IDs (RFC 5322 §3.6.4), as `Message-ID`, `In-Reply-To` and `References` have them.

use crate::fields::unfold;

/// Longest Message-ID that is kept, in bytes; a longer one is none.
pub const BYTES: usize = 512;
/// Most of them that are taken from one field; the newest are last and most telling.
pub const MOST: usize = 50;

/// The ids of a field without their angle brackets, in order, each once, the last [`MOST`].
///
/// What stands beside ids in brackets is a comment ("Your message of …"); without any brackets each word that could be an
/// id is one. White space that folding left inside an id goes.
#[must_use]
pub fn of(value: &[u8]) -> Vec<String> {
    let line = unfold(value);
    let text = String::from_utf8_lossy(&line);
    let bracketed: Vec<String> = text.split('<').skip(1).filter_map(|piece| id(piece.split('>').next()?)).collect();
    let all = if text.contains('<') {
        bracketed
    } else {
        let words = text.split(|c: char| c.is_whitespace() || c == ',');
        words
            .filter(|word| word.contains('@') && !word.contains(['"', '(', ')', ';']))
            .filter_map(id)
            .collect()
    };
    let mut kept: Vec<String> = Vec::new();
    for one in all.into_iter().rev() {
        if kept.len() == MOST {
            break;
        }
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept.reverse();
    kept
}

/// The id of a `Message-ID` field. Where a program wrote no brackets, the whole of it is the id.
#[must_use]
pub fn own(value: &[u8]) -> Option<String> {
    let line = unfold(value);
    of(&line).into_iter().next().or_else(|| {
        let text = String::from_utf8_lossy(&line);
        if text.contains('<') { None } else { id(&text) }
    })
}

fn id(raw: &str) -> Option<String> {
    let clean: String = raw
        .chars()
        .filter(|c| !c.is_whitespace() && !c.is_control() && !matches!(c, '<' | '>'))
        .collect();
    (!clean.is_empty() && clean.len() <= BYTES).then_some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ids_are_read_as_programs_write_them() {
        for (value, ids) in [
            (b"<a@x>".as_slice(), vec!["a@x"]),
            (b" <a@x>\r\n <b@x>\t<c@x>", vec!["a@x", "b@x", "c@x"]),
            (b"<a@x><b@x>", vec!["a@x", "b@x"]),
            (b"<a@\r\n x>", vec!["a@x"]),
            (b"<a@x> (message from Jeanne <j@y>)", vec!["a@x", "j@y"]),
            (b"Your message of \"Mon, 2 Nov\" <a@x>", vec!["a@x"]),
            (b"a@x, b@x", vec!["a@x", "b@x"]),
            (b"Your message \"today\"", vec![]),
            (b"<a@x> <b@x> <a@x>", vec!["b@x", "a@x"]),
            (b"<>", vec![]),
            (b"<a@x", vec!["a@x"]),
        ] {
            assert_eq!(of(value), ids, "{}", String::from_utf8_lossy(value));
        }
        assert_eq!(own(b"<a@x>").as_deref(), Some("a@x"));
        assert_eq!(own(b" 1234-abcd ").as_deref(), Some("1234-abcd"));
        assert_eq!(own(b"<>"), None);
        let many: String = (0..200).map(|number| format!("<{number}@x> ")).collect();
        let kept = of(many.as_bytes());
        assert_eq!((kept.len(), kept.last().map(String::as_str)), (MOST, Some("199@x")));
        assert_eq!(own(format!("<{}@x>", "a".repeat(BYTES)).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_have_clean_ids(value in proptest::collection::vec(any::<u8>(), 0..300)) {
            for one in of(&value).into_iter().chain(own(&value)) {
                prop_assert!(!one.is_empty() && one.len() <= BYTES && !one.contains(['<', '>', '\r', '\n', '\0', ' ']));
            }
        }
    }
}
