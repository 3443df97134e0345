//! What an SMSC says beside messages: who can be reached again, and how loaded it is.

use crate::cursor::Cursor;
use crate::frame::Frame;
use crate::pdu::{self, Address};

/// congestion_state (SMPP 5.0 §4.8.4.18).
const CONGESTION_STATE: u16 = 0x0428;

/// Whom an alert_notification is about (SMPP 3.4 §4.12.1): the phone that can be reached again; `None` when it cannot be
/// read.
#[must_use]
pub fn alerted(frame: &Frame) -> Option<Address> {
    pdu::read_address(&mut Cursor::new(frame.body())).filter(|address| !address.number.is_empty())
}

/// congestion_state of a response whose body begins with an id (SMPP 5.0 §4.8.4.18): 0 idle to 100 congested; `None` when
/// there is none, or one that means nothing.
#[must_use]
pub fn congestion(frame: &Frame) -> Option<u8> {
    let mut cursor = Cursor::new(frame.body());
    cursor.text()?;
    loop {
        let (tag, length) = (cursor.word()?, usize::from(cursor.word()?));
        if let (CONGESTION_STATE, [state @ 0..=100]) = (tag, cursor.take(length)?) {
            return Some(*state);
        }
    }
}
