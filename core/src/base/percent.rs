//! Texts within a URL.

/// What is not unreserved (RFC 3986 §2.3) as `%` and two digits, byte by byte: a value of a query, a form or a path.
#[must_use]
pub fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let escape = |byte: u8| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_has_a_meaning_is_escaped() {
        assert_eq!(super::encode("Mairie d'Été & co/~a"), "Mairie%20d%27%C3%89t%C3%A9%20%26%20co%2F~a");
    }
}
