//! The session description of a body: alone, or one part of a multipart (RFC 5621).

use super::Request;
use super::header::Headers;

/// Parts of a multipart that are looked at, nested ones counted.
const MAX_PARTS: usize = 16;

/// What a body has to offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Session {
    /// No body: the peer wants our offer.
    None,
    /// A session description.
    Sdp(String),
    /// Something that is not understood: 415.
    Unknown,
}

/// Finds the session description of a request; trunks send one beside ISUP or location parts.
#[must_use]
pub fn session(request: &Request) -> Session {
    described(&request.headers, &request.body)
}

/// The same of any message.
#[must_use]
pub fn described(headers: &Headers, body: &[u8]) -> Session {
    if body.is_empty() {
        return Session::None;
    }
    if headers
        .get("Content-Encoding")
        .is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"))
    {
        return Session::Unknown;
    }
    let kind = headers.get("Content-Type").unwrap_or_default();
    let mut left = MAX_PARTS;
    find(kind, &String::from_utf8_lossy(body), &mut left).map_or(Session::Unknown, Session::Sdp)
}

fn find(kind: &str, body: &str, left: &mut usize) -> Option<String> {
    let (kind, params) = kind.split_at(kind.find(';').unwrap_or(kind.len()));
    let kind = kind.trim().to_ascii_lowercase();
    if kind == "application/sdp" {
        return Some(body.to_owned());
    }
    if !kind.starts_with("multipart/") {
        return None;
    }
    let params = super::list::params(params)?;
    let boundary = format!("--{}", super::list::param(&params, "boundary").filter(|text| !text.is_empty())?);
    for part in body.split(boundary.as_str()).skip(1) {
        *left = left.checked_sub(1)?;
        if part.starts_with("--") {
            return None;
        }
        let part = part.strip_prefix("\r\n").or_else(|| part.strip_prefix('\n')).unwrap_or(part);
        let (head, content) = part.split_once("\r\n\r\n").or_else(|| part.split_once("\n\n"))?;
        let named = head.lines().filter_map(|line| line.split_once(':'));
        let kind = named.into_iter().find(|(name, _)| name.trim().eq_ignore_ascii_case("content-type"));
        if let Some((_, kind)) = kind
            && let Some(found) = find(kind.trim(), content, left)
        {
            return Some(found);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_is_found_beside_other_parts() {
        let body = "--x\r\nContent-Type: application/isup\r\n\r\n\u{1}\r\n--x\r\ncontent-type: application/sdp\r\n\r\nv=0\r\n\r\n--x--\r\n";
        let mut left = MAX_PARTS;
        assert_eq!(
            find("multipart/mixed; boundary=\"x\"", body, &mut left).as_deref(),
            Some("v=0\r\n\r\n")
        );
        assert_eq!(find("multipart/mixed", body, &mut left), None);
        assert_eq!(find("text/plain", "v=0", &mut left), None);
    }
}
