//! Domains of mail addresses that are written beyond ASCII (RFC 5890): `mairie@été.example` and `mairie@xn--t-9fab.example` are one
//! address.

use std::borrow::Cow;

/// An address with its domain as the DNS knows it: lower case, punycode for what is beyond ASCII (UTS 46). What stands before the last
/// `@` stays as it is; so does an address whose domain cannot be spelt so, and a domain that is ASCII already.
#[must_use]
pub fn ascii(address: &str) -> Cow<'_, str> {
    let Some((local, domain)) = address.rsplit_once('@').filter(|(_, domain)| !domain.is_ascii()) else {
        return Cow::Borrowed(address);
    };
    // What the library lets pass is more than a name may be (RFC 1123 §2.1).
    let label = |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let sound = |domain: &String| domain.len() <= 253 && domain.split('.').all(label);
    match idna::domain_to_ascii(domain).ok().filter(sound) {
        Some(domain) => Cow::Owned(format!("{local}@{domain}")),
        None => Cow::Borrowed(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_one_spelling() {
        for written in ["Zoé@été.example", "Zoé@ÉTÉ.example", "Zoé@e\u{301}te\u{301}.example"] {
            assert_eq!(ascii(written), "Zoé@xn--t-9fab.example", "{written:?}");
        }
        // A full stop of another script parts labels too (UTS 46 §2.3).
        assert_eq!(ascii("a@école\u{3002}fr"), "a@xn--cole-9oa.fr");
        for same in [
            "a@xn--t-9fab.example",
            "a@Example.fr",
            "zoé@example.fr",
            "",
            "@",
            "a",
            "a@é é.fr",
            "a@\u{200d}.fr",
        ] {
            assert!(
                matches!(ascii(same), Cow::Borrowed(kept) if kept == same),
                "{same:?}: {}",
                ascii(same)
            );
        }
        let long = format!("a@{}.fr", "é".repeat(300));
        assert_eq!(ascii(&long), long, "no label of the DNS has more than 63 octets");
    }
}
