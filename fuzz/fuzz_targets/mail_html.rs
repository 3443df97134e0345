//! HTML of a mail: as text, and fit to be shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_imap::html;

fuzz_target!(|page: &str| {
    let text = bounded(|| html::text(page));
    assert!(text.len() <= page.len() * 40 + 64);
    let once = bounded(|| html::safe(page)).html;
    // Whoever reads it next reads it so too.
    let lower = (once.clone() + &html::safe(&once).html).to_ascii_lowercase();
    for tag in ["<script", "<style", "<svg", "<math", "<iframe", "<form", "<input", "<link", "<meta", "<base", "<object", "<!--"] {
        assert!(!lower.contains(tag), "{tag} in {lower:?}");
    }
});
