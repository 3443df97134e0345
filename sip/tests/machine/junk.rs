//! What strangers to every dialog send leaves nothing behind.

use crate::bench::{Bench, OFFER, beside, first_line, inside, invite, message};

#[test]
fn requests_without_effect_are_refused_from_no_state() {
    let mut bench = Bench::new();
    let (_, tag) = bench.talking();
    let held = bench.endpoint.held();
    for number in 0..1_000 {
        let branch = format!("junk{number}");
        let head = format!("From: <sip:a@h>;tag=1\r\nTo: <sip:3000@h>\r\nCall-ID: {branch}\r\nCSeq: 1 ");
        for (text, expected) in [
            (
                message("SUBSCRIBE", "sip:3000@h", &branch, &format!("{head}SUBSCRIBE\r\n"), ""),
                "405 Method Not Allowed",
            ),
            (
                message("X", "sip:3000@h", &branch, &format!("{head}X\r\n"), ""),
                "501 Not Implemented",
            ),
            (
                message("BYE", "sip:3000@h", &branch, &format!("{head}BYE\r\n"), ""),
                "481 Call Transaction Does Not Exist",
            ),
            (beside("CANCEL", &branch, ""), "481 Call Transaction Does Not Exist"),
            (inside("INFO", 9, "nobody", &branch, ""), "481 Call Transaction Does Not Exist"),
        ] {
            let answers = bench.input(text.clone());
            assert_eq!(first_line(&answers[0]), format!("SIP/2.0 {expected}"));
            assert_eq!(bench.input(text), answers, "the same request, the same answer, the same tag");
        }
    }
    assert_eq!(bench.endpoint.held(), held, "something is remembered of junk");
    assert_eq!(
        bench.status(inside("UPDATE", 2, &tag, "u", OFFER)),
        "SIP/2.0 200 OK",
        "the call goes on"
    );
}

#[test]
fn a_cancel_finds_its_invite_all_the_same() {
    let mut bench = Bench::new();
    bench.offered(invite("1"));
    let answers = bench.input(beside("CANCEL", "1", ""));
    assert_eq!(first_line(&answers[0]), "SIP/2.0 200 OK");
    assert_eq!(
        bench.endpoint.held().transactions,
        2,
        "it is remembered, so that it has its effect once"
    );
}
