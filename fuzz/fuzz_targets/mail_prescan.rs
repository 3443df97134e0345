//! The pre-scan: whatever it lets through, the parser finds no message inside a message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail_parser::{MessageParser, PartType};
use voxea_fuzz::{bounded, contain};
use voxea_imap::prescan;

fuzz_target!(init: contain("mail-parser"), |data: &[u8]| {
    let Ok(copy) = bounded(|| prescan::defused(data)) else { return };
    assert_eq!(copy.len(), data.len(), "offsets must mean the same in both");
    let parsed = std::panic::catch_unwind(|| {
        let message = MessageParser::default().parse(&*copy);
        let parts = message.iter().flat_map(|message| &message.parts);
        parts.filter(|part| matches!(part.body, PartType::Message(_))).count()
    });
    assert!(parsed.is_err() || parsed.is_ok_and(|nested| nested == 0), "the parser saw a message inside a message");
});
