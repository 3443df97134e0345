//! A line a message in the log, for who asks for it (`VOXEA_LOG=debug`): enough to follow a call, and nothing of who calls.

use crate::flow::Flow;
use crate::wire::method::Method;

/// Octets of a message that are looked at.
const LOOKED_AT: usize = 8 * 1024;
/// The longest Call-ID that is shown, in octets.
const CALL_ID: usize = 128;

/// What a message is, without its addresses and words.
#[derive(Debug, Default, PartialEq, Eq)]
struct Summary<'m> {
    /// A method that we know, or a status.
    what: &'m str,
    /// The number of CSeq.
    cseq: &'m str,
    call_id: &'m str,
}

/// Writes the line of a message that came (`in`) or goes (`out`).
pub(super) fn message(way: &'static str, flow: &Flow, bytes: &[u8]) {
    if tracing::enabled!(tracing::Level::DEBUG)
        && let Some(Summary { what, cseq, call_id }) = summary(bytes)
    {
        let peer = format_args!("{}:{}", flow.transport, flow.remote);
        tracing::debug!(way, %peer, what, cseq, call_id, "a SIP message");
    }
}

/// Reads no more than it shows: what cannot be parsed has a line as well. `None` for a keep-alive.
fn summary(bytes: &[u8]) -> Option<Summary<'_>> {
    let looked_at = bytes.get(..LOOKED_AT.min(bytes.len()))?;
    let mut lines = looked_at.split(|octet| *octet == b'\n').map(<[u8]>::trim_ascii);
    let first = lines.by_ref().find(|line| !line.is_empty())?;
    let mut words = first.split(|octet| *octet == b' ');
    let word = shown(words.next()?);
    let what = match word {
        "SIP/2.0" => digits(shown(words.next().unwrap_or_default())),
        method if matches!(Method::parse(method), Some(Method::Known(_))) => method,
        _ => "unknown",
    };
    let mut found = Summary {
        what,
        ..Summary::default()
    };
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some(colon) = line.iter().position(|octet| *octet == b':') else {
            continue;
        };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        match name.trim_ascii() {
            name if name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i") => found.call_id = shown(value),
            name if name.eq_ignore_ascii_case(b"cseq") => {
                found.cseq = digits(shown(value.split(|octet| *octet == b' ').next().unwrap_or_default()));
            }
            _ => {}
        }
    }
    Some(found)
}

/// Text without anything that a terminal would act on; empty when there is such, or too much of it.
fn shown(octets: &[u8]) -> &str {
    let plain = octets.len() <= CALL_ID && octets.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(octets).ok().filter(|_| plain).unwrap_or_default()
}

fn digits(text: &str) -> &str {
    if text.len() <= 10 && text.bytes().all(|octet| octet.is_ascii_digit()) {
        text
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_can_be_followed_and_nobody_is_named() {
        let invite =
            b"\r\nINVITE sip:0612345678@h SIP/2.0\r\nFrom: <sip:0687654321@h>\r\ni : abc@host\r\nCSeq: 7 INVITE\r\n\r\nCall-ID: body";
        let expected = Summary {
            what: "INVITE",
            cseq: "7",
            call_id: "abc@host",
        };
        assert_eq!(summary(invite), Some(expected));
        let answer = summary(b"SIP/2.0 486 Busy 0612345678\nCALL-ID: x\nCSeq: 0612345678901 INVITE\n\n").unwrap();
        assert_eq!((answer.what, answer.cseq, answer.call_id), ("486", "", "x"));
        let strange = summary(b"0612345678 sip:h SIP/2.0\r\nCall-ID: \x1b[2J\r\n").unwrap();
        assert_eq!((strange.what, strange.call_id), ("unknown", ""));
        assert_eq!(summary(b"\r\n\r\n"), None);
    }
}
