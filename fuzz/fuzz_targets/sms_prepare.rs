//! Texts on their way out, by every policy: what is prepared fits its segments, and our own reader finds in them the text
//! that is said to go out, every character of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_fuzz::texts::delivery;
use voxea_rules::sms::{Letters, Policy, ReferenceWidth, prepare};
use voxea_smpp::content::{Content, DefaultAlphabet, read};

fuzz_target!(|data: &[u8]| {
    let [choice, most, text @ ..] = data else { return };
    // What our reader takes for damage or for a byte order mark, and nobody writes.
    let text = String::from_utf8_lossy(text).replace(['\0', '\u{feff}', '\u{fffe}'], "");
    let policy = Policy {
        letters: [Letters::Keep, Letters::Propose, Letters::Replace][usize::from(choice & 3) % 3],
        most_segments: *most,
        width: if choice & 4 == 0 { ReferenceWidth::Eight } else { ReferenceWidth::Sixteen },
        ..Policy::default()
    };
    match bounded(|| prepare(&text, &policy)) {
        Ok(prepared) => {
            let segments = bounded(|| prepared.segments(u16::from_be_bytes([*choice, *most])));
            assert_eq!(segments.len(), prepared.count());
            assert!((1..=usize::from(*most).max(1)).contains(&segments.len()));
            let mut found = String::new();
            for (number, segment) in (1_u8..).zip(&segments) {
                assert!(segment.packed().len() <= 140, "what goes over the air");
                let delivery = delivery(segment.esm_class(), segment.data_coding(), &segment.unpacked(), &[]).expect("a sound PDU");
                let Content::Text(read) = read(&delivery, DefaultAlphabet::Gsm7) else { panic!("no receipt was written") };
                assert_eq!(read.part.map(|part| (part.number, usize::from(part.total))), (segments.len() > 1).then_some((number, segments.len())));
                let words = read.words();
                assert!(!words.undecodable, "no escape and no pair is cut");
                found += &words.text.unwrap_or_default();
            }
            assert_eq!(found, prepared.text());
        }
        Err(refused) => {
            // With a reason to be seen: too long, or empty.
            assert!(refused.preview.segments > refused.most || refused.preview.units == 0);
        }
    }
});
