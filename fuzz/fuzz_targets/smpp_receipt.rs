//! Delivery receipts as vendors write them, with and without their optional parameters: reading never fails, what comes out
//! is bounded, and an id that is written as the standard suggests is found as it stands.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_fuzz::texts::delivery;
use voxea_smpp::content::{Content, DefaultAlphabet, ReceiptState, read};

fuzz_target!(|data: &[u8]| {
    let [which, length, rest @ ..] = data else { return };
    let (id, text) = rest.split_at(usize::from(*length).min(rest.len()));
    // receipted_message_id, message_state, network_error_code (SMPP 3.4 §5.3.2.12, §5.3.2.35, §5.3.2.31).
    let state = [which >> 4];
    let all: [(u16, &[u8]); 3] = [(0x001E, id), (0x0427, &state), (0x0423, &[3, 0, *length])];
    let given: Vec<(u16, &[u8])> = (0..3).filter(|bit| which & (1 << bit) != 0).map(|bit| all[bit]).collect();
    let coding = if which & 8 == 0 { 0 } else { 8 };
    if let Some(delivery) = delivery(4, coding, text, &given) {
        let Content::Receipt(receipt) = bounded(|| read(&delivery, DefaultAlphabet::Gsm7)) else {
            panic!("esm_class says that it is a receipt")
        };
        assert!(receipt.ids.len() <= 4 && receipt.ids.iter().all(|id| !id.is_empty()));
        let reason = receipt.reason.unwrap_or_default();
        assert!(reason.chars().count() <= 100 && !reason.chars().any(char::is_control));
    }
    let id: String = id.iter().filter(|octet| octet.is_ascii_alphanumeric()).map(|octet| char::from(*octet)).take(64).collect();
    if id.is_empty() {
        return;
    }
    let words = format!("id:{id} sub:001 dlvrd:001 submit date:2611240800 done date:2611240801 stat:UNDELIV err:011 text:");
    let standard = [words.as_bytes(), text].concat();
    if let Some(delivery) = delivery(4, 0, &standard, &[]) {
        let Content::Receipt(receipt) = bounded(|| read(&delivery, DefaultAlphabet::Gsm7)) else {
            panic!("esm_class says that it is a receipt")
        };
        assert_eq!(receipt.ids.first(), Some(&id), "whatever its citizen's text says");
        assert!(matches!(receipt.state, ReceiptState::Failed));
    }
});
