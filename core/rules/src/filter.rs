//! What a query names of which some are shown: parameters that come once, lists of names, and patterns of dotted names.

/// Names that one list may have.
pub const MOST: usize = 64;

/// A parameter that came more often than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Twice;

/// A list of more than [`MOST`] names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMany;

/// The value of a parameter that may come once.
///
/// # Errors
/// [`Twice`].
pub fn once<'a>(pairs: &'a [(String, String)], name: &str) -> Result<Option<&'a str>, Twice> {
    let mut values = pairs.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        _ => Err(Twice),
    }
}

/// The names of a parameter that may come several times, each time with commas between, as they are spelt.
///
/// # Errors
/// [`TooMany`].
pub fn list<'a>(pairs: &'a [(String, String)], name: &str) -> Result<Vec<&'a str>, TooMany> {
    let values = pairs.iter().filter(|(key, _)| key == name);
    let names: Vec<&str> = values.flat_map(|(_, value)| value.split(',')).take(MOST + 1).collect();
    if names.len() > MOST { Err(TooMany) } else { Ok(names) }
}

/// Whether a pattern means a name of parts with dots between: the name itself, or a beginning of whole parts with a star for the
/// rest; the star alone means every name.
#[must_use]
pub fn means(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => (prefix.is_empty() || prefix.ends_with('.')) && name.starts_with(prefix),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(query: &[(&str, &str)]) -> Vec<(String, String)> {
        query.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn a_parameter_comes_once_or_as_a_list() {
        let query = pairs(&[("type", "a,b"), ("after", "x"), ("type", "c"), ("none", "")]);
        assert_eq!(once(&query, "after"), Ok(Some("x")));
        assert_eq!(once(&query, "limit"), Ok(None));
        assert_eq!(once(&query, "type"), Err(Twice));
        assert_eq!(list(&query, "type"), Ok(vec!["a", "b", "c"]));
        assert_eq!(list(&query, "none"), Ok(vec![""]));
        assert_eq!(list(&query, "theme"), Ok(vec![]));
        let full = "a,".repeat(MOST - 1);
        assert_eq!(list(&pairs(&[("theme", &full)]), "theme").map(|names| names.len()), Ok(MOST));
        assert_eq!(list(&pairs(&[("theme", &full), ("theme", "a")]), "theme"), Err(TooMany));
    }

    #[test]
    fn a_star_stands_for_whole_parts() {
        for (pattern, name, meant) in [
            ("request.created", "request.created", true),
            ("request.*", "request.created", true),
            ("request.*", "requests.created", false),
            ("req*", "request.created", false),
            ("*", "request.created", true),
            ("*.created", "request.created", false),
            ("request", "request.created", false),
            ("request.created.*", "request.created", false),
            ("**", "request.created", false),
            ("", "request.created", false),
        ] {
            assert_eq!(means(pattern, name), meant, "{pattern} {name}");
        }
    }
}
