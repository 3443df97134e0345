//! The 49 messages of RFC 4475 through the parser, and bytes that nobody meant.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;
use voxea_sip::wire::stream::Framer;
use voxea_sip::wire::{self, Message, multipart};

use crate::bench::{Bench, invite};

/// What becomes of a message: it is understood, or refused with a status; `May` where the RFC leaves it open.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expect {
    Accepted,
    Refused(u16),
    /// Refused, and nobody is answered: a response.
    Dropped,
    /// RFC 4475 allows both; this is what we do.
    MayBeAccepted,
    MayBeRefused(u16),
}
use Expect::{Accepted, Dropped, MayBeAccepted, MayBeRefused, Refused};

/// Name, the RFC's paragraph, outcome.
const TABLE: [(&str, &str, Expect); 49] = [
    ("wsinv", "3.1.1.1", Accepted),
    ("intmeth", "3.1.1.2", Accepted),
    ("esc01", "3.1.1.3", Accepted),
    ("escnull", "3.1.1.4", Accepted),
    ("esc02", "3.1.1.5", Accepted),
    ("lwsdisp", "3.1.1.6", Accepted),
    ("longreq", "3.1.1.7", Accepted),
    ("dblreq", "3.1.1.8", Accepted),
    ("semiuri", "3.1.1.9", Accepted),
    ("transports", "3.1.1.10", Accepted),
    ("mpart01", "3.1.1.11", Accepted),
    ("unreason", "3.1.1.12", Accepted),
    ("noreason", "3.1.1.13", Accepted),
    ("badinv01", "3.1.2.1", Refused(400)),
    ("clerr", "3.1.2.2", Refused(400)),
    ("ncl", "3.1.2.3", Refused(400)),
    ("scalar02", "3.1.2.4", Refused(400)),
    ("scalarlg", "3.1.2.5", Dropped),
    ("quotbal", "3.1.2.6", Refused(400)),
    ("ltgtruri", "3.1.2.7", MayBeRefused(400)),
    ("lwsruri", "3.1.2.8", Refused(400)),
    ("lwsstart", "3.1.2.9", MayBeAccepted),
    ("trws", "3.1.2.10", MayBeAccepted),
    ("escruri", "3.1.2.11", MayBeAccepted),
    ("baddate", "3.1.2.12", MayBeAccepted),
    ("regbadct", "3.1.2.13", MayBeAccepted),
    ("badaspec", "3.1.2.14", MayBeAccepted),
    ("baddn", "3.1.2.15", MayBeAccepted),
    ("badvers", "3.1.2.16", Refused(505)),
    ("mismatch01", "3.1.2.17", Refused(400)),
    ("mismatch02", "3.1.2.18", Refused(400)),
    ("bigcode", "3.1.2.19", Dropped),
    ("badbranch", "3.2.1", Accepted),
    ("insuf", "3.3.1", Refused(400)),
    ("unkscm", "3.3.2", Accepted),
    ("novelsc", "3.3.3", Accepted),
    ("unksm2", "3.3.4", Accepted),
    ("bext01", "3.3.5", Accepted),
    ("invut", "3.3.6", Accepted),
    ("regaut01", "3.3.7", Accepted),
    ("multi01", "3.3.8", Refused(400)),
    ("mcl01", "3.3.9", Refused(400)),
    ("bcast", "3.3.10", Accepted),
    ("zeromf", "3.3.11", Accepted),
    ("cparam01", "3.3.12", Accepted),
    ("cparam02", "3.3.13", Accepted),
    ("regescrt", "3.3.14", Accepted),
    ("sdp01", "3.3.15", Accepted),
    ("inv2543", "3.4.1", Accepted),
];

fn torture(name: &str) -> Bytes {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/data/rfc4475");
    std::fs::read(folder.join(format!("{name}.dat"))).unwrap().into()
}

#[test]
fn every_message_of_rfc_4475_has_its_outcome() {
    let mut wrong = Vec::new();
    for (name, paragraph, expected) in TABLE {
        let found = match wire::parse(&torture(name)) {
            Ok(_) => Accepted,
            Err(refused) if refused.answerable.is_some() => Refused(refused.status),
            Err(_) => Dropped,
        };
        let right = match expected {
            MayBeAccepted => found == Accepted,
            MayBeRefused(status) => found == Refused(status),
            other => found == other,
        };
        if !right {
            wrong.push(format!("{name} ({paragraph}): expected {expected:?}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let accepted = TABLE.iter().filter(|(_, _, outcome)| *outcome == Accepted).count();
    let refused = TABLE
        .iter()
        .filter(|(_, _, outcome)| matches!(outcome, Refused(_) | Dropped))
        .count();
    assert_eq!((accepted, refused), (27, 14));
}

#[test]
fn what_the_hard_ones_say_is_understood() {
    let request = |name: &str| match wire::parse(&torture(name)) {
        Ok(Message::Request(request)) => request,
        other => panic!("{name}: {other:?}"),
    };
    let found = request("wsinv");
    assert_eq!(found.to.tag(), Some("1918181833n"));
    assert_eq!(found.from.display.as_deref(), Some("J Rosenberg \\\""));
    assert_eq!((found.cseq, found.max_forwards), (9, Some(68)));
    assert_eq!(found.via.host, "192.0.2.2");
    assert_eq!(found.headers.elements("Via").count(), 3);
    assert!(matches!(multipart::session(&found), multipart::Session::Sdp(_)));
    assert_eq!(request("esc01").uri.user().as_deref(), Some("sips:user@example.com"));
    assert_eq!(request("intmeth").from.tag(), Some("_token~1'+`*%!-."));
    assert_eq!(request("semiuri").uri.user().as_deref(), Some("user"));
    assert_eq!(request("dblreq").body.len(), 0);
    assert_eq!(request("longreq").headers.elements("Via").count(), 34);
    assert_eq!(request("badbranch").via.branch(), None);
}

fn swallow(bytes: Vec<u8>) {
    let bytes = Bytes::from(bytes);
    let mut bench = Bench::new();
    let before = bench.input(bytes.clone()).len();
    bench.pass(Duration::from_secs(100));
    let sent = bench.sent.len();
    assert!(before <= 2 && sent < 30, "{sent} answers to one datagram");
    assert!(bench.endpoint.is_idle(), "something is left over");
    if let Ok(Message::Request(request)) = wire::parse(&bytes) {
        let _ = multipart::session(&request);
    }
    let mut framer = Framer::default();
    for chunk in bytes.chunks(7) {
        framer.push(chunk);
        while framer.next().is_some() {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        swallow(bytes);
    }

    #[test]
    fn mutated_messages_never_panic(
        index in 0..52_usize,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4_u8), 1..20),
    ) {
        // Ours get past more checks than the RFC's, and their mutants too.
        let mut bytes = TABLE.get(index).map_or_else(|| invite("1").into_bytes(), |(name, ..)| torture(name).to_vec());
        for (at, byte, how) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = at.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => { bytes.remove(at); }
                _ => bytes.insert(at, b"\"<>;,:\r\n@%=[] "[usize::from(byte) % 14]),
            }
        }
        swallow(bytes);
    }
}
