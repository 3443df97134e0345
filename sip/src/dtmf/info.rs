//! Keys in INFO: `application/dtmf-relay` (`Signal=5`, `Duration=160`) and `application/dtmf` (`5`).
//!
//! Neither is a standard; both predate info packages (RFC 6086 §2 calls that legacy use), and PBXs send them.

use super::Digit;
use crate::wire::Request;
use crate::wire::list;

/// What can be understood, for `Accept` of a 415.
pub const ACCEPT: &str = "application/dtmf-relay, application/dtmf";

/// A body longer than this is no key, in octets.
const LONGEST: usize = 1_024;

/// What an INFO says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Info {
    /// Nothing for us: no body, an optional one, or a signal that is no key. 200.
    Nothing,
    /// A key. 200.
    Key(Digit),
    /// A body that should hold a key and does not: 400.
    Unreadable,
    /// A body of another kind: 415.
    Unsupported,
    /// A package, and we asked for none: 469 (RFC 6086 §4.2.2).
    Package,
}

/// Reads an INFO.
#[must_use]
pub fn read(request: &Request) -> Info {
    let headers = &request.headers;
    if headers.get("Info-Package").is_some() {
        return Info::Package;
    }
    if request.body.is_empty() {
        return Info::Nothing;
    }
    let kind = headers.get("Content-Type").unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = kind == "application/dtmf-relay" || kind == "application/dtmf";
    let coded = headers
        .get("Content-Encoding")
        .is_some_and(|coding| !coding.eq_ignore_ascii_case("identity"));
    if !known || coded {
        // RFC 3261 §20.11: what is not said to be optional must be understood.
        let disposition = headers.get("Content-Disposition").unwrap_or_default();
        let params = disposition.split_at(disposition.find(';').unwrap_or(disposition.len())).1;
        let params = list::params(params).unwrap_or_default();
        let optional = list::param(&params, "handling").is_some_and(|handling| handling.eq_ignore_ascii_case("optional"));
        return if optional { Info::Nothing } else { Info::Unsupported };
    }
    match std::str::from_utf8(&request.body) {
        Ok(body) if body.len() <= LONGEST => key(body),
        _ => Info::Unreadable,
    }
}

/// The one sign of a body of either kind; peers mix the two up.
fn key(body: &str) -> Info {
    let signal = body
        .lines()
        .filter_map(|line| line.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("signal"));
    let sign = match signal {
        Some((_, sign)) => sign.trim(),
        None if body.contains('=') => return Info::Unreadable,
        None => body.trim(),
    };
    let mut signs = sign.chars();
    let one = signs.next().filter(|_| signs.next().is_none());
    // Some send the event's code where others send the sign: 10 is *, 11 is #.
    let found = one.and_then(Digit::of_char).or_else(|| sign.parse().ok().and_then(Digit::of_event));
    match found {
        Some(digit) => Info::Key(digit),
        // A hook flash.
        None if matches!(sign, "!" | "16") || sign.eq_ignore_ascii_case("hf") => Info::Nothing,
        None => Info::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{self, Message};
    use proptest::prelude::*;

    fn info(head: &str, body: &str) -> Info {
        let text = format!(
            "INFO sip:3000@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>;tag=2\r\n\
             Call-ID: 1\r\nCSeq: 1 INFO\r\n{head}Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        match wire::parse(&text.into()) {
            Ok(Message::Request(request)) => read(&request),
            other => panic!("{other:?}"),
        }
    }

    fn of(sign: char) -> Info {
        Digit::of_char(sign).map_or(Info::Unreadable, Info::Key)
    }

    #[test]
    fn both_kinds_as_peers_write_them() {
        let relay = "Content-Type: application/dtmf-relay\r\n";
        for (body, expected) in [
            ("Signal=5\r\nDuration=160\r\n", of('5')),
            ("Signal= #\r\nDuration= 250", of('#')),
            ("signal = b\n", of('B')),
            ("Duration=100\r\nSignal=10", of('*')),
            ("Signal=16\r\n", Info::Nothing),
            ("Signal=hf\r\n", Info::Nothing),
            ("Signal=\r\n", Info::Unreadable),
            ("Signal=55\r\n", Info::Unreadable),
            ("Duration=160\r\n", Info::Unreadable),
        ] {
            assert_eq!(info(relay, body), expected, "{body:?}");
        }
        let plain = "Content-Type: Application/DTMF;charset=utf-8\r\n";
        for (body, expected) in [
            ("9", of('9')),
            ("*\r\n", of('*')),
            ("11", of('#')),
            ("Signal=4\r\n", of('4')),
            ("x", Info::Unreadable),
        ] {
            assert_eq!(info(plain, body), expected, "{body:?}");
        }
        assert_eq!(info(plain, &"0".repeat(2_000)), Info::Unreadable);
    }

    #[test]
    fn other_bodies_are_said_to_be_other() {
        assert_eq!(info("", ""), Info::Nothing);
        assert_eq!(info("Content-Type: application/media_control+xml\r\n", "<x/>"), Info::Unsupported);
        assert_eq!(info("", "5"), Info::Unsupported);
        assert_eq!(
            info("Content-Type: text/plain\r\nContent-Disposition: render;handling=optional\r\n", "5"),
            Info::Nothing
        );
        assert_eq!(
            info("Content-Type: application/dtmf\r\nContent-Encoding: gzip\r\n", "5"),
            Info::Unsupported
        );
        assert_eq!(
            info("Info-Package: infoDtmf\r\nContent-Type: application/dtmf\r\n", "5"),
            Info::Package
        );
    }

    proptest! {
        #[test]
        fn never_panics(body in "\\PC{0,80}") {
            let _ = key(&body);
        }
    }
}
