//! A mail from anybody: the pre-scan, the parser behind it, and what is kept of the mail.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::{bounded, contain};
use voxea_imap::{mime, prescan, quote};

// `mime::read` contains a panic of the parser and keeps the mail raw; only what it does not contain is a find.
fuzz_target!(init: contain("mail-parser"), |data: &[u8]| {
    let excess = bounded(|| prescan::check(data));
    let mail = bounded(|| mime::read(data));
    if excess.is_err() {
        assert!(mail.is_err(), "what the pre-scan refuses must not reach the parser");
    }
    let mail = mail.unwrap_or_else(|_| bounded(|| mime::headers(data)));
    if let Some(text) = &mail.text {
        assert!(!text.contains(['\0', '\r']));
        assert!(text.len() <= mime::TEXT_BYTES);
        bounded(|| quote::strip(text, mail.subject.as_deref()));
    }
    for kept in [&mail.subject, &mail.from, &mail.from_name, &mail.to, &mail.message_id].into_iter().flatten() {
        assert!(!kept.contains(['\0', '\r', '\n']), "one line and no NUL: {kept:?}");
    }
    for attachment in &mail.attachments {
        assert!(!attachment.name.contains(['/', '\\', '\0', '\r', '\n', '\u{202e}']), "a cleaned name: {:?}", attachment.name);
    }
});
