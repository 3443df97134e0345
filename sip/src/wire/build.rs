//! Messages of ours, as bytes.

use std::fmt::Write as _;

use bytes::Bytes;

use super::header::Headers;
use super::list;
use super::method::Method;
use super::via::Via;

/// A response under construction.
#[derive(Debug, Clone)]
pub struct Reply {
    status: u16,
    reason: Option<&'static str>,
    headers: Headers,
    body: Bytes,
}

impl Reply {
    /// A response that copies what RFC 3261 §8.2.6.2 wants copied. `via` is the topmost one, with `received`
    /// filled in; `tag` is added to To unless there is one or the response is 100.
    #[must_use]
    pub fn to(status: u16, request: &Headers, via: &Via, tag: &str) -> Self {
        let mut headers = Headers::default();
        headers.push("Via", &via.to_string());
        for below in request.elements("Via").skip(1) {
            headers.push("Via", below);
        }
        for name in ["From", "To", "Call-ID", "CSeq"] {
            let Some(value) = request.get(name) else { continue };
            if name == "To" && status > 100 && !has_tag(value) {
                headers.push(name, &format!("{value};tag={tag}"));
            } else {
                headers.push(name, value);
            }
        }
        if status == 100
            && let Some(stamp) = request.get("Timestamp")
        {
            headers.push("Timestamp", stamp);
        }
        Self {
            status,
            reason: None,
            headers,
            body: Bytes::new(),
        }
    }

    /// Its status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Another reason phrase than the standard's.
    #[must_use]
    pub const fn because(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// Says when to try again, in seconds, where the status goes with that (RFC 3261 §20.33).
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        if matches!(self.status, 404 | 413 | 480 | 486 | 500 | 503 | 600 | 603) {
            self.with("Retry-After", &seconds.to_string())
        } else {
            self
        }
    }

    /// Adds a header field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push(name, value);
        self
    }

    /// Copies every line of a header field of the request.
    #[must_use]
    pub fn copying(mut self, name: &str, request: &Headers) -> Self {
        for value in request.all(name) {
            self.headers.push(name, value);
        }
        self
    }

    /// Adds a session description.
    #[must_use]
    pub fn with_sdp(mut self, sdp: String) -> Self {
        self.headers.push("Content-Type", "application/sdp");
        self.body = sdp.into();
        self
    }

    /// The response as it goes out.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        let phrase = self.reason.map_or_else(|| reason(self.status), str::to_owned);
        finish(format!("SIP/2.0 {} {phrase}", self.status), &self.headers, &self.body)
    }
}

/// A request of ours; with a session description, unless that is empty.
#[must_use]
pub fn request(method: &Method, uri: &str, headers: &Headers, sdp: &str) -> Bytes {
    let start = format!("{method} {uri} SIP/2.0");
    if sdp.is_empty() {
        return finish(start, headers, &[]);
    }
    let mut headers = headers.clone();
    headers.push("Content-Type", "application/sdp");
    finish(start, &headers, sdp.as_bytes())
}

fn finish(start: String, headers: &Headers, body: &[u8]) -> Bytes {
    let mut head = start;
    let _ = write!(head, "\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes.into()
}

/// The reason phrase of a status: the name that rsip gives it, as words.
fn reason(status: u16) -> String {
    let code = rsip::StatusCode::from(status);
    let named = code.to_string();
    let name = named.split_once(' ').map_or("Other", |(_, name)| name);
    if name == "OK" {
        return name.to_owned();
    }
    let mut words = String::new();
    for (at, c) in name.chars().enumerate() {
        if at > 0 && c.is_ascii_uppercase() {
            words.push(' ');
        }
        words.push(c);
    }
    words
}

fn has_tag(value: &str) -> bool {
    let params = match list::find(value, b'>') {
        Some(end) => &value[end + 1..],
        None => value,
    };
    params.split(';').skip(1).any(|param| {
        let name = param.split('=').next().unwrap_or_default();
        name.trim().eq_ignore_ascii_case("tag")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_phrases_are_words() {
        assert_eq!(reason(200), "OK");
        assert_eq!(reason(100), "Trying");
        assert_eq!(reason(481), "Call Transaction Does Not Exist");
        assert_eq!(reason(299), "Other");
    }

    #[test]
    fn a_tag_is_added_once_and_only_where_it_belongs() {
        assert!(has_tag("<sip:a@b>;tag=1"));
        assert!(has_tag("sip:a@b;TAG = 1"));
        assert!(!has_tag("\"x;tag=1\" <sip:a@b;tag=2>"));
        let mut headers = Headers::default();
        headers.push("Via", "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b");
        headers.push("To", "<sip:a@b>");
        let via = Via::parse("SIP/2.0/UDP a;branch=z9hG4bK1;received=192.0.2.1").unwrap();
        let text = |status| String::from_utf8(Reply::to(status, &headers, &via, "T").into_bytes().to_vec()).unwrap();
        assert!(!text(100).contains("tag"));
        assert_eq!(
            text(404),
            "SIP/2.0 404 Not Found\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1;received=192.0.2.1\r\n\
             Via: SIP/2.0/UDP b\r\nTo: <sip:a@b>;tag=T\r\nContent-Length: 0\r\n\r\n"
        );
    }
}
