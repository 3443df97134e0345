//! User data headers: nothing a header says makes reading fail, no octet is lost, and a sound concatenation element is found
//! behind whatever stands before it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_fuzz::texts::delivery;
use voxea_rules::udh::{PartReference, concatenation, elements, shifts};
use voxea_smpp::content::{Content, DefaultAlphabet, Text, read};

fuzz_target!(|data: &[u8]| {
    let [coding, reference, total, number, body @ ..] = data else { return };
    if let Some(text) = text(*coding, body) {
        let words = bounded(|| text.words());
        assert!(words.undecodable || words.text.is_some());
        if let Some(part) = text.part {
            assert!(part.total > 1 && (1..=part.total).contains(&part.number));
        }
        let length: usize = bounded(|| elements(body).map(|(_, value)| value.len() + 2).sum());
        assert!(length < 256);
        let _ = bounded(|| shifts(body));
        if *coding == 4 {
            assert_eq!(text.header.len() + text.bytes.len(), body.len(), "binary is kept octet by octet");
        }
    }
    // The same text behind a header of ours.
    let wide = coding & 1 == 1;
    let wanted = if wide { u16::from_be_bytes([*coding, *reference]) } else { u16::from(*reference) };
    let width = if wide { PartReference::Sixteen(wanted) } else { PartReference::Eight(*reference) };
    let header = concatenation(width, *total, *number);
    let Some(text) = text(8, &[&header, body].concat()) else { return };
    assert_eq!((&text.header[..], &text.bytes[..]), (&header[..], body));
    let sound = *total > 1 && (1..=*total).contains(number);
    assert_eq!(text.part.map(|part| (part.reference, part.total, part.number)), sound.then_some((wanted, *total, *number)));
});

fn text(coding: u8, body: &[u8]) -> Option<Text> {
    match bounded(|| Some(read(&delivery(0x40, coding, body, &[])?, DefaultAlphabet::Gsm7))) {
        Some(Content::Text(text)) => Some(text),
        Some(Content::Receipt(_)) => panic!("no receipt was sent"),
        None => None,
    }
}
