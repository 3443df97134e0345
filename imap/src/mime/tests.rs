//! Mails as they come, good and bad.

use super::*;
use crate::dsn::Action;
use crate::prescan::Excess;
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
fn flowed_lines_are_put_together() {
    let sent = "Bonjour, \nun arbre est \ntombé.\n\nLe 3 mars 2026 à 10:12, x <m@x> a écrit :\n> y \n> z\n";
    let of = |parameters: &str| mail(&format!("Content-Type: text/plain; charset=utf-8{parameters}\n\n{sent}"));
    let flowed = of("; Format=Flowed");
    assert_eq!(flowed.text_stripped.as_deref(), Some("Bonjour, un arbre est tombé."));
    assert!(flowed.text.is_some_and(|text| text.ends_with("a écrit :\n> y z")));
    assert_eq!(of("").text_stripped.as_deref(), Some("Bonjour, \nun arbre est \ntombé."));
    let joined = of("; format=\"flowed\"; delsp=yes");
    assert_eq!(joined.text_stripped.as_deref(), Some("Bonjour,un arbre esttombé."));
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
fn what_has_no_type_is_text() {
    for kind in ["text", "plain", "text/markdown", "multipart/mixed"] {
        let mail = mail(&format!("From: a@b\nContent-Type: {kind}\n\nBonjour\n"));
        assert_eq!((mail.text.as_deref(), mail.attachments.len()), (Some("Bonjour"), 0), "{kind}");
    }
    // What is a file stays one.
    for kind in [
        "pdf; name=a.pdf",
        "text; name=a.txt",
        "text/markdown\nContent-Disposition: attachment",
        "application/pdf",
    ] {
        let mail = mail(&format!("From: a@b\nContent-Type: {kind}\n\nBonjour\n"));
        assert_eq!((mail.text.as_deref(), mail.attachments.len()), (None, 1), "{kind}");
    }
    let binary = mail("From: a@b\nContent-Type: pdf\n\n%PDF\0\n");
    assert_eq!((binary.text.as_deref(), binary.attachments.len()), (None, 1));
    let broken = mail("From: a@b\nContent-Type: application/pdf\nContent-Transfer-Encoding: base64\n\n%%%% no base64 %%%%\n");
    assert_eq!((broken.text.as_deref(), broken.attachments.len()), (None, 1));
    // Beside other parts too, where there is no better text.
    for kind in ["text", "text/markdown"] {
        let mail = mail(&format!(
            "From: a@b\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: {kind}\n\nBonjour\n--b\nContent-Type: application/pdf\n\n%PDF-\n--b--\n"
        ));
        assert_eq!(mail.text.as_deref(), Some("Bonjour"), "{kind}");
    }
    let begun = mail("From: a@b\nContent-Type: text/html\n<p>Bonjour</p>\n\n<p>suite</p>\n");
    assert_eq!(begun.text.as_deref(), Some("Bonjour\n\nsuite"));
    let begun = mail("From: a@b\nBonjour,\nj'ai un souci.\n\nCordialement\n");
    assert_eq!(begun.text.as_deref(), Some("Bonjour,\nj'ai un souci.\n\nCordialement"));
    let unseparated = mail("From: a@b\nSubject: x\nBonjour,\nun arbre: tombé.");
    assert_eq!(
        (unseparated.subject.as_deref(), unseparated.text.as_deref()),
        (Some("x"), Some("Bonjour,\nun arbre: tombé."))
    );
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
    let qmail = |from: &str| {
        mail(&format!(
            "From: {from}\n\nHi. This is the qmail-send program.\n\n<x@example.fr>:\nNo. (#5.1.1)\n\n--- Below\n\nMessage-ID: <ours@voxea>\n\nx\n"
        ))
    };
    assert_eq!(
        qmail("MAILER-DAEMON@mx.example").dsn.and_then(|dsn| dsn.status).as_deref(),
        Some("5.1.1")
    );
    assert_eq!(qmail("x@example.fr").dsn, None, "what a person wrote");
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
fn a_message_inside_a_transfer_encoding_is_a_file_like_any_other() {
    // Gmail forwards so; RFC 2046 §5.2.1 forbids it.
    let inner = "Subject: =?utf-8?Q?=C3=A9t=C3=A9?=\r\n\r\nBonjour\r\n";
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, inner);
    let mail = mail(&format!(
        "From: a@b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nVoir.\n--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n{encoded}\n--b--\n"
    ));
    assert_eq!(mail.text.as_deref(), Some("Voir."));
    let one = &mail.attachments[0];
    assert_eq!(
        (one.name.as_str(), one.media_type.as_str(), &one.bytes[..]),
        ("été.eml", "message/rfc822", inner.as_bytes())
    );
}

#[test]
fn a_field_of_any_length_swallows_no_other() {
    let long = format!(
        "From: a@b\nReferences: {}\nSubject: lu\n{}",
        "<x@y> ".repeat(3_000),
        "Content-Type: message/rfc822\n\n".repeat(70)
    );
    let mail = headers(long.as_bytes());
    assert_eq!((mail.subject.as_deref(), mail.references.len()), (Some("lu"), 1));
    let long = format!("From: {}@b\nSubject: lu\n\n", "a".repeat(9_000));
    assert_eq!(headers(long.as_bytes()).subject.as_deref(), Some("lu"));
}

#[test]
fn charsets_are_what_the_bytes_say() {
    let of = |head: &str, body: &[u8]| {
        let raw = [head.as_bytes(), b"\r\n\r\n", body].concat();
        read(&raw).unwrap().text.unwrap_or_default()
    };
    let words = b"l\x92\xe9t\xe9, 5 \x80";
    for head in [
        "X: y",
        "Content-Type: text/plain",
        "Content-Type: text/plain; charset=iso-8859-1",
        "Content-Type: text/plain; charset=\"utf-8\"",
        "Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit",
        "Content-Type: text/plain; charset=unknown-8bit",
        "Content-Type: text/plain; charset*0=iso-8859; charset*1=-1",
    ] {
        assert_eq!(of(head, words), "l’été, 5 €", "{head}");
    }
    assert_eq!(
        of(
            "Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable",
            b"l=92=E9t=E9"
        ),
        "l’été"
    );
    assert_eq!(of("Content-Type: text/plain; charset=utf-7", b"l'+AOk-t+AOk-"), "l'été");
    assert_eq!(of("Content-Type: text/html", b"<meta charset=windows-1251>\xcf\xf0"), "Пр");
    assert_eq!(of("Content-Type: text/plain; charset=iso-2022-jp", b"\x1b$B%O%m!<\x1b(B"), "ハロー");
    let headed = read(b"From: J\xe9r\xf4me <j@b>\r\nSubject: l\x92\xe9t\xe9 \x80\r\n\r\nx").unwrap();
    assert_eq!(
        (headed.from_name.as_deref(), headed.subject.as_deref()),
        (Some("Jérôme"), Some("l’été €"))
    );
}

#[test]
fn text_files_keep_their_bytes() {
    let raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nVoir.\r\n--b\r\nContent-Type: text/csv; charset=windows-1252; name=\"l\x92\xe9t\xe9.csv\"\r\n\r\na;\xe9\r\nb\r\n--b--\r\n";
    let mail = read(raw).unwrap();
    assert_eq!(mail.attachments[0].name, "l’été.csv");
    assert_eq!(&mail.attachments[0].bytes[..], b"a;\xe9\r\nb");
}

#[test]
fn images_of_the_text_are_told_from_files() {
    let mail = mail(
        "Content-Type: multipart/related; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>Voir <img src=\"cid:plan@x\" alt=plan></p>\n--b\nContent-Type: image/png; name=plan.png\nContent-ID: <plan@x>\nContent-Transfer-Encoding: base64\n\niVBORw0KGgo=\n--b\nContent-Type: application/pdf; name=a.pdf\nContent-ID: <pdf@x>\nContent-Disposition: attachment\n\n%PDF-\n--b--\n",
    );
    assert_eq!(mail.text.as_deref(), Some("Voir [plan]"));
    let seen: Vec<_> = mail
        .attachments
        .iter()
        .map(|one| (one.name.as_str(), one.inline, one.content_id.as_deref()))
        .collect();
    assert_eq!(seen, [("plan.png", true, Some("plan@x")), ("a.pdf", false, Some("pdf@x"))]);
}

#[test]
fn seals_are_flagged_and_not_broken() {
    let part = "Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: quoted-printable\n\nBonjour =E9\n";
    let signed = mail(&format!(
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; boundary=b\n\n--b\n{part}\n--b\nContent-Type: application/pkcs7-signature; name=smime.p7s\nContent-Transfer-Encoding: base64\n\nMIIB\n--b--\n"
    ));
    assert_eq!(
        (signed.signed, signed.encrypted, signed.text.as_deref()),
        (true, false, Some("Bonjour é"))
    );
    assert_eq!(
        (signed.attachments[0].name.as_str(), &signed.attachments[0].bytes[..]),
        ("smime.p7s", b"0\x82\x01".as_slice())
    );
    for (head, seals) in [
        (
            "Content-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m",
            (false, true),
        ),
        ("Content-Type: application/x-pkcs7-mime; name=smime.p7m", (false, true)),
        ("Content-Type: application/pkcs7-mime; smime-type=signed-data", (true, false)),
        ("Content-Type: text/plain", (false, false)),
    ] {
        let mail = mail(&format!("{head}\n\nx"));
        assert_eq!((mail.signed, mail.encrypted), seals, "{head}");
    }
    let encrypted = mail(
        "Content-Type: multipart/encrypted; protocol=\"application/pgp-encrypted\"; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b\nContent-Type: application/octet-stream\n\n-----BEGIN PGP MESSAGE-----\n--b--\n",
    );
    assert_eq!(
        (encrypted.signed, encrypted.encrypted, encrypted.attachments.len()),
        (false, true, 2)
    );
    assert!(mail("From: a@b\n\nBonjour\n-----BEGIN PGP MESSAGE-----\nx").encrypted);
    assert!(mail("From: a@b\n\n-----BEGIN PGP SIGNED MESSAGE-----\nx").signed);
    assert!(!mail("From: a@b\n\nQu'est-ce que -----BEGIN PGP MESSAGE----- ?").encrypted);
}

#[test]
fn a_winmail_dat_is_kept_and_flagged() {
    let tnef = mail(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nVoir.\n--b\nContent-Type: application/octet-stream; name=winmail.dat\nContent-Transfer-Encoding: base64\n\neJ8+IgAA\n--b--\n",
    );
    assert!(tnef.tnef);
    assert_eq!(
        (tnef.attachments[0].name.as_str(), tnef.attachments[0].media_type.as_str()),
        ("winmail.dat", "application/ms-tnef")
    );
}

#[test]
fn what_shows_html_is_made_of_the_mail_itself() {
    let raw = "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\ntexte\r\n--b\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p onclick=3Dx()>l'=E9t=E9</p>\r\n--b--\r\n";
    assert_eq!(safe_html(raw.as_bytes()).unwrap().html.trim(), "<p>l'été</p>");
    assert_eq!(safe_html(b"Subject: x\n\ntexte"), None);
    assert_eq!(safe_html("Content-Type: message/rfc822\n\n".repeat(70).as_bytes()), None);
}

#[test]
fn broken_encodings_lose_themselves_alone() {
    let html = mail("Content-Type: text/html\nContent-Transfer-Encoding: base64\n\nPHA+Qm9uam91cjwvcD4=!!!-?\n");
    assert_eq!(html.text.as_deref(), Some("Bonjour"));
    let text = mail("Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\nBonjour, ceci n'est pas de la base64.\n");
    assert!(text.text.is_some());
    let endless = mail("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nBonjour\n");
    assert_eq!(endless.text.as_deref(), Some("Bonjour"));
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
        let _ = safe_html(raw.as_bytes());
    }
}
