//! Trunks with a password: who is let in, from no state, and what our own requests prove.

use std::time::Duration;

use voxea_sip::auth::{Allowed, Credentials, Login, Realm};
use voxea_sip::call::EndedBy;
use voxea_sip::endpoint::{Event, Limits};
use voxea_sip::policy::Trunk;
use voxea_tests::sip::digest::{Account, field};

use crate::bench::{Bench, OFFER, beside, first_line, header, inside, invite, invite_with, message};

const SECOND: Duration = Duration::from_secs(1);
const URI: &str = "sip:3000@192.0.2.10";

fn guarded() -> Trunk {
    let credentials = Credentials::new("voix", "s3cret");
    Trunk {
        realm: Some(Realm {
            name: "pbx".to_owned(),
            credentials: credentials.clone(),
            allowed: Allowed::Sha,
        }),
        login: Some(Login::new(credentials, Allowed::Sha)),
        ..Bench::pbx()
    }
}

fn bench() -> Bench {
    Bench::of(guarded(), Limits::default())
}

fn account() -> Account {
    Account::new("voix", "s3cret")
}

/// An INVITE that answers a challenge.
fn proved(id: &str, challenge: &str, count: &str) -> String {
    let credentials = account().answer(challenge, "INVITE", URI, count);
    invite_with(id, "3000", &format!("Authorization: {credentials}\r\n"), OFFER)
}

/// The strongest challenge that an INVITE without credentials gets.
fn challenged(bench: &mut Bench) -> String {
    let answers = bench.input(invite("first"));
    assert_eq!(first_line(&answers[0]), "SIP/2.0 401 Unauthorized");
    header(&answers[0], "WWW-Authenticate").unwrap().to_owned()
}

fn answer(bench: &Bench, status: &str, extra: &str) -> String {
    let copy = |name| format!("{name}: {}\r\n", header(bench.last(), name).unwrap());
    let copied: String = ["Via", "From", "To", "Call-ID", "CSeq"].into_iter().map(copy).collect();
    format!("SIP/2.0 {status}\r\n{copied}{extra}Content-Length: 0\r\n\r\n")
}

#[test]
fn a_call_without_credentials_costs_no_state_and_no_look_at_its_body() {
    let mut bench = bench();
    for text in [
        invite("1"),
        // Neither the line nor the body is looked at before.
        invite_with("2", "9999", "", "v=0\r\nm=audio 1 RTP/AVP 18\r\n"),
        invite("3").replace("application/sdp", "text/plain"),
    ] {
        let answers = bench.input(text);
        assert_eq!(first_line(&answers[0]), "SIP/2.0 401 Unauthorized");
        let offered: Vec<Option<String>> = answers[0]
            .lines()
            .filter_map(|line| line.strip_prefix("WWW-Authenticate: "))
            .map(|challenge| field(challenge, "algorithm"))
            .collect();
        assert_eq!(offered, [Some("SHA-512-256".to_owned()), Some("SHA-256".to_owned())]);
        assert!(!answers[0].to_ascii_lowercase().contains("voxea"));
    }
    assert!(bench.input(beside("ACK", "1", ";tag=x")).is_empty());
    assert_eq!(
        bench.status(beside("CANCEL", "1", "")),
        "SIP/2.0 481 Call Transaction Does Not Exist"
    );
    assert!(bench.events.is_empty());
    bench.pass(33 * SECOND);
    assert!(bench.endpoint.is_idle());
    let options = message(
        "OPTIONS",
        URI,
        "o",
        "From: <sip:a@h>;tag=1\r\nTo: <sip:a@h>\r\nCall-ID: o\r\nCSeq: 1 OPTIONS\r\n",
        "",
    );
    assert_eq!(bench.status(options), "SIP/2.0 200 OK", "whether we are there is no secret");
}

#[test]
fn credentials_open_once_and_their_replay_is_told_to_come_anew() {
    let mut bench = bench();
    let challenge = challenged(&mut bench);
    let first = bench.offered(proved("1", &challenge, "00000001"));
    assert!(
        !first.identity.contains("|1|"),
        "a retry after a crash has the next CSeq: {}",
        first.identity
    );
    // The same credentials in another request, and a lower count.
    for (id, count) in [("2", "00000001"), ("3", "00000000")] {
        let answers = bench.input(proved(id, &challenge, count));
        assert_eq!(first_line(&answers[0]), "SIP/2.0 401 Unauthorized");
        let fresh = header(&answers[0], "WWW-Authenticate").unwrap();
        assert_eq!(field(fresh, "stale").as_deref(), Some("true"));
        assert_ne!(field(fresh, "nonce"), field(&challenge, "nonce"));
    }
    bench.offered(proved("4", &challenge, "00000002"));
    bench.pass(Duration::from_secs(301));
    let answers = bench.input(proved("5", &challenge, "00000003"));
    let fresh = answers.iter().find(|text| text.contains(" 401 ")).unwrap();
    assert_eq!(field(header(fresh, "WWW-Authenticate").unwrap(), "stale").as_deref(), Some("true"));
    let tally = bench.endpoint.tally(0);
    assert_eq!((tally.calls, tally.refused), (2, 0));
}

