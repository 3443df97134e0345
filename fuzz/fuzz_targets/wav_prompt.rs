//! A greeting file as an operator, or somebody else, left it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_recorder::prompt::Prompt;

fuzz_target!(|data: &[u8]| {
    if let Ok(prompt) = bounded(|| Prompt::parse(data, "fuzz")) {
        // 16 kHz halves, 8 bit widens: never more samples than octets.
        assert!(prompt.samples().len() <= data.len());
    }
});
