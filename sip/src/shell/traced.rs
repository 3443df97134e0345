//! A line a message in the log, for who asks for it (`VOXEA_LOG=debug`): enough to follow a call, and nothing of who calls.

use std::collections::HashSet;

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
    /// The number of CSeq, and the method that it names.
    cseq: &'m str,
    method: &'m str,
    call_id: &'m str,
}

/// Writes the line of a message that came (`in`) or goes (`out`). Of a call that is `paused` no INFO is told: each may be a
/// key, and how many there were is a code's length.
pub(super) fn message(way: &'static str, flow: &Flow, bytes: &[u8], paused: &HashSet<String>) {
    if tracing::enabled!(tracing::Level::DEBUG)
        && let Some(found) = summary(bytes)
        && !is_hushed(&found, paused)
    {
        let Summary { what, cseq, call_id, .. } = found;
        let peer = format_args!("{}:{}", flow.transport, flow.remote);
        tracing::debug!(way, %peer, what, cseq, call_id, "a SIP message");
    }
}

/// Whether a message may tell of a key in a pause. What cannot be told apart counts as such while there is any pause.
fn is_hushed(found: &Summary<'_>, paused: &HashSet<String>) -> bool {
    let may_be_key = found.what == "INFO" || matches!(found.method, "INFO" | "");
    let may_be_paused = paused.contains(found.call_id) || (found.call_id.is_empty() && !paused.is_empty());
    may_be_key && may_be_paused
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
                let mut words = value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(shown);
                found.cseq = digits(words.next().unwrap_or_default());
                found.method = words.next().unwrap_or_default();
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
            method: "INVITE",
            call_id: "abc@host",
        };
        assert_eq!(summary(invite), Some(expected));
        let answer = summary(b"SIP/2.0 486 Busy 0612345678\nCALL-ID: x\nCSeq: 0612345678901 INVITE\n\n").unwrap();
        assert_eq!((answer.what, answer.cseq, answer.call_id), ("486", "", "x"));
        let strange = summary(b"0612345678 sip:h SIP/2.0\r\nCall-ID: \x1b[2J\r\n").unwrap();
        assert_eq!((strange.what, strange.call_id), ("unknown", ""));
        assert_eq!(summary(b"\r\n\r\n"), None);
    }

    #[test]
    fn no_line_tells_of_a_key_in_a_pause() {
        let paused: HashSet<String> = ["a".to_owned()].into();
        let hushed = |message: &[u8], paused: &HashSet<String>| is_hushed(&summary(message).unwrap(), paused);
        for key in [
            &b"INFO sip:h SIP/2.0\r\nCall-ID: a\r\nCSeq: 3 INFO\r\n\r\n"[..],
            b"SIP/2.0 200 OK\r\ni: a\r\nCSeq:  3\tINFO\r\n\r\n",
            b"INFO sip:h SIP/2.0\r\nCSeq: 3 INFO\r\n\r\n",
            b"x\r\nCall-ID: a\r\n\r\n",
        ] {
            assert!(hushed(key, &paused) && !hushed(key, &HashSet::new()));
        }
        for other in [
            &b"INFO sip:h SIP/2.0\r\nCall-ID: b\r\nCSeq: 3 INFO\r\n\r\n"[..],
            b"BYE sip:h SIP/2.0\r\nCall-ID: a\r\nCSeq: 3 BYE\r\n\r\n",
            b"SIP/2.0 200 OK\r\nCall-ID: a\r\nCSeq: 3 INVITE\r\n\r\n",
        ] {
            assert!(!hushed(other, &paused));
        }
    }
}
