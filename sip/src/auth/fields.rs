//! The parameters of a challenge or of credentials: `Digest realm="a", nonce="b", nc=00000001` (RFC 3261 §25.1).

use crate::wire::list;
use crate::wire::method::is_token;

/// Longer values are no digest: nonces are 64 characters or so.
const MAX_LENGTH: usize = 4_096;
/// RFC 7616 knows a dozen parameters.
const MAX_FIELDS: usize = 32;

/// What stands behind `Digest`, quotes taken off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads the value of an authentication header. `None` when the scheme is another, when it is too long or not well
    /// formed, or when a parameter stands twice: whoever checks the one must not act on the other.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        if value.len() > MAX_LENGTH {
            return None;
        }
        let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let mut found: Vec<(String, String)> = Vec::new();
        let mut rest = rest.trim();
        loop {
            let (name, after) = rest.split_once('=')?;
            let name = name.trim();
            if name.is_empty() || !name.bytes().all(is_token) {
                return None;
            }
            let after = after.trim_start();
            let (content, left) = if after.starts_with('"') {
                list::quoted(after)?
            } else {
                let (word, left) = after.split_at(after.find(',').unwrap_or(after.len()));
                let word = word.trim_end();
                if word.is_empty() || word.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '\\')) {
                    return None;
                }
                (word.to_owned(), left)
            };
            if found.len() == MAX_FIELDS || found.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                return None;
            }
            found.push((name.to_owned(), content));
            rest = left.trim_start();
            // A comma at the end is what some peers write.
            let next = rest.strip_prefix(',').map(str::trim_start);
            match next {
                Some(next) if !next.is_empty() => rest = next,
                Some(_) => return Some(Self(found)),
                None if rest.is_empty() => return Some(Self(found)),
                None => return None,
            }
        }
    }

    /// A parameter, by its name in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_with_and_without_quotes() {
        let fields = Fields::parse("Digest username=\"a \\\"b\\\", c\", nc=00000001 ,\tQOP=auth,opaque=\"\",").unwrap();
        assert_eq!(fields.get("Username"), Some("a \"b\", c"));
        assert_eq!((fields.get("nc"), fields.get("qop")), (Some("00000001"), Some("auth")));
        assert_eq!((fields.get("opaque"), fields.get("realm")), (Some(""), None));
    }

    #[test]
    fn what_is_no_digest_is_none() {
        let many: String = (0..40).map(|n| format!("p{n}=1,")).collect();
        let long = format!("Digest nonce=\"{}\"", "a".repeat(MAX_LENGTH));
        let many = format!("Digest {many}");
        for text in [
            "",
            "Digest",
            "Digest ",
            "Basic YQ==",
            "Digest realm",
            "Digest realm=",
            "Digest =1",
            "Digest realm=\"open",
            "Digest realm=\"a\" nonce=\"b\"",
            "Digest realm=a b",
            "Digest nc=1, NC=2",
            "Digest re alm=1",
            &many,
            &long,
        ] {
            assert_eq!(Fields::parse(text), None, "{text}");
        }
    }
}
