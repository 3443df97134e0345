//! Atom 1.0 (RFC 4287), paged as RFC 5005 §3 has it.

use std::fmt::Write as _;

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use voxea_core::base::time::{self, rfc3339};
use voxea_core::feed::Page;

use super::event::Event;
use crate::http::cursor;

/// The media type.
pub(crate) const MEDIA_TYPE: &str = "application/atom+xml";

/// A page as a feed document. `pairs` is the query that asked for it, from which those of the links are made.
pub(crate) fn answer(organisation: &str, pairs: &[(String, String)], page: Page, epoch: &str) -> Response {
    let text = document(organisation, pairs, page, epoch, time::now());
    (
        [(CONTENT_TYPE, HeaderValue::from_static("application/atom+xml;charset=utf-8"))],
        text,
    )
        .into_response()
}

fn document(organisation: &str, pairs: &[(String, String)], page: Page, epoch: &str, now: time::Millis) -> String {
    let next = cursor::of_feed(epoch, page.next);
    let updated = page.items.last().map_or(now, |event| event.at);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n\
         <id>urn:voxea:changes:{epoch}</id>\n<title>Voxea: changes</title>\n<updated>{}</updated>\n\
         <author><name>{}</name></author>\n<link rel=\"self\" href=\"{}\"/>\n<link rel=\"first\" href=\"{}\"/>\n\
         <link rel=\"next\" href=\"{}\"/>\n",
        rfc3339(updated),
        escaped(organisation),
        link(
            pairs,
            pairs.iter().find(|(name, _)| name == "after").map(|(_, value)| value.as_str())
        ),
        link(pairs, None),
        link(pairs, Some(&next)),
    );
    for event in page.items {
        let (id, at, subject, kind) = (event.id.clone(), event.at, event.subject.clone(), event.kind.clone());
        let request = event.channel.is_some();
        let content = serde_json::to_string(&Event::from(event)).unwrap_or_default();
        let (kind, subject) = (escaped(&kind), escaped(&subject));
        let _ = write!(
            text,
            "<entry>\n<id>urn:uuid:{}</id>\n<title>fr.voxea.{kind} {subject}</title>\n<updated>{}</updated>\n\
             <category term=\"fr.voxea.{kind}\"/>\n",
            escaped(&id),
            rfc3339(at),
        );
        if request {
            let _ = writeln!(text, "<link rel=\"related\" href=\"/v1/requests/{subject}\"/>");
        }
        let _ = write!(text, "<content type=\"text\">{}</content>\n</entry>\n", escaped(&content));
    }
    text.push_str("</feed>\n");
    text
}

/// The same query after another cursor.
fn link(pairs: &[(String, String)], after: Option<&str>) -> String {
    let kept = pairs
        .iter()
        .filter(|(name, _)| name != "after")
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let pairs: Vec<String> = kept
        .chain(after.map(|after| ("after", after)))
        .map(|(name, value)| format!("{name}={}", percent(value)))
        .collect();
    let mark = if pairs.is_empty() { "" } else { "?" };
    escaped(&format!("/v1/changes{mark}{}", pairs.join("&")))
}

/// What is not unreserved (RFC 3986 §2.3), percent-encoded.
fn percent(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Text in XML, in an element or between double quotes. What XML 1.0 has no character for becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(safe, "&#{};", u32::from(char));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use voxea_core::feed;

    use super::*;

    #[test]
    fn whatever_stands_in_an_event_the_document_is_whole() {
        let event = feed::Event {
            position: 3,
            id: "0190a1b2-0000-7000-8000-000000000001".to_owned(),
            kind: "channel.up".to_owned(),
            subject: "smpp/<a>&\"\u{1}".to_owned(),
            at: 0,
            data: r#"{"account":"smpp/<a>&"}"#.to_owned(),
            channel: None,
            theme: None,
            theme_from: None,
        };
        let page = Page {
            items: vec![event],
            next: 3,
            has_more: false,
        };
        let pairs = [
            ("type".to_owned(), "fr.voxea.channel.*".to_owned()),
            ("after".to_owned(), "x".to_owned()),
        ];
        let text = document("Mairie <d'Été>", &pairs, page, "00c0ffee", 0);
        let next = cursor::of_feed("00c0ffee", 3);
        assert!(text.contains(&format!(
            "<link rel=\"next\" href=\"/v1/changes?type=fr.voxea.channel.%2A&amp;after={next}\"/>"
        )));
        assert!(text.contains("<link rel=\"first\" href=\"/v1/changes?type=fr.voxea.channel.%2A\"/>"));
        assert!(text.contains("<id>urn:uuid:0190a1b2-0000-7000-8000-000000000001</id>"));
        assert!(text.contains("fr.voxea.channel.up smpp/&lt;a&gt;&amp;&quot;\u{fffd}</title>"));
        assert!(text.contains("<name>Mairie &lt;d'Été&gt;</name>"));
        assert_eq!(text.matches("<entry>").count(), text.matches("</entry>").count());
    }
}
