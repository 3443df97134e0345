//! An offer from anybody: our answer can be read by ourselves and agrees on what was offered.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_sip::sdp::{Description, Local, accept, answer};
use voxea_sip::srtp::{Policy, Security};

fuzz_target!(|text: &str| {
    let Some(offer) = bounded(|| Description::parse(text)) else { return };
    let local = Local { address: ([127, 0, 0, 1], 40_000).into(), session: 1, version: 1, security: Security::new(Policy::Optional, [7; 30]) };
    let _ = accept(&offer, &local, "");
    let Ok(answered) = bounded(|| answer(&offer, &local, None)) else { return };
    let read = Description::parse(&answered.sdp).expect("our answer is a description");
    // RFC 3264 §6: as many streams as were offered, in their order.
    assert_eq!(read.media.len(), offer.media.len());
    // One of them is taken, in the clear or with the keys that it brought.
    assert_eq!(read.media.iter().filter(|media| media.is_plain_audio() || media.is_secure_audio()).count(), 1);
});
