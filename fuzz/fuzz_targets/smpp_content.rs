//! What a delivery says, in every alphabet that an account may have chosen: reading never fails.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_smpp::content::{Content, DefaultAlphabet, read};
use voxea_smpp::frame::Framer;
use voxea_smpp::pdu::read_delivery;

fuzz_target!(|data: &[u8]| {
    // The length is made right, so that no input is lost to framing.
    let mut pdu = data.to_vec();
    if pdu.len() < 16 {
        return;
    }
    let length = pdu.len() as u32;
    pdu[..4].copy_from_slice(&length.to_be_bytes());
    let mut framer = Framer::default();
    framer.push(&pdu);
    let Ok(Some(frame)) = framer.next_frame() else { return };
    let Ok(delivery) = bounded(|| read_delivery(&frame)) else { return };
    for default in [DefaultAlphabet::Gsm7, DefaultAlphabet::Gsm7Packed, DefaultAlphabet::Latin1] {
        match bounded(|| read(&delivery, default)) {
            Content::Text(text) => {
                let words = bounded(|| text.words());
                assert!(words.undecodable || words.text.is_some(), "what cannot be read is said to be so");
                if let Some(part) = text.part {
                    assert!((1..=part.total).contains(&part.number));
                }
            }
            Content::Receipt(receipt) => assert!(receipt.ids.len() <= 4),
        }
    }
});
