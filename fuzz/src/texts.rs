//! Deliveries made of what a fuzzer gives.

use voxea_smpp::frame::Framer;
use voxea_smpp::pdu::{Delivery, read_delivery};

/// A deliver_sm (SMPP 3.4 §4.6.1) whose text is `body`, in a message_payload so that any length will do, and with these
/// optional parameters besides. `None` when it cannot be read.
pub fn delivery(esm_class: u8, data_coding: u8, body: &[u8], parameters: &[(u16, &[u8])]) -> Option<Delivery> {
    let mut pdu = vec![0; 4];
    pdu.extend(5_u32.to_be_bytes());
    pdu.extend([0, 0, 0, 0, 0, 0, 0, 7]);
    pdu.extend(b"\0\x01\x0133612345678\0\x03\x0036123\0");
    pdu.extend([esm_class, 0, 0, 0, 0, 0, 0, data_coding, 0, 0]);
    for (tag, value) in parameters.iter().copied().chain([(0x0424, body)]) {
        pdu.extend(tag.to_be_bytes());
        pdu.extend(u16::try_from(value.len()).ok()?.to_be_bytes());
        pdu.extend(value);
    }
    let length = u32::try_from(pdu.len()).ok()?;
    pdu[..4].copy_from_slice(&length.to_be_bytes());
    let mut framer = Framer::default();
    framer.push(&pdu);
    read_delivery(&framer.next_frame().ok()??).ok()
}
