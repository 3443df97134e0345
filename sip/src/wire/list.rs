//! What header values are made of: quoted strings, lists, parameters (RFC 3261 §25.1).

/// Parameters as `;name=value`, in their order; names as written, quoted values without quotes.
pub type Params = Vec<(String, Option<String>)>;

/// The value of a parameter, by its name in any case.
#[must_use]
pub fn param<'a>(params: &'a Params, name: &str) -> Option<&'a str> {
    params
        .iter()
        .find(|(found, _)| found.eq_ignore_ascii_case(name))
        .and_then(|(_, value)| value.as_deref())
}

/// Splits a value at the commas that stand neither in quotes nor in angle brackets.
pub fn split(value: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let text = rest?;
        match find(text, b',') {
            Some(at) => {
                rest = Some(&text[at + 1..]);
                Some(text[..at].trim())
            }
            None => {
                rest = None;
                Some(text.trim())
            }
        }
    })
}

/// Where `wanted` (ASCII) first stands outside quotes and angle brackets.
pub(crate) fn find(text: &str, wanted: u8) -> Option<usize> {
    let (mut quoted, mut escaped, mut angle) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        if byte == wanted && !(angle && byte != b'>') {
            return Some(at);
        }
        match byte {
            b'"' => quoted = true,
            b'<' => angle = true,
            b'>' => angle = false,
            _ => {}
        }
    }
    None
}

/// Reads a quoted string at the start of `text`; gives its content and what follows it.
pub(crate) fn quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut content = String::new();
    let mut escaped = false;
    for (at, c) in inner.char_indices() {
        match c {
            _ if escaped => {
                content.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => return Some((content, &inner[at + 1..])),
            _ => content.push(c),
        }
    }
    None
}

/// Reads `;a=b;c` to its end. `None` when a parameter has no name, or a quote is not closed or not around a value.
#[must_use]
pub fn params(text: &str) -> Option<Params> {
    let mut found = Params::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        rest = rest.strip_prefix(';')?;
        let end = find(rest, b';').unwrap_or(rest.len());
        let (one, after) = rest.split_at(end);
        let (name, value) = match one.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim())),
            None => (one.trim(), None),
        };
        // A quote stands only around a whole value; elsewhere it would swallow what follows when it is written out.
        if name.is_empty() || name.contains(['"', '<', '>', ',']) {
            return None;
        }
        let value = match value {
            Some(value) if value.starts_with('"') => {
                let (content, left) = quoted(value)?;
                if !left.trim().is_empty() {
                    return None;
                }
                Some(content)
            }
            Some(value) if value.contains('"') => return None,
            other => other.map(str::to_owned),
        };
        found.push((name.to_owned(), value));
        rest = after;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_and_brackets_do_not_split() {
        let parts: Vec<&str> = split("\"a, \\\"b\" <sip:x,y@z>;q=1, <sip:c@d>").collect();
        assert_eq!(parts, ["\"a, \\\"b\" <sip:x,y@z>;q=1", "<sip:c@d>"]);
    }

    #[test]
    fn parameters_keep_order_and_lose_quotes() {
        let found = params(" ; lr ;\ttag = \"x;y\" ").unwrap();
        assert_eq!(found, [("lr".to_owned(), None), ("tag".to_owned(), Some("x;y".to_owned()))]);
        assert_eq!(params(";;"), None);
        assert_eq!(params(";a=\"open"), None);
    }
}
