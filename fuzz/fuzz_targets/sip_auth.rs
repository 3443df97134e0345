//! Credentials and challenges of digest, which are read before anybody is known: nothing but the password opens, and
//! what is written can be read.
#![no_main]

use std::time::Instant;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_sip::auth::{Allowed, Asked, Credentials, Fields, Guard, Login, Realm, Verdict};
use voxea_sip::wire::uri::Uri;
use voxea_sip::wire::{self, Message};

fuzz_target!(|text: &str| bounded(|| play(text)));

fn play(text: &str) {
    let _ = Fields::parse(text);
    let credentials = Credentials::new("voix", "a password that no fuzzer finds");
    let realm = Realm { name: "pbx".to_owned(), credentials: credentials.clone(), allowed: Allowed::Any };
    let uri = Uri::parse("sip:3000@h").expect("a URI");
    let (mut guard, now) = (Guard::new(&[7; 32]), Instant::now());
    for challenge in guard.challenges(&realm, true, now) {
        assert!(Fields::parse(&challenge).is_some_and(|fields| fields.get("nonce").is_some()));
    }
    let asked = Asked { method: "INVITE", uri: &uri, source: [192, 0, 2, 1].into() };
    let verdict = guard.check(&realm, asked, text.lines(), now);
    assert!(!matches!(verdict, Verdict::Passed | Verdict::Misdirected | Verdict::Throttled), "{verdict:?}");

    // Whatever a peer challenges with, what we answer is one line that reads back.
    let lines: String = text.lines().map(|line| format!("WWW-Authenticate: {line}\r\n")).collect();
    let response = format!(
        "SIP/2.0 401 No\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:a@h>;tag=2\r\nCall-ID: 1\r\n\
         CSeq: 1 REGISTER\r\n{lines}\r\n"
    );
    let Ok(Message::Response(response)) = wire::parse(&Bytes::from(response)) else { return };
    let mut login = Login::new(credentials, Allowed::Any);
    if login.challenged(&response).is_ok() {
        let (_, answer) = login.authorization("REGISTER", "sip:h", "c").expect("a challenge is there");
        assert!(!answer.contains(['\r', '\n']));
        // A challenge that is nearly as long as any makes an answer that is longer.
        if answer.len() <= 4_096 {
            let fields = Fields::parse(&answer).expect("what we write can be read");
            assert_eq!(fields.get("username"), Some("voix"));
        }
    }
}
