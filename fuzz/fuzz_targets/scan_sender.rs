//! An operator's pattern and a stranger's text: the first line is the pattern.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_imap::scan::sender::Pattern;

fuzz_target!(|data: &str| {
    let (pattern, text) = data.split_once('\n').unwrap_or((data, ""));
    match bounded(|| pattern.parse::<Pattern>()) {
        Ok(pattern) => {
            if let Some(found) = bounded(|| pattern.find(text)) {
                assert!(!found.is_empty() && found.len() <= 1_100, "{} bytes", found.len());
            }
        }
        Err(bad) => {
            let words = bad.to_string();
            assert!(!words.is_empty() && !words.contains('\n'), "one line of words: {words:?}");
        }
    }
});
