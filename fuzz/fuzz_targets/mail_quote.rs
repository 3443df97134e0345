//! What the writer wrote, without what is quoted below it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_imap::quote;

fuzz_target!(|text: &str| {
    let stripped = bounded(|| quote::strip(text, None));
    assert_eq!(stripped.is_empty(), text.trim().is_empty(), "a text never becomes nothing");
    assert!(stripped.len() <= text.len());
    assert_eq!(quote::strip(text, Some("TR: x")), text.trim(), "a forward is never stripped");
});
