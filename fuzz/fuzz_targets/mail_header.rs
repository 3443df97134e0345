//! Header fields: their splitting, encoded words, parameters, addresses, the server's findings.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_imap::{address, authenticity, compose, fields, mime, words};

fuzz_target!(|data: &[u8]| {
    let (header, body) = fields::split(data);
    assert!(header.len() + body.len() <= data.len());
    bounded(|| {
        for field in fields::of(header) {
            assert!(field.value.len() <= fields::VALUE_BYTES && !field.name.is_empty());
            let text = words::text(field.value);
            assert!(text.len() <= field.value.len() * 4 + 16);
            let _ = words::parameters(field.value);
            if let Some(found) = address::first(field.value) {
                assert!(!found.address.contains(['\0', '\r', '\n']) && found.address.len() <= address::BYTES);
                let written_to = compose::recipient(&found.address);
                assert!(written_to.is_none_or(|to| !to.contains(' ')), "what has a blank is not written to");
                assert!(found.name.is_none_or(|name| !name.contains(['\0', '\r', '\n'])));
            }
        }
    });
    bounded(|| words::text(data));
    bounded(|| words::parameters(data));
    bounded(|| address::first(data));
    bounded(|| authenticity::trusted(data, "mx.example.fr"));
    let mail = bounded(|| mime::headers(data));
    for kept in [&mail.subject, &mail.from, &mail.from_name, &mail.to, &mail.message_id].into_iter().flatten() {
        assert!(!kept.contains(['\0', '\r', '\n']), "one line and no NUL: {kept:?}");
    }
});
