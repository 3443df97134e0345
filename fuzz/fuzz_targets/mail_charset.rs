//! Octets under any label: the label, a line end, the octets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_imap::{charset, transfer};

fuzz_target!(|data: &[u8]| {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let (label, octets) = data.split_at(at);
    let label = std::str::from_utf8(label).ok();
    for (label, html) in [(label, false), (label, true), (None, false), (None, true)] {
        let text = bounded(|| charset::decode(octets, label, html));
        assert!(text.len() <= octets.len() * 4 + 16);
    }
    for decoded in [transfer::base64(data), transfer::quoted_printable(data), transfer::quoted_word(data), transfer::percent(data)] {
        assert!(decoded.len() <= data.len());
    }
});
