//! Reply tokens in a mail: in the address that it was sent to, and in the Message-IDs that it answers.

use voxea_rules::reply_token;

/// How much of a mail's header is looked through, in bytes.
const HEADER_BYTES: usize = 256 * 1024;
/// Most tokens of one mail.
const MOST: usize = 8;
/// The fields in which the address stands that a mail was sent to; the last three are written by the servers that delivered it.
const FIELDS: [&str; 5] = ["to", "cc", "delivered-to", "x-original-to", "envelope-to"];

/// The tokens of a mail, the first the most telling: its recipients', then those of the ids that it answers, which are angle
/// bracketed or not.
///
/// Reads the bytes themselves: a display name that no parser understands must not hide the address behind it.
#[must_use]
pub fn all(raw: &[u8], message_ids: &[String]) -> Vec<String> {
    let header = raw.get(..raw.len().min(HEADER_BYTES)).unwrap_or_default();
    let mut tokens: Vec<String> = Vec::new();
    let mut wanted = false;
    for line in header.split(|byte| *byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            break;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
            wanted = FIELDS.iter().any(|field| name.eq_ignore_ascii_case(field.as_bytes()));
        }
        if wanted {
            words(line).for_each(|word| enter(&mut tokens, word));
        }
    }
    for id in message_ids {
        enter(&mut tokens, id.trim_matches(['<', '>']));
    }
    tokens
}

/// What may be an address in a line of a field.
fn words(line: &[u8]) -> impl Iterator<Item = &str> {
    line.split(|byte| byte.is_ascii_whitespace() || b"<>,;:\"'()".contains(byte))
        .filter(|word| word.contains(&b'@'))
        .filter_map(|word| std::str::from_utf8(word).ok())
}

fn enter(tokens: &mut Vec<String>, address: &str) {
    if let Some(token) = reply_token::of_address(address)
        && tokens.len() < MOST
        && !tokens.iter().any(|known| known.eq_ignore_ascii_case(token))
    {
        tokens.push(token.to_ascii_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn token(seed: u8) -> String {
        reply_token::encode(&[seed; reply_token::OCTETS])
    }

    #[test]
    fn whoever_folded_or_shouted_it() {
        let (one, two, three, four) = (token(1), token(2), token(3), token(4));
        let mail = format!(
            "From: c+{four}@example.org\r\nSubject: mairie+{four}@example.fr\r\n\
             To: \"Mairie, de\" Saint-Exemple <mairie+{}@example.fr>,\r\n autre@example.fr,\r\n\t<voirie+{two}@example.fr>\r\n\
             delivered-to: mairie+{one}@example.fr\r\n\r\nTo: mairie+{four}@example.fr\r\n",
            one.to_uppercase()
        );
        let ids = [
            format!("<0190.{three}@example.fr>"),
            format!("0191.{one}@example.fr"),
            "<x@y>".to_owned(),
        ];
        assert_eq!(all(mail.as_bytes(), &ids), [one, two, three]);
        assert_eq!(all(b"", &[]), [""; 0]);
    }

    #[test]
    fn what_no_parser_reads_hides_no_token() {
        let one = token(1);
        let mail = [b"To: \xe9t\xe9 \"\xff <mairie+", one.as_bytes(), b"@example.fr>\n\n"].concat();
        assert_eq!(all(&mail, &[]), [one]);
    }

    #[test]
    fn thousands_are_not_kept() {
        let mut mail = "To: ".to_owned();
        for seed in 0..=255 {
            mail.push_str(&format!("mairie+{}@example.fr,\r\n ", token(seed)));
        }
        assert_eq!(all(mail.as_bytes(), &[]).len(), MOST);
    }

    proptest! {
        #[test]
        fn no_mail_is_too_odd(raw in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = all(&raw, &[]);
        }
    }
}