#[test]
fn a_retransmitted_call_is_no_replay() {
    let mut bench = bench();
    let challenge = challenged(&mut bench);
    bench.offered(proved("1", &challenge, "00000001"));
    bench.pass(Duration::from_millis(300));
    assert_eq!(bench.status(proved("1", &challenge, "00000001")), "SIP/2.0 100 Trying");
}

#[test]
fn guesses_are_refused_then_slowed_down() {
    let mut bench = Bench::of(
        guarded(),
        Limits {
            refusals: 3,
            ..Limits::default()
        },
    );
    let challenge = challenged(&mut bench);
    let guess = |n: usize| {
        let wrong = Account::new("voix", &format!("guess{n}")).answer(&challenge, "INVITE", URI, "00000001");
        invite_with(&format!("g{n}"), "3000", &format!("Authorization: {wrong}\r\n"), OFFER)
    };
    for n in 0..20 {
        assert_eq!(bench.status(guess(n)), "SIP/2.0 401 Unauthorized");
        assert!(!bench.last().contains("stale"));
    }
    for n in 20..23 {
        assert_eq!(bench.status(guess(n)), "SIP/2.0 403 Forbidden");
    }
    assert!(bench.input(guess(23)).is_empty(), "nor is every one of them told so");
    assert!(bench.endpoint.is_idle() && bench.events.is_empty());
    assert_eq!(bench.endpoint.tally(0).refused, 24);
    bench.pass(3 * SECOND);
    bench.offered(proved("1", &challenge, "00000001"));
}

#[test]
fn a_digest_for_another_number_is_a_bad_request() {
    let mut bench = bench();
    let challenge = challenged(&mut bench);
    let other = account().answer(&challenge, "INVITE", "sip:4000@192.0.2.10", "00000001");
    assert_eq!(
        bench.status(invite_with("1", "3000", &format!("Authorization: {other}\r\n"), OFFER)),
        "SIP/2.0 400 Digest URI Differs"
    );
}

#[test]
fn a_dialog_is_bound_to_where_it_came_from() {
    let mut bench = bench();
    let challenge = challenged(&mut bench);
    // "1", since the bench's dialogs are of that call.
    let call = bench.offered(proved("1", &challenge, "00000001")).call;
    let tag = crate::bench::tag(&bench.accept(call));
    assert!(bench.input(inside("ACK", 1, &tag, "ack", "")).is_empty());
    let home = bench.flow;
    bench.flow.remote = "192.0.2.66:5060".parse().unwrap();
    assert_eq!(bench.status(inside("BYE", 2, &tag, "b1", "")), "SIP/2.0 401 Unauthorized");
    assert_eq!(
        bench.status(inside("BYE", 2, "unknown", "b2", "")),
        "SIP/2.0 481 Call Transaction Does Not Exist"
    );
    let fresh = bench.sent.iter().rev().find(|(_, _, text)| text.contains(" 401 ")).unwrap();
    let fresh = header(&fresh.2, "WWW-Authenticate").unwrap().to_owned();
    let bye = account().answer(&fresh, "BYE", "sip:192.0.2.10:5060", "00000001");
    let proved = inside("BYE", 3, &tag, "b3", "").replace("Contact:", &format!("Authorization: {bye}\r\nContact:"));
    assert_eq!(bench.status(proved), "SIP/2.0 200 OK", "a PBX of two machines proves itself");
    bench.flow = home;
    // And without anything from where the call came from.
    let call = bench
        .offered(
            invite_with(
                "1",
                "3000",
                &format!("Authorization: {}\r\n", account().answer(&challenge, "INVITE", URI, "00000002")),
                OFFER,
            )
            .replace("z9hG4bK1", "z9hG4bK9")
            .replace("CSeq: 1 ", "CSeq: 7 "),
        )
        .call;
    let tag = crate::bench::tag(&bench.accept(call));
    assert!(bench.input(inside("ACK", 7, &tag, "ack2", "")).is_empty());
    assert_eq!(bench.status(inside("BYE", 8, &tag, "b4", "")), "SIP/2.0 200 OK");
}

