//! An invitation, and what is told of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_imap::calendar;
use voxea_rules::moment::Zone;

fuzz_target!(|text: &str| {
    let Some(found) = bounded(|| calendar::read(text)) else { return };
    let told = bounded(|| found.described(&Zone::named("Europe/Paris").expect("the zone is built in")));
    assert!(told.lines().count() <= 4 && told.len() <= 4096);
});
