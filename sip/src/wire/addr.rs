//! `name-addr / addr-spec` of From, To, Contact, Route and their kin (RFC 3261 §20.10).

use super::list::{self, Params};
use super::uri::Uri;

/// A display name, a URI, and the header's own parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameAddr {
    /// Display name, unquoted; `None` when absent or empty.
    pub display: Option<String>,
    /// The address.
    pub uri: Uri,
    /// Parameters of the header, not of the URI.
    pub params: Params,
}

impl NameAddr {
    /// Reads one element. `None` when quotes or brackets are open, or the URI is broken.
    ///
    /// More tolerant than the grammar where real peers are sloppy: a display name may be any text before `<`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.starts_with('"') {
            let (display, rest) = list::quoted(text)?;
            return bracketed(display, rest.trim_start());
        }
        if let Some(at) = text.find('<') {
            let (display, rest) = text.split_at(at);
            if display.contains('"') {
                return None;
            }
            return bracketed(display.trim().to_owned(), rest);
        }
        // Without brackets every parameter is the header's (RFC 3261 §20).
        let end = text.find(';').unwrap_or(text.len());
        let (uri, params) = text.split_at(end);
        Some(Self {
            display: None,
            uri: Uri::parse(uri)?,
            params: list::params(params)?,
        })
    }

    /// The `tag` parameter.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        list::param(&self.params, "tag")
    }
}

fn bracketed(display: String, rest: &str) -> Option<NameAddr> {
    let (uri, params) = rest.strip_prefix('<')?.split_once('>')?;
    let display = Some(display).filter(|name| !name.is_empty());
    Some(NameAddr {
        display,
        uri: Uri::parse(uri)?,
        params: list::params(params)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_names_of_all_sorts() {
        let with = |text| NameAddr::parse(text).map(|found| (found.display, found.params.len()));
        assert_eq!(
            with("\"Durand, <Zoé>\" <sip:a@b;x>;tag=1"),
            Some((Some("Durand, <Zoé>".to_owned()), 1))
        );
        assert_eq!(with("caller<sip:a@b>"), Some((Some("caller".to_owned()), 0)));
        assert_eq!(with("sip:a@b;tag=1;x"), Some((None, 2)));
        assert_eq!(with("< sip:a@b >"), Some((None, 0)));
        assert_eq!(with("<sip:a@b;ob>;+sip.instance=\"<urn:uuid:1>\""), Some((None, 1)));
        assert_eq!(with("\"open <sip:a@b>"), None);
        assert_eq!(with("<sip:a@b"), None);
        assert_eq!(with("<sip:a@b>x"), None);
    }
}
