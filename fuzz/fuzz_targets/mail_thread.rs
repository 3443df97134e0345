//! By what a mail finds its thread, and by what it is known again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_imap::{dedup, ids, mime};

fuzz_target!(|data: &[u8]| {
    let mail = bounded(|| mime::headers(data));
    let found = bounded(|| ids::of(data)).into_iter().chain(ids::own(data));
    let found = found.chain(mail.message_id).chain(mail.in_reply_to).chain(mail.references);
    for id in found {
        assert!(!id.is_empty() && id.len() <= ids::BYTES);
        assert!(!id.contains(['<', '>', '\0', '\r', '\n', ' ']), "a clean id: {id:?}");
    }
    let key = bounded(|| dedup::content(data, true));
    assert!(key.len() <= 80 && dedup::content(data, true) == key);
    // A copy finds itself, whole or by its header.
    for whole in [true, false] {
        let key = dedup::content(data, whole);
        let copies = bounded(|| dedup::copies(data, whole, &key));
        assert!(copies.kept.contains(&key) && copies.sought.contains(&key));
        assert!(copies.kept.len() <= 3 && copies.sought.len() <= 3, "{copies:?}");
    }
    // Another server's line ends are the same mail.
    let text = data.iter().all(|byte| *byte != b'\r');
    if text {
        let folded: Vec<u8> = data.iter().flat_map(|byte| if *byte == b'\n' { vec![b'\r', b'\n'] } else { vec![*byte] }).collect();
        assert_eq!(dedup::content(&folded, true), key);
    }
});
