//! What is asked of the SMSC about a text that it has: query_sm (SMPP 3.4 §4.8), cancel_sm (§4.9), replace_sm (§4.10).

use std::str::FromStr as _;

use rusmpp::Pdu;
use rusmpp::pdus::{CancelSm, QuerySm, ReplaceSm};
use rusmpp::types::{EmptyOrFullCOctetString, OctetString};

use crate::cursor::Cursor;
use crate::frame::Frame;
use crate::pdu::{Address, Unwritable, command, text};
use crate::submit::receipt_wanted;

/// A text that the SMSC has, as it is named to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Held {
    /// Our number, as in the submit_sm: it must match (§4.8.1, §4.9.1, §4.10.1).
    pub source: Address,
    /// The SMSC's id of it, at most 64 characters.
    pub message_id: String,
}

/// A text in the place of one that the SMSC has.
#[derive(Clone, PartialEq, Eq)]
pub struct Replacement {
    /// That one.
    pub held: Held,
    /// validity_period (§5.2.16): sixteen characters, or empty for what that one had.
    pub validity: String,
    /// At most 254 bytes, in the alphabet of that one: the PDU has neither data_coding nor esm_class (§4.10.1).
    pub message: Vec<u8>,
}

/// What is asked.
#[derive(Clone, PartialEq, Eq)]
pub enum Question {
    /// To forget it.
    Forget(Held),
    /// What became of it.
    State(Held),
    /// To send another in its place.
    Replace(Replacement),
}

/// What a query_sm_resp says (§4.8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// message_state (§5.2.28).
    pub state: u8,
    /// error_code, the network's own; 0: none.
    pub error: u8,
}

/// The PDU that asks it. A cancel_sm of one message leaves the destination out, for it has its id (§4.9.1); a replace_sm
/// wants a receipt, as the submit_sm did, and keeps the hour of delivery.
///
/// # Errors
/// [`Unwritable`].
pub fn question(question: &Question) -> Result<Pdu, Unwritable> {
    let id = |held: &Held| text("the message id", &held.message_id);
    let number = |held: &Held| text("the source number", &held.source.number);
    Ok(match question {
        Question::Forget(held) => CancelSm::builder()
            .message_id(id(held)?)
            .source_addr_ton(held.source.ton.into())
            .source_addr_npi(held.source.npi.into())
            .source_addr(number(held)?)
            .build()
            .into(),
        Question::State(held) => QuerySm::new(id(held)?, held.source.ton.into(), held.source.npi.into(), number(held)?).into(),
        Question::Replace(Replacement { held, validity, message }) => ReplaceSm::new(
            id(held)?,
            held.source.ton.into(),
            held.source.npi.into(),
            number(held)?,
            EmptyOrFullCOctetString::empty(),
            EmptyOrFullCOctetString::from_str(validity).map_err(|_| Unwritable("the validity"))?,
            receipt_wanted(),
            0,
            OctetString::from_slice(message).map_err(|_| Unwritable("the message"))?,
            None,
        )
        .into(),
    })
}

/// Reads a query_sm_resp: message_id, final_date, message_state, error_code. `None` for any other PDU, and for one that is
/// cut off.
#[must_use]
pub fn told(frame: &Frame) -> Option<Told> {
    if frame.id() != command::QUERY_SM_RESP {
        return None;
    }
    let mut cursor = Cursor::new(frame.body());
    cursor.text()?;
    cursor.text()?;
    let state = cursor.byte()?;
    // Some leave it out where there is none.
    let error = cursor.byte().unwrap_or(0);
    Some(Told { state, error })
}
