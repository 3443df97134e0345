//! Mails as they come, good and bad.

use super::*;
use proptest::prelude::*;

fn mail(raw: &str) -> Mail {
    read(raw.replace('\n', "\r\n").as_bytes()).unwrap()
}

#[test]
fn an_ordinary_mail_is_understood() {
    let mail = mail(
        "From: =?ISO-8859-1?Q?J=E9r=F4me_Mar=E7on?= <jerome@example.fr>\nTo: Mairie <mairie@example.fr>\nSubject: =?utf-8?B?TmlkIGRlIHBvdWxlIMOg?=\n =?utf-8?B?IG5vw6ts?=\nDate: Tue, 24 Nov 2026 09:00:00 +0100\nMessage-ID: <a1@example.fr>\nIn-Reply-To: <b@x>\nReferences: <a@x>\n <b@x>\nContent-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nBonjour,=20\nle caf=E9 ferme.\n\nLe 3 mars 2026 =E0 10:12, x <m@x> a =E9crit :\n> y\n",
    );
    assert_eq!(mail.from.as_deref(), Some("jerome@example.fr"));
    assert_eq!(mail.from_name.as_deref(), Some("Jérôme Marçon"));
    assert_eq!(mail.to.as_deref(), Some("mairie@example.fr"));
    assert_eq!(mail.subject.as_deref(), Some("Nid de poule à noël"));
    assert_eq!(mail.date_ms, Some(1_795_507_200_000));
    assert_eq!(mail.message_id.as_deref(), Some("a1@example.fr"));
    assert_eq!(mail.in_reply_to, ["b@x"]);
    assert_eq!(mail.references, ["a@x", "b@x"]);
    assert_eq!(
        mail.text.as_deref(),
        Some("Bonjour, \nle café ferme.\n\nLe 3 mars 2026 à 10:12, x <m@x> a écrit :\n> y")
    );
    assert_eq!(mail.text_stripped.as_deref(), Some("Bonjour, \nle café ferme."));
    assert_eq!((mail.automatic, mail.dsn), (None, None));
}

#[test]
fn nothing_missing_or_broken_prevents() {
    let bare = mail("X: y\n\nBonjour");
    assert_eq!(bare.text.as_deref(), Some("Bonjour"));
    assert_eq!((bare.from, bare.subject, bare.date_ms, bare.message_id), (None, None, None, None));
    let broken = mail("From: <<>>,;\nDate: hier\nSubject:\nMessage-ID: <>\n\nBonjour");
    assert_eq!((broken.subject, broken.date_ms), (None, None));
    assert_eq!(read(b""), Err(Unreadable::NoHeader));
}

#[test]
fn undeclared_latin_1_is_read() {
    let mail = read(b"Subject: \xe9t\xe9\nFrom: a@b\n\nl'\xe9t\xe9\0 vient").unwrap();
    assert_eq!(mail.subject.as_deref(), Some("été"));
    assert_eq!(mail.text.as_deref(), Some("l'été vient"));
}

#[test]
fn html_alone_becomes_text() {
    let mail = mail("From: a@b\nContent-Type: text/html; charset=utf-8\n\n<p>Bonjour&nbsp;!</p><p>Le <b>trou</b></p>");
    let text = mail.text.unwrap();
    assert!(
        text.contains("Bonjour") && text.contains("Le trou") && !text.contains('<'),
        "{text:?}"
    );
}

#[test]
fn attachments_are_named_typed_and_decoded() {
    let mail = mail(
        "From: a@b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nVoir ci-joint.\n--b\nContent-Type: application/octet-stream; name=\"/../../etc/passwd\"\nContent-Transfer-Encoding: base64\n\nJVBERi0xLjQK\n--b\nContent-Type: message/rfc822\n\nSubject: avant\n\nx\n--b\nContent-Type: text/plain\nContent-Disposition: attachment; filename*=utf-8''%C3%A9t%C3%A9.txt\n\nabc\n--b--\n",
    );
    assert_eq!(mail.text.as_deref(), Some("Voir ci-joint."));
    let seen: Vec<_> = mail
        .attachments
        .iter()
        .map(|one| (one.name.as_str(), one.media_type.as_str(), one.bytes.len()))
        .collect();
    assert_eq!(
        seen,
        [
            ("passwd", "application/pdf", 9),
            ("avant.eml", "message/rfc822", 19),
            ("été.txt", "text/plain", 3)
        ]
    );
}

#[test]
fn a_bounce_speaks_of_our_mail() {
    let bounce = mail(
        "From: MAILER-DAEMON@mx.example\nReturn-Path: <>\nAuto-Submitted: auto-replied\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nDésolé.\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; x@example.fr\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 inconnu\n\n--b\nContent-Type: text/rfc822-headers\n\nSubject: x\nMessage-ID: <ours@voxea>\n\n--b--\n",
    );
    assert!(bounce.automatic.is_some());
    let dsn = bounce.dsn.unwrap();
    assert_eq!(dsn.original_message_id.as_deref(), Some("ours@voxea"));
    assert_eq!(
        (dsn.action, dsn.status.as_deref(), dsn.diagnostic.as_deref()),
        (Action::Failed, Some("5.1.1"), Some("550 inconnu"))
    );
    let whole = mail(
        "From: a@b\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\nAction: delayed\n\n--b\nContent-Type: message/rfc822\n\nMessage-ID: <ours@voxea>\n\nx\n--b--\n",
    );
    assert_eq!(whole.dsn.and_then(|dsn| dsn.original_message_id).as_deref(), Some("ours@voxea"));
}

#[test]
fn a_bomb_gives_its_headers_and_nothing_else() {
    let bomb = format!(
        "From: a@b\nSubject: bombe\nMessage-ID: <z@z>\n{}",
        "Content-Type: message/rfc822\n\n".repeat(40_000)
    );
    assert_eq!(read(bomb.as_bytes()), Err(Unreadable::TooComplex(Excess::Messages)));
    let mail = headers(bomb.as_bytes());
    assert_eq!(
        (mail.from.as_deref(), mail.subject.as_deref(), mail.message_id.as_deref()),
        (Some("a@b"), Some("bombe"), Some("z@z"))
    );
    assert_eq!(headers(&[0xff; 4096]), Mail::default());
}

#[test]
fn deep_trees_are_taken_apart_without_recursion() {
    // Straight into the parser, past the bounds, on a small stack.
    let bomb = "Content-Type: message/rfc822\n\n".repeat(20_000);
    let taken_apart = std::thread::Builder::new()
        .stack_size(256 * 1024)
        .spawn(move || dismantle(MessageParser::default().parse(bomb.as_bytes()).unwrap()));
    taken_apart.unwrap().join().unwrap();
}

proptest! {
    #[test]
    fn no_bytes_are_too_strange(raw in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = read(&raw);
        let _ = headers(&raw);
    }

    #[test]
    fn no_mail_shaped_bytes_are_too_strange(raw in "(From|To|Date|Subject|Content-Type|References)?:? ?[<>@a-z=?;\"/\\-:\r\n ]{0,300}") {
        let _ = read(raw.as_bytes());
        let _ = headers(raw.as_bytes());
    }
}