#[test]
fn our_bye_and_update_are_proved_once() {
    let mut bench = bench();
    let challenge = challenged(&mut bench);
    let extra = format!(
        "Authorization: {}\r\nSupported: timer\r\nAllow: UPDATE\r\nSession-Expires: 90;refresher=uas\r\n",
        account().answer(&challenge, "INVITE", URI, "00000001")
    );
    let call = bench.offered(invite_with("1", "3000", &extra, OFFER)).call;
    let tag = crate::bench::tag(&bench.accept(call));
    assert!(bench.input(inside("ACK", 1, &tag, "ack", "")).is_empty());
    bench.events.clear();
    bench.pass(46 * SECOND);
    assert!(bench.last().starts_with("UPDATE sip:pbx@192.0.2.1:5080 "));
    let asks = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\r\n";
    bench.input(answer(&bench, "401 Unauthorized", asks));
    let update = bench.last().to_owned();
    assert!(account().opens(header(&update, "Authorization").unwrap(), "UPDATE"), "{update}");
    assert_eq!(
        field(header(&update, "Authorization").unwrap(), "uri").as_deref(),
        Some("sip:pbx@192.0.2.1:5080")
    );
    assert_eq!(header(&update, "CSeq"), Some("2 UPDATE"));
    assert_eq!(header(&update, "Session-Expires"), Some("90;refresher=uac"));
    bench.input(answer(&bench, "200 OK", ""));
    bench.hangup(call);
    assert!(matches!(bench.events.pop(), Some(Event::Ended { by: EndedBy::Us, .. })));
    bench.input(answer(&bench, "407 Proxy Authentication Required", &asks.replace("WWW", "Proxy")));
    let bye = bench.last().to_owned();
    assert!(bye.starts_with("BYE ") && account().opens(header(&bye, "Proxy-Authorization").unwrap(), "BYE"));
    let before = bench.sent.len();
    bench.input(answer(&bench, "407 Proxy Authentication Required", &asks.replace("WWW", "Proxy")));
    assert_eq!(
        (bench.sent.len(), bench.endpoint.calls()),
        (before, 0),
        "once; the call is over in any case"
    );
}

#[test]
fn an_ask_hears_the_peer_or_silence() {
    let mut bench = Bench::new();
    let ask = crate::bench::options();
    let first = bench.endpoint.ask(bench.flow, &ask, bench.now);
    bench.pass(Duration::from_millis(1));
    assert!(bench.last().starts_with("OPTIONS sip:192.0.2.1:5060 SIP/2.0\r\n"));
    bench.input(answer(&bench, "405 No", ""));
    let Some(Event::Answer {
        ask: found,
        response: Some(response),
    }) = bench.events.pop()
    else {
        panic!("no answer");
    };
    assert_eq!((found, response.status), (first, 405));
    bench.endpoint.ask(bench.flow, &ask, bench.now);
    bench.pass(Duration::from_secs(33));
    assert!(matches!(bench.events.pop(), Some(Event::Answer { response: None, .. })));
    let third = bench.endpoint.ask(bench.flow, &ask, bench.now);
    bench.endpoint.give_up(third);
    bench.pass(Duration::from_secs(33));
    assert!(bench.events.is_empty() && bench.endpoint.is_idle());
}

#[test]
fn our_invite_is_proved_where_a_peer_knows_no_update() {
    let mut bench = bench();
    let challenge = challenged(&mut bench);
    let extra = format!(
        "Authorization: {}\r\nSupported: timer\r\nSession-Expires: 90;refresher=uas\r\n",
        account().answer(&challenge, "INVITE", URI, "00000001")
    );
    let call = bench.offered(invite_with("1", "3000", &extra, OFFER)).call;
    let tag = crate::bench::tag(&bench.accept(call));
    assert!(bench.input(inside("ACK", 1, &tag, "ack", "")).is_empty());
    bench.pass(46 * SECOND);
    assert!(bench.last().starts_with("INVITE sip:pbx@192.0.2.1:5080 "));
    let asks = "WWW-Authenticate: Digest realm=\"pbx\", nonce=\"n\", qop=\"auth\", algorithm=SHA-256\r\n";
    let sent = bench.input(answer(&bench, "401 Unauthorized", asks));
    assert_eq!((sent.len(), sent[0].starts_with("ACK ")), (2, true), "{sent:#?}");
    assert!(account().opens(header(&sent[1], "Authorization").unwrap(), "INVITE"), "{}", sent[1]);
    assert_eq!(header(&sent[1], "CSeq"), Some("2 INVITE"));
    assert!(sent[1].contains("\r\n\r\nv=0\r\n"), "{}", sent[1]);
    let sent = bench.input(answer(&bench, "401 Unauthorized", asks));
    assert_eq!((sent.len(), sent[0].starts_with("ACK ")), (1, true), "once");
}
