//! Header fields: rsip's list, asked by name.

use rsip::Header;
use rsip::headers::UntypedHeader as _;

/// The header fields of one message, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(rsip::Headers);

impl Headers {
    /// Appends one field. A name that rsip models becomes its variant; any other is kept as it was written.
    pub fn push(&mut self, name: &str, value: &str) {
        let name = long_name(name);
        // A field never carries a line end: what is echoed cannot become a header of its own.
        let value = value.replace(['\r', '\n'], " ");
        let tokens = rsip::headers::header::Tokenizer::from((name.as_bytes(), value.as_bytes()));
        let header: Result<Header, _> = tokens.try_into();
        self.0
            .push(header.unwrap_or_else(|_| Header::Other(name.to_owned(), value.clone())));
    }

    /// The first value of a field, by its long name in any case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter()
            .find(|(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Every value of a field, one per line of the message.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Every element of a field whose lines are comma-separated lists (RFC 3261 §7.3.1).
    pub fn elements<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all(name).flat_map(super::list::split).filter(|element| !element.is_empty())
    }

    /// Name and value of every field.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(view)
    }
}

impl std::fmt::Display for Headers {
    /// The fields, each with its line end, without the empty line that closes them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Compact names (RFC 3261 §7.3.3 and the registry of RFC 3968).
fn long_name(name: &str) -> &str {
    let &[letter] = name.as_bytes() else { return name };
    match letter.to_ascii_lowercase() {
        b'a' => "Accept-Contact",
        b'b' => "Referred-By",
        b'c' => "Content-Type",
        b'd' => "Request-Disposition",
        b'e' => "Content-Encoding",
        b'f' => "From",
        b'i' => "Call-ID",
        b'j' => "Reject-Contact",
        b'k' => "Supported",
        b'l' => "Content-Length",
        b'm' => "Contact",
        b'n' => "Identity-Info",
        b'o' => "Event",
        b'r' => "Refer-To",
        b's' => "Subject",
        b't' => "To",
        b'u' => "Allow-Events",
        b'v' => "Via",
        b'x' => "Session-Expires",
        b'y' => "Identity",
        _ => name,
    }
}

macro_rules! names {
    ($header:expr, $($variant:ident => $name:literal),* $(,)?) => {
        match $header {
            $(Header::$variant(inner) => ($name, inner.value()),)*
            Header::Other(name, value) => (name, value),
        }
    };
}

fn view(header: &Header) -> (&str, &str) {
    names!(header,
        Accept => "Accept", AcceptEncoding => "Accept-Encoding", AcceptLanguage => "Accept-Language",
        AlertInfo => "Alert-Info", Allow => "Allow", AuthenticationInfo => "Authentication-Info",
        Authorization => "Authorization", CSeq => "CSeq", CallId => "Call-ID", CallInfo => "Call-Info",
        Contact => "Contact", ContentDisposition => "Content-Disposition",
        ContentEncoding => "Content-Encoding", ContentLanguage => "Content-Language",
        ContentLength => "Content-Length", ContentType => "Content-Type", Date => "Date",
        ErrorInfo => "Error-Info", Event => "Event", Expires => "Expires", From => "From",
        InReplyTo => "In-Reply-To", MaxForwards => "Max-Forwards", MimeVersion => "MIME-Version",
        MinExpires => "Min-Expires", Organization => "Organization", Priority => "Priority",
        ProxyAuthenticate => "Proxy-Authenticate", ProxyAuthorization => "Proxy-Authorization",
        ProxyRequire => "Proxy-Require", RecordRoute => "Record-Route", ReplyTo => "Reply-To",
        Require => "Require", RetryAfter => "Retry-After", Route => "Route", Server => "Server",
        Subject => "Subject", SubscriptionState => "Subscription-State", Supported => "Supported",
        Timestamp => "Timestamp", To => "To", Unsupported => "Unsupported", UserAgent => "User-Agent",
        Via => "Via", Warning => "Warning", WwwAuthenticate => "WWW-Authenticate",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_compact_name_is_found_by_its_long_one() {
        let mut headers = Headers::default();
        headers.push("v", "SIP/2.0/UDP a, SIP/2.0/UDP b");
        headers.push("X", "90");
        headers.push("x-mine", "1");
        assert_eq!(headers.elements("via").count(), 2);
        assert_eq!(headers.get("Session-Expires"), Some("90"));
        assert_eq!(headers.get("X-Mine"), Some("1"));
    }

    #[test]
    fn a_value_cannot_bring_a_line_end() {
        let mut headers = Headers::default();
        headers.push("To", "<sip:a@b>\r\nX-Evil: 1");
        assert_eq!(headers.to_string(), "To: <sip:a@b>  X-Evil: 1\r\n");
    }
}
