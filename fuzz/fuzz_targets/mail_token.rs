//! Reply tokens, wherever a stranger writes them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_imap::token;
use voxea_rules::reply_token;

fuzz_target!(|data: &[u8]| {
    // The ids that a mail answers, after a line of dashes.
    let at = data.windows(3).position(|three| three == b"---");
    let (raw, ids) = at.map_or((data, &[][..]), |at| (&data[..at], &data[at + 3..]));
    let ids: Vec<String> = String::from_utf8_lossy(ids).split_whitespace().map(str::to_owned).collect();
    let found = bounded(|| token::all(raw, &ids));
    assert!(found.len() <= 8, "{} tokens", found.len());
    for (at, one) in found.iter().enumerate() {
        assert!(reply_token::decode(one).is_some(), "no token: {one:?}");
        assert!(!found[..at].contains(one), "twice: {one:?}");
    }
    // Who shouts is heard the same.
    assert_eq!(token::all(&raw.to_ascii_uppercase(), &ids), found);
});
