//! Identifiers: UUIDv7 as text, so that they sort by the time of their making.

/// A fresh identifier.
#[must_use]
pub fn new() -> String {
    uuid::Uuid::now_v7().hyphenated().to_string()
}

/// Whether a text has an identifier's form; what has not need not be looked up.
#[must_use]
pub fn is_valid(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    #[test]
    fn ids_are_well_formed_and_rise() {
        let (a, b) = (super::new(), super::new());
        assert!(super::is_valid(&a) && a < b);
        assert!(!super::is_valid("1"));
    }
}
