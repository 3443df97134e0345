//! Headers that hand bytes out as a download and never as a page.

use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use voxea_rules::visible::is_hidden;

/// Names longer than this are cut: a header is no place for a novel. In characters.
const LONGEST_NAME: usize = 150;

/// The headers of a download. The media type is the sender's claim, so the browser is told to save, not to sniff.
pub(crate) fn headers(media_type: &str, name: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let binary = HeaderValue::from_static("application/octet-stream");
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(media_type).unwrap_or(binary));
    let disposition = HeaderValue::from_str(&disposition(name)).unwrap_or(HeaderValue::from_static("attachment"));
    headers.insert(CONTENT_DISPOSITION, disposition);
    // Should a browser show it all the same, then without scripts and without an origin.
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers
}

/// `attachment` with an ASCII name for old clients and the true one for the others (RFC 6266 §4.3, RFC 8187).
pub(crate) fn disposition(name: &str) -> String {
    let name = clean(name);
    let plain: String = name
        .chars()
        .map(|c| {
            if c.is_ascii() && c != '"' && c != '\\' && c != '%' {
                c
            } else {
                '_'
            }
        })
        .collect();
    let mut text = format!("attachment; filename=\"{plain}\"");
    if plain != name {
        text.push_str("; filename*=UTF-8''");
        for byte in name.bytes() {
            // RFC 8187 §3.2.1: attr-char.
            if byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                text.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    text
}

/// Without folders, control characters and bidirectional overrides, and never empty.
fn clean(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible = last.chars().filter(|char| !is_hidden(*char));
    let name: String = visible.take(LONGEST_NAME).collect();
    let name = name.trim().trim_start_matches('.');
    if name.is_empty() { "file".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_in_the_standards() {
        assert_eq!(disposition("plan.pdf"), "attachment; filename=\"plan.pdf\"");
        assert_eq!(
            disposition("relevé d'eau.pdf"),
            "attachment; filename=\"relev_ d'eau.pdf\"; filename*=UTF-8''relev%C3%A9%20d%27eau.pdf"
        );
        assert_eq!(
            disposition("a\"b.txt"),
            "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"
        );
    }

    #[test]
    fn a_name_cannot_leave_its_header_or_folder() {
        assert_eq!(disposition("../../etc/passwd"), "attachment; filename=\"passwd\"");
        assert_eq!(disposition("C:\\x\\y.doc"), "attachment; filename=\"y.doc\"");
        assert_eq!(disposition("a\r\nSet-Cookie: b"), "attachment; filename=\"aSet-Cookie: b\"");
        assert_eq!(disposition("\u{202e}fdp.exe"), "attachment; filename=\"fdp.exe\"");
        assert_eq!(disposition("/"), "attachment; filename=\"file\"");
        assert!(disposition(&"é".repeat(5000)).len() < 1500);
    }

    #[test]
    fn a_bad_media_type_becomes_binary() {
        assert_eq!(headers("text/html\r\nx: y", "a")["content-type"], "application/octet-stream");
    }
}
